"""Next hops that fail: the next one is tried, and the one that failed is left alone (RFC 3263 section 4.3)."""

import pytest

from tests.support.sip_edge import EdgeUnderTest, SipClient
from wigwag.protocols.sip import Request, Response, parse_datagram

ELSEWHERE = "elsewhere.example"


@pytest.fixture
def edge() -> EdgeUnderTest:
    return EdgeUnderTest()


async def ask(edge: EdgeUnderTest, alice: SipClient, method: str = "MESSAGE") -> Request:
    """Send a request to the outside as a user; returns it as it was sent with credentials."""
    request = alice.request(method, f"sip:eve@{ELSEWHERE}")
    alice.send(request)
    challenge = alice.response()
    if method == "INVITE":
        ack = alice.request("ACK", f"sip:eve@{ELSEWHERE}", branch=request.via.branch)
        ack.set("To", challenge.get("to") or "")
        ack.set("CSeq", f"{request.cseq.number} ACK")
        alice.send(ack)
    again = alice.authenticated(request, challenge)
    alice.send(again)
    await edge.settle()
    return again


def hop(edge: EdgeUnderTest, address: str) -> SipClient:
    """A server at an address, over UDP."""
    return SipClient(edge, "server", host=address, port=5060)


async def test_overloaded_hop_is_left_alone_and_the_next_one_is_tried(edge: EdgeUnderTest) -> None:
    first, second = edge.hops.add(ELSEWHERE, "203.0.113.10", "203.0.113.11")
    alice, one, two = SipClient(edge, "alice"), hop(edge, first.host), hop(edge, second.host)
    await ask(edge, alice)
    refused = one.incoming()
    one.answer(refused, 503, "Service Unavailable", fields=(("Retry-After", "17 (busy)"),))
    tried = two.incoming()
    assert tried.via.branch != refused.via.branch
    two.answer(tried, 200)
    assert alice.response().status == 200
    assert edge.hops.marks == [(first, 17.0)]
    assert edge.hops.answered == [second]


async def test_silent_hop_is_marked_failed(edge: EdgeUnderTest) -> None:
    first, second = edge.hops.add(ELSEWHERE, "203.0.113.10", "203.0.113.11")
    alice, two = SipClient(edge, "alice"), hop(edge, second.host)
    await ask(edge, alice, "INVITE")
    edge.pass_time(33.0)
    assert edge.hops.marks == [(first, None)]
    assert {message.start_line for message in two.received()} == {f"INVITE sip:eve@{ELSEWHERE} SIP/2.0"}


async def test_refusal_is_an_answer_and_no_reason_to_try_another(edge: EdgeUnderTest) -> None:
    first, second = edge.hops.add(ELSEWHERE, "203.0.113.10", "203.0.113.11")
    alice, one, two = SipClient(edge, "alice"), hop(edge, first.host), hop(edge, second.host)
    await ask(edge, alice)
    one.answer(one.incoming(), 404, "Not Found")
    assert alice.response().status == 404
    assert two.received() == []


async def test_datagram_that_the_network_refuses_is_tried_elsewhere_at_once(edge: EdgeUnderTest) -> None:
    first, second = edge.hops.add(ELSEWHERE, "203.0.113.10", "203.0.113.11")
    alice, two = SipClient(edge, "alice"), hop(edge, second.host)
    await ask(edge, alice)
    edge.edge.datagram_failed("udp", (first.host, 5060), ConnectionRefusedError(111, "Connection refused"))
    two.answer(two.incoming())
    assert alice.response().status == 200
    assert edge.hops.marks == [(first, None)]


async def test_network_that_refuses_late_ends_nothing_that_was_answered(edge: EdgeUnderTest) -> None:
    (first,) = edge.hops.add(ELSEWHERE, "203.0.113.10")
    alice, one = SipClient(edge, "alice"), hop(edge, first.host)
    await ask(edge, alice)
    one.answer(one.incoming())
    assert alice.response().status == 200
    edge.edge.datagram_failed("udp", (first.host, 5060), ConnectionRefusedError(111, "Connection refused"))
    assert alice.received() == []
    assert edge.edge.transactions._waiting == {}


async def test_network_does_not_end_what_is_on_its_way_to_a_registered_user(edge: EdgeUnderTest) -> None:
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    await bob.register()
    await alice.register()
    request = alice.message("bob")
    alice.send(request)
    alice.send(alice.authenticated(request, alice.response()))
    edge.edge.datagram_failed("udp", bob.remote, ConnectionRefusedError(111, "Connection refused"))
    bob.answer(bob.incoming())
    assert alice.response().status == 200


async def test_connection_that_cannot_be_had_or_is_lost_leads_to_the_next_one(edge: EdgeUnderTest) -> None:
    ways = edge.hops.add(ELSEWHERE, "203.0.113.10", "203.0.113.11", "203.0.113.12", transport="tcp")
    edge.hops.deaf.add(ways[0])
    alice = SipClient(edge, "alice")
    await ask(edge, alice)
    edge.hops.lose(ways[1])
    await edge.settle()
    (sent,) = edge.hops.connections[ways[2]].written
    request = parse_datagram(sent)
    assert isinstance(request, Request)
    edge.hops.receive(ways[2], bytes(Response.to_request(request, 200, "OK", to_tag="t")))
    assert alice.response().status == 200
    # A connection may be closed any time; that it could not be opened counts.
    assert edge.hops.marks == [(ways[0], None)]


async def test_when_nobody_is_left_the_sender_is_not_told_to_retry_later(edge: EdgeUnderTest) -> None:
    (only,) = edge.hops.add(ELSEWHERE, "203.0.113.10", transport="tcp")
    edge.hops.deaf.add(only)
    alice = SipClient(edge, "alice")
    await ask(edge, alice)
    assert alice.response().status == 500


async def test_call_given_up_before_the_next_hop_is_known_ends_in_487(edge: EdgeUnderTest) -> None:
    edge.hops.add(ELSEWHERE, "203.0.113.10")
    alice = SipClient(edge, "alice")
    request = alice.request("INVITE", f"sip:eve@{ELSEWHERE}")
    alice.send(request)
    again = alice.authenticated(request, alice.response())
    alice.send(again)
    cancel = alice.request("CANCEL", f"sip:eve@{ELSEWHERE}", branch=again.via.branch)
    cancel.set("CSeq", f"{again.cseq.number} CANCEL")
    alice.send(cancel)
    await edge.settle()
    assert 487 in [message.status for message in alice.received() if isinstance(message, Response)]


async def test_request_over_a_connection_that_we_opened_is_a_strangers(edge: EdgeUnderTest) -> None:
    (only,) = edge.hops.add(ELSEWHERE, "203.0.113.10", transport="tls")
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    await bob.register()
    await ask(edge, alice)
    stranger = SipClient(edge, "eve")
    request = stranger.message("bob")
    request.set("From", f"<sip:eve@{ELSEWHERE}>;tag=1")
    edge.hops.receive(only, bytes(request))
    await edge.settle()
    answer = parse_datagram(edge.hops.connections[only].written[-1])
    assert isinstance(answer, Response)
    assert answer.status == 403
    assert bob.received() == []
