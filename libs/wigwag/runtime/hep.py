"""HEP version 3, by which SIP traffic is shown to a capture server such as Homer (Homer Encapsulation Protocol)."""

import asyncio
import contextlib
import socket
import struct
from ipaddress import ip_address
from typing import Final, Literal

from wigwag.errors import ConfigurationError

Address = tuple[str, int]
Protocol = Literal["udp", "tcp"]

SIP: Final = 1
"""Protocol type of SIP payloads."""
LARGEST_PACKET: Final = 65_507
"""Bytes of a UDP datagram."""

_PROTOCOLS: Final = {"udp": socket.IPPROTO_UDP, "tcp": socket.IPPROTO_TCP}
_FAMILIES: Final = {4: 2, 6: 10}
_ADDRESS_CHUNKS: Final = {4: (0x0003, 0x0004), 6: (0x0005, 0x0006)}


def hep_packet(
    source: Address,
    destination: Address,
    payload: bytes,
    wall: float,
    *,
    protocol: Protocol,
    capture_id: int = 0,
    node: str = "",
    correlation_id: str = "",
    password: str = "",
    kind: int = SIP,
) -> bytes:
    """A HEP3 packet that tells of one message.

    Args:
        source: Who sent the message, numeric.
        destination: Who it was for, numeric, of the same family.
        payload: The message, without TLS and WebSocket around it.
        wall: When, in seconds since the epoch.
        protocol: What carried it; ``tcp`` also for TLS and WebSocket.
        capture_id: Number of this capture agent, 32 bits.
        node: Name of this capture agent; empty: none.
        correlation_id: What joins messages to one conversation, such as the Call-ID; empty: none.
        password: What the capture server may ask for; empty: none.
        kind: Protocol type of the payload.

    Raises:
        ValueError: The packet would not fit into a datagram, or an address is not numeric.
    """
    here, there = (ip_address(address.partition("%")[0]) for address, _ in (source, destination))
    version = here.version
    microseconds = round(wall * 1_000_000)
    chunks = [
        _chunk(0x0001, struct.pack("!B", _FAMILIES[version])),
        _chunk(0x0002, struct.pack("!B", _PROTOCOLS[protocol])),
        _chunk(_ADDRESS_CHUNKS[version][0], here.packed),
        _chunk(_ADDRESS_CHUNKS[version][1], there.packed),
        _chunk(0x0007, struct.pack("!H", source[1])),
        _chunk(0x0008, struct.pack("!H", destination[1])),
        _chunk(0x0009, struct.pack("!I", microseconds // 1_000_000)),
        _chunk(0x000A, struct.pack("!I", microseconds % 1_000_000)),
        _chunk(0x000B, struct.pack("!B", kind)),
        _chunk(0x000C, struct.pack("!I", capture_id)),
    ]
    texts = ((0x000E, password), (0x0011, correlation_id), (0x0013, node))
    chunks += [_chunk(type_, text.encode()) for type_, text in texts if text]
    chunks.append(_chunk(0x000F, payload))
    body = b"".join(chunks)
    if len(body) + 6 > LARGEST_PACKET:
        raise ValueError(f"a message of {len(payload)} bytes does not fit into a HEP packet")
    return struct.pack("!4sH", b"HEP3", len(body) + 6) + body


class HepSender:
    """Sends packets to a capture server over UDP, never blocking and never failing.

    Args:
        host: The server's name or numeric address.
        port: Its port.
        capture_id: Number of this capture agent.
        node: Name of this capture agent.
        password: What the server may ask for.

    Attributes:
        packets: Sent.
        dropped: Not sent: too large for a datagram, or there was no room or no way.
    """

    def __init__(self, host: str, port: int = 9060, *, capture_id: int = 0, node: str = "", password: str = "") -> None:
        self.packets = 0
        self.dropped = 0
        self._server = host, port
        self._capture_id = capture_id
        self._node = node
        self._password = password
        self._socket: socket.socket | None = None

    async def start(self) -> None:
        """Look the server up.

        Raises:
            ConfigurationError: It has no address, or none can be sent to.
        """
        host, port = self._server
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            family, _, _, _, address = found[0]
            sock = socket.socket(family, socket.SOCK_DGRAM)
        except OSError as error:
            raise ConfigurationError(f"capture server {host} port {port}: {error}") from error
        try:
            sock.setblocking(False)
            sock.connect(address)
        except OSError as error:
            sock.close()
            raise ConfigurationError(f"capture server {host} port {port}: {error}") from error
        self._socket = sock

    def send(
        self,
        source: Address,
        destination: Address,
        payload: bytes,
        wall: float,
        *,
        protocol: Protocol,
        correlation_id: str = "",
    ) -> None:
        """Tell of one message; see `hep_packet`. Before `start` and after `close` it does nothing."""
        if self._socket is None:
            return
        try:
            packet = hep_packet(
                source,
                destination,
                payload,
                wall,
                protocol=protocol,
                capture_id=self._capture_id,
                node=self._node,
                correlation_id=correlation_id,
                password=self._password,
            )
        except ValueError:
            self.dropped += 1
            return
        if self._sent(self._socket, packet):
            self.packets += 1
        else:
            self.dropped += 1

    def close(self) -> None:
        """Stop."""
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()

    def _sent(self, sock: socket.socket, packet: bytes) -> bool:
        """Whether it went out. The first try may report that an earlier packet met nobody; then there is a second."""
        for _ in range(2):
            with contextlib.suppress(OSError):
                sock.send(packet)
                return True
        return False


def _chunk(type_: int, data: bytes) -> bytes:
    """Vendor 0, type, length with this header, data."""
    if len(data) + 6 > 0xFFFF:
        raise ValueError(f"{len(data)} bytes do not fit into a HEP chunk")
    return struct.pack("!HHH", 0, type_, len(data) + 6) + data
