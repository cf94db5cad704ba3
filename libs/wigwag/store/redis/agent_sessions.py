"""The user agent's sessions on Redis.

Theory of operation. Sessions are spread over ``BUCKETS`` hash tags by their id. A bucket is one index and a record for
each session, on one server, so that a script changes a record together with its entries, and renews many leases at
once. Whoever lists asks all buckets in one round trip and puts their pages together. A server may forget a record whose
entries are still there, an hour after it has expired: who comes across them takes them away.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any, Final, TypeVar

from wigwag.store import AgentSession, FencedError, MissingError
from wigwag.store.agent_session_rules import check_content, page_size

from .records import agent_of, bucket_of, text, text_of
from .runner import Runner
from .server import Call, Script

BUCKETS: Final = 64
"""Hash tags that sessions are spread over; another number would not find what is there."""
RENEWED_TOGETHER: Final = 200
"""Sessions that one script renews: a server does nothing else meanwhile."""
BATCH: Final = 64
"""Calls, or sessions with their content, in one go."""
_EVERY: Final = "1000000000"

_CREATE: Final = Script("create_agent_session", "agent_sessions")
_CLAIM: Final = Script("claim_agent_session", "agent_sessions")
_RENEW: Final = Script("renew_agent_sessions", "agent_sessions")
_SAVE: Final = Script("save_agent_session", "agent_sessions")
_RELEASE: Final = Script("release_agent_session", "agent_sessions")
_END: Final = Script("end_agent_session", "agent_sessions")
_PUT: Final = Script("put_agent_session", "agent_sessions")
_FIND: Final = Script("find_agent_session", "agent_sessions")
_IDS: Final = Script("agent_ids", "agent_sessions")
_DUE: Final = Script("due_agents", "agent_sessions")
_CHECK: Final = Script("check_agent_member", "agent_sessions")

T = TypeVar("T")


class RedisAgentSessions(Runner):
    """The port ``AgentSessions`` on Redis."""

    async def create_agent_session(self, session: AgentSession, *, lease: float) -> AgentSession | None:
        """See ``AgentSessions.create_agent_session``."""
        check_content(session.content)
        answer = await self._run_agent(
            _CREATE,
            session.session_id,
            session.application,
            session.pod,
            str(session.token),
            text_of(lease),
            text_of(session.expires_at),
            session.content,
        )
        if answer is None:
            return None
        token, lease_until = map(int, answer)
        return replace(session, token=token, lease_until=lease_until / 1000, ended=False)

    async def claim_agent_session(
        self, session_id: str, pod: str, *, lease: float, dead: Sequence[str] = ()
    ) -> AgentSession | None:
        """See ``AgentSessions.claim_agent_session``."""
        return agent_of(session_id, await self._run_agent(_CLAIM, session_id, pod, text_of(lease), *dead))

    async def renew_agent_sessions(self, pod: str, tokens: Mapping[str, int], *, lease: float) -> Sequence[str]:
        """See ``AgentSessions.renew_agent_sessions``; each batch has the time of an operation."""
        buckets: dict[int, list[tuple[str, int]]] = {}
        for session_id, token in tokens.items():
            buckets.setdefault(bucket_of(session_id, BUCKETS), []).append((session_id, token))
        calls = (
            self._renew_call(bucket, pod, lease, together)
            for bucket, all_of_it in buckets.items()
            for together in _batches(all_of_it, RENEWED_TOGETHER)
        )
        lost: set[str] = set()
        for batch in _batches(calls, BATCH):
            lost.update(map(text, chain.from_iterable(await self._servers.run(batch))))
        return [session_id for session_id in tokens if session_id in lost]

    def _renew_call(self, bucket: int, pod: str, lease: float, together: Sequence[tuple[str, int]]) -> Call:
        keys = (self._keys.agents(bucket), *(self._keys.agent(bucket, session_id) for session_id, _ in together))
        tokens = (value for session_id, token in together for value in (session_id, str(token)))
        return self._call(_RENEW, keys, pod, text_of(lease), *tokens)

    async def save_agent_session(self, session_id: str, token: int, content: bytes, *, expires_at: float) -> None:
        """See ``AgentSessions.save_agent_session``."""
        check_content(content)
        reason = await self._run_agent(_SAVE, session_id, str(token), text_of(expires_at), content)
        _raise_fenced(session_id, token, reason)

    async def release_agent_session(self, session_id: str, token: int) -> None:
        """See ``AgentSessions.release_agent_session``."""
        await self._run_agent(_RELEASE, session_id, str(token))

    async def end_agent_session(self, session_id: str, token: int, content: bytes, *, keep: float) -> None:
        """See ``AgentSessions.end_agent_session``."""
        check_content(content)
        _raise_fenced(session_id, token, await self._run_agent(_END, session_id, str(token), text_of(keep), content))

    async def find_agent_sessions(self, session_ids: Sequence[str]) -> Mapping[str, AgentSession]:
        """See ``AgentSessions.find_agent_sessions``; each batch has the time of an operation."""
        found: dict[str, AgentSession] = {}
        for batch in _batches(session_ids, BATCH):
            answers = await self._servers.run([self._find_call(session_id) for session_id in batch])
            sessions = map(agent_of, batch, answers)
            found |= {session.session_id: session for session in sessions if session is not None}
        return found

    async def list_agent_sessions(
        self, application: str = "", *, after: str = "", limit: int = 100
    ) -> Sequence[AgentSession]:
        """See ``AgentSessions.list_agent_sessions``."""
        begin = f"a {application}" if application else "i"
        page: list[AgentSession] = []
        missing = page_size(limit)
        while missing:
            ids = (await self._agent_ids(begin, after, str(missing)))[:missing]
            found = await self.find_agent_sessions(ids)
            await self._checked(
                [(session_id, f"{begin} {session_id}") for session_id in ids if session_id not in found]
            )
            page += [found[session_id] for session_id in ids if session_id in found]
            if len(ids) < missing:
                break
            missing, after = page_size(limit) - len(page), ids[-1]
        return page

    async def agent_sessions_of(self, pods: Sequence[str]) -> Sequence[str]:
        """See ``AgentSessions.agent_sessions_of``."""
        found = [await self._agent_ids(f"p {pod}", "", _EVERY) for pod in dict.fromkeys(pods) if pod]
        return sorted(chain.from_iterable(found))

    async def ownerless_agent_sessions(self, *, limit: int = 100) -> Sequence[str]:
        """See ``AgentSessions.ownerless_agent_sessions``."""
        most = page_size(limit)
        while True:
            answers = await self._servers.run(
                [self._call(_DUE, (self._keys.agents(bucket),), str(most)) for bucket in range(BUCKETS)]
            )
            await self._checked([_entry(member) for _, wrong in answers for member in wrong])
            members = sorted(member for free, _ in answers for member in free)[:most]
            entries = [_entry(member) for member in members]
            gone = await self._checked(entries)
            if not gone:
                return [session_id for session_id, _ in entries]
            # They have left the index by now, and others had no room behind them.

    async def put_agent_sessions(self, sessions: Iterable[AgentSession], *, lease: float) -> Sequence[str]:
        """See ``AgentSessions.put_agent_sessions``; each batch has the time of an operation."""
        lost: list[str] = []
        for batch in _batches(sessions, BATCH):
            answers = await self._servers.run([self._put_agent_call(session, lease) for session in batch])
            lost += [session.session_id for session, answer in zip(batch, answers, strict=True) if answer is not None]
        return lost

    def _put_agent_call(self, session: AgentSession, lease: float) -> Call:
        check_content(session.content)
        return self._agent_call(
            _PUT,
            session.session_id,
            session.application,
            session.pod,
            str(session.token),
            text_of(lease),
            "1" if session.ended else "",
            text_of(session.expires_at),
            session.content,
        )

    async def _agent_ids(self, begin: str, after: str, most: str) -> list[str]:
        """Return ids of all buckets in order, those of entries that begin so; each bucket's first ``most``."""
        calls = [self._call(_IDS, (self._keys.agents(bucket),), begin, after, most) for bucket in range(BUCKETS)]
        members = chain.from_iterable(await self._servers.run(calls))
        return sorted(_entry(member)[0] for member in members)

    async def _checked(self, entries: Sequence[tuple[str, str]]) -> set[str]:
        """Take entries away that lead nowhere; return the ids of those."""
        gone: set[str] = set()
        for batch in _batches(entries, BATCH):
            answers = await self._servers.run([self._agent_call(_CHECK, *entry) for entry in batch])
            gone |= {session_id for (session_id, _), answer in zip(batch, answers, strict=True) if answer is not None}
        return gone

    async def _run_agent(self, script: Script, session_id: str, *arguments: str | bytes) -> Any:
        return (await self._servers.run([self._agent_call(script, session_id, *arguments)]))[0]

    def _agent_call(self, script: Script, session_id: str, *arguments: str | bytes) -> Call:
        bucket = bucket_of(session_id, BUCKETS)
        keys = (self._keys.agents(bucket), self._keys.agent(bucket, session_id))
        return self._call(script, keys, session_id, *arguments)

    def _find_call(self, session_id: str) -> Call:
        return self._call(_FIND, (self._keys.agent(bucket_of(session_id, BUCKETS), session_id),))


def _entry(member: bytes) -> tuple[str, str]:
    """Return the session that a member of an index is about, and the member."""
    entry = text(member)
    return entry.rpartition(" ")[2], entry


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def _raise_fenced(session_id: str, token: int, reason: bytes | None) -> None:
    if reason == b"none":
        raise MissingError(f"session {session_id} is gone")
    if reason == b"ended":
        raise FencedError(f"session {session_id} has ended")
    if reason is not None:
        raise FencedError(f"session {session_id} has token {int(reason)}, not {token}")
