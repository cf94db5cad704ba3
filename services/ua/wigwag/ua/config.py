"""Settings of the user agent, frozen; the node reads them from the environment and the TOML file."""

from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.settings import Port, PositiveCount, PositiveSeconds, Seconds, Secret, Section, is_loopback


class UaEdgeSettings(Section):
    """Where the edge is: all SIP goes through it, and MSRP through its relay."""

    sip: tuple[str, ...] = ()
    """SIP URIs of the edge's ``peer`` listener, such as ``sip:edge.example:5071;transport=tls``, tried in order; empty:
    the edge in the same process."""
    relay: str = ""
    """MSRP URI of the relay's ``peer`` listener, such as ``msrps://relay.example:2856;tcp``; empty: the relay in the
    same process."""
    certificate: tuple[str, str] | None = None
    """PEM files (chain, key) that prove us to both; needed when they are in another process."""
    ca_file: str | None = None
    """Authorities of their certificates; None: the system's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeAddresses:
    """Where the edge is, as the user agent uses it: that of ``ua.edge``, or the one of the same process."""

    sip: tuple[str, ...]
    """SIP URIs, tried in order; all SIP goes over a connection to one of them, whatever a Route says."""
    relay: str
    """MSRP URI; empty: there is no relay of ours."""
    certificate: tuple[str, str] | None = None
    """PEM files (chain, key)."""
    ca_file: str | None = None
    """Authorities of their certificates; None: the system's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodAccess:
    """How ua pods call each other's gRPC."""

    token: str | None = field(default=None, repr=False)
    """Bearer token; None: none."""
    encrypted: bool = False
    ca_file: str | None = None
    """Authorities of the others' certificates; None: those that gRPC brings along."""
    certificate: tuple[str, str] | None = None
    """PEM files (chain, key) to show; None: none."""


class UaForeignRelaySettings(Section):
    """A relay of somebody else that applications may use (RFC 4976)."""

    name: str
    uri: str
    """``msrps://host:port;tcp``"""
    username: str
    password: Secret = None
    ca_file: str | None = None


class UaDirectSettings(Section):
    """MSRP without a relay: where peers connect to us."""

    host: str = "127.0.0.1"
    """Address to bind."""
    port: Port = 0
    """Port to bind; 0 lets the system choose."""
    advertised_host: str | None = None
    """None: ``host``."""
    kind: Literal["tcp", "tls", "ws", "wss"] = "tcp"
    """Over ``tls`` who says a=fingerprint has to show that certificate to connect; over ``wss`` nobody is asked."""
    certificates: tuple[tuple[str, str], ...] = ()
    cema: bool = False
    """Whether ``a=msrp-cema`` is offered (RFC 6714)."""


class UaLimits(Section):
    """Bounds; what is above is refused in the interface's own terms."""

    sessions: PositiveCount = 20_000
    """Sessions of one pod."""
    message_bytes: PositiveCount = 10_485_760
    """Largest message that is taken whole, either way; larger ones go as files."""
    file_bytes: PositiveCount = 1_073_741_824
    in_flight: PositiveCount = 64
    """Messages of one session that are on their way at once."""
    unsent: PositiveCount = 10_000
    """Accepted messages of one session that wait; OVERLOADED above."""


class UaOwnershipSettings(Section):
    """Which pod owns a session."""

    lease: PositiveSeconds = 6.0
    """Seconds after which a session of a pod that says nothing may be claimed by another."""
    keep_ended: Seconds = 86_400.0
    """Seconds for which an ended session can still be looked at."""


KeyScope = Literal["sessions:read", "sessions:write", "messages:read", "messages:write"]


class ApiKeySettings(Section):
    """A key by which an application is known."""

    application: str
    key: Secret = None
    """At least 16 characters."""
    scopes: tuple[KeyScope, ...] = ("sessions:read", "sessions:write", "messages:read", "messages:write")

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        if self.key is None or len(self.key) < 16:
            raise ValueError("an API key has at least 16 characters (key or key_file)")
        return self


class JwtSettings(Section):
    """Tokens of an identity provider."""

    jwks_url: str
    issuer: str
    audience: str
    application_claim: str = "azp"
    """Claim that names the application."""
    scope_claim: str = "scope"
    cache: PositiveSeconds = 300.0
    """For which keys are kept; an unknown key id is looked up at once, at most every 10 s."""


class UaApiSettings(Section):
    """The interface of applications: REST and WebSocket; gRPC is served as ``rpc`` says."""

    host: str = "127.0.0.1"
    """Address to bind; anything but loopback demands ``keys`` or ``jwt``."""
    port: Port = 8081
    """Port to bind; 0 lets the system choose, and ``admin.json`` in the data directory says which."""
    keys: tuple[ApiKeySettings, ...] = ()
    """Asked before the database."""
    jwt: JwtSettings | None = None
    certificate: tuple[str, str] | None = None
    """PEM files (chain, key); None: plain HTTP."""
    origins: tuple[str, ...] = ()
    """Origins that browsers may call from (CORS, WebSocket)."""
    private_webhooks: bool = False
    """Whether webhooks may lead to loopback and private addresses, and be without TLS."""

    @model_validator(mode="after")
    def _guarded_when_reachable(self) -> Self:
        if not is_loopback(self.host) and not self.keys and self.jwt is None:
            raise ValueError(f"ua.api.host {self.host} is not loopback, so ua.api.keys or ua.api.jwt has to be set")
        return self


