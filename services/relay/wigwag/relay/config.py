"""Settings of the relay, frozen; the node reads them from the environment and the TOML file."""

from ipaddress import ip_address, ip_network
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from wigwag.runtime.settings import Count, Port, PositiveCount, PositiveSeconds, Seconds, Secret, Section

from .sip.config import SipSettings


class ListenerSettings(Section):
    """One address on which MSRP is spoken."""

    name: str
    """Unique name, used in routes, logs and metrics."""
    kind: Literal["tcp", "tls", "ws", "wss", "peer"]
    """``peer``: TLS that demands a client certificate, for other relays."""
    host: str = "127.0.0.1"
    """Address to bind, IPv4 or IPv6."""
    port: Port = 2855
    """Port to bind; 0 lets the system choose."""
    advertised_host: str | None = None
    """Name written into Use-Path and From-Path; None: ``host``."""
    advertised_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Port written into Use-Path; None: the bound port."""
    domain: str | None = None
    """Digest realm when the To-Path's host is no configured domain; None: the advertised host."""
    certificates: tuple[tuple[str, str], ...] = ()
    """Pairs of PEM files (certificate chain, private key); the first is used when SNI matches none."""
    client_ca: str | None = None
    """PEM file of the authorities whose certificates a ``peer`` listener accepts."""
    plain_auth: bool = False
    """Whether AUTH is answered on an unencrypted listener (RFC 4976 section 9.2 forbids it)."""
    origins: tuple[str, ...] = ()
    """Origins that a browser may come from (``ws``, ``wss``); empty: any."""
    subprotocol: str = "msrp"
    """WebSocket subprotocol (RFC 7977 section 4.1)."""
    websocket_message_bytes: PositiveCount = 1_048_576
    """Largest WebSocket message, that is chunk; more is closed with 1009."""
    ping_interval: PositiveSeconds = 30.0
    """Seconds between WebSocket pings; a client that answers none of two is cut."""

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if self.kind in ("tls", "wss", "peer") and not self.certificates:
            raise ValueError(f"a {self.kind} listener needs certificates")
        if self.kind == "peer" and self.client_ca is None:
            raise ValueError("a peer listener needs client_ca")
        return self


class Limits(Section):
    """Bounds of what a peer may ask of the relay; each refusal is counted."""

    header_bytes: PositiveCount = 16_384
    headers: PositiveCount = 64
    path_uris: PositiveCount = 60
    connections: PositiveCount = 100_000
    connections_per_address: PositiveCount = 1_000
    messages_per_second_per_session: Count = 0
    """Chunks per second of one session; 0: no limit. Going over pauses reading."""
    bytes_per_second_per_session: Count = 0
    messages_per_second_per_address: Count = 0
    bytes_per_second_per_address: Count = 0
    handshake_timeout: PositiveSeconds = 10.0
    """TLS and WebSocket handshake, in seconds."""
    first_request_timeout: PositiveSeconds = 30.0
    """From connecting to the first successful request (RFC 4976 section 6.1)."""
    header_timeout: PositiveSeconds = 10.0
    """From a head's first to its last byte."""
    body_timeout: PositiveSeconds = 30.0
    """Without progress inside a chunk's body; a matching TCP profile's msg_read_timeout goes first."""
    idle_timeout: PositiveSeconds = 3600.0
    """Without traffic on a connection that holds no live session (RFC 4976 section 6.5)."""
    stall_timeout: PositiveSeconds = 120.0
    """A receiver that takes nothing for so long is disconnected."""
    auth_attempts: PositiveCount = 3
    """Failed AUTH requests until the connection is closed (RFC 4976 section 6.3)."""
    auth_failure_delay: Seconds = 0.25
    """Seconds after its arrival at which an AUTH with a wrong password, or of an unknown user, is answered."""
    auth_timeout: PositiveSeconds = 10.0
    """How long the credentials' source may take; after it the client is told to try later."""
    close_timeout: PositiveSeconds = 5.0
    """How long unsent data may take to leave when a connection is closed."""
    sessions_per_user: PositiveCount = 1_000
    message_bytes: Count = 0
    """Largest message relayed, by the total in Byte-Range or by what was received: 413 above; 0: no limit."""

    @property
    def any_rate(self) -> bool:
        """Whether anything is limited by the second."""
        per_session = self.messages_per_second_per_session or self.bytes_per_second_per_session
        return bool(per_session or self.messages_per_second_per_address or self.bytes_per_second_per_address)


class RouteSettings(Section):
    """One row of the routing table; the first that matches decides."""

    source_network: str | None = None
    listener: str | None = None
    scheme: Literal["msrp", "msrps"] | None = None
    destination: str | None = None
    """Host name pattern with ``*``, compared in lower case."""
    action: Literal["forward", "refuse"] = "forward"
    out_listener: str | None = None
    """Listener whose address and certificate the outgoing connection uses."""
    next_hop: str | None = None
    """``msrps://host:port;tcp`` to connect to in place of the URI's own host."""
    allow_private: bool = False
    """Lets the connection go to loopback, link-local and private addresses."""

    @model_validator(mode="after")
    def _network_is_one(self) -> Self:
        if self.source_network is not None:
            try:
                ip_network(self.source_network)
            except ValueError as error:
                raise ValueError(f"source_network: {error}") from error
        return self


class HookSettings(Section):
    """An HTTP service that is asked."""

    url: str
    timeout: PositiveSeconds = 2.0
    cache: Seconds = 5.0
    """Seconds an answer is kept; 0: never."""
    token: Secret = None
    """Sent as bearer token."""


