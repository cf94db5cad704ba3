"""State that all pods share: pods, the relay's and the user agent's sessions, conversations, SIP bindings, leases.

A port; adapters stand beside it.

Theory of operation. Every operation is atomic and speaks the domain's language; none is a get followed by a set. What
has an owner carries an *epoch* (sessions) or a *fencing token* (leases): max(previous + 1, wall clock in milliseconds),
so that it never goes back, not even when the store comes back empty or a clock is set back. A writer with a lower one
is told so and changes nothing. Times are the store's wall clock, in seconds since the epoch.

The store may be away, and may come back empty. Then ``beat`` shows another ``generation``, and each pod writes again
what is its own (``put_sessions``, ``bind_peer``, ``put_registrations``, ``put_agent_sessions``). Notices of changes
(``changes``) only make others look sooner: they may be lost, and ``Gap`` says that some may have been. What has an
expiry is there until ``MARGIN`` seconds after it, for clocks that differ, and then counts as gone; SIP bindings count
as gone at once.

An operation that raises ``StoreError`` may have been carried out all the same: its answer was lost, not the request.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from wigwag.errors import StoreError, WigwagError

from .agent_sessions import AgentSession, AgentSessions
from .conversations import Conversation, Conversations
from .fencing import FencedError, MissingError
from .registrations import (
    Binding,
    Flow,
    OutdatedError,
    Registration,
    RegistrationChanged,
    Registrations,
    TooManyBindingsError,
)

__all__ = [
    "FORGOTTEN_AFTER",
    "MARGIN",
    "AgentSession",
    "AgentSessions",
    "Availability",
    "Binding",
    "Change",
    "Claim",
    "Conversation",
    "Conversations",
    "FencedError",
    "Flow",
    "Gap",
    "Lease",
    "Membership",
    "MissingError",
    "Notice",
    "OutdatedError",
    "Owner",
    "PeerBinding",
    "Pod",
    "RecordState",
    "Registration",
    "RegistrationChanged",
    "Registrations",
    "SessionRecord",
    "Sighting",
    "Store",
    "StoreError",
    "TooManyBindingsError",
    "TooManySessionsError",
]

MARGIN: Final = 60.0
"""Seconds that records, owners and peers are there beyond their expiry."""
FORGOTTEN_AFTER: Final = 3600.0
"""Seconds after its last sign of life when a pod and its status are forgotten."""
Availability = Callable[[bool, str], None]
"""Told when the store comes or goes, and why it is away; also what it is at first."""


class TooManySessionsError(WigwagError):
    """The owner has as many sessions as he may have."""


class RecordState(Enum):
    """State of a session's record; an ended session has none."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One process of the cluster, from its start to its end: another start is another pod."""

    id: str
    """Unique for ever, such as ``relay-0.5f1c09ab``."""
    address: str
    """Where other pods open links to: ``host:port`` or ``unix:/path``; empty when it takes none."""
    draining: bool = False
    rpc: str = ""
    """Where its gRPC is reached, ``host:port``; empty when it serves none."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A pod as the store last saw it."""

    pod: Pod
    age: float
    """Seconds since its last beat, by the store's clock."""


@dataclass(frozen=True, slots=True)
class Membership:
    """All pods that beat within the last hour, the caller included."""

    sightings: tuple[Sighting, ...]
    generation: str
    """Changes when the store has lost what it held, or may have: another server answers."""
    time: float
    """The store's clock, seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a session is: an AUTH by the same user from the same client URI refreshes or resumes it."""

    username: str
    realm: str
    client_uri: str
    """The client's URI in canonical form (RFC 4975 section 6.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """A relay session as all pods know it (DESIGN.md section 4)."""

    session_id: str
    """Session part of the URI handed out."""
    uri: str
    owner: Owner
    client_uri: str
    """As the client wrote it."""
    client_host: str
    """Name of the relay before us that mutual TLS proved, else empty."""
    listener: str
    created: float
    expires_at: float
    pod: str
    """The pod that holds the client's connection, or held it last."""
    connection: int
    """Its number there."""
    epoch: int = 0
    """Set by ``claim_session``."""
    state: RecordState = RecordState.ACTIVE
    suspended_at: float = 0.0
    fencing_token: int = 0
    """Of the ua pod whose session it is: a claim with a lower one is refused; 0: it is no ua pod's."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What ``claim_session`` did."""

    record: SessionRecord
    """The record now in force, with its epoch."""
    previous: SessionRecord | None
    """The record it replaced; None for a new session."""


@dataclass(frozen=True, slots=True)
class PeerBinding:
    """Where a peer without a relay is reached within a session."""

    pod: str
    connection: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do something alone, until it runs out unless renewed."""

    name: str
    holder: str
    token: int
    """Fencing token: grows with every change of holder."""


@dataclass(frozen=True, slots=True)
class Change:
    """A session was claimed over another claim, suspended, or ended."""

    session_id: str
    epoch: int
    pod: str
    """The pod that holds it now; empty when it has ended."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Notices may have been lost: everything that is cached has to be looked at again."""


