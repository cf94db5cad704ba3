"""What operators see of the relay."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from wigwag.runtime.names import RELAY_COUNTERS

COUNTERS = {metric.name.removeprefix("wigwag.relay."): metric for metric in RELAY_COUNTERS}
"""Counters of the relay: how the relay calls them, and their declaration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """One session; "in" is from its client, "out" toward it; times are wall clock seconds."""

    id: str
    user: str
    realm: str
    client_uri: str
    state: str
    listener: str
    remote: str
    connection_id: int | None
    created: float
    expires: float
    messages_in: int
    messages_out: int
    bytes_in: int
    bytes_out: int
    reports: int
    failures: int
    pod: str = ""
    """The pod that has the client's connection; empty in a relay of one pod."""


class SessionChange(Enum):
    """What happened to a session."""

    GRANTED = "granted"
    REFRESHED = "refreshed"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    MOVED = "moved"
    ENDED = "ended"


class SessionObserver(Protocol):
    """Is told what happens to sessions, in the middle of it: does little and raises nothing."""

    def session_changed(self, view: SessionView, change: SessionChange, reason: str) -> None:
        """Take note; ``view`` shows the session after the change, ``reason`` why it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionView:
    """One connection."""

    id: int
    kind: str
    listener: str | None
    remote: str
    local: str
    opened: float
    bytes_received: int
    bytes_sent: int
    unsent: int
    sessions: tuple[str, ...]
    transactions: int
    profile: int | None
    """Identifier of the TCP profile that matched, if any."""


@dataclass(frozen=True, slots=True)
class ListenerAddress:
    """What the relay has to know of a listener: how it is called and what it may do."""

    name: str
    kind: str
    host: str
    """Name or address in the URIs handed out."""
    port: int
    """Port in the URIs handed out."""
    bound_port: int
    domain: str
    plain_auth: bool

    @property
    def secure(self) -> bool:
        """Whether its connections are encrypted."""
        return self.kind in ("tls", "wss", "peer")


@dataclass(frozen=True, slots=True, kw_only=True)
class SipCondition:
    """How SIP is, for the status."""

    overload: float
    """Share of new requests that is turned away, 0 to 1."""
    bans: int
    """Addresses that are shut out."""
