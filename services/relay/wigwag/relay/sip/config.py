"""Settings of SIP at the edge, frozen; part of the relay's."""

from ipaddress import ip_address, ip_network
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from wigwag.relay.sip.routing.config import SipPoolSettings, SipRouteHookSettings, SipRouteSettings
from wigwag.runtime.settings import Count, Port, PositiveCount, PositiveSeconds, Seconds, Secret, Section


class SipListenerSettings(Section):
    """One address on which SIP is spoken."""

    name: str
    """Unique name, used in routes, logs and metrics; the same on all pods."""
    kind: Literal["udp", "tcp", "tls", "ws", "wss", "peer"]
    """``peer``: TLS that demands a client certificate, for other proxies; who has one is trusted."""
    host: str = "127.0.0.1"
    """Address to bind, IPv4 or IPv6."""
    port: Port = 5060
    """Port to bind; 0 lets the system choose."""
    advertised_host: str | None = None
    """The cluster's name, written into Via, Record-Route and Path; None: ``host``."""
    advertised_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """None: the bound port."""
    certificates: tuple[tuple[str, str], ...] = ()
    """Pairs of PEM files (certificate chain, private key); the first is used when SNI matches none."""
    client_ca: str | None = None
    """PEM file of the authorities whose certificates a ``peer`` listener accepts."""
    origins: tuple[str, ...] = ()
    """Origins that a browser may come from (``ws``, ``wss``); empty: any."""
    ping_interval: PositiveSeconds = 30.0
    """Seconds between WebSocket pings; a client that answers none of two is cut."""

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if self.kind in ("tls", "wss", "peer") and not self.certificates:
            raise ValueError(f"a {self.kind} listener needs certificates")
        if self.kind == "peer" and self.client_ca is None:
            raise ValueError("a peer listener needs client_ca")
        if ip_address(self.host).is_unspecified and self.advertised_host is None:
            raise ValueError(f"nobody can be told to connect to {self.host}: set advertised_host")
        return self


class SipTimerSettings(Section):
    """Timers of RFC 3261 table 4, in seconds."""

    t1: PositiveSeconds = 0.5
    """Round-trip time estimate."""
    t2: PositiveSeconds = 4.0
    """Longest interval between retransmissions of what is no INVITE."""
    t4: PositiveSeconds = 5.0
    """Longest time that a message stays in the network."""
    ringing: PositiveSeconds = 185.0
    """Timer C: without news of an INVITE; above 180 (section 16.6)."""


class RegistrarSettings(Section):
    """What users may register."""

    min_expires: Annotated[int, Field(ge=1, le=3600)] = 60
    """Seconds; less is refused with 423. Nobody may be refused an hour (RFC 3261 section 10.3)."""
    default_expires: PositiveCount = 3600
    """Seconds for who does not say."""
    max_expires: PositiveCount = 7200
    """Seconds; more is cut to it."""
    contacts: PositiveCount = 10
    """Bindings of one user."""
    service_route: tuple[str, ...] = ()
    """``Service-Route`` values that clients are told to send their requests by (RFC 3608), such as ``<sip:h;lr>``."""
    flow_timer: PositiveCount = 120
    """Seconds within which an outbound client sends a keep-alive over its connection (RFC 5626 section 4.4)."""
    refresh_events: bool = False
    """Whether the topic ``wigwag.registrations`` tells of mere refreshes too."""

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Self:
        if not self.min_expires <= self.default_expires <= self.max_expires:
            raise ValueError("min_expires, default_expires and max_expires have to be in this order")
        return self


class PushSettings(Section):
    """An HTTP service that wakes sleeping devices (RFC 8599): it gets a JSON object and answers with one, or 404.

    The object has ``aor``, ``reason`` and ``devices``, each with ``provider``, ``param``, ``prid``, ``instance`` and
    ``contact``.
    """

    url: str
    timeout: PositiveSeconds = 2.0
    token: Secret = None
    """Sent as bearer token."""
    providers: tuple[str, ...] = ()
    """``pn-provider`` values that it serves, such as ``apns`` and ``fcm``; empty: any."""
    wait: Seconds = 5.0
    """For which a MESSAGE or INVITE waits for a woken device to register."""
    interval: Seconds = 10.0
    """In which a device is woken once at most."""


class PagerSettings(Section):
    """Messages that are kept for services and for absent users, and messages of services that the edge sends."""

    store: bool = False
    """Whether a MESSAGE for one of our users who is absent is taken (202) and kept. Off until a service consumes
    ``wigwag.pager.inbound``: nobody would deliver it."""
    store_domains: tuple[str, ...] = ()
    """Domains whose users may store; empty: all of ours."""
    services: tuple[str, ...] = ()
    """Names of services that consume ``wigwag.pager.inbound``; a route to any other is answered 404."""
    wait: PositiveSeconds = 10.0
    """After which a MESSAGE that no device has answered is kept."""
    keep: PositiveSeconds = 259_200.0
    """For which a message waits at most; its own Expires may shorten it."""
    per_user: PositiveCount = 1_000
    """Messages that may wait for one user, or of one sender for one address of a service."""
    per_user_bytes: PositiveCount = 10_485_760
    """Octets of them together."""
    outbound: bool = True
    """Whether this node sends what stands on ``wigwag.pager.outbound``."""
    in_flight: PositiveCount = 128
    """Messages of that topic that are on their way at once."""


