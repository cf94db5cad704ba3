"""Capture files (libpcap's format, link type RAW) from what a program knows of its own connections.

The packets are made, not captured: each message becomes one or more TCP segments, or one UDP datagram, between the real
addresses, so that Wireshark follows the stream and decodes what it carries, TLS and WebSocket taken off.
"""

import struct
from ipaddress import ip_address
from typing import BinaryIO

_LINKTYPE_RAW = 101
_LARGEST_SEGMENT = 60_000
_PSH_ACK = 0x18
_TCP = 6
_UDP = 17
_LARGEST_DATAGRAM = 65_000

Address = tuple[str, int]


class PcapWriter:
    """Writes one capture file.

    Args:
        file: Where to write; closed by ``close``.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sequence: dict[tuple[Address, Address], int] = {}
        self.packets = 0
        self.octets = 24
        file.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, _LINKTYPE_RAW))

    def write(self, source: Address, destination: Address, data: bytes, wall: float) -> None:
        """Write ``data`` as segments from ``source`` to ``destination`` at ``wall`` seconds since the epoch."""
        for start in range(0, len(data), _LARGEST_SEGMENT):
            self._segment(source, destination, data[start : start + _LARGEST_SEGMENT], wall)
        self._file.flush()

    def _segment(self, source: Address, destination: Address, payload: bytes, wall: float) -> None:
        here, there = (source, destination), (destination, source)
        sequence = self._sequence.setdefault(here, 1)
        self._sequence[here] = (sequence + len(payload)) & 0xFFFFFFFF
        acknowledged = self._sequence.setdefault(there, 1)
        tcp = struct.pack(
            "!HHIIBBHHH", source[1], destination[1], sequence, acknowledged, 5 << 4, _PSH_ACK, 0xFFFF, 0, 0
        )
        self._packet(_ip_packet(source[0], destination[0], _TCP, tcp, payload), wall)

    def write_datagram(self, source: Address, destination: Address, data: bytes, wall: float) -> None:
        """Write ``data`` as one UDP datagram from ``source`` to ``destination`` at ``wall`` seconds since the epoch."""
        payload = data[:_LARGEST_DATAGRAM]
        udp = struct.pack("!HHHH", source[1], destination[1], 8 + len(payload), 0)
        self._packet(_ip_packet(source[0], destination[0], _UDP, udp, payload), wall)
        self._file.flush()

    def _packet(self, packet: bytes, wall: float) -> None:
        seconds = int(wall)
        self._file.write(struct.pack("=IIII", seconds, int((wall - seconds) * 1e6), len(packet), len(packet)) + packet)
        self.packets += 1
        self.octets += 16 + len(packet)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _ip_packet(source: str, destination: str, protocol: int, header: bytes, payload: bytes) -> bytes:
    """Put a TCP segment or UDP datagram into an IPv4 or IPv6 packet, with checksums."""
    source_ip, destination_ip = (ip_address(text.split("%")[0]) for text in (source, destination))
    addresses = source_ip.packed + destination_ip.packed
    length = len(header) + len(payload)
    if source_ip.version == 4:
        pseudo = addresses + struct.pack("!BBH", 0, protocol, length)
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, 64, protocol, 0) + addresses
        ip = ip[:10] + struct.pack("!H", _checksum(ip)) + ip[12:]
    else:
        pseudo = addresses + struct.pack("!II", length, protocol)
        ip = struct.pack("!IHBB", 6 << 28, length, protocol, 64) + addresses
    # A UDP checksum of zero would say that there is none.
    checksum = _checksum(pseudo + header + payload) or 0xFFFF
    at = 16 if protocol == _TCP else 6
    return ip + header[:at] + struct.pack("!H", checksum) + header[at + 2 :] + payload


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    data += b"\x00" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
