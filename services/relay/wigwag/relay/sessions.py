"""Sessions: the URIs the relay has handed out, whose they are and how they are reached (RFC 4976 section 6.3).

States: *active* while the connection that AUTHed (or, for a relay behind mutual TLS, any connection of it) is there;
*suspended* from the loss of that connection until the same user AUTHs again from the same client URI, or the resume
window has passed (for a ua pod's session: its expiry); *ended* for good after that, at expiry, or by an operator.
"""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from typing import TYPE_CHECKING

from wigwag.errors import NotFoundError
from wigwag.protocols.msrp import MsrpUri

if TYPE_CHECKING:
    from .destination import Destination, Question
    from .route import Route

Owner = tuple[str, str, tuple[object, ...]]

LARGEST_PEERS = 256
"""Peers without a relay that one session may be bound to."""


def canonical(uri: MsrpUri) -> str:
    """Return one text for all URIs that are equivalent (RFC 4975 section 6.1)."""
    return "|".join(map(str, uri.key))


class SessionState(Enum):
    """See the module's text."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    ENDED = "ended"


@dataclass(slots=True, eq=False, kw_only=True)
class Session:
    """One URI that a Use-Path carried."""

    uri: MsrpUri
    uri_text: bytes
    username: str
    realm: str
    client_uri: MsrpUri
    """First From-Path URI of the AUTH: the client, or the relay before us."""
    client_host: str
    """Name of the relay before us that mutual TLS proved, else empty: then only one connection counts."""
    listener: str
    created: float
    """Wall clock, seconds since the epoch."""
    expires_at: float
    """Monotonic seconds."""
    destination: "Destination"
    """The client's connection, or the stream to the pod that has it; while suspended, what holds chunks for it."""
    pod: str = ""
    """The pod that has the connection, or had it last; empty in a relay of one pod."""
    epoch: int = 0
    """Grows with every AUTH that moves the session: the highest one holds it."""
    fencing_token: int = 0
    """The highest that its ua pods have shown; 0: it is no ua pod's."""
    connection: int = 0
    """Number of the client's connection at this pod."""
    leaving: "Destination | None" = None
    """The connection of a client that is being sent away: it may still send, nothing more is sent to it."""
    gate: "Question | None" = None
    """Where requests wait while it is found out how far a former stream got; else None."""
    state: SessionState = SessionState.ACTIVE
    suspended_at: float = 0.0
    peers: "dict[tuple[object, ...], Destination]" = field(default_factory=dict)
    """Peers without a relay, by URI, and the connection of their first valid request (or the stream to its pod)."""
    routes: "set[Route]" = field(default_factory=set)
    messages_in: int = 0
    octets_in: int = 0
    messages_out: int = 0
    octets_out: int = 0
    reports: int = 0
    failures: int = 0

    id: str = field(init=False)
    """Name for people, 16 hex digits, from which the URI can't be told."""

    def __post_init__(self) -> None:
        self.id = sha256(self.uri_text).hexdigest()[:16]

    @property
    def open(self) -> bool:
        """Whether requests over the URI are valid."""
        return self.state is not SessionState.ENDED

    @property
    def refusal_while_suspended(self) -> tuple[int, str]:
        """Status and comment of what can't be held (any longer).

        A ua pod's session goes on at another pod, however long that takes, so the sender must not end it: 481 would
        have him do so (RFC 4975 section 7.3.2), 413 gives up this message only.
        """
        return (413, "the receiver is away, try again") if self.fencing_token else (481, "session suspended")

    @property
    def owner(self) -> "Owner":
        """User, realm and client URI: an AUTH of the same three refreshes or resumes the session."""
        return self.username, self.realm, self.client_uri.key

    @property
    def leads_to(self) -> "Destination":
        """Where requests to the client go now."""
        return self.gate if self.gate is not None else self.destination

    def bind(self, peer: tuple[object, ...], destination: "Destination") -> bool:
        """Reach a peer over this from now on; False: the session has too many peers."""
        if peer not in self.peers and len(self.peers) >= LARGEST_PEERS:
            self.peers = {key: known for key, known in self.peers.items() if not known.closed}
            if len(self.peers) >= LARGEST_PEERS:
                return False
        self.peers[peer] = destination
        return True

    def unbind(self, peer: tuple[object, ...], destination: "Destination") -> None:
        """Forget how a peer was reached, if it is still this."""
        if self.peers.get(peer) is destination:
            del self.peers[peer]

    def count(self, route: "Route") -> None:
        """Add the traffic of a route that is closed."""
        if route.goes_to_client_of(self):
            self.messages_out += route.messages
            self.octets_out += route.octets
        else:
            self.messages_in += route.messages
            self.octets_in += route.octets

    def traffic(self) -> tuple[int, int, int, int]:
        """Return messages in, octets in, messages out and octets out, live routes included ("in": from the client)."""
        totals = [self.messages_in, self.octets_in, self.messages_out, self.octets_out]
        for route in self.routes:
            offset = 2 if route.goes_to_client_of(self) else 0
            totals[offset] += route.messages
            totals[offset + 1] += route.octets
        return totals[0], totals[1], totals[2], totals[3]


