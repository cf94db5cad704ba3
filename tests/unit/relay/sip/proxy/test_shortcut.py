"""The short way of a response is the long way, only shorter."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sip_edge import TRUSTED, EdgeUnderTest, SipClient
from wigwag.protocols.sip import Request, Response
from wigwag.relay.sip import edge as edge_module

_LINES = [
    b"Via: SIP/2.0/UDP 192.0.2.77:5060;branch=z9hG4bKother",
    b"v: SIP/2.0/TCP a.example;branch=z9hG4bKshort",
    b"CSeq: 1 MESSAGE",
    b"cseq : 2 INVITE",
    b"Content-Length: 3",
    b"content-length:0",
    b"l: 0",
    b"Location: x",
    b"X-Odd: \x01",
    b"X-Fold: a\r\n b",
    b"Contact: <sip:bob@192.0.2.1>",
    b"no colon",
    b"Server: \xff\xfe",
    b"To: <sip:bob@example.com>",
    b"t: <sip:bob@example.com>",
    b"Tools: 1",
    b"Expires: 5",
    b"expires:6",
    b"Date: Thu, 01 Jan 2026 00:00:00 GMT",
    b"Content-Type: text/plain",
    b"Timestamp: 1",
    b"Max-Forwards: 9",
    b"P-Asserted-Identity: <sip:carol@example.com>",
    b"X-Wigwag-Odd: 1",
]


def mutated(data: bytes, cut: int, lines: list[bytes], at: int, body: bytes, replaced: tuple[bytes, bytes]) -> bytes:
    """Return a response with things done to it."""
    head, _, _ = data.partition(b"\r\n\r\n")
    fields = head.split(b"\r\n")
    where = 1 + at % len(fields)
    fields[where:where] = lines
    whole = b"\r\n".join(fields) + b"\r\n\r\n" + body
    whole = whole.replace(*replaced) if replaced[0] else whole
    return whole[: len(whole) - cut] if cut else whole


REPLACED = st.sampled_from(
    [
        (b"", b""),
        (b"SIP/2.0 200", b"SIP/2.0 202"),
        (b"SIP/2.0 200", b"SIP/2.0 404"),
        (b"SIP/2.0 200", b"SIP/2.0 100"),
        (b"SIP/2.0 200 OK", b"SIP/2.0 200 "),
        (b"SIP/2.0 200 OK", b"SIP/2.0 200"),
        (b"SIP/2.0 200 OK", b"sip/2.0 200 ok"),
        (b"Via: ", b"v: "),
        (b"Via: ", b"VIA:  "),
        (b";rport\r\n", b';rport ;x="y,z"\r\n'),
        (b"branch=z9hG4bK", b"branch=z9hG4bKx"),
        (b"edge.example.com:5060", b"EDGE.example.com:5060"),
        (b"edge.example.com:5060", b"other.example.com:5060"),
        (b" MESSAGE\r\n", b" INVITE\r\n"),
        (b"Content-Length: 0", b"Content-Length: 5"),
        (b"Content-Length: 0\r\n", b""),
        (b"Content-Length: 0\r\n", b"Expires: 1\r\nContent-Length: 0\r\nExpires: 2\r\n"),
        (b"Content-Length: 0\r\n", b"Date: 1\r\nContent-Length: 0\r\nDate: 2\r\n"),
        (b"Content-Length: 0", b"Content-Length: 00"),
        (b"\r\nCall-ID", b"\nCall-ID"),
        (b"\r\nVia", b"\r\n Via"),
        (b"From: <sip:gateway", b"From: sip:gateway"),
        (b"From: <sip:gateway", b"From: <sip:gate,"),
        (b";tag=bob", b""),
        (b";tag=bob", b";tag="),
        (b";tag=bob", b";tag=bob;tag=bob"),
        (b"To: ", b"To:"),
        (b"Call-ID: one", b"Call-ID: two"),
        (b"CSeq: ", b"CSeq: 9"),
    ]
)


def outcome(change: Callable[[bytes], bytes], *, tcp: bool, forks: bool, short: bool) -> list[bytes]:
    """Return what the sender hears when the receiver answers so, and what is left of the transactions."""
    edge = EdgeUnderTest()
    with pytest.MonkeyPatch.context() as patch:
        if not short:
            patch.setattr(edge_module, "pass_response", lambda *_: False)
            patch.setattr(edge_module, "pass_responses", lambda _, data, __: (data, 0))
        sender = SipClient(edge, "gateway", host=TRUSTED, port=5060)
        receivers = [SipClient(edge, "bob", kind="tcp" if tcp else "udp", port=4000 + n) for n in range(1 + forks)]
        for receiver in receivers:
            asyncio.run(receiver.register_unasked())
        before = len(edge.socket.sent.setdefault(sender.remote, []))
        sender.send(sender.message("bob", branch="z9hG4bKone", call_id="one"))
        request = receivers[0].incoming()
        receivers[0].send(change(bytes(Response.to_request(request, 200, "OK", to_tag="bob"))))
        edge.pass_time(1)
        heard = edge.socket.sent[sender.remote][before:]
        left = sorted(f"{client.state!r}" for client in edge.edge.transactions.clients.values())
        return [*heard, repr(left).encode()]


@settings(max_examples=150, deadline=None)
@given(
    cut=st.sampled_from([0, 0, 0, 1, 3]),
    lines=st.lists(st.sampled_from(_LINES), max_size=2),
    at=st.integers(0, 12),
    body=st.sampled_from([b"", b"hello", b"\r\n\r\n"]),
    replaced=REPLACED,
    tcp=st.booleans(),
    forks=st.booleans(),
)
def test_both_ways_say_the_same(
    cut: int, lines: list[bytes], at: int, body: bytes, replaced: tuple[bytes, bytes], tcp: bool, forks: bool
) -> None:
    def change(data: bytes) -> bytes:
        return mutated(data, cut, lines, at, body, replaced)

    short, long = (outcome(change, tcp=tcp, forks=forks, short=short) for short in (True, False))
    assert short == long


@pytest.mark.parametrize("tcp", [False, True])
def test_usual_response_takes_the_short_way(tcp: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the long way")

    monkeypatch.setattr(edge_module.Edge, "_response_received", never)
    heard = outcome(lambda data: data, tcp=tcp, forks=False, short=True)
    assert heard[0].startswith(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 198.51.100.7")


def two_answers(*, tcp: bool, short: bool, changes: tuple[tuple[bytes, bytes], ...], cut: int) -> list[bytes]:
    """Return what the sender of two messages hears when both are answered in one read, or in two cut anywhere."""
    edge = EdgeUnderTest()
    with pytest.MonkeyPatch.context() as patch:
        if not short:
            patch.setattr(edge_module, "pass_response", lambda *_: False)
            patch.setattr(edge_module, "pass_responses", lambda _, data, __: (data, 0))
        sender = SipClient(edge, "gateway", host=TRUSTED, port=5060)
        receiver = SipClient(edge, "bob", kind="tcp" if tcp else "udp", port=4000)
        asyncio.run(receiver.register_unasked())
        before = len(edge.socket.sent.setdefault(sender.remote, []))
        for number in range(len(changes)):
            sender.send(sender.message("bob", branch=f"z9hG4bK{number}", call_id=f"call-{number}"))
        answers = [
            bytes(Response.to_request(request, 200, "OK", to_tag="bob", body=b"x" * index)).replace(*change)
            for index, (request, change) in enumerate(
                zip((each for each in receiver.received() if isinstance(each, Request)), changes, strict=True)
            )
        ]
        read = b"".join(answers)
        cut %= len(read)
        for part in (read[:cut], read[cut:]) if tcp else answers:
            receiver.send(part)
        edge.pass_time(1)
        left = sorted(f"{client.state!r}" for client in edge.edge.transactions.clients.values())
        return [*edge.socket.sent[sender.remote][before:], repr(left).encode()]


@settings(max_examples=100, deadline=None)
@given(tcp=st.booleans(), changes=st.tuples(REPLACED, REPLACED, REPLACED), cut=st.integers(0, 2000))
def test_both_ways_say_the_same_of_several_answers_in_a_read(
    tcp: bool, changes: tuple[tuple[bytes, bytes], ...], cut: int
) -> None:
    changes = tuple(change if change[0] else (b"\0", b"") for change in changes)
    short, long = (two_answers(tcp=tcp, short=short, changes=changes, cut=cut) for short in (True, False))
    assert short == long
