"""MSRP without a relay: over TLS by fingerprint, over WebSocket, and connections that several sessions share."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.support.certificates import Authority
from tests.support.waiting import until
from wigwag.protocols.msrp import Event, MessageReceived, MsrpUri
from wigwag.protocols.sdp import Agreement, Fingerprint
from wigwag.transport.tls import client_context
from wigwag.ua.attachment import listen_direct, media_side
from wigwag.ua.config import EdgeAddresses, UaDirectSettings, UaSettings
from wigwag.ua.endpoint.descriptions import Descriptions
from wigwag.ua.endpoint.grant import renew_after
from wigwag.ua.endpoint.line import MediaLine
from wigwag.ua.endpoint.media import MediaSide
from wigwag.ua.endpoint.model import MediaWish

Kind = Literal["tcp", "tls", "ws", "wss"]


class Side:
    """A line of MSRP and what it told."""

    def __init__(self, media: MediaSide, name: str) -> None:
        self.line = MediaLine(name, "direct", media, self, accept_types=("text/plain",), max_size=None)
        self.descriptions = Descriptions(MediaWish(accept_types=("text/plain",)), 1)
        self.up = self.down = 0
        self.failed = ""
        self.bodies: list[bytes] = []

    def line_up(self) -> None:
        self.up += 1

    def line_down(self, reason: str) -> None:
        self.down += 1

    def line_failed(self, reason: str) -> None:
        self.failed = reason

    def line_superseded(self, reason: str) -> None:
        raise AssertionError("nobody else has it")

    def line_moved(self, path: tuple[str, ...]) -> None:
        raise AssertionError("a direct path does not move")

    def line_event(self, event: Event) -> None:
        if isinstance(event, MessageReceived):
            self.bodies.append(event.body)
            assert self.line.client is not None
            assert self.line.session is not None
            self.line.client.accept_message(self.line.session, event.message_id)

    def send(self, text: bytes) -> None:
        assert self.line.client is not None
        assert self.line.session is not None
        self.line.client.send_message(self.line.session, "text/plain", text)


@asynccontextmanager
async def listening(kind: Kind, pair: tuple[str, str] | None) -> AsyncIterator[MediaSide]:
    media = media_side(UaSettings(), EdgeAddresses(sip=(), relay=""))
    settings = UaDirectSettings(kind=kind, certificates=(pair,) if pair and kind in ("tls", "wss") else ())
    listener = await listen_direct(settings, media)
    try:
        yield media
    finally:
        await listener.close()


async def agreed(
    caller: Side, callee: Side, change: Callable[[bytes], bytes] = lambda offer: offer
) -> tuple[Agreement, Agreement]:
    """Let two sides agree: the callee, who listens, waits; ``change`` may alter what it says."""
    offer = caller.descriptions.offer(await caller.line.prepare(), caller.line.way)
    caller.line.await_answer()
    offered = callee.descriptions.read_offer(offer)
    path = await callee.line.prepare(secure=offered.secure)
    answer = callee.descriptions.answer(offer, path, callee.line.way)
    assert callee.descriptions.agreement is not None
    callee.line.expect(callee.descriptions.agreement)
    return caller.descriptions.take_answer(change(answer)), callee.descriptions.agreement


@asynccontextmanager
async def talking(
    kind: Kind, pair: tuple[str, str] | None, change: Callable[[bytes], bytes] = lambda offer: offer
) -> AsyncIterator[tuple[Side, Side]]:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(listening(kind, pair))
        other = await stack.enter_async_context(listening(kind, pair))
        caller, callee = Side(one, "caller"), Side(other, "callee")
        mine, theirs = await agreed(caller, callee, change)
        caller.line.open(mine)
        callee.line.open(theirs)
        yield caller, callee
        await caller.line.close()
        await callee.line.close()


@pytest.mark.parametrize("kind", ["tcp", "tls", "ws", "wss"])
async def test_two_sides_talk_whatever_carries_them(kind: Kind, tmp_path: Path) -> None:
    pair = Authority.create(tmp_path).issue("somebody.example")
    async with talking(kind, pair) as (caller, callee):
        await until(lambda: caller.up and callee.up)
        caller.send(b"hello")
        callee.send(b"hello yourself")
        await until(lambda: caller.bodies == [b"hello yourself"] and callee.bodies == [b"hello"])


async def test_a_certificate_that_is_not_the_one_announced_carries_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wigwag.ua.endpoint.getting_back._GIVE_UP", 0.1)
    pair = Authority.create(tmp_path).issue("somebody.example")
    stranger = str(Fingerprint.of(b"another")).encode()

    def forged(answer: bytes) -> bytes:
        lines = [b"a=fingerprint:" + stranger if b"fingerprint" in line else line for line in answer.split(b"\r\n")]
        assert lines != answer.split(b"\r\n")
        return b"\r\n".join(lines).replace(b"a=setup:active", b"a=setup:passive")

    async with talking("tls", pair, forged) as (caller, callee):
        await until(lambda: caller.failed)
        assert "fingerprint" in caller.failed
        assert not callee.bodies


async def thief(caller: Side, agreement: Agreement, certificate: tuple[str, str] | None) -> bytes:
    """Connect where the peer connects to, as who has read what the two agreed on; returns what he is told."""
    own, theirs = MsrpUri.parse(caller.line.path[-1]), agreement.remote.path[-1]
    context = client_context(certificate=certificate)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    target = MsrpUri.parse(theirs)
    assert target.port is not None
    reader, writer = await asyncio.open_connection(target.host, target.port, ssl=context, server_hostname="x.example")
    try:
        writer.write(f"MSRP abcd1234 SEND\r\nTo-Path: {theirs}\r\nFrom-Path: {own}\r\n".encode())
        writer.write(b"Message-ID: 12345\r\nByte-Range: 1-0/0\r\n-------abcd1234$\r\n")
        return (await asyncio.wait_for(reader.readline(), 10))[:17]
    finally:
        writer.close()


async def test_who_connects_has_to_show_the_certificate_that_his_description_names(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    pair, another = authority.issue("somebody.example"), authority.self_signed("x.example", file="thief")
    own = authority.self_signed("callee.example", file="callee")
    async with listening("tls", pair) as one, listening("tls", own) as other:
        caller, callee = Side(one, "caller"), Side(other, "callee")
        mine, theirs = await agreed(caller, callee)
        assert (mine.connect_to is None) != (theirs.connect_to is None)
        active, passive, agreement = (caller, callee, mine) if mine.connect_to else (callee, caller, theirs)
        passive.line.open(theirs if passive is callee else mine)
        await until(lambda: passive.line.session is not None)
        assert await thief(active, agreement, another) == b"MSRP abcd1234 481"
        assert await thief(active, agreement, None) == b"MSRP abcd1234 481"
        assert not passive.up
        # Who is meant comes after them, and is let in.
        active.line.open(agreement)
        await until(lambda: active.up and passive.up)
        active.send(b"hello")
        await until(lambda: passive.bodies == [b"hello"])
        await active.line.close()
        await passive.line.close()


async def test_where_nobody_can_be_asked_for_a_certificate_peers_with_a_fingerprint_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wigwag.transport.tls.ask_without_judging", lambda context: False)
    monkeypatch.setattr("wigwag.ua.endpoint.getting_back._GIVE_UP", 0.1)
    pair = Authority.create(tmp_path).issue("somebody.example")
    async with talking("tls", pair) as (caller, callee):
        await until(lambda: caller.failed or callee.failed)
        assert "can't be checked by a=fingerprint" in caller.failed + callee.failed


async def test_without_a_fingerprint_an_authority_has_to_know_the_peer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wigwag.ua.endpoint.getting_back._GIVE_UP", 0.1)
    pair = Authority.create(tmp_path).issue("somebody.example")

    def silent(answer: bytes) -> bytes:
        return b"\r\n".join(line for line in answer.split(b"\r\n") if b"fingerprint" not in line)

    async with talking("tls", pair, silent) as (caller, _):
        await until(lambda: caller.failed)
        assert "certificate" in caller.failed


async def test_a_connection_that_is_lost_is_made_again_by_who_made_it() -> None:
    async with talking("tcp", None) as (caller, callee):
        await until(lambda: caller.up and callee.up)
        connecting: Any = caller.line.client
        connecting._channel.abort("a test")
        await until(lambda: caller.up == 2 and callee.up == 2)
        assert (caller.down, callee.down) == (1, 1)
        callee.send(b"again")
        await until(lambda: caller.bodies == [b"again"])


@pytest.mark.parametrize(("granted", "after"), [(3600, 2700), (600, 450), (100, 70), (60, 30), (20, 10), (2, 1)])
def test_a_grant_is_renewed_with_time_left(granted: int, after: float) -> None:
    assert renew_after(granted) == after