class SessionTable:
    """All sessions of this process, by session identifier, by user, and by expiry."""

    def __init__(self) -> None:
        self._by_session_id: dict[str, Session] = {}
        self._by_owner: dict[Owner, Session] = {}
        self._per_user: Counter[tuple[str, str]] = Counter()
        self._expiries: list[tuple[float, int, Session]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._by_session_id)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_session_id.values()))

    def add(self, session: Session) -> None:
        """Take up a new session."""
        self._by_session_id[str(session.uri.session_id)] = session
        self._by_owner[session.owner] = session
        self._per_user[session.username, session.realm] += 1
        self._schedule(session)

    def reschedule(self, session: Session) -> None:
        """Take note of a new expiry."""
        self._schedule(session)

    def _schedule(self, session: Session) -> None:
        self._serial += 1
        heapq.heappush(self._expiries, (session.expires_at, self._serial, session))

    def find(self, uri: MsrpUri) -> Session | None:
        """Return the session whose URI equals ``uri`` (RFC 4975 section 6.1)."""
        session = self._by_session_id.get(uri.session_id or "")
        return session if session is not None and session.uri.matches(uri) else None

    def by_session_id(self, session_id: str) -> Session | None:
        """Return the session of which this is the session part of the URI."""
        return self._by_session_id.get(session_id)

    def of_client(self, username: str, realm: str, client_uri: MsrpUri) -> Session | None:
        """Return the session that an AUTH of this user from this URI refreshes or resumes."""
        return self._by_owner.get((username, realm, client_uri.key))

    def count_of_user(self, username: str, realm: str) -> int:
        """Return how many sessions the user has."""
        return self._per_user[username, realm]

    def by_id(self, session_id: str) -> Session:
        """Return the session that people call ``session_id``.

        Raises:
            NotFoundError: There is none.
        """
        for session in self._by_session_id.values():
            if session.id == session_id:
                return session
        raise NotFoundError(f"no session {session_id}")

    def remove(self, session: Session) -> None:
        """Forget an ended session."""
        if self._by_session_id.pop(str(session.uri.session_id), None) is None:
            return
        if self._by_owner.get(session.owner) is session:
            del self._by_owner[session.owner]
        user = (session.username, session.realm)
        self._per_user[user] -= 1
        if not self._per_user[user]:
            del self._per_user[user]

    def expired(self, now: float) -> list[Session]:
        """Return the open sessions whose time has passed; each is returned once."""
        passed = []
        while self._expiries and self._expiries[0][0] <= now:
            expires_at, _, session = heapq.heappop(self._expiries)
            is_here = self._by_session_id.get(str(session.uri.session_id)) is session
            if is_here and session.open and session.expires_at == expires_at:
                passed.append(session)
        return passed
