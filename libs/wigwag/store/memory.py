"""The store of a process that is alone: plain dictionaries."""

import math
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from . import (
    FORGOTTEN_AFTER,
    Availability,
    Change,
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
from .expiring import Expiring
from .memory_agent_sessions import MemoryAgentSessions
from .memory_conversations import MemoryConversations
from .memory_registrations import MemoryRegistrations
from .notices import Notices
from .rules import LEASE_REMEMBERED, claimed, held_until, is_fenced, is_lapsed, is_live, leased, takes_over

SWEEP_INTERVAL: Final = 60.0
"""Seconds between two searches for what has expired."""


class MemoryStore(MemoryRegistrations, MemoryAgentSessions, MemoryConversations):
    """The port ``Store`` without a server. Every operation is done before another can begin.

    Args:
        clock: Wall clock, seconds since the epoch.
        on_availability: Told once that the store is there.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.time, on_availability: Availability = lambda available, detail: None
    ) -> None:
        MemoryRegistrations.__init__(self, clock, Notices())
        MemoryAgentSessions.__init__(self, clock)
        MemoryConversations.__init__(self, clock)
        self._on_availability = on_availability
        self._generation = secrets.token_hex(8)
        self._pods: dict[str, Pod] = {}
        self._seen: dict[str, float] = {}
        self._statuses: dict[str, bytes] = {}
        self._records: dict[str, SessionRecord] = {}
        self._owners: dict[tuple[str, str], Expiring[str]] = {}
        self._peers: dict[str, Expiring[PeerBinding]] = {}
        self._leases: dict[str, tuple[Lease, float, float]] = {}
        self._swept = clock()

    async def __aenter__(self) -> Self:
        """Say that the store is there."""
        self._on_availability(True, "in the process")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is to be closed."""

    # Pods and their status

    async def beat(self, pod: Pod) -> Membership:
        """See ``Store.beat``."""
        now = self._clock()
        self._pods[pod.id] = pod
        self._seen[pod.id] = now
        for pod_id, seen in list(self._seen.items()):
            if now - seen > FORGOTTEN_AFTER:
                await self.leave(pod_id)
            elif seen > now:  # the clock was set back: a dead pod must not look alive until it has caught up
                self._seen[pod_id] = now
        self._sweep(now)
        sightings = (Sighting(known, now - self._seen[known.id]) for known in self._pods.values())
        return Membership(tuple(sightings), self._generation, now)

    async def leave(self, pod_id: str) -> None:
        """See ``Store.leave``."""
        for kept in (self._pods, self._seen, self._statuses):
            kept.pop(pod_id, None)

    async def held_for(self, aor: str) -> float:
        """See ``Store.held_for``."""
        return math.inf

    async def put_status(self, pod_id: str, document: bytes) -> None:
        """See ``Store.put_status``."""
        self._seen.setdefault(pod_id, self._clock())
        self._statuses[pod_id] = document

    async def statuses(self) -> Mapping[str, bytes]:
        """See ``Store.statuses``."""
        return dict(self._statuses)

    # Sessions of the relay

    async def claim_owner(
        self, owner: Owner, candidate: str, *, expires_at: float, most: int, replacing: str | None = None
    ) -> str:
        """See ``Store.claim_owner``."""
        now = self._clock()
        sessions = self._owners.setdefault((owner.username, owner.realm), Expiring())
        known = sessions.get(owner.client_uri, now)
        if known is None and not sessions.has_room(most, now):
            raise TooManySessionsError(f"{owner.username}@{owner.realm} has {most} sessions")
        session_id = candidate if known in (None, replacing) else known
        assert session_id is not None
        sessions.put(owner.client_uri, session_id, expires_at)
        return session_id

    async def release_owner(self, owner: Owner, session_id: str) -> None:
        """See ``Store.release_owner``."""
        user = owner.username, owner.realm
        if user in self._owners:
            self._owners[user].remove(owner.client_uri, session_id)

    async def claim_session(
        self, record: SessionRecord, *, must_exist: bool, resume_window: float, dead_since: float | None = None
    ) -> Claim | None:
        """See ``Store.claim_session``."""
        now = self._clock()
        current = self._record(record.session_id, now)
        if current is None and must_exist:
            return None
        if is_fenced(current, record):
            raise FencedError(f"session {record.session_id} has a fencing token above {record.fencing_token}")
        if current is not None and is_lapsed(
            current, record.pod, now, resume_window=resume_window, dead_since=dead_since
        ):
            self._end(current)
            return None
        new = claimed(current, record, now)
        self._write(new, current)
        return Claim(new, current)

    async def extend_session(self, session_id: str, epoch: int, *, expires_at: float) -> None:
        """See ``Store.extend_session``."""
        self._records[session_id] = replace(self._fenced(session_id, epoch), expires_at=expires_at)

    async def suspend_session(self, session_id: str, epoch: int) -> None:
        """See ``Store.suspend_session``."""
        record = self._fenced(session_id, epoch)
        if record.state is RecordState.ACTIVE:
            self._records[session_id] = replace(record, state=RecordState.SUSPENDED, suspended_at=self._clock())
            self._notices.tell(Change(session_id, record.epoch, record.pod))

    async def end_session(self, session_id: str, epoch: int) -> None:
        """See ``Store.end_session``."""
        record = self._record(session_id, self._clock())
        if record is not None and record.epoch > epoch:
            raise FencedError(f"session {session_id} has epoch {record.epoch}, not {epoch}")
        self._peers.pop(session_id, None)
        if record is not None:
            self._end(record)

    async def find_sessions(self, session_ids: Sequence[str]) -> Mapping[str, SessionRecord]:
        """See ``Store.find_sessions``."""
        now = self._clock()
        found = ((session_id, self._record(session_id, now)) for session_id in session_ids)
        return {session_id: record for session_id, record in found if record is not None}

    async def put_sessions(self, records: Iterable[SessionRecord]) -> Sequence[SessionRecord]:
        """See ``Store.put_sessions``."""
        now = self._clock()
        newer = []
        for record in records:
            current = self._record(record.session_id, now)
            if current is not None and current.epoch > record.epoch:
                newer.append(current)
                continue
            self._write(record, current)
            sessions = self._owners.setdefault((record.owner.username, record.owner.realm), Expiring())
            if sessions.get(record.owner.client_uri, now) in (None, record.session_id):
                sessions.put(record.owner.client_uri, record.session_id, record.expires_at)
        return newer

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
        now = self._clock()
        peers = self._peers.setdefault(session_id, Expiring())
        known = peers.get(peer, now)
        if known is None and not peers.has_room(most, now):
            return None
        if known not in (None, binding, replacing):
            return known
        peers.put(peer, binding, expires_at)
        return binding

    async def find_peer(self, session_id: str, peer: str) -> PeerBinding | None:
        """See ``Store.find_peer``."""
        peers = self._peers.get(session_id)
        return peers.get(peer, self._clock()) if peers is not None else None

    async def unbind_peer(self, session_id: str, peer: str, binding: PeerBinding) -> None:
        """See ``Store.unbind_peer``."""
        if session_id in self._peers:
            self._peers[session_id].remove(peer, binding)

    # Leases

    async def acquire_lease(self, name: str, holder: str, *, seconds: float) -> Lease | None:
        """See ``Store.acquire_lease``."""
        now = self._clock()
        previous, until, term = self._leases.get(name, (None, 0.0, 0.0))
        until = held_until(until, term, now)
        lease = leased(previous, name, holder, now, until=until)
        if lease is not None:
            self._leases[name] = lease, now + seconds, seconds
        elif previous is not None:
            self._leases[name] = previous, until, term
        return lease

    async def release_lease(self, lease: Lease) -> None:
        """See ``Store.release_lease``."""
        held, until, _ = self._leases.get(lease.name, (None, 0.0, 0.0))
        if held is not None and held.token == lease.token:
            self._leases[lease.name] = held, min(until, self._clock()), 0.0

    def changes(self) -> AsyncIterator[Notice]:
        """See ``Store.changes``."""
        return self._notices.listen()

    def _record(self, session_id: str, now: float) -> SessionRecord | None:
        record = self._records.get(session_id)
        if record is not None and not is_live(record.expires_at, now):
            del self._records[session_id]
            return None
        return record

    def _fenced(self, session_id: str, epoch: int) -> SessionRecord:
        record = self._record(session_id, self._clock())
        if record is None:
            raise FencedError(f"session {session_id} is gone")
        if record.epoch > epoch:
            raise FencedError(f"session {session_id} has epoch {record.epoch}, not {epoch}")
        return record

    def _write(self, record: SessionRecord, current: SessionRecord | None) -> None:
        self._records[record.session_id] = record
        if takes_over(current, record):
            self._notices.tell(Change(record.session_id, record.epoch, record.pod))

    def _end(self, record: SessionRecord) -> None:
        del self._records[record.session_id]
        self._peers.pop(record.session_id, None)
        self._notices.tell(Change(record.session_id, record.epoch, ""))

    def _sweep(self, now: float) -> None:
        if abs(now - self._swept) < SWEEP_INTERVAL:
            return
        self._swept = now
        for session_id in list(self._records):
            self._record(session_id, now)
        self._owners = {user: sessions for user, sessions in self._owners.items() if sessions.sweep(now)}
        self._peers = {session_id: peers for session_id, peers in self._peers.items() if peers.sweep(now)}
        self._leases = {name: held for name, held in self._leases.items() if held[1] + LEASE_REMEMBERED > now}
        self._sweep_registrations(now)
        self._sweep_agents(now)
        self._sweep_conversations(now)
