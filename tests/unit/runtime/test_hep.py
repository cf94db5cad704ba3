"""HEP3: the chunks of a packet, and a sender that nothing disturbs."""

import asyncio
import socket
import struct
from contextlib import closing

import pytest

from wigwag.errors import ConfigurationError
from wigwag.runtime.hep import LARGEST_PACKET, HepSender, hep_packet

ALICE, BOB = ("192.0.2.1", 5060), ("198.51.100.2", 40_000)


def chunks(packet: bytes) -> dict[int, bytes]:
    assert packet[:4] == b"HEP3"
    assert struct.unpack("!H", packet[4:6]) == (len(packet),)
    found, position = {}, 6
    while position < len(packet):
        vendor, type_, length = struct.unpack_from("!HHH", packet, position)
        assert vendor == 0
        assert length >= 6
        assert type_ not in found
        found[type_] = packet[position + 6 : position + length]
        position += length
    assert position == len(packet)
    return found


def test_a_packet_says_who_sent_what_to_whom_and_when() -> None:
    packet = hep_packet(
        ALICE, BOB, b"OPTIONS", 1_700_000_000.25, protocol="udp", capture_id=2001, node="pod-a", correlation_id="call",
        password="secret",
    )  # fmt: skip
    assert chunks(packet) == {
        0x0001: b"\x02",
        0x0002: b"\x11",
        0x0003: bytes((192, 0, 2, 1)),
        0x0004: bytes((198, 51, 100, 2)),
        0x0007: (5060).to_bytes(2, "big"),
        0x0008: (40_000).to_bytes(2, "big"),
        0x0009: (1_700_000_000).to_bytes(4, "big"),
        0x000A: (250_000).to_bytes(4, "big"),
        0x000B: b"\x01",
        0x000C: (2001).to_bytes(4, "big"),
        0x000E: b"secret",
        0x000F: b"OPTIONS",
        0x0011: b"call",
        0x0013: b"pod-a",
    }


def test_ipv6_and_tcp_and_nothing_that_is_not_known() -> None:
    found = chunks(hep_packet(("2001:db8::1", 1), ("fe80::2%3", 2), b"", 0, protocol="tcp"))
    assert (found[0x0001], found[0x0002]) == (b"\x0a", b"\x06")
    assert found[0x0005] == bytes.fromhex("20010db8") + bytes(11) + b"\x01"
    assert found[0x0006] == bytes.fromhex("fe80") + bytes(13) + b"\x02"
    assert not {0x0003, 0x0004, 0x000E, 0x0011, 0x0013} & set(found)


@pytest.mark.parametrize("wall", [0.9999999, 1.0000004, 1_700_000_000.999_999_9])
def test_a_second_has_fewer_than_a_million_microseconds(wall: float) -> None:
    found = chunks(hep_packet(ALICE, BOB, b"", wall, protocol="udp"))
    seconds, microseconds = (int.from_bytes(found[type_], "big") for type_ in (0x0009, 0x000A))
    assert 0 <= microseconds < 1_000_000
    assert seconds + microseconds / 1e6 == pytest.approx(wall, abs=1e-6)


@pytest.mark.parametrize("size", [65_400, 65_530, 100_000])
def test_what_does_not_fit_into_a_datagram_is_an_error(size: int) -> None:
    room = LARGEST_PACKET - len(hep_packet(ALICE, BOB, b"", 0, protocol="udp"))
    assert len(hep_packet(ALICE, BOB, b"x" * room, 0, protocol="udp")) == LARGEST_PACKET
    with pytest.raises(ValueError, match=r"do(es)? not fit"):
        hep_packet(ALICE, BOB, b"x" * max(size, room + 1), 0, protocol="udp")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_a_sender_shows_messages_to_the_server(host: str) -> None:
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_DGRAM)) as server:
        server.setblocking(False)
        server.bind(("127.0.0.1" if host == "localhost" else host, 0))
        sender = HepSender(host, server.getsockname()[1], capture_id=7, node="n")
        sender.send(ALICE, BOB, b"too early", 0, protocol="udp")
        await sender.start()
        sender.send(ALICE, BOB, b"MESSAGE", 1.5, protocol="tcp", correlation_id="c")
        sender.send(ALICE, BOB, b"x" * 70_000, 1.5, protocol="tcp")
        packet = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(server, 65_535), 5)
        sender.close()
        sender.send(ALICE, BOB, b"too late", 0, protocol="udp")
    expected = hep_packet(ALICE, BOB, b"MESSAGE", 1.5, protocol="tcp", capture_id=7, node="n", correlation_id="c")
    assert packet == expected
    assert (sender.packets, sender.dropped) == (1, 1)


async def test_a_server_that_is_away_disturbs_nobody_and_is_seen_again() -> None:
    with closing(socket.socket(type=socket.SOCK_DGRAM)) as server:
        server.bind(("127.0.0.1", 0))
        address = server.getsockname()
    sender = HepSender(*address)
    await sender.start()
    for _ in range(5):
        sender.send(ALICE, BOB, b"MESSAGE", 0, protocol="udp")
    with closing(socket.socket(type=socket.SOCK_DGRAM)) as server:
        server.bind(address)
        server.settimeout(5)
        sender.send(ALICE, BOB, b"OPTIONS", 0, protocol="udp")
        assert chunks(server.recv(65_535))[0x000F] == b"OPTIONS"
    assert (sender.packets, sender.dropped) == (6, 0)
    sender.close()


async def test_a_server_without_address_is_a_mistake_in_the_configuration() -> None:
    with pytest.raises(ConfigurationError, match="capture server"):
        await HepSender("nobody.invalid").start()
