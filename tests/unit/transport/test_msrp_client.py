"""The client shell: two of them on one connection, and one that talks to a scripted relay."""

import hashlib
import io
import secrets
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import pytest

from tests.support.streams import Endpoints, Recorder
from tests.support.waiting import until
from wigwag.errors import ConflictError
from wigwag.protocols.msrp import (
    ConnectionGivenUp,
    DataReceived,
    DeliveryFailed,
    DeliverySucceeded,
    Event,
    MessageAccepted,
    MessageCompleted,
    MessageReceived,
    MsrpUri,
    Session,
    SessionFailed,
)
from wigwag.transport.connector import Connector
from wigwag.transport.errors import ConnectError
from wigwag.transport.listener import Listener, ListenerOptions
from wigwag.transport.msrp_client import AuthenticationError, MsrpClient

ALICE = MsrpUri.parse("msrp://127.0.0.1:7001/alice1234;tcp")
BOB = MsrpUri.parse("msrp://127.0.0.1:7002/bob12345;tcp")
Kind = TypeVar("Kind", bound=Event)


class End:
    """A client and what it was told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.client = MsrpClient(random=secrets.token_bytes, on_event=self.events.append)

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.events if isinstance(event, kind)]

    async def first(self, kind: type[Kind]) -> Kind:
        await until(lambda: self.of(kind))
        return self.of(kind)[0]


@pytest.fixture
async def pair(endpoints: Endpoints) -> AsyncIterator[tuple[End, Session, End, Session]]:
    """Two ends of one connection, and a session between them."""
    alice, bob = End(), End()
    listener = Listener(ListenerOptions(name="l", kind="tcp"), lambda: bob.client)
    await listener.start()
    bobs = bob.client.open_session(BOB, (ALICE,), passive=True)
    await alice.client.connect(endpoints.connect_with(), at(listener), allow_private=True)
    alices = alice.client.open_session(ALICE, (BOB,))
    yield alice, alices, bob, bobs
    await alice.client.close()
    await listener.close()


def at(listener: Listener, scheme: str = "msrp") -> MsrpUri:
    host, port = listener.address
    return MsrpUri.parse(f"{scheme}://{host}:{port};tcp")


async def test_a_text_arrives_and_both_ends_know(pair: tuple[End, Session, End, Session]) -> None:
    alice, alices, bob, _ = pair
    message_id = alice.client.send_message(alices, "text/plain", b"hello", success_report=True)
    received = await bob.first(MessageReceived)
    assert (received.message_id, received.body) == (message_id, b"hello")
    assert (await alice.first(DeliverySucceeded)).total == 5
    assert (await alice.first(MessageAccepted)).message_id == message_id


async def test_the_passive_side_answers_over_the_connection_it_was_reached_by(
    pair: tuple[End, Session, End, Session],
) -> None:
    alice, alices, bob, bobs = pair
    alice.client.send_message(alices, "text/plain", b"ping")
    await bob.first(MessageReceived)
    bob.client.send_message(bobs, "text/plain", b"pong")
    assert (await alice.first(MessageReceived)).body == b"pong"


async def test_a_file_larger_than_all_buffers_arrives_octet_by_octet(pair: tuple[End, Session, End, Session]) -> None:
    alice, alices, bob, _ = pair
    body = secrets.token_bytes(8_000_000)
    alice.client.send_message(alices, "application/octet-stream", io.BytesIO(body), total=len(body))
    completed = await bob.first(MessageCompleted)
    assert completed.total == len(body)
    received = bytearray(len(body))
    for piece in bob.of(DataReceived):
        received[piece.offset : piece.offset + len(piece.data)] = piece.data
    assert hashlib.sha256(received).digest() == hashlib.sha256(body).digest()


async def test_a_text_overtakes_a_file_in_the_other_direction_and_in_the_same(
    pair: tuple[End, Session, End, Session],
) -> None:
    alice, alices, bob, _ = pair
    body = io.BytesIO(bytes(30_000_000))
    alice.client.send_message(alices, "application/octet-stream", body, total=30_000_000)
    alice.client.send_message(alices, "text/plain", b"overtaking")
    await bob.first(MessageReceived)
    assert bob.of(MessageCompleted) == []
    await bob.first(MessageCompleted)


async def test_a_lost_connection_fails_what_was_on_its_way(pair: tuple[End, Session, End, Session]) -> None:
    alice, alices, bob, _ = pair
    await bob.client.close()
    assert await alice.client.wait_closed() == "closed by the peer"
    assert alice.of(ConnectionGivenUp)
    with pytest.raises(ConflictError):
        alice.client.send_message(alices, "text/plain", b"too late")


async def test_a_file_shorter_than_announced_fails_visibly(pair: tuple[End, Session, End, Session]) -> None:
    alice, alices, bob, _ = pair
    alice.client.send_message(alices, "application/octet-stream", io.BytesIO(bytes(5000)), total=9000)
    assert (await alice.first(DeliveryFailed)).status is None
    assert bob.of(MessageReceived) == []


async def test_a_peer_that_speaks_something_else_is_given_up(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(ListenerOptions(name="l", kind="tcp"), lambda: Recorder(http))
    end = End()
    await end.client.connect(endpoints.connect_with(), at(listener), allow_private=True)
    session = end.client.open_session(ALICE, (BOB,))
    end.client.send_message(session, "text/plain", b"hello")
    await end.client.wait_closed()
    assert len(end.of(ConnectionGivenUp)) == 1


def http(recorder: Recorder, data: bytes) -> None:
    recorder.channel.send([b"HTTP/1.1 400 Bad Request\r\n\r\n"])


async def test_nobody_there_is_an_error_that_says_so(endpoints: Endpoints) -> None:
    with pytest.raises(ConnectError):
        await End().client.connect(
            endpoints.connect_with(), MsrpUri.parse("msrp://127.0.0.1:1;tcp"), allow_private=True
        )


async def test_loopback_is_refused_unless_it_is_allowed(endpoints: Endpoints) -> None:
    with pytest.raises(ConnectError):
        await End().client.connect(endpoints.connect_with(), MsrpUri.parse("msrp://127.0.0.1:2855;tcp"))


def relay_that_answers(*answers: str) -> Callable[[], Recorder]:
    """A relay with one answer for each request; ``{}`` in it stands for the paths."""
    left = list(answers)

    def answer(recorder: Recorder, data: bytes) -> None:
        start, to_path, from_path = data.decode().split("\r\n")[:3]
        transaction = start.split()[1]
        paths = f"To-Path: {from_path.partition(' ')[2]}\r\nFrom-Path: {to_path.partition(' ')[2]}"
        text = left.pop(0).format(paths=paths)
        recorder.channel.send([f"MSRP {transaction} {text}\r\n-------{transaction}$\r\n".encode()])

    return lambda: Recorder(answer)


CHALLENGE = '401 Unauthorized\r\n{paths}\r\nWWW-Authenticate: Digest realm="r", nonce="n", qop="auth", opaque="o"'
GRANT = "200 OK\r\n{paths}\r\nUse-Path: msrp://relay.example:2855/abcd;tcp\r\nExpires: 900"


async def relayed(endpoints: Endpoints, *answers: str) -> tuple[End, MsrpUri, Connector]:
    listener = await endpoints.listen(ListenerOptions(name="l", kind="tcp"), relay_that_answers(*answers))
    end, connector = End(), endpoints.connect_with()
    await end.client.connect(connector, at(listener), allow_private=True)
    return end, at(listener), connector


async def test_a_grant_is_returned_and_can_be_extended_on_the_same_connection(endpoints: Endpoints) -> None:
    end, relay, _ = await relayed(endpoints, CHALLENGE, GRANT, CHALLENGE, GRANT)
    for _ in range(2):
        granted = await end.client.authenticate(relay, ALICE, "alice", "secret")
        assert ([str(uri) for uri in granted.use_path], granted.expires) == (
            ["msrp://relay.example:2855/abcd;tcp"],
            900,
        )
    assert end.events == []


@pytest.mark.parametrize(
    ("answers", "status"),
    [(["403 Forbidden\r\n{paths}"], 403), ([CHALLENGE] * 3, 401), ([CHALLENGE, "400 Bad Request\r\n{paths}"], 400)],
)
async def test_a_refusal_is_an_error_with_the_relays_status(
    endpoints: Endpoints, answers: list[str], status: int
) -> None:
    end, relay, _ = await relayed(endpoints, *answers)
    with pytest.raises(AuthenticationError) as caught:
        await end.client.authenticate(relay, ALICE, "alice", "secret")
    assert caught.value.status == status


async def test_a_relay_that_hangs_up_during_auth_is_an_error(endpoints: Endpoints) -> None:
    def hang_up(recorder: Recorder, data: bytes) -> None:
        recorder.channel.abort()

    listener = await endpoints.listen(ListenerOptions(name="l", kind="tcp"), lambda: Recorder(hang_up))
    end = End()
    await end.client.connect(endpoints.connect_with(), at(listener), allow_private=True)
    with pytest.raises(AuthenticationError):
        await end.client.authenticate(at(listener), ALICE, "alice", "secret")
    with pytest.raises(AuthenticationError):
        await end.client.authenticate(at(listener), ALICE, "alice", "secret")


async def test_a_session_that_the_peer_denies_has_failed(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(
        ListenerOptions(name="l", kind="tcp"), relay_that_answers(*["481 Session does not exist\r\n{paths}"] * 2)
    )
    end = End()
    await end.client.connect(endpoints.connect_with(), at(listener), allow_private=True)
    session = end.client.open_session(ALICE, (BOB,))
    assert (await end.first(SessionFailed)).status == 481
    with pytest.raises(ConflictError):
        end.client.send_message(session, "text/plain", b"x")
