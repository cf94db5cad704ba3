"""Flows: the ways by which SIP messages reach a peer, here or at another pod (RFC 5626 section 3.2)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from wigwag.protocols.digest import NonceWindow
from wigwag.protocols.sip import KEEP_ALIVE, PONG, KeepAlive, Request, Response, SipError, StreamFramer, parse_datagram
from wigwag.protocols.sip.framing import PING
from wigwag.store import Flow as StoredFlow

if TYPE_CHECKING:
    from wigwag.relay.sip.pods import SipPods
    from wigwag.relay.sip.tap import SipTap
    from wigwag.transport.channel import Address, Channel


MOST_UNSENT: Final = 1_048_576
"""Octets that may wait for a peer that does not read."""

Received = Request | Response | KeepAlive | SipError
"""What a read of a stream may bring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SipAddress:
    """A listener as the world knows it: the cluster's name, equal on all pods."""

    name: str
    kind: str
    """udp, tcp, tls, ws, wss or peer."""
    host: str
    """Name or address; IPv6 in brackets."""
    port: int
    bound_host: str
    bound_port: int
    trusted: bool = False
    """Whoever comes in here has proven that he is a neighbour (``peer``)."""
    taps: "list[SipTap]" = field(default_factory=list, compare=False, repr=False)
    """Traces that look at what comes and goes here; empty nearly always."""

    transport: str = field(init=False)
    """Transport as URIs name it, in lower case."""
    via_transport: str = field(init=False)
    """Transport as our Via names it."""
    via_host: str = field(init=False)
    """Host as our Via names it, in lower case."""
    via: str = field(init=False)
    """What our Via begins with."""

    def __post_init__(self) -> None:
        """Derive what every message needs."""
        transport = "tls" if self.kind == "peer" else self.kind
        object.__setattr__(self, "transport", transport)
        object.__setattr__(self, "via_transport", transport.upper())
        object.__setattr__(self, "via_host", self.host.lower())
        object.__setattr__(self, "via", f"SIP/2.0/{self.via_transport} {self.via_host}:{self.port}")

    def uri(self, user: str = "") -> str:
        """Return a URI that leads here, with ``lr``."""
        return f"sip:{user}{'@' if user else ''}{self.host}:{self.port};transport={self.transport};lr"


class Flow(Protocol):
    """A way to a peer; what a transaction sends over (``Wire`` of the transaction layer)."""

    reliable: bool
    address: SipAddress
    """The listener by which the peer came, or as which we connect."""
    remote: "Address"
    pod: str
    """The pod that holds it; empty: this one."""
    connection: int
    """Number of the connection there; 0 for UDP."""
    is_leaving: bool
    """Whether it is about to be closed, and takes no new requests."""

    def send(self, data: bytes) -> None:
        """Send one message."""

    @property
    def is_open(self) -> bool:
        """Whether something can be sent."""


class DatagramSender(Protocol):
    """A UDP socket."""

    def send(self, data: bytes, remote: "Address") -> None:
        """Send one datagram, if the system takes it."""


class DatagramFlow:
    """A UDP peer."""

    __slots__ = ("_socket", "address", "remote")

    reliable = False
    pod = ""
    connection = 0
    is_open = True
    is_leaving = False

    def __init__(self, socket: DatagramSender, address: SipAddress, remote: "Address") -> None:
        self._socket = socket
        self.address = address
        self.remote = remote

    def send(self, data: bytes) -> None:
        """Send one message."""
        if self.address.taps:
            for tap in self.address.taps:
                tap.datagram(self, data, incoming=False)
        self._socket.send(data, self.remote)

    def to(self, remote: "Address") -> "DatagramFlow":
        """Return a flow from the same socket to another address."""
        return DatagramFlow(self._socket, self.address, remote)


class FlowOwner(Protocol):
    """Who is told what happens to connections."""

    def stream_opened(self, flow: "StreamFlow") -> None:
        """The connection stands."""

    def usual_passed(self, flow: "StreamFlow", data: bytes) -> bytes:
        """Pass on the usual messages that a read begins with; returns the rest."""

    def messages_received(self, flow: "StreamFlow", messages: Sequence[Received]) -> None:
        """Messages came, in order; an error is the last."""

    def stream_closed(self, flow: "StreamFlow", reason: str) -> None:
        """The connection is gone."""


