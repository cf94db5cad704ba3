"""The short way of a request is the long way, only shorter."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sip_cluster import SipCluster
from tests.support.sip_edge import TRUSTED, SipClient
from tests.support.sip_recurring import EVENTS, Event, Scene, message, never_read
from wigwag.protocols.sip import Response
from wigwag.relay.sip.proxy import request_shortcut
from wigwag.relay.sip.proxy.request_shortcut import RequestShortcut

LINES = [
    b"Via: SIP/2.0/UDP 192.0.2.77:5060;branch=z9hG4bKother",
    b"v: SIP/2.0/TCP a.example;branch=z9hG4bKshort",
    b"CSeq: 1 MESSAGE",
    b"cseq : 2 MESSAGE",
    b"Content-Length: 5",
    b"l: 5",
    b"Call-ID: again",
    b"i: again",
    b"From: <sip:x@example.net>;tag=9",
    b"f: <sip:x@example.net>",
    b"To: <sip:bob@example.com>;tag=9",
    b"t: <sip:bob@example.com>",
    b"Max-Forwards: 0",
    b"Max-Forwards: 9",
    b"Route: <sip:edge.example.com:5060;lr>",
    b"Route: <sip:other.example.org;lr>",
    b"Record-Route: <sip:other.example.org;lr>",
    b"Proxy-Require: odd",
    b"Expires: 5",
    b"expires: x",
    b"X-Odd: \x01",
    b"X-Fold: a\r\n b",
    b" folded",
    b"no colon",
    b"X-Wigwag-Odd: 1",
    b"P-Asserted-Identity: <sip:carol@example.com>",
    b"P-Preferred-Identity: <sip:carol@example.com>",
    b"User-Agent: \xff\xfe",
    b"Timestamp: 1",
    b"Date: 193847561",
    b"X-Mark: z9hG4bK-mark-of-the-branch-",
    b"Proxy-Authorization: Digest x",
]
REPLACED = [
    (b"", b""),
    (b"Max-Forwards: 70\r\n", b""),
    (b"Max-Forwards: 70", b"Max-Forwards: 0"),
    (b"Max-Forwards: 70", b"Max-Forwards:  007"),
    (b"Max-Forwards: 70", b"Max-Forwards: 256"),
    (b";rport;branch", b";branch"),
    (b":5060;rport;branch", b";branch"),
    (b":5060;rport", b":6060"),
    (b";rport", b";rport;received=192.0.2.1"),
    (b"198.51.100.7:5060", b"198.51.100.8:5060"),
    (b"198.51.100.7:5060", b"GATEWAY.example.NET"),
    (b"198.51.100.7:5060", b"g" * 200 + b":5060"),
    (b"branch=z9hG4bK", b"branch=" + b"z9hG4bK" + b"b" * 60),
    (b"branch=z9hG4bK", b"branch=old"),
    (b"branch=z9hG4bKx", b"branch=z9hG4bK"),
    (b"SIP/2.0/", b"SIP/2.0/x"),
    (b"Via: ", b"v: "),
    (b"From: ", b"From:"),
    (b'"G" <', b'"G>;tag=1" <'),
    (b";tag=", b";Tag="),
    (b";tag=", b";x=y;tag="),
    (b"To: <sip:bob@example.com>", b"To: sip:bob@example.com"),
    (b"To: <sip:bob@example.com>", b"To: <sip:bob@example.com>;tag=in"),
    (b"To: <", b'To: "Bob; tag=x" <'),
    (b"\r\nCall-ID", b"\nCall-ID"),
    (b"@x\r\n", b"@x\r\n more\r\n"),
    (b"CSeq: ", b"CSeq: 0"),
    (b"CSeq: ", b"CSeq: 214748364"),
    (b"CSeq: ", b"CSeq: 99999999"),
    (b" MESSAGE\r\n", b"  MESSAGE\r\n"),
    (b" MESSAGE\r\n", b" INFO\r\n"),
    (b"MESSAGE sip:bob@example.com", b"MESSAGE sips:bob@example.com"),
    (b"MESSAGE sip:bob@example.com", b"MESSAGE tel:+4930"),
    (b"MESSAGE sip:bob@example.com", b"MESSAGE sip:example.com"),
    (b"MESSAGE sip:bob@example.com", b"MESSAGE sip:b%6Fb@EXAMPLE.com:5060;x=y"),
    (b"MESSAGE sip:bob@example.com", b"MESSAGE sip:nobody@example.com"),
    (b"MESSAGE sip:bob@example.com", b"MESSAGE sip:bob@elsewhere.example"),
    (b"Content-Length: 5", b"Content-Length: 4"),
    (b"Content-Length: 5", b"Content-Length: 6"),
    (b"Content-Length: 5", b"Content-Length: 05"),
    (b"Content-Length: 5\r\n", b""),
    (b"Content-Length: 5", b"Content-Length: 5\r\nSubject: last"),
]


def mutated(data: bytes, lines: Sequence[bytes], at: int, replaced: tuple[bytes, bytes]) -> bytes:
    """Return a request with things done to it."""
    head, _, body = data.partition(b"\r\n\r\n")
    fields = head.split(b"\r\n")
    where = 1 + at % len(fields)
    fields[where:where] = lines
    whole = b"\r\n".join(fields) + b"\r\n\r\n" + body
    return whole.replace(*replaced) if replaced[0] else whole


def played(play: Event, *, short: bool, come: str = "udp", go: str = "udp", limit: int = 0) -> dict[str, Any]:
    """Return what is seen of a scene that was played."""
    with pytest.MonkeyPatch.context() as patch:
        if not short:
            patch.setattr(RequestShortcut, "passed", lambda *_: 0)
        scene = Scene(come, go, limit)

        async def registered() -> None:
            await scene.register()
            await play(scene)

        asyncio.run(registered())
        return scene.record()


@settings(max_examples=300, deadline=None)
@given(
    lines=st.lists(st.sampled_from(LINES), max_size=1),
    at=st.integers(0, 9),
    replaced=st.sampled_from(REPLACED),
    come=st.sampled_from(["udp", "udp", "tcp"]),
    go=st.sampled_from(["udp", "udp", "tcp"]),
)
def test_both_ways_say_the_same_of_any_head(
    lines: list[bytes], at: int, replaced: tuple[bytes, bytes], come: str, go: str
) -> None:
    async def play(scene: Scene) -> None:
        for number in range(1, 5):
            await scene.send(mutated(message(number, come), lines, at, replaced))
            if number != 3:
                await scene.answer(200)
        await scene.again()

    short, long = (played(play, short=short, come=come, go=go) for short in (True, False))
    assert short == long


@settings(max_examples=300, deadline=None)
@given(
    events=st.lists(st.lists(st.sampled_from(EVENTS), max_size=3), min_size=4, max_size=6),
    come=st.sampled_from(["udp", "udp", "tcp"]),
    go=st.sampled_from(["udp", "udp", "tcp"]),
    limit=st.sampled_from([0, 0, 3]),
    rest=st.sampled_from([0.0, 5.5, 40.0]),
)
def test_both_ways_say_the_same_whatever_happens_meanwhile(
    events: list[list[Event]], come: str, go: str, limit: int, rest: float
) -> None:
    async def play(scene: Scene) -> None:
        for number, each in enumerate(events, 1):
            await scene.send(message(number, come))
            for event in each:
                await event(scene)
        scene.edge.pass_time(rest)

    short, long = (played(play, short=short, come=come, go=go, limit=limit) for short in (True, False))
    assert short == long


@pytest.mark.parametrize("come", ["udp", "tcp"])
@pytest.mark.parametrize("go", ["udp", "tcp"])
async def test_request_that_recurs_takes_the_short_way_from_the_second_on(
    come: str, go: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(come, go)
    await scene.register()
    await scene.send(message(1, come))
    await scene.answer(200)
    never_read(monkeypatch)
    for number in range(2, 5):
        await scene.send(message(number, come))
        await scene.answer(200)
    assert len(scene.came()) == 4
    assert [response.status for response in scene.sender.received() if isinstance(response, Response)] == [200] * 4


async def test_several_requests_of_one_read_take_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene("tcp", "tcp")
    await scene.register()
    await scene.send(message(1, "tcp") + message(2, "tcp"))
    never_read(monkeypatch)
    together = b"".join(message(number, "tcp") for number in range(3, 9))
    await scene.send(together[:-3])
    monkeypatch.undo()
    await scene.send(together[-3:])
    assert len(scene.came()) == 8


async def test_after_a_change_one_request_is_read_and_the_next_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene("udp", "udp")
    await scene.register()
    for number in range(1, 4):
        await scene.send(message(number, "udp"))
    for number in range(4, 40, 4):
        scene.edge.pass_time(31)
        await scene.send(message(number, "udp"))
        with monkeypatch.context() as patch:
            never_read(patch)
            await scene.send(message(number + 1, "udp"))


async def test_nothing_is_learnt_of_strangers() -> None:
    scene = Scene("udp", "udp")
    await scene.register()
    stranger = SipClient(scene.edge, "gateway", host="203.0.113.66", port=5060)
    for number in range(1, 9):
        stranger.send(message(number, "udp"))
    shortcut = scene.edge.edge.shortcut
    assert (shortcut._known, shortcut._seen) == ({}, {})


async def test_what_can_not_be_learnt_is_tried_ever_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene("udp", "udp")
    await scene.register()
    await scene.second_device()
    tried = []
    learn = RequestShortcut._learn

    def counted(*given: Any) -> Any:
        tried.append(1)
        return learn(*given)

    monkeypatch.setattr(RequestShortcut, "_learn", counted)
    for number in range(1, 101):
        await scene.send(message(number, "udp"))
    assert len(tried) == 6


async def test_as_many_heads_as_there_may_be_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_shortcut, "_MOST", 4)
    monkeypatch.setattr(request_shortcut, "_MOST_SEEN", 6)
    scene = Scene("udp", "udp")
    await scene.register()
    shortcut = scene.edge.edge.shortcut
    for number in range(1, 60):
        for _ in range(2):
            await scene.send(message(number, "udp").replace(b'"G"', b'"G%d"' % number))
        assert len(shortcut._known) <= 4
        assert len(shortcut._seen) <= 6


async def test_request_whose_answer_never_comes_is_sent_again_and_forgotten() -> None:
    scene = Scene("udp", "udp")
    await scene.register()
    for number in range(1, 4):
        await scene.send(message(number, "udp"))
        await scene.answer(200 if number < 3 else 100)
    scene.edge.pass_time(33)
    assert len(scene.came()) > 3 + 4
    scene.edge.pass_time(40)
    layer = scene.edge.edge.transactions
    assert (layer.servers, layer.clients) == ({}, {})
    assert layer.next_timeout() is None


async def held_by_pods(patch: pytest.MonkeyPatch, *, short: bool) -> list[list[str]]:
    """Return which pod has which transactions when datagrams of one neighbour reach all of them."""
    if not short:
        patch.setattr(RequestShortcut, "passed", lambda *_: 0)
    cluster = SipCluster("pod-a", "pod-b", "pod-c")
    edges = list(cluster.edges.values())
    sender = SipClient(edges[0], "gateway", host=TRUSTED, port=5060)
    bob = SipClient(edges[1], "bob", port=4000)
    await bob.register_unasked()
    for number in range(1, 40):
        sender.under_test = edges[number % 3]
        sender.send(message(number, "udp"))
        for edge in edges:
            await edge.settle()
    return [sorted(edge.edge.transactions.servers) for edge in edges]


async def test_requests_that_recur_go_to_the_pods_that_own_them(monkeypatch: pytest.MonkeyPatch) -> None:
    short = await held_by_pods(monkeypatch, short=True)
    assert all(short)
    assert short == await held_by_pods(monkeypatch, short=False)


async def test_trace_shows_requests_that_recur(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    scene = Scene("udp", "udp")
    await scene.register()
    for number in range(1, 3):
        await scene.send(message(number, "udp"))
    never_read(monkeypatch)

    class Tap:
        def datagram(self, _flow: object, data: bytes, *, incoming: bool) -> None:
            shown.append((data[:7], incoming))

    scene.edge.addresses["udp"].taps.append(Tap())  # type: ignore[arg-type]
    await scene.send(message(3, "udp"))
    assert shown == [(b"MESSAGE", True), (b"MESSAGE", False)]


async def test_requests_that_recur_are_turned_away_as_others(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene("udp", "udp")
    await scene.register()
    for number in range(1, 4):
        await scene.send(message(number, "udp"))
    scene.edge.edge.shedding.drain(draining=True, mute=True)
    await scene.send(message(4, "udp"))
    assert len(scene.came()) == 3
    scene.edge.edge.shedding.drain(draining=False)
    never_read(monkeypatch)
    await scene.send(message(5, "udp"))
    assert len(scene.came()) == 4
