"""A session that gets its connection to a relay back: what is sent in that very moment, in which order."""

import asyncio
import random
import re
from types import SimpleNamespace
from typing import Any, cast

import pytest

from wigwag.protocols.msrp import Event, MsrpUri
from wigwag.protocols.msrp.authentication import Authenticated
from wigwag.transport.msrp_client import MsrpClient
from wigwag.ua.endpoint.line import MediaLine
from wigwag.ua.endpoint.media import MediaSide, RelayWay
from wigwag.ua.endpoint.model import OutgoingMessage
from wigwag.ua.endpoint.outbox import Outbox

RELAY = MsrpUri.parse("msrps://relay.example.com:2855;tcp")
GRANTED = MsrpUri.parse("msrps://relay.example.com:2855/granted;tcp")
OTHER = MsrpUri.parse("msrps://relay.example.com:2855/another;tcp")
PEER = "msrp://peer.example:2855/p;tcp"
OWN = "msrps://agents.invalid:9/s1;tcp"
HELD = (
    f"MSRP abcd1234 SEND\r\nTo-Path: {OWN}\r\nFrom-Path: {GRANTED} {PEER}\r\nMessage-ID: held\r\n"
    "Byte-Range: 1-2/2\r\nContent-Type: text/plain\r\n\r\nhi\r\n-------abcd1234$\r\n"
)


class Client(MsrpClient):
    """A connection to a relay that lets us in when the test says so; what is sent stays in the engine."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.grant: asyncio.Future[Authenticated] = asyncio.get_running_loop().create_future()

    async def connect(self, *_: Any, **__: Any) -> None:
        pass

    async def authenticate(self, *_: Any, **__: Any) -> Authenticated:
        return await self.grant

    def let_in(self, granted: MsrpUri) -> None:
        self.grant.set_result(Authenticated(use_path=(granted,), expires=1_800, relay_verified=False))

    def written(self) -> list[str]:
        """Return the Message-IDs of what goes over the wire now, in order."""
        octets = b"".join(self.engine.data_to_send(asyncio.get_running_loop().time()))
        return re.findall(r"Message-ID: (m\d+)", octets.decode())


class Chat:
    """A line and what waits for it, joined as a session joins them."""

    def __init__(self) -> None:
        way = RelayWay(uri=RELAY, connector=cast(Any, None), fencing=True)
        side = MediaSide({"relay": way}, random.Random(1).randbytes)
        self.outbox = Outbox(lambda *_: None)
        self.line = MediaLine("s1", "relay", side, self, accept_types=("*",), max_size=1_000, token=2)
        self.told_up = 0

    def line_up(self) -> None:
        self.told_up += 1
        self.outbox.send_all(self.line)

    def line_down(self, reason: str) -> None:
        self.outbox.connection_lost()

    def line_failed(self, reason: str) -> None:
        raise AssertionError(reason)

    def line_superseded(self, reason: str) -> None:
        raise AssertionError(reason)

    def line_moved(self, path: tuple[str, ...]) -> None:
        pass

    def line_event(self, event: Event) -> None:
        self.outbox.receive(event, relayed=True)

    def send(self, message_id: str) -> None:
        message = OutgoingMessage(message_id=message_id, content_type="text/plain", body=b"hi")
        self.outbox.add(message, self.line)

    def agree(self) -> None:
        """Let both sides know each other's present path."""
        remote, local = SimpleNamespace(path=(PEER,), uses_relay=False), SimpleNamespace(path=self.line.path)
        self.line.open(cast(Any, SimpleNamespace(remote=remote, local=local, active=True)))

    async def entering(self) -> Client:
        """Go on where another pod was, as far as the relay's answer to our AUTH."""
        self.line.restore((str(GRANTED), OWN))
        self.agree()
        await turns(5)
        return cast(Client, self.line.client)


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Chat:
    monkeypatch.setattr("wigwag.ua.endpoint.line.MsrpClient", Client)
    return Chat()


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_what_is_sent_between_a_connection_and_the_word_of_it_stays_behind_what_waits(chat: Chat) -> None:
    client = await chat.entering()
    chat.send("m001")
    client.let_in(GRANTED)
    for _ in range(10):
        if chat.line.is_up:
            break
        await asyncio.sleep(0)
    assert chat.line.is_up
    assert not chat.told_up
    chat.send("m002")
    await turns(3)
    chat.send("m003")
    assert chat.told_up
    assert client.written() == ["m001", "m002", "m003"]
    await chat.line.close()


@pytest.mark.parametrize("granted", [GRANTED, OTHER])
async def test_nothing_is_sent_before_the_relays_answer_though_the_peer_has_sent_something(
    chat: Chat, granted: MsrpUri
) -> None:
    client = await chat.entering()
    client.data_received(HELD.encode())
    session = chat.line.session
    assert session is not None
    assert session.binding is client.engine
    chat.send("m001")
    client.let_in(granted)
    await turns(5)
    if granted is OTHER:
        assert client.written() == []
        chat.agree()
        await turns(3)
    assert client.written() == ["m001"]
    await chat.line.close()
