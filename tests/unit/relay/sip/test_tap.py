"""What a trace sees of SIP."""

import struct
from pathlib import Path

import pytest

from tests.support.sip_edge import DOMAIN, PASSWORDS, EdgeUnderTest, SipClient
from wigwag.protocols.sip import Request, Response, parse_datagram
from wigwag.relay.sip.tap import SipTap, redacted, users_of
from wigwag.runtime.pcap import PcapWriter


class Seen:
    """Wants messages of a user or a call, and keeps them."""

    def __init__(self, user: str = "", call_id: str = "") -> None:
        self.user, self.call_id = user, call_id
        self.messages: list[Request | Response] = []
        self.ways: list[tuple[tuple[str, int], tuple[str, int], bool]] = []

    def wants(self, users: frozenset[str], call_id: str) -> bool:
        return self.user in users or self.call_id == call_id

    def show(
        self, source: tuple[str, int], destination: tuple[str, int], data: bytes, call_id: str, *, datagram: bool
    ) -> None:
        self.messages.append(parse_datagram(data))
        self.ways.append((source, destination, datagram))

    @property
    def lines(self) -> list[str]:
        return [message.start_line.split(" ")[0 if isinstance(message, Request) else 1] for message in self.messages]


def tapped(edge: EdgeUnderTest, seen: Seen) -> Seen:
    """Look at all listeners of an edge."""
    for address in edge.addresses.values():
        address.taps.append(SipTap(seen))
    return seen


@pytest.fixture
def edge() -> EdgeUnderTest:
    return EdgeUnderTest()


async def test_a_user_is_seen_on_every_transport_in_both_directions(edge: EdgeUnderTest) -> None:
    seen = tapped(edge, Seen(user=f"bob@{DOMAIN}"))
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob", kind="tcp")
    for client in (alice, bob):
        await client.register()
    assert seen.lines == ["REGISTER", "401", "REGISTER", "200"]
    message = alice.message("bob", "nobody may read this")
    alice.send(message)
    alice.send(alice.authenticated(message, alice.response()))
    await edge.settle()
    bob.answer(bob.incoming())
    assert seen.lines[4:] == ["MESSAGE", "407", "MESSAGE", "MESSAGE", "200", "200"]
    local = ("192.0.2.9", 5060)
    assert seen.ways[4] == (alice.remote, local, True)
    assert seen.ways[5] == (local, alice.remote, True)
    assert [way[2] for way in seen.ways[6:]] == [True, False, False, True]


async def test_bodies_and_credentials_are_blotted_out(edge: EdgeUnderTest) -> None:
    seen = tapped(edge, Seen(user="alice"))
    alice = SipClient(edge, "alice", kind="tcp")
    await alice.register()
    await alice.exchange(alice.message("bob", "nobody may read this"))
    text = b"".join(map(bytes, seen.messages))
    assert b"nobody may read this" not in text
    assert b"nonce=" not in text
    assert b"response=" not in text
    assert b"x" * 20 in text
    assert text.count(b'Proxy-Authorization: Digest username="redacted"') == 1


async def test_a_call_is_seen_alone_and_nothing_after_the_end(edge: EdgeUnderTest) -> None:
    seen = tapped(edge, Seen(call_id="wanted"))
    alice = SipClient(edge, "alice")
    alice.send(alice.message("bob", call_id="another"))
    alice.send(alice.message("bob", call_id="wanted"))
    assert seen.lines == ["MESSAGE", "407"]
    for address in edge.addresses.values():
        address.taps.clear()
    alice.send(alice.message("bob", call_id="wanted"))
    assert len(seen.messages) == 2


async def test_what_cannot_be_read_is_shown_to_nobody_and_harms_nothing(edge: EdgeUnderTest) -> None:
    seen = tapped(edge, Seen(user="alice"))
    alice = SipClient(edge, "alice")
    alice.send(b"MESSAGE garbage")
    alice.send(bytes(alice.message("bob")).replace(b"From: <", b"From: <<<"))
    assert seen.messages == []


def test_folded_and_oddly_written_credentials_go_too() -> None:
    head = (
        b"OPTIONS sip:a SIP/2.0\r\nAUTHORIZATION : Digest a=1,\r\n  response=2\r\nX: y\r\n"
        b"proxy-authorization:Digest response=3\r\n\r\nbody"
    )
    assert redacted(head) == (
        b'OPTIONS sip:a SIP/2.0\r\nAUTHORIZATION: Digest username="redacted"\r\nX: y\r\n'
        b'proxy-authorization: Digest username="redacted"\r\n\r\nxxxx'
    )


def test_users_are_those_of_from_to_and_the_request_uri(edge: EdgeUnderTest) -> None:
    message = SipClient(edge, "alice").message("bob")
    assert users_of(message) == {"alice", "bob", f"alice@{DOMAIN}", f"bob@{DOMAIN}"}
    assert set(PASSWORDS) >= {"alice", "bob"}


@pytest.mark.parametrize(("host", "size"), [("192.0.2.1", 20), ("2001:db8::1", 40)], ids=["IPv4", "IPv6"])
def test_a_datagram_in_a_capture_file_has_the_right_lengths(tmp_path: Path, host: str, size: int) -> None:
    file = tmp_path / "a.pcap"
    writer = PcapWriter(file.open("wb"))
    writer.write_datagram((host, 5060), (host, 5061), b"OPTIONS", 1_700_000_000.5)
    writer.close()
    data = file.read_bytes()[24:]
    _, micros, length, whole = struct.unpack_from("=IIII", data)
    assert (micros, length, whole) == (500_000, size + 8 + 7, len(data) - 16)
    source, destination, octets, checksum = struct.unpack_from("!HHHH", data, 16 + size)
    assert (source, destination, octets) == (5060, 5061, 15)
    assert checksum
    assert data.endswith(b"OPTIONS")
