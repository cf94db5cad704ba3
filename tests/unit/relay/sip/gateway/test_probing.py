"""OPTIONS to devices that do not say what they take: when they are asked, what their answers mean."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.pager import PagerEdge, pager_edge
from tests.support.sip_edge import SipClient
from wigwag.protocols.sip import Request, Response
from wigwag.relay.sip.gateway.probing import MOST, said_by
from wigwag.runtime.capabilities import Capabilities

PROBING: dict[str, Any] = {"gateway": {"sessions": "both", "probe": True}}
AUDIO = b"v=0\r\nm=audio 0 RTP/AVP 0\r\n"
CHAT = b"v=0\r\nm=message 2855 TCP/TLS/MSRP *\r\n"


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[PagerEdge]:
    async with pager_edge(tmp_path, {"services": ["gateway"]}, more_sip=PROBING) as opened:
        yield opened


def by_method(client: SipClient) -> dict[str, Request]:
    return {message.method: message for message in client.received() if isinstance(message, Request)}


async def asked(edge: PagerEdge, alice: SipClient, bob: SipClient) -> dict[str, Request]:
    """Send a message; return what comes to the device by method, the message answered."""
    await edge.sent(alice, alice.message("bob"))
    came = by_method(bob)
    if "MESSAGE" in came:
        bob.answer(came["MESSAGE"])
    await edge.settle()
    return came


async def test_device_that_does_not_say_is_asked_once(edge: PagerEdge) -> None:
    alice, bob = edge.neighbour(), await edge.registered("bob")
    first, second = [await asked(edge, alice, bob) for _ in range(2)]
    assert (set(first), set(second)) == ({"OPTIONS", "MESSAGE"}, {"MESSAGE"})
    assert (first["OPTIONS"].uri, first["OPTIONS"].to.uri) == (bob.contact, bob.aor)


async def test_device_that_allows_no_message_gets_none_from_then_on(edge: PagerEdge) -> None:
    alice, bob = edge.neighbour(), await edge.registered("bob")
    came = await asked(edge, alice, bob)
    bob.answer(came["OPTIONS"], fields=[("Allow", "INVITE, ACK, BYE, OPTIONS")])
    alice.received()
    assert await asked(edge, alice, bob) == {}
    assert alice.response().status == 202


async def test_device_that_says_both_is_not_asked(edge: PagerEdge) -> None:
    alice, bob = edge.neighbour(), SipClient(edge, "bob")
    says: dict[str, Any] = {"methods": '"INVITE,MESSAGE"', "audio": '"TRUE"'}
    await bob.register(**says)
    assert set(await asked(edge, alice, bob)) == {"MESSAGE"}


async def test_nobody_is_asked_unless_the_setting_says_so(tmp_path: Path) -> None:
    async with pager_edge(tmp_path, {"services": ["gateway"]}) as edge:
        alice, bob = edge.neighbour(), await edge.registered("bob")
        assert set(await asked(edge, alice, bob)) == {"MESSAGE"}


async def test_device_that_does_not_answer_is_tried_as_ever(edge: PagerEdge) -> None:
    alice, bob = edge.neighbour(), await edge.registered("bob")
    await asked(edge, alice, bob)
    edge.pass_time(40)
    bob.received()
    alice.received()
    assert set(await asked(edge, alice, bob)) == {"MESSAGE"}


async def test_only_so_many_are_asked_at_once(edge: PagerEdge) -> None:
    alice = edge.neighbour()
    bob = await edge.registered("bob")
    ask = edge.edge.devices.ask
    assert ask is not None
    found = await edge.store.find_registrations([bob.aor])
    (binding,) = found[bob.aor].bindings
    assert [ask(bob.aor, binding) for _ in range(MOST + 1)] == [True] * MOST + [False]
    edge.pass_time(40)
    assert ask(bob.aor, binding)
    assert alice.received() == []


def answer(body: bytes = b"", **fields: str) -> Response:
    request = Request.create(
        "OPTIONS",
        "sip:bob@192.0.2.4",
        [
            ("Via", "SIP/2.0/UDP a.example;branch=z9hG4bK1"),
            ("From", "<sip:edge@a.example>;tag=1"),
            ("To", "<sip:bob@example.com>"),
            ("Call-ID", "1"),
            ("CSeq", "1 OPTIONS"),
        ],
    )
    return Response.to_request(request, 200, "OK", fields=tuple(fields.items()), body=body)


@pytest.mark.parametrize(
    ("fields", "body", "said"),
    [
        ({}, b"", Capabilities()),
        ({"Allow": "INVITE, message"}, b"", Capabilities(page=True)),
        ({"Allow": "INVITE, BYE"}, b"", Capabilities(page=False)),
        ({"Allow": "MESSAGE, OPTIONS"}, b"", Capabilities(page=True, session=False)),
        ({"Allow": "INVITE"}, AUDIO, Capabilities(page=False, session=False)),
        ({"Allow": "INVITE"}, AUDIO + CHAT[5:], Capabilities(page=False, session=True)),
        ({"Contact": "<sip:bob@192.0.2.4>;+sip.message", "Allow": "INVITE"}, AUDIO, Capabilities(False, session=True)),
        ({"Contact": '<sip:bob@192.0.2.4>;methods="MESSAGE"'}, b"", Capabilities(page=True, session=False)),
        ({"Contact": "<<<"}, b"", Capabilities()),
    ],
)
def test_answer_says_what_a_device_takes(fields: dict[str, str], body: bytes, said: Capabilities) -> None:
    assert said_by(answer(body, **fields)) == said
