"""The user agent's sessions of a process that is alone; part of ``memory``."""

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from .agent_session_rules import (
    Held,
    check_content,
    claimed,
    created,
    ended,
    fenced,
    in_bounds,
    is_over,
    is_there,
    page_size,
    put,
    released,
    renewed,
)
from .agent_sessions import LONGEST_LEASE, AgentSession
from .rules import is_live


class MemoryAgentSessions:
    """The port ``AgentSessions`` without a server.

    Args:
        clock: Wall clock, seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._agents: dict[str, Held] = {}
        self._open: set[str] = set()
        self._ids: dict[str, list[str]] = {}
        """By application, and under the empty name all; in order, expired ones too until they are swept."""

    async def create_agent_session(self, session: AgentSession, *, lease: float) -> AgentSession | None:
        """See ``AgentSessions.create_agent_session``."""
        check_content(session.content)
        now = self._clock()
        if self._held(session.session_id, now) is not None:
            return None
        return self._hold(created(session, lease, now))

    async def claim_agent_session(
        self, session_id: str, pod: str, *, lease: float, dead: Sequence[str] = ()
    ) -> AgentSession | None:
        """See ``AgentSessions.claim_agent_session``."""
        now = self._clock()
        held = self._held(session_id, now)
        if held is None:
            return None
        held = in_bounds(held, now)
        return self._hold(claimed(held, pod, lease, dead, now) or held)

    async def renew_agent_sessions(self, pod: str, tokens: Mapping[str, int], *, lease: float) -> Sequence[str]:
        """See ``AgentSessions.renew_agent_sessions``."""
        now, lost = self._clock(), []
        for session_id, token in tokens.items():
            held = self._held(session_id, now)
            if held is None:
                continue
            new = renewed(held, pod, token, lease, now)
            if new is None:
                lost.append(session_id)
            else:
                self._hold(new)
        return lost

    async def save_agent_session(self, session_id: str, token: int, content: bytes, *, expires_at: float) -> None:
        """See ``AgentSessions.save_agent_session``."""
        check_content(content)
        held = fenced(self._held(session_id, self._clock()), session_id, token, ended=False)
        self._hold(replace(held, session=replace(held.session, content=content, expires_at=expires_at)))

    async def release_agent_session(self, session_id: str, token: int) -> None:
        """See ``AgentSessions.release_agent_session``."""
        now = self._clock()
        held = self._held(session_id, now)
        if held is not None:
            self._hold(released(held, token, now))

    async def end_agent_session(self, session_id: str, token: int, content: bytes, *, keep: float) -> None:
        """See ``AgentSessions.end_agent_session``."""
        check_content(content)
        now = self._clock()
        held = fenced(self._held(session_id, now), session_id, token, ended=True)
        self._hold(ended(held, token, content, now + keep))

    async def find_agent_sessions(self, session_ids: Sequence[str]) -> Mapping[str, AgentSession]:
        """See ``AgentSessions.find_agent_sessions``."""
        now = self._clock()
        found = ((session_id, self._held(session_id, now)) for session_id in session_ids)
        return {session_id: held.session for session_id, held in found if held is not None}

    async def list_agent_sessions(
        self, application: str = "", *, after: str = "", limit: int = 100
    ) -> Sequence[AgentSession]:
        """See ``AgentSessions.list_agent_sessions``."""
        now, most = self._clock(), page_size(limit)
        ids = self._ids.get(application, [])
        page: list[AgentSession] = []
        for index in range(bisect_right(ids, after), len(ids)):
            if len(page) == most:
                break
            held = self._held(ids[index], now)
            if held is not None:
                page.append(held.session)
        return page

    async def agent_sessions_of(self, pods: Sequence[str]) -> Sequence[str]:
        """See ``AgentSessions.agent_sessions_of``."""
        wanted = {pod for pod in pods if pod}
        return sorted(session_id for session_id in self._open if self._agents[session_id].session.pod in wanted)

    async def ownerless_agent_sessions(self, *, limit: int = 100) -> Sequence[str]:
        """See ``AgentSessions.ownerless_agent_sessions``."""
        now = self._clock()
        found = []
        for session_id in self._open:
            held = self._agents[session_id]
            if held.session.lease_until > now + LONGEST_LEASE:
                held = self._agents[session_id] = in_bounds(held, now)
            if is_there(held, now) and is_over(held.session.lease_until, now):
                found.append((held.session.lease_until, session_id))
        return [session_id for _, session_id in sorted(found)[: page_size(limit)]]

    async def put_agent_sessions(self, sessions: Iterable[AgentSession], *, lease: float) -> Sequence[str]:
        """See ``AgentSessions.put_agent_sessions``."""
        now, lost = self._clock(), []
        for session in sessions:
            check_content(session.content)
            if not is_live(session.expires_at, now):
                continue
            new = put(self._held(session.session_id, now), session, lease, now)
            if new is None:
                lost.append(session.session_id)
            else:
                self._hold(new)
        return lost

    def _held(self, session_id: str, now: float) -> Held | None:
        held = self._agents.get(session_id)
        return held if is_there(held, now) else None

    def _hold(self, held: Held) -> AgentSession:
        session = held.session
        session_id = session.session_id
        before = self._agents.get(session_id)
        if before is not None and before.session.application != session.application:
            self._ids[before.session.application].remove(session_id)
        if before is None:
            insort(self._ids.setdefault("", []), session_id)
        if before is None or before.session.application != session.application:
            insort(self._ids.setdefault(session.application, []), session_id)
        self._agents[session_id] = held
        (self._open.discard if session.ended else self._open.add)(session_id)
        return session

    def _sweep_agents(self, now: float) -> None:
        self._agents = {session_id: held for session_id, held in self._agents.items() if is_there(held, now)}
        self._open &= self._agents.keys()
        left = {
            name: [session_id for session_id in ids if session_id in self._agents] for name, ids in self._ids.items()
        }
        self._ids = {name: ids for name, ids in left.items() if ids}