class SipGatewaySettings(Section):
    """What the edge leads to the gateway between MESSAGE and sessions (MSRP)."""

    sessions: Literal["off", "absent", "page", "both"] = "off"
    """INVITEs that ask for a session of messages: those for users who are ``absent``, for users whose devices take
    MESSAGE only (``page``), or ``both``. Off unless this process hosts the gateway, which makes it ``both``."""
    probe: bool = False
    """Whether devices that do not say what they take are asked with OPTIONS when a message or call for them comes."""


class SipLimits(Section):
    """Bounds of what a peer may ask of SIP; each refusal is counted."""

    body_bytes: PositiveCount = 65_536
    """Largest body over a stream; over UDP a datagram bounds it."""
    transactions: PositiveCount = 200_000
    """Transactions that are remembered at once, finished ones included, which make room for new requests, the oldest
    first; when none has finished, more requests get 503."""
    branches: PositiveCount = 20
    """Targets that one request is sent to at most."""
    header_timeout: PositiveSeconds = 10.0
    """From a message's first to its last byte over a stream."""
    first_message_timeout: PositiveSeconds = 30.0
    """From connecting to the first message."""
    idle_timeout: PositiveSeconds = 900.0
    """Without traffic on a connection that no binding uses."""
    outbound_connections: PositiveCount = 1_000
    """Connections to next hops; beyond it the one that was silent for longest is closed."""
    outbound_idle_timeout: PositiveSeconds = 300.0
    """Without a message from a next hop on a connection that we opened; longer than a call may ring in silence."""


class SipProtectionSettings(Section):
    """What one address and one user may ask; neighbours (``trusted_networks``) may ask anything."""

    messages_per_address: Count = 5_000
    """SIP messages per second from one IPv4 address or IPv6 /64, bursts of two seconds' worth; 0: no limit. What is
    over is dropped over UDP; over streams reading pauses."""
    connections_per_address: Count = 200
    """New connections per second from one address; 0: no limit."""
    challenges_per_address: Count = 200
    """401 and 407 per second that one address is sent over UDP, whose senders can be forged; 0: no limit."""
    messages_per_user: Count = 500
    """MESSAGEs per second of one user: 503 above; 0: no limit."""
    invites_per_user: Count = 50
    """INVITEs, likewise."""
    registers_per_user: Count = 20
    """REGISTERs, likewise."""
    failures: PositiveCount = 20
    """Wrong passwords from one address within ``failure_window`` that get it banned."""
    failure_window: PositiveSeconds = 60.0
    ban_time: Seconds = 300.0
    """0: nobody is banned."""
    addresses: PositiveCount = 32_768
    """Addresses, and users, that are remembered at least."""


class SipOverloadSettings(Section):
    """When new requests are turned away so that what is under way gets done."""

    target_delay: PositiveSeconds = 0.3
    """Seconds that a new request may wait under overload; well below T1, or everything comes twice."""
    retry_after: PositiveCount = 5
    """Largest number of seconds in Retry-After; they are spread from 1 up to it."""


class SipSettings(Section):
    """SIP at the edge; served as soon as there are listeners."""

    listeners: tuple[SipListenerSettings, ...] = ()
    domains: tuple[str, ...] = ()
    """Domains whose users register here; empty: those of the relay (``relay.domains``)."""
    aliases: tuple[str, ...] = ()
    """More names and addresses by which clients know the listeners, such as in their outbound proxy's setting."""
    trusted_networks: tuple[str, ...] = ()
    """Networks of neighbours whose requests are taken without digest, and whose P-Asserted-Identity is believed."""
    routes: tuple[SipRouteSettings, ...] = ()
    """The routing table; rows of the database follow."""
    pools: tuple[SipPoolSettings, ...] = ()
    route_hook: SipRouteHookSettings | None = None
    timers: SipTimerSettings = SipTimerSettings()
    registrar: RegistrarSettings = RegistrarSettings()
    push: PushSettings | None = None
    pager: PagerSettings = PagerSettings()
    gateway: SipGatewaySettings = SipGatewaySettings()
    limits: SipLimits = SipLimits()
    protection: SipProtectionSettings = SipProtectionSettings()
    overload: SipOverloadSettings = SipOverloadSettings()
    nonce_lifetime: PositiveSeconds = 300.0
    resolve_timeout: PositiveSeconds = 5.0
    """For the name of a next hop."""
    failed_hop_time: PositiveSeconds = 30.0
    """Seconds for which a next hop that could not be reached is tried after all others."""

    @model_validator(mode="after")
    def _listeners_are_told_apart(self) -> Self:
        names = [listener.name for listener in self.listeners]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two SIP listeners are named {name}")
        for index, route in enumerate(self.routes):
            if route.listener is not None and route.listener not in names:
                raise ValueError(f"routes[{index}] names the listener {route.listener}, which does not exist")
        pools = [pool.name for pool in self.pools]
        for name in pools:
            if pools.count(name) > 1:
                raise ValueError(f"two pools are named {name}")
        for network in self.trusted_networks:
            try:
                ip_network(network)
            except ValueError as error:
                raise ValueError(f"trusted_networks: {error}") from error
        return self
