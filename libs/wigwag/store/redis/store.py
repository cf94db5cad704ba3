"""The store on Redis: each operation is one script."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import structlog

from wigwag.errors import StoreError
from wigwag.store import (
    Availability,
    Claim,
    FencedError,
    Lease,
    Membership,
    Notice,
    Owner,
    PeerBinding,
    Pod,
    RecordState,
    SessionRecord,
    Sighting,
    TooManySessionsError,
)

from .address import parse_address
from .agent_sessions import RedisAgentSessions
from .breaker import Health
from .conversations import RedisConversations
from .records import (
    Keys,
    binding_of,
    binding_text,
    by_name,
    constant_pairs,
    pod_of,
    pod_text,
    record_of,
    record_pairs,
    text,
    text_of,
)
from .registrations import RedisRegistrations
from .server import Call, Script
from .servers import Cluster, SingleServer
from .subscription import Subscription

logger = structlog.get_logger(__name__)

TIMEOUT: Final = 2.0
"""Seconds after which an operation is given up."""
BATCH: Final = 256
"""Records written in one go."""
_UNLIMITED: Final = "1000000000"

_BEAT: Final = Script("beat")
_LEAVE: Final = Script("leave")
_GENERATION: Final = Script("generation")
_PUT_STATUS: Final = Script("put_status")
_STATUSES: Final = Script("statuses")
_CLAIM_SESSION: Final = Script("claim_session", "sessions")
_CHANGE_SESSION: Final = Script("change_session", "sessions")
_END_SESSION: Final = Script("end_session", "sessions")
_FORGET: Final = Script("forget")
_FIND_SESSION: Final = Script("find_session", "sessions")
_PUT_SESSION: Final = Script("put_session", "sessions")
_CLAIM_VALUE: Final = Script("claim_value", "expiring")
_FIND_VALUE: Final = Script("find_value", "expiring")
_REMOVE_VALUE: Final = Script("remove_value", "expiring")
_ACQUIRE_LEASE: Final = Script("acquire_lease")
_RELEASE_LEASE: Final = Script("release_lease")


class RedisStore(RedisRegistrations, RedisAgentSessions, RedisConversations):
    """The port ``Store`` on a Redis server or a Redis Cluster.

    Args:
        url: See ``parse_address``.
        ca_file: PEM file of the authorities to trust.
        timeout: Seconds within which an operation is done or fails.
        prefix: Of all keys and of the channel; sets apart what shares a Redis.
        clock: Wall clock, seconds since the epoch; None: that of the server which has the key.
        on_availability: Told when it turns out whether Redis is there, and when that changes.

    Raises:
        ConfigurationError: The URL or a file can't be used.
    """

    def __init__(
        self,
        url: str,
        *,
        ca_file: str | Path | None = None,
        timeout: float = TIMEOUT,
        prefix: str = "wigwag",
        clock: Callable[[], float] | None = None,
        on_availability: Availability = lambda available, detail: None,
    ) -> None:
        self._address = parse_address(url, ca_file=ca_file)
        super().__init__(Keys(prefix), clock, timeout=timeout)
        self._on_availability = on_availability
        self._markers: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        """Look whether Redis is there. If not, operations fail until it is."""
        kind = Cluster if self._address.is_cluster else SingleServer
        self._opened = kind(self._address, timeout=self._timeout, health=Health(self._tell))
        try:
            await self.statuses()
        except StoreError as error:
            logger.warning("redis can't be reached", reason=str(error))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        servers, self._opened = self._servers, None
        await servers.close()

    # Pods and their status

    async def beat(self, pod: Pod) -> Membership:
        """See ``Store.beat``."""
        now, seen, pods = await self._run(_BEAT, self._keys.pods, pod.id, pod_text(pod))
        ages = {pod_id: float(now) - float(when) for pod_id, when in by_name(seen)}
        sightings = (
            Sighting(pod_of(pod_id, document), ages[pod_id]) for pod_id, document in by_name(pods) if pod_id in ages
        )
        return Membership(tuple(sightings), await self._generation(), float(now))

    async def _generation(self) -> str:
        """Return the markers of all servers; one that does not answer has lost nothing as far as one knows."""
        answers = await self._servers.run_on_each(self._generation_call)
        self._markers |= {name: text(marker) for name, (marker, _) in answers.items()}
        present = [server.name for server in await self._servers.present()]
        self._markers = {name: marker for name, marker in self._markers.items() if name in present}
        return " ".join(self._markers[name] for name in sorted(self._markers))

    async def held_for(self, aor: str) -> float:
        """See ``Store.held_for``."""
        tag = await self._servers.tag_beside(self._keys.registration(aor))
        [(_, seconds)] = await self._servers.run([self._generation_call(tag)])
        return float(seconds)

    def _generation_call(self, tag: str) -> Call:
        return self._call(_GENERATION, self._keys.generation(tag), secrets.token_hex(8))

    async def leave(self, pod_id: str) -> None:
        """See ``Store.leave``."""
        await self._run(_LEAVE, self._keys.pods, pod_id)

    async def put_status(self, pod_id: str, document: bytes) -> None:
        """See ``Store.put_status``."""
        await self._run(_PUT_STATUS, self._keys.pods, pod_id, document)

    async def statuses(self) -> Mapping[str, bytes]:
        """See ``Store.statuses``."""
        return dict(by_name(await self._run(_STATUSES, self._keys.pods[2:])))

    # Sessions of the relay

    async def claim_owner(
        self, owner: Owner, candidate: str, *, expires_at: float, most: int, replacing: str | None = None
    ) -> str:
        """See ``Store.claim_owner``."""
        key, name, limit = self._keys.sessions_of(owner), owner.client_uri, str(most)
        known = await self._run(_CLAIM_VALUE, (key,), name, candidate, text_of(expires_at), limit, "1", replacing or "")
        if known is None:
            raise TooManySessionsError(f"{owner.username}@{owner.realm} has {most} sessions")
        return text(known)

    async def release_owner(self, owner: Owner, session_id: str) -> None:
        """See ``Store.release_owner``."""
        await self._run(_REMOVE_VALUE, (self._keys.sessions_of(owner),), owner.client_uri, session_id)

    async def claim_session(
        self, record: SessionRecord, *, must_exist: bool, resume_window: float, dead_since: float | None = None
    ) -> Claim | None:
        """See ``Store.claim_session``."""
        answer = await self._run_session(
            _CLAIM_SESSION,
            record.session_id,
            "1" if must_exist else "",
            text_of(resume_window),
            text_of(dead_since) if dead_since is not None else "",
            str(record.epoch),
            text_of(record.expires_at),
            record.pod,
            str(record.connection),
            record.uri,
            text_of(record.created),
            str(record.fencing_token),
            *constant_pairs(record),
        )
        if answer == b"fenced":
            raise FencedError(f"session {record.session_id} has a fencing token above {record.fencing_token}")
        if answer == b"ended":
            await self._forget_peers(record.session_id)
        if not isinstance(answer, list):
            return None
        epoch, pairs = answer
        previous = record_of(record.session_id, pairs)
        kept = previous or record
        new = replace(record, uri=kept.uri, created=kept.created, epoch=int(epoch))
        return Claim(replace(new, state=RecordState.ACTIVE, suspended_at=0.0), previous)

    async def extend_session(self, session_id: str, epoch: int, *, expires_at: float) -> None:
        """See ``Store.extend_session``."""
        reason = await self._run_session(_CHANGE_SESSION, session_id, str(epoch), text_of(expires_at))
        _raise_fenced(session_id, epoch, reason)

    async def suspend_session(self, session_id: str, epoch: int) -> None:
        """See ``Store.suspend_session``."""
        _raise_fenced(session_id, epoch, await self._run_session(_CHANGE_SESSION, session_id, str(epoch), ""))

    async def end_session(self, session_id: str, epoch: int) -> None:
        """See ``Store.end_session``."""
        _raise_fenced(session_id, epoch, await self._run_session(_END_SESSION, session_id, str(epoch)))
        await self._forget_peers(session_id)

    async def _forget_peers(self, session_id: str) -> None:
        await self._run(_FORGET, (self._keys.peers(session_id),))

    async def find_sessions(self, session_ids: Sequence[str]) -> Mapping[str, SessionRecord]:
        """See ``Store.find_sessions``."""
        answers = await self._servers.run([self._session_call(_FIND_SESSION, known) for known in session_ids])
        found = zip(session_ids, map(record_of, session_ids, answers), strict=True)
        return {session_id: record for session_id, record in found if record is not None}

    async def put_sessions(self, records: Iterable[SessionRecord]) -> Sequence[SessionRecord]:
        """See ``Store.put_sessions``; each batch has the time of an operation."""
        newer: list[SessionRecord] = []
        remaining = iter(records)
        while batch := list(islice(remaining, BATCH)):
            answers = await self._servers.run([self._put_call(record) for record in batch])
            theirs = list(map(record_of, (record.session_id for record in batch), answers))
            newer += [record for record in theirs if record is not None]
            ours = [record for record, newer_one in zip(batch, theirs, strict=True) if newer_one is None]
            await self._servers.run([self._put_owner_call(record) for record in ours])
        return newer

    def _put_call(self, record: SessionRecord) -> Call:
        looked_at = (str(record.epoch), text_of(record.expires_at), record.pod, str(record.connection))
        return self._session_call(_PUT_SESSION, record.session_id, *looked_at, *record_pairs(record))

    def _put_owner_call(self, record: SessionRecord) -> Call:
        key, name = self._keys.sessions_of(record.owner), record.owner.client_uri
        expires_at = text_of(record.expires_at)
        return self._call(_CLAIM_VALUE, (key,), name, record.session_id, expires_at, _UNLIMITED, "", "")

    # Peers without a relay

    async def bind_peer(
        self,
        session_id: str,
        peer: str,
        binding: PeerBinding,
        *,
        expires_at: float,
        most: int = 256,
        replacing: PeerBinding | None = None,
    ) -> PeerBinding | None:
        """See ``Store.bind_peer``."""
        value, replaced = binding_text(binding), binding_text(replacing) if replacing is not None else ""
        known = await self._run(
            _CLAIM_VALUE, (self._keys.peers(session_id),), peer, value, text_of(expires_at), str(most), "", replaced
        )
        return binding_of(known) if known is not None else None

    async def find_peer(self, session_id: str, peer: str) -> PeerBinding | None:
        """See ``Store.find_peer``."""
        known = await self._run(_FIND_VALUE, (self._keys.peers(session_id),), peer)
        return binding_of(known) if known is not None else None

    async def unbind_peer(self, session_id: str, peer: str, binding: PeerBinding) -> None:
        """See ``Store.unbind_peer``."""
        await self._run(_REMOVE_VALUE, (self._keys.peers(session_id),), peer, binding_text(binding))

    # Leases

    async def acquire_lease(self, name: str, holder: str, *, seconds: float) -> Lease | None:
        """See ``Store.acquire_lease``."""
        token = await self._run(_ACQUIRE_LEASE, (self._keys.lease(name),), holder, text_of(seconds))
        return Lease(name, holder, int(token)) if token is not None else None

    async def release_lease(self, lease: Lease) -> None:
        """See ``Store.release_lease``."""
        await self._run(_RELEASE_LEASE, (self._keys.lease(lease.name),), str(lease.token))

    def changes(self) -> AsyncIterator[Notice]:
        """See ``Store.changes``."""
        return Subscription(self._servers, self._keys.channel, timeout=self._timeout).notices()

    async def _run_session(self, script: Script, session_id: str, *arguments: str) -> Any:
        return (await self._servers.run([self._session_call(script, session_id, *arguments)]))[0]

    def _session_call(self, script: Script, session_id: str, *arguments: str) -> Call:
        return self._call(script, (self._keys.session(session_id),), self._keys.channel, session_id, *arguments)

    def _tell(self, available: bool, detail: str) -> None:
        if self._opened is None:
            return  # It is being closed, and a server that is not asked any more is neither there nor away.
        if available:
            logger.info("redis is there")
        else:
            logger.warning("redis is away", reason=detail)
        self._on_availability(available, detail)


def _raise_fenced(session_id: str, epoch: int, reason: bytes | None) -> None:
    if reason == b"none":
        raise FencedError(f"session {session_id} is gone")
    if reason is not None:
        raise FencedError(f"session {session_id} has epoch {int(reason)}, not {epoch}")