class ApplicationSettings(Section):
    """A program that chats with SIP users, and its policies."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
    uris: tuple[str, ...] = ()
    """SIP addresses that are its own: ``sip:helpdesk@example.com``, with ``*`` in the user part; calls to them are its,
    and it may call as them."""
    answer: Annotated[str, Field(pattern="^(automatic|ask|reject)$")] = "ask"
    """What happens to calls that come: taken at once, offered to the program, or refused."""
    answer_timeout: PositiveSeconds = 20.0
    """For which the program may think (``ask``)."""
    fallback: Annotated[str, Field(pattern="^(reject|answer)$")] = "reject"
    """What happens then."""
    reject_status: Annotated[int, Field(ge=400, le=699)] = 480
    accept_types: tuple[str, ...] = ("message/cpim", "text/plain", "text/*", "message/imdn+xml",
                                     "application/im-iscomposing+xml")  # fmt: skip
    accept_wrapped_types: tuple[str, ...] = ("*",)
    greeting: str = ""
    """Sent as text/plain when a call was answered."""
    idle_timeout: Seconds = 0.0
    """Without a message either way, after which a session is ended; 0: never."""
    max_duration: Seconds = 43_200.0
    """0: no limit."""
    message_expires: PositiveSeconds = 86_400.0
    """For which an accepted message waits to be sent."""
    outcome_timeout: PositiveSeconds = 60.0
    """After which a message without an outcome is unconfirmed."""
    content: Literal["interpreted", "as_is"] = "interpreted"
    """``interpreted``: message/cpim is unwrapped, notifications (RFC 5438) and status messages (RFC 3994) become
    events, and what senders ask for is sent; ``as_is``: all of these are messages like others, told as they came."""
    reports: Literal["acceptance", "application"] = "acceptance"
    """When SIP users are told what became of a message of theirs: once it is durable, or when the program has said it
    (``SettleMessage``); until then it stays accepted, at most for ``message_expires``."""
    way: str = "relay"
    """How MSRP goes: ``relay``, ``direct``, or the name of an entry of ``ua.relays``."""
    file_requests: Annotated[str, Field(pattern="^(ask|reject)$")] = "ask"
    """What happens to calls that ask for a file of the program (RFC 5547 pull): offered to it, or refused."""
    webhook_url: str | None = None
    webhook_secret: Secret = None


class BuiltInApplication(ApplicationSettings):
    """A part of Wigwag that is an application: it has a reserved name, and stands in no settings and no database."""

    calls_as_anyone: bool = False
    """Whether it may call as whomever it names."""
    message_bytes: PositiveCount | None = None
    """Octets of the largest message that it takes (``a=max-size``); None: as ``ua.limits`` says."""


class UaSettings(Section):
    """The user agent."""

    domain: Annotated[str, Field(min_length=1)] = "agents.invalid"
    """Host of our Contact, known to the edge only: ``sip:<session>@<domain>``."""
    edge: UaEdgeSettings = UaEdgeSettings()
    relays: tuple[UaForeignRelaySettings, ...] = ()
    direct: UaDirectSettings | None = None
    """None: nobody connects to us; sessions ``direct`` are active only."""
    applications: tuple[ApplicationSettings, ...] = ()
    """Those of the database follow."""
    api: UaApiSettings = UaApiSettings()
    limits: UaLimits = UaLimits()
    ownership: UaOwnershipSettings = UaOwnershipSettings()
    session_expires: Annotated[int, Field(ge=90, le=86_400)] = 1800
    """Seconds of the session timer that is asked for (RFC 4028)."""

    @property
    def ways(self) -> tuple[str, ...]:
        """Names of the ways of MSRP that an application may have."""
        return ("relay", "direct", *(relay.name for relay in self.relays))

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        for what, names in (("relays", self.ways), ("applications", tuple(each.name for each in self.applications))):
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise ValueError(f"ua.{what}: the name {twice[0]} is taken")
        taken = [each.name for each in self.applications] + [each.application for each in self.api.keys]
        if GATEWAY in taken:
            raise ValueError(f"ua.applications, ua.api.keys: the name {GATEWAY} is that of what is built in")
        for each in self.applications:
            if each.way not in self.ways:
                raise ValueError(f"ua.applications: {each.name} has the way {each.way!r}: {', '.join(self.ways)}")
            if each.webhook_url is not None and each.webhook_secret is None:
                raise ValueError(f"ua.applications: {each.name} has a webhook_url, and no webhook_secret to sign with")
        return self
