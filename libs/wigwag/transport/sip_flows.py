"""Flows of a SIP client to its server: UDP, TCP, TLS, WebSocket (RFC 3261 section 18, RFC 5626, RFC 7118).

Theory of operation. A flow is the wire of the user agent's transactions and the receiver of the socket's bytes. It
cuts what comes into messages and hands them to its user, with itself. What can't be read is answered as far as it can
be and ends a stream, since nobody knows where the next message begins.
"""

import socket
from collections.abc import Callable
from typing import Protocol, cast

from wigwag.protocols import stun
from wigwag.protocols.sip import (
    KEEP_ALIVE,
    PONG,
    KeepAlive,
    Received,
    Request,
    Response,
    SipError,
    StreamFramer,
    parse_datagram,
)
from wigwag.protocols.sip.framing import PING
from wigwag.protocols.sip.user_agent import Flow, Transport
from wigwag.transport.channel import Address, Channel, ChannelKind
from wigwag.transport.connector import Connector, Outgoing
from wigwag.transport.datagrams import DatagramListener, DatagramOptions
from wigwag.transport.errors import ConnectError, ConnectFailure
from wigwag.transport.sip_servers import SipLocation
from wigwag.transport.websocket import WebSocketChannel


class FlowUser(Protocol):
    """Who has flows; all calls come from the event loop's thread."""

    def message_received(self, flow: Flow, message: Request | Response) -> None:
        """A message came."""

    def broken_received(self, flow: Flow, error: SipError) -> None:
        """Something came that is no message."""

    def something_received(self, flow: Flow) -> None:
        """Anything came, answers to keep-alives too: the server lives."""

    def flow_lost(self, flow: Flow, reason: str) -> None:
        """The connection is over."""


class StreamFlow:
    """A connection: the wire, and the channel's receiver.

    Args:
        user: Gets the messages.
        transport: TCP, TLS, WS or WSS.
        made_up: Name that stands for us where nobody can connect to us: in a browser's place, on WebSocket.
    """

    reliable = True

    def __init__(self, user: FlowUser, transport: Transport, made_up: str) -> None:
        self.flow: Flow
        self._user = user
        self._transport: Transport = transport
        self._made_up = made_up
        self._channel: Channel | None = None
        self._receive: Callable[[bytes], list[Received]] = _whole_message

    def send(self, data: bytes) -> None:
        """Send one message; on a closed connection it is lost."""
        if self._channel is not None:
            self._channel.send((data,))

    def keep_alive(self) -> None:
        """Ask for a sign of life (RFC 5626 section 4.4.1; on WebSocket a ping)."""
        if isinstance(self._channel, WebSocketChannel):
            if not self._channel.ping():
                self.close("the peer stopped answering")
        elif self._channel is not None:
            self._channel.send((PING,))

    def close(self, reason: str) -> None:
        """Close the connection."""
        if self._channel is not None:
            self._channel.close(reason)

    def connected(self, channel: Channel) -> None:
        """The connection stands."""
        self._channel = channel
        is_websocket = isinstance(channel, WebSocketChannel)
        self.flow = Flow(
            wire=self,
            transport=self._transport,
            sent_by=self._made_up if is_websocket else _host_port(channel.local),
            remote=channel.remote,
        )
        self._receive = _whole_message if is_websocket else StreamFramer().receive_data

    def data_received(self, data: bytes) -> None:
        """Bytes came, on WebSocket one message."""
        self._user.something_received(self.flow)
        for received in self._receive(data):
            if isinstance(received, KeepAlive):
                self.send(PONG)
            elif isinstance(received, SipError):
                self._user.broken_received(self.flow, received)
                if not isinstance(self._channel, WebSocketChannel):
                    self.close(received.reason)
            else:
                self._user.message_received(self.flow, received)

    def pause_sending(self) -> None:
        """The server does not read: what waits is bounded by who sends."""

    def resume_sending(self) -> None:
        """The server reads again."""

    def disconnected(self, reason: str) -> None:
        """The connection is over."""
        self._channel = None
        self._user.flow_lost(self.flow, reason)


class DatagramFlow:
    """A UDP socket and the server's address; only what comes from there is taken.

    Args:
        user: Gets the messages.
        remote: The server's numeric address and port.
        random: Returns so many unpredictable bytes.
    """

    reliable = False

    def __init__(self, user: FlowUser, remote: Address, random: Callable[[int], bytes]) -> None:
        self.flow: Flow
        self._user = user
        self._remote = remote
        self._random = random
        self._listener = DatagramListener(
            DatagramOptions(name="client", host=_local_address(remote), receive_buffer=262_144), self._received
        )
        self._counted = 0

    async def open(self) -> None:
        """Bind the socket.

        Raises:
            ListenError: There is no port.
        """
        await self._listener.start()
        sent_by = _host_port(self._listener.address)
        self.flow = Flow(wire=self, transport="UDP", sent_by=sent_by, remote=self._remote)

    def send(self, data: bytes) -> None:
        """Send one message."""
        self._listener.send(data, self._remote)

    def keep_alive(self) -> None:
        """Keep the way through address translators open, and ask for a sign of life (RFC 5626 section 4.4.2)."""
        # The listener takes STUN answers in by itself; only its count tells of them.
        self.check()
        self._listener.send(stun.binding_request(self._random(12)), self._remote)

    def check(self) -> None:
        """Tell the user if something came that was no message."""
        if self._listener.received != self._counted:
            self._counted = self._listener.received
            self._user.something_received(self.flow)

    def close(self, reason: str) -> None:
        """Close the socket; its user is told."""
        if self._listener.is_open:
            self._listener.close()
            self._user.flow_lost(self.flow, reason)

    def _received(self, data: bytes, remote: Address, listener: DatagramListener) -> None:
        if remote != self._remote:
            return
        try:
            message = parse_datagram(data)
        except SipError as error:
            self._user.broken_received(self.flow, error)
        else:
            self._user.message_received(self.flow, message)


OpenFlow = StreamFlow | DatagramFlow


async def open_flow(
    location: SipLocation, user: FlowUser, connector: Connector, random: Callable[[int], bytes]
) -> OpenFlow:
    """Open a way to a server.

    Args:
        location: Where it is, and by which transport.
        user: Gets what comes.
        connector: Opens connections; its TLS context says whom to trust.
        random: Returns so many unpredictable bytes.

    Raises:
        TransportError: There is none.
    """
    endpoint = location.endpoint
    if location.transport == "UDP":
        datagrams = DatagramFlow(user, (endpoint.address, endpoint.port), random)
        await datagrams.open()
        return datagrams
    stream = StreamFlow(user, location.transport, f"{random(8).hex()}.invalid")
    kind = cast(ChannelKind, location.transport.lower())
    how = Outgoing(host=location.server_name, kind=kind, allow_private=True, path=location.path)
    await connector.connect_to([endpoint], stream, how)
    return stream


def _whole_message(data: bytes) -> list[Received]:
    if not data.strip(b"\r\n"):
        return [KEEP_ALIVE] if data == PING else []
    try:
        return [parse_datagram(data)]
    except SipError as error:
        return [error]


def _local_address(remote: Address) -> str:
    """Return our address on the way to another: what a connected socket says sends nothing.

    Raises:
        ConnectError: There is no way.
    """
    with socket.socket(socket.AF_INET6 if ":" in remote[0] else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(remote)
        except OSError as error:
            raise ConnectError(ConnectFailure.REFUSED, f"{remote[0]}: {error.strerror or error}") from error
        return cast(str, probe.getsockname()[0])


def _host_port(address: Address) -> str:
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
