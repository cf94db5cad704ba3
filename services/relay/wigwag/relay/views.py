"""What operators see of the relay."""

from dataclasses import dataclass

COUNTERS: dict[str, str] = {
    "connections_accepted": "Connections taken up",
    "connections_closed": "Connections that ended",
    "outbound_connections": "Connections opened to next hops",
    "outbound_failures": "Next hops that could not be reached",
    "messages": "Chunks forwarded",
    "octets": "Octets of body forwarded",
    "auth_successes": "AUTH requests answered 200",
    "auth_refused": "AUTH requests answered otherwise, challenges included",
    "auth_failures": "AUTH requests with wrong credentials",
    "nonce_replays": "AUTH requests that repeated a nonce count",
    "credentials_unavailable": "AUTH requests whose credentials could not be looked up",
    "sessions_granted": "Use-Path URIs handed out",
    "sessions_refreshed": "Use-Path URIs extended",
    "sessions_resumed": "Use-Path URIs resumed on another connection",
    "sessions_suspended": "Sessions whose client was lost",
    "sessions_ended": "Sessions ended",
    "sessions_moved_away": "Sessions whose client has AUTHed at another pod",
    "link_losses": "Pod links that were lost or could not be opened",
    "store_failures": "Operations of the session store that failed",
    "pauses": "Times that this process did not run for a lease",
    "malformed": "Requests answered 400",
    "protocol_errors": "Connections closed because of broken protocol",
    "refused_requests": "Requests answered with an error",
    "stray_responses": "Responses that matched no transaction",
    "failed_transactions": "SENDs whose failure was to be reported",
    "reports_sent": "REPORTs made here",
    "reports_forwarded": "REPORTs forwarded",
    "deadlines_passed": "Connections closed at a deadline",
    "rate_pauses": "Times that reading paused because a rate was exceeded",
    "stalls": "Times that a session was cut off because its receiver takes nothing",
    "aborted_messages": "Messages flagged # because their sender was lost",
}
"""Counters of the relay and what they count."""


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
