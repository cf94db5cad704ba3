"""Encrypted chains of our relay and Kamailio's, seen by a client that shares no code with either (RFC 4976).

Kamailio's documented script has one route for each session: back to where AUTH came from. So whoever sits behind a
Kamailio that is the last relay of a path has to AUTH there himself; our relay also serves peers that don't.
"""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.support import kamailio, relay_process
from tests.support.certificates import Authority
from tests.support.kamailio import Kamailio, running_kamailio
from tests.support.peers import require_peer
from tests.support.raw_client import AuthRefusedError, Frame, RawClient
from tests.support.relay_process import HOST, RelayProcess, running_relay

BODIES = [b"hello", b"", b"\r\n-------decoy$\r\n\x00\xff", b"\r\n", bytes(range(256)) * 31]


@dataclass(frozen=True)
class Ours:
    """The TLS listener of a relay of ours."""

    process: RelayProcess

    @property
    def port(self) -> int:
        return self.process.ports["tls"]

    @property
    def uri(self) -> str:
        return self.process.uri("tls")


Relay = Ours | Kamailio


@dataclass(frozen=True)
class Network:
    """Two relays of ours, two Kamailios, and what a client of theirs trusts."""

    trust: ssl.SSLContext
    ours: tuple[Ours, Ours]
    theirs: tuple[Kamailio, Kamailio]

    async def client(self, relay: Relay) -> RawClient:
        return await RawClient.connect(HOST, relay.port, tls=self.trust)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    require_peer("kamailio", "/usr/sbin")
    authority = Authority.create(tmp_path_factory.mktemp("authority"))
    pair = authority.issue("localhost", addresses=(HOST,))
    with ExitStack() as stack:

        def ours() -> Ours:
            relay = running_relay("tls", certificate=pair, authority=authority.ca_file)
            return Ours(stack.enter_context(relay))

        def theirs() -> Kamailio:
            return stack.enter_context(running_kamailio(certificate=pair))

        trust = ssl.create_default_context(cafile=authority.ca_file)
        yield Network(trust, (ours(), ours()), (theirs(), theirs()))


async def authenticate(client: RawClient, *relays: Relay) -> None:
    """AUTH at each relay, through those before it."""
    for relay in relays:
        if isinstance(relay, Kamailio):
            await client.auth(relay.uri, kamailio.USERNAME, kamailio.PASSWORD, uri=relay.uri)
        else:
            await client.auth(relay.uri, relay_process.USERNAME, relay_process.PASSWORD, algorithm="SHA-256")


async def deliver(sender: RawClient, receiver: RawClient, body: bytes) -> None:
    """Send a message; check the sender's 200 and that everything arrives as it has to."""
    transaction_id = await sender.send_chunk(body, to_path=receiver.sdp_path, message_id="m-chain")
    received = await receiver.read_request()
    await receiver.respond(received)
    response = await sender.read_response(transaction_id)
    assert response.status == 200
    assert received.body == body
    assert received.get("Message-ID") == "m-chain"
    assert received.to_path == [receiver.uri]
    assert received.from_path == [*reversed([*sender.use_path, *receiver.sdp_path[:-1]]), sender.uri]


async def converse(alice: RawClient, bob: RawClient) -> None:
    for body in BODIES:
        await deliver(alice, bob, body)
        await deliver(bob, alice, body)


async def test_a_client_behind_ours_kamailio_and_ours_talks_with_a_peer_that_has_no_relay(network: Network) -> None:
    first, middle, last = network.ours[0], network.theirs[0], network.ours[1]
    async with await network.client(first) as alice, await network.client(last) as bob:
        await authenticate(alice, first, middle, last)
        assert len(alice.use_path) == 3
        await deliver(bob, alice, b"the first request binds a peer without a relay")
        await converse(alice, bob)


async def test_clients_of_two_relays_of_ours_talk_with_kamailio_between_them(network: Network) -> None:
    first, middle, last = network.ours[0], network.theirs[0], network.ours[1]
    async with await network.client(first) as alice, await network.client(last) as bob:
        await authenticate(alice, first)
        await authenticate(bob, last, middle)
        await converse(alice, bob)


async def test_clients_of_two_kamailios_talk_with_ours_between_them(network: Network) -> None:
    first, middle, last = network.theirs[0], network.ours[0], network.theirs[1]
    async with await network.client(first) as alice, await network.client(last) as bob:
        await authenticate(alice, first)
        await authenticate(bob, last, middle)
        await converse(alice, bob)


async def test_a_client_authenticates_at_kamailio_ours_and_kamailio_and_is_reached(network: Network) -> None:
    first, middle, last = network.theirs[0], network.ours[0], network.theirs[1]
    async with await network.client(first) as alice, await network.client(last) as bob:
        await authenticate(alice, first, middle, last)
        assert len(alice.use_path) == 3
        for body in BODIES:
            await deliver(bob, alice, body)


async def test_a_file_in_chunks_passes_kamailio_between_two_of_ours(network: Network) -> None:
    first, middle, last = network.ours[0], network.theirs[0], network.ours[1]
    content, size = bytes(range(256)) * 400, 8192
    async with await network.client(first) as alice, await network.client(last) as bob:
        await authenticate(alice, first)
        await authenticate(bob, last, middle)
        arrived = [
            await carry_chunk(alice, bob, content, start, min(start + size, len(content)))
            for start in range(0, len(content), size)
        ]
    assert b"".join(chunk.body or b"" for chunk in arrived) == content
    assert "".join(chunk.flag for chunk in arrived) == "+" * (len(arrived) - 1) + "$"


async def carry_chunk(sender: RawClient, receiver: RawClient, content: bytes, start: int, end: int) -> Frame:
    """Send one chunk of ``content`` and return it as it arrived."""
    byte_range = f"{start + 1}-{end}/{len(content)}"
    transaction_id = await sender.send_chunk(
        content[start:end],
        to_path=receiver.sdp_path,
        message_id="m-file",
        byte_range=byte_range,
        flag="$" if end == len(content) else "+",
    )
    arrived = await receiver.read_request()
    await receiver.respond(arrived)
    assert (await sender.read_response(transaction_id)).status == 200
    assert arrived.get("Byte-Range") == byte_range
    return arrived


async def test_a_wrong_password_is_refused_by_ours_behind_kamailio(network: Network) -> None:
    first, middle = network.theirs[0], network.ours[0]
    async with await network.client(first) as alice:
        await authenticate(alice, first)
        with pytest.raises(AuthRefusedError, match="401"):
            await alice.auth(middle.uri, relay_process.USERNAME, "wrong")
        assert len(alice.use_path) == 1
