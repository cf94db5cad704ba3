"""Wireshark's decoder finds nothing wrong with what the relay writes, nor with the traces that it makes.

tshark does not put MSRP messages together that are spread over segments, reads one per segment, and takes a body for
text and any line that begins with seven dashes for the end: so chunks are small, go one at a time, and carry tame text.
What came in one segment all the same is cut into messages by our own parser and given to tshark again, one in a packet.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.msrp import send_frame
from tests.support.msrp_endpoint import AuthError, MsrpClient, connected
from tests.support.peers import require_peer
from tests.support.relay_process import DOMAIN, PASSWORD, USERNAME, RelayProcess, running_relay
from tests.support.tshark import Packet, capturing, decode, sent_frames, wait_for_capture
from wigwag.protocols.msrp import ConnectionLimits, DeliverySucceeded
from wigwag.runtime.pcap import PcapWriter

LIMITS = ConnectionLimits(largest_chunk=8192, most_transactions=1)
LARGE = b"a line of a message that has 200 KiB\r\n" * 5390
SPOKEN = b"what alice says is nobody's business"
CLIENT = ("192.0.2.1", 40_000)


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    require_peer("tshark")
    with running_relay("tcp") as process:
        yield process


async def refusals(client: MsrpClient) -> None:
    """Send what the relay refuses although it is well formed."""
    to_nobody = f"{client.use_path[0]} msrp://127.0.0.1:9/nobody;tcp"
    of_nobody = f"{client.relay.scheme}://{client.relay.host}:{client.relay.port}/nobody;tcp {client.uri}"
    own = str(client.uri)
    await client.write(send_frame(tid="unknown1", to_path=of_nobody, from_path=own))
    await client.write(send_frame(tid="unreach1", to_path=to_nobody, from_path=own))


async def conversation(relay: RelayProcess) -> str:
    """AUTH, talk, be refused; returns the Message-ID of the last message."""
    uri = relay.uri("tcp")
    async with connected(uri, LIMITS) as alice, connected(uri, LIMITS) as bob:
        with suppress(AuthError):
            await alice.authenticate(USERNAME, "wrong")
        for client in (alice, bob):
            await client.authenticate(USERNAME, PASSWORD)
        waiting = await bob.open_session(alice.path, passive=True)
        opening = await alice.open_session(bob.path, passive=False)
        for body in (SPOKEN, LARGE):
            message_id = await alice.send(opening, body, success_report=True)
            assert await bob.received(message_id) == body
            await alice.event(DeliverySucceeded, message_id=message_id)
        await refusals(alice)
        last = await bob.send(waiting, b"bye", success_report=True)
        await bob.event(DeliverySucceeded, message_id=last)
        return last


@dataclass(frozen=True)
class Captured:
    """A conversation as it went over the wire."""

    port: int
    packets: list[Packet]

    @property
    def from_relay(self) -> list[Packet]:
        return [packet for packet in self.packets if packet.source_port == self.port]


@pytest.fixture(scope="module")
def captured(relay: RelayProcess, tmp_path_factory: pytest.TempPathFactory) -> Captured:
    file, port = tmp_path_factory.mktemp("capture") / "conversation.pcapng", relay.ports["tcp"]
    with capturing(file, port):
        last = asyncio.run(conversation(relay))
        # the SEND and its REPORT, to the relay and from it
        wait_for_capture(file, f"Message-ID: {last}".encode(), times=4)
    return Captured(port, decode(file, port))


def complaints(packets: list[Packet]) -> list[tuple[str, tuple[str, ...]]]:
    return [(packet.kind, packet.complaints) for packet in packets if packet.complaints]


def test_nothing_in_a_captured_conversation_is_malformed(captured: Captured) -> None:
    assert complaints(captured.packets) == []


def test_every_segment_of_the_relay_is_decoded_as_msrp(captured: Captured) -> None:
    assert captured.from_relay
    assert [packet.payload for packet in captured.from_relay if not packet.kind] == []


def test_each_message_of_the_relay_is_decoded_as_our_own_parser_does(captured: Captured, tmp_path: Path) -> None:
    frames = sent_frames(captured.packets, captured.port)
    assert {kind for kind, _ in frames} == {"401", "200", "SEND", "REPORT", "481"}
    assert sum(kind == "SEND" for kind, _ in frames) > len(LARGE) // LIMITS.largest_chunk
    file = tmp_path / "frames.pcap"
    writer = PcapWriter(file.open("wb"))
    for index, (_, octets) in enumerate(frames):
        writer.write(("127.0.0.1", captured.port), CLIENT, octets, wall=float(index))
    writer.close()
    decoded = decode(file, captured.port)
    assert complaints(decoded) == []
    assert [(packet.kind, packet.payload) for packet in decoded] == frames
    for packet in decoded:
        assert packet.end_line.startswith(f"-------{packet.transaction_id}")


@dataclass(frozen=True)
class Traced:
    """A conversation as an operator's trace shows it."""

    octets: bytes
    packets: list[Packet]


@pytest.fixture(scope="module")
def traced(relay: RelayProcess) -> Traced:
    admin = json.loads((relay.log.parent / "data" / "admin.json").read_text())["url"]
    with httpx.Client(base_url=admin, trust_env=False) as client:
        selector = {"user": f"{USERNAME}@{DOMAIN}"}
        client.post("/v1/relay/trace", json=selector).raise_for_status()
        asyncio.run(conversation(relay))
        view = client.post("/v1/relay/trace/stop", json=selector).raise_for_status().json()
    file = Path(view["file"])
    return Traced(file.read_bytes(), decode(file, relay.ports["tcp"]))


def test_a_trace_is_decoded_with_nothing_malformed(traced: Traced) -> None:
    assert complaints(traced.packets) == []
    assert [packet.payload for packet in traced.packets if not packet.kind] == []
    assert {packet.kind for packet in traced.packets} >= {"200", "SEND", "REPORT", "481"}


def test_a_trace_shows_both_directions_of_all_of_the_users_connections(relay: RelayProcess, traced: Traced) -> None:
    port = relay.ports["tcp"]
    sent = [frame for kind, frame in sent_frames(traced.packets, port) if kind == "SEND"]
    large = [frame for frame in sent if b"/%d\r\n" % len(LARGE) in frame]
    assert sum(frame.count(b"x") for frame in large) >= len(LARGE), "bodies keep their length"
    assert {packet.kind for packet in traced.packets if packet.source_port != port} >= {"SEND", "200"}


@pytest.mark.parametrize(
    "secret",
    [SPOKEN, LARGE[:36], b"bye", b"nonce=", b"cnonce=", b"response=", b"rspauth=", PASSWORD.encode()],
    ids=["body", "large_body", "last_body", "nonce", "cnonce", "response", "rspauth", "password"],
)
def test_a_trace_holds_no_bodies_and_no_credentials(traced: Traced, secret: bytes) -> None:
    assert secret not in traced.octets