class StreamFlow:
    """A TCP, TLS or WebSocket connection; the ``Receiver`` of its channel.

    Attributes:
        channel: The connection.
        heard_at: When the peer was heard last.
        begun_at: When it was first seen that a message is not complete; 0: none is.
        held_until: Until when it is not read because its address sends too much; 0: it is read.
        messages: Messages received.
        outbound: Whether we connected.
        bindings: AORs and keys of the bindings that use this connection.
    """

    __slots__ = (
        "_framed",
        "_framer",
        "_full",
        "_owner",
        "address",
        "begun_at",
        "bindings",
        "channel",
        "connection",
        "heard_at",
        "held_until",
        "is_leaving",
        "is_open",
        "messages",
        "opened_at",
        "outbound",
        "remote",
        "windows",
    )

    reliable = True
    pod = ""

    def __init__(
        self, owner: FlowOwner, address: SipAddress, largest_body: int, now: float, *, outbound: bool = False
    ) -> None:
        self._owner = owner
        self._framer = StreamFramer(largest_body)
        self._full = False
        self._framed = address.transport not in ("ws", "wss")
        self.address = address
        self.channel: Channel | None = None
        self.remote: Address = ("", 0)
        self.connection = 0
        self.is_open = False
        self.is_leaving = False
        self.opened_at = self.heard_at = now
        self.begun_at = 0.0
        self.held_until = 0.0
        self.messages = 0
        self.outbound = outbound
        self.bindings: set[tuple[str, str]] = set()
        self.windows: dict[str, NonceWindow] = {}
        """The last few nonces that were used over this connection, and their counts."""

    def send(self, data: bytes) -> None:
        """Send one message; a peer for whom too much waits is given up: what is on its way to it counts as failed."""
        channel = self.channel
        if channel is None:
            return
        if self._full and channel.unsent() > MOST_UNSENT:
            channel.abort("the peer does not read")
            return
        if self.address.taps:
            for tap in self.address.taps:
                tap.stream(self, data, incoming=False)
        channel.send([data])

    def close(self, reason: str) -> None:
        """End the connection once what is under way has left."""
        if self.channel is not None:
            self.channel.close(reason)

    @property
    def mid_message(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._framer.mid_message

    # Receiver

    def connected(self, channel: "Channel") -> None:
        """The connection stands."""
        self.channel = channel
        self.connection = channel.id
        self.remote = channel.remote
        self.is_open = True
        self._owner.stream_opened(self)

    def data_received(self, data: bytes) -> None:
        """Take a read; over WebSocket it is one whole message (RFC 7118 section 5)."""
        if self._framed:
            if not self._framer.mid_message:
                data = self._owner.usual_passed(self, data)
                if not data:
                    return
            self._owner.messages_received(self, self._framer.receive_data(data))
        else:
            self._owner.messages_received(self, [_whole(data)])

    def pause_sending(self) -> None:
        """The peer does not read: what it asks is not read either, so that its answers don't pile up."""
        self._full = True
        if self.channel is not None:
            self.channel.pause_reading()

    def resume_sending(self) -> None:
        """It reads again."""
        self._full = False
        if self.channel is not None and not self.held_until:
            self.channel.resume_reading()

    def hold(self, until: float) -> None:
        """Don't read for a while."""
        self.held_until = until
        if self.channel is not None:
            self.channel.pause_reading()

    def release(self) -> None:
        """Read again."""
        self.held_until = 0.0
        if self.channel is not None and not self._full:
            self.channel.resume_reading()

    @property
    def is_paused(self) -> bool:
        """Whether it is us who don't read."""
        return self._full or self.held_until > 0.0

    def disconnected(self, reason: str) -> None:
        """The connection is over."""
        self.is_open = False
        self._owner.stream_closed(self, reason)


class PodFlow:
    """A flow that another pod holds."""

    __slots__ = ("__weakref__", "_pods", "address", "connection", "pod", "reliable", "remote")

    is_leaving = False

    def __init__(self, pods: "SipPods", address: SipAddress, pod: str, connection: int, remote: "Address") -> None:
        self._pods = pods
        self.address = address
        self.pod = pod
        self.connection = connection
        self.remote = remote
        self.reliable = address.transport != "udp"

    @property
    def is_open(self) -> bool:
        """Whether something can be sent; a datagram leaves from here when the pod can't be reached."""
        return not self.reliable or self._pods.reachable(self.pod)

    def send(self, data: bytes) -> None:
        """Have the pod send one message."""
        self._pods.deliver(self, data)

    def to(self, remote: "Address") -> "PodFlow":
        """Return a flow from the same socket to another address."""
        return PodFlow(self._pods, self.address, self.pod, self.connection, remote)


def _whole(data: bytes) -> Received:
    if data in (PING, PONG):
        return KEEP_ALIVE
    try:
        return parse_datagram(data)
    except SipError as error:
        return error


def stored(flow: Flow, own_pod: str) -> StoredFlow:
    """Return a flow as the store holds it."""
    host, port = flow.remote
    return StoredFlow(
        pod=flow.pod or own_pod,
        listener=flow.address.name,
        connection=flow.connection,
        transport=flow.address.transport,
        remote=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
    )


def same_peer(held: StoredFlow | None, flow: StoredFlow) -> bool:
    """Tell whether two flows are one; datagrams of one peer come to any pod."""
    if held is None or flow.transport != "udp":
        return held == flow
    return (held.listener, held.transport, held.remote) == (flow.listener, flow.transport, flow.remote)


@lru_cache(maxsize=65_536)
def remote_of(flow: StoredFlow) -> "Address":
    """Return the peer's address of a stored flow."""
    host, _, port = flow.remote.rpartition(":")
    return host.strip("[]"), int(port)