Notice = Change | RegistrationChanged | Gap
"""What ``changes`` yields."""


class Store(Registrations, AgentSessions, Conversations, Protocol):
    """The port. Every operation may raise ``StoreError``: the store can't be reached, or not in time."""

    async def beat(self, pod: Pod) -> Membership:
        """Say that the pod lives and how it is reached; returns all pods. To be called every second."""

    async def leave(self, pod_id: str) -> None:
        """Forget a pod that ends in good order."""

    async def held_for(self, aor: str) -> float:
        """Return for how many seconds that has been kept which is written about an address-of-record.

        Since then nothing was lost; what was written before may be. So what is not there proves that it is nowhere only
        when the pods have had time to write again what is their own. Infinite: nothing is lost as long as a pod lives.
        """

    # Sessions of the relay

    async def claim_owner(
        self, owner: Owner, candidate: str, *, expires_at: float, most: int, replacing: str | None = None
    ) -> str:
        """Return the session id that belongs to the owner: the known one, extended to ``expires_at``, or ``candidate``.

        Args:
            owner: Whose.
            candidate: A fresh session id, taken when the owner has none.
            expires_at: When the entry may be forgotten.
            most: Sessions that one user (username and realm) may have.
            replacing: Take the candidate also when this is the one known: its session is gone.

        Raises:
            TooManySessionsError: A new one would be one too many.
        """

    async def release_owner(self, owner: Owner, session_id: str) -> None:
        """Forget whose the session is, if this is the one known."""

    async def claim_session(
        self, record: SessionRecord, *, must_exist: bool, resume_window: float, dead_since: float | None = None
    ) -> Claim | None:
        """Make the caller the holder of the session: newest AUTH wins.

        The record is written with the next epoch, state active, and the caller's pod and connection.
        Others are told (``Change``) when it replaces the claim of another pod or connection.

        Args:
            record: What is to be; its state is ignored, the new epoch is higher than its own; ``uri`` and ``created``
                are kept if it exists.
            must_exist: None is returned when there is no record (the caller knew of one, and it is gone).
            resume_window: None is returned, and the record deleted with its peers, when it is suspended for so long,
                in seconds; with 0 whenever it is suspended.
            dead_since: When the caller believes that the record's pod died, wall clock; an active record of another pod
                counts as suspended since then. None: the record's pod lives or is the caller's.

        Raises:
            FencedError: It has a higher fencing token; nothing is changed.
        """

    async def extend_session(self, session_id: str, epoch: int, *, expires_at: float) -> None:
        """Give the session more time.

        Raises:
            FencedError: It has a higher epoch, or none.
        """

    async def suspend_session(self, session_id: str, epoch: int) -> None:
        """The client's connection is lost.

        Raises:
            FencedError: It has a higher epoch, or none.
        """

    async def end_session(self, session_id: str, epoch: int) -> None:
        """Delete the record and its peers.

        Raises:
            FencedError: It has a higher epoch. (Deleting what is gone is no error.)
        """

    async def find_sessions(self, session_ids: Sequence[str]) -> Mapping[str, SessionRecord]:
        """Return the records there are, in one round trip per server."""

    async def put_sessions(self, records: Iterable[SessionRecord]) -> Sequence[SessionRecord]:
        """Write the caller's records again, as they are, where there is none with a higher epoch (and their owners).

        An owner whose session is another one by now keeps that. Others are told (``Change``) when a claim of another
        pod or connection is replaced. Not one step: a failure leaves some written, and all may be written again.

        Returns:
            The records in force that have a higher epoch than the caller's: those sessions are his no more.
        """

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
        """Bind a peer (its canonical URI) to the connection of its first valid request, unless it is bound already.

        Args:
            session_id: The session.
            peer: Canonical URI.
            binding: Where the peer is.
            expires_at: When it may be forgotten.
            most: Peers that one session may have.
            replacing: Taken over when this is the binding there: its connection or pod is gone.

        Returns:
            The binding in force: the caller's, or another; None when the session has ``most`` peers.
        """

    async def find_peer(self, session_id: str, peer: str) -> PeerBinding | None:
        """Return where the peer is bound."""

    async def unbind_peer(self, session_id: str, peer: str, binding: PeerBinding) -> None:
        """Forget the binding if it is still this one."""

    # Leases

    async def acquire_lease(self, name: str, holder: str, *, seconds: float) -> Lease | None:
        """Take the lease, or renew it when ``holder`` has it; None when another has it."""

    async def release_lease(self, lease: Lease) -> None:
        """Give it back, if it is still held with this token."""

    # Status documents

    async def put_status(self, pod_id: str, document: bytes) -> None:
        """Show a pod's status to all pods; it goes when the pod is forgotten, one that never beat too."""

    async def statuses(self) -> Mapping[str, bytes]:
        """Return the status documents of all pods, by pod id."""

    def changes(self) -> AsyncIterator[Notice]:
        """Yield what changes from now on, after a ``Gap`` once it listens; never ends by itself."""