class ClusterSettings(Section):
    """This process as one pod of a relay of many; it is one as soon as ``redis.url`` is set."""

    name: str | None = None
    """Name of the pod in logs and status, such as the Kubernetes pod's; None: the host's name."""
    host: str = "127.0.0.1"
    """Address on which links from other pods are accepted."""
    port: Port = 0
    """0 lets the system choose: other pods learn it from the store."""
    advertised_host: str | None = None
    """Address by which other pods reach this one; None: ``host``, unless that stands for all addresses."""
    advertised_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Port by which other pods reach this one; None: the bound port."""
    certificate: tuple[str, str] | None = None
    """PEM files (chain, key) of this pod, shown to other pods in both directions (mutual TLS)."""
    ca: str | None = None
    """PEM file of the authority of the pods' certificates; nothing else may be signed by it."""
    server_name: str = "wigwag-pod"
    """dNSName that every pod's certificate carries."""
    plaintext: bool = False
    """Lets links leave this host without TLS: the pods' network is encrypted by other means."""

    @model_validator(mode="after")
    def _encrypted_beyond_this_host(self) -> Self:
        if (self.certificate is None) != (self.ca is None):
            raise ValueError("certificate and ca go together")
        try:
            address = ip_address(self.host)
        except ValueError as error:
            raise ValueError(f"host {self.host!r} is not an IP address; names belong into advertised_host") from error
        if self.certificate is None and not self.plaintext and not address.is_loopback:
            raise ValueError(f"links on {self.host} leave this host: set certificate and ca, or plaintext = true")
        if address.is_unspecified and self.advertised_host is None:
            raise ValueError(f"no pod can connect to {self.host}: set advertised_host to the address of this one")
        return self


class RelaySettings(Section):
    """All of the relay."""

    listeners: tuple[ListenerSettings, ...] = ()
    domains: tuple[str, ...] = ()
    """Realms served; a To-Path host among them is the realm (others get the listener's domain)."""
    digest_algorithms: tuple[Literal["SHA-512-256", "SHA-256", "MD5"], ...] = ("SHA-256", "MD5")
    """Offered in this order."""
    domain_digest_algorithms: dict[str, tuple[Literal["SHA-512-256", "SHA-256", "MD5"], ...]] = Field(default={})
    """The same for single domains."""
    nonce_lifetime: PositiveSeconds = 60.0
    default_expires: PositiveCount = 1800
    min_expires: PositiveCount = 60
    max_expires: PositiveCount = 3600
    resume_window: Seconds = 60.0
    """How long a lost client may AUTH again and keep its URI; 0: never (RFC 4976 section 6.3). The sessions of ua pods,
    which go on at the next pod, have as long as their AUTH lasts."""
    suspended_hold: Seconds = 20.0
    """How long chunks for a suspended session are held before REPORT 408."""
    transaction_timeout: PositiveSeconds = 30.0
    """RFC 4976 section 6.4.1."""
    forward_unknown_methods: bool = True
    """RFC 4976 section 6.4.2; False answers 501."""
    signing_keys_file: str | None = None
    """Keys of nonces, URIs and pod links (see ``wigwag keys``), equal on all pods; None: in the data directory."""
    drain_pace: PositiveCount = 200
    """Connections closed per second when the relay drains, at random, so that clients don't come back all at once."""
    agents: tuple[str, ...] = ("agents.invalid",)
    """Names in client certificates by which our own ua pods are known on ``peer`` listeners, of MSRP and of SIP: their
    AUTH needs no digest and carries ``Fencing-Token``; they register and call for applications."""
    agent_listener: str | None = None
    """Listener whose address stands in the URIs that ua pods get, so that their peers can connect; None: the first
    ``tls``, else ``tcp``, else ``wss``, else ``ws``."""
    cluster: ClusterSettings = ClusterSettings()
    sip: SipSettings = SipSettings()
    outbound_ca: str | None = None
    """PEM file of authorities for outgoing TLS; None: the system's."""
    outbound_certificate: tuple[str, str] | None = None
    """Our certificate and key toward other relays (mutual TLS)."""
    routes: tuple[RouteSettings, ...] = ()
    route_hook: HookSettings | None = None
    credentials_hook: HookSettings | None = None
    limits: Limits = Limits()

    def resumable_for(self, fencing_token: int) -> float:
        """Return for how many seconds a lost session may be resumed: that of a ua pod until it expires."""
        if fencing_token and self.resume_window:
            return max(self.resume_window, self.max_expires)
        return self.resume_window

    @model_validator(mode="after")
    def _listeners_are_told_apart(self) -> Self:
        names = [listener.name for listener in self.listeners]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two listeners are named {name}")
        for index, route in enumerate(self.routes):
            for listener in (route.listener, route.out_listener):
                if listener is not None and listener not in names:
                    raise ValueError(f"routes[{index}] names the listener {listener}, which does not exist")
        open_to_peers = [listener.name for listener in self.listeners if listener.kind != "peer"]
        if self.agent_listener is not None and self.agent_listener not in open_to_peers:
            raise ValueError(f"agent_listener names {self.agent_listener}, which is no listener, or a peer listener")
        return self

    @model_validator(mode="after")
    def _expires_in_order(self) -> Self:
        if not self.min_expires <= self.default_expires <= self.max_expires:
            raise ValueError("min_expires <= default_expires <= max_expires does not hold")
        return self
