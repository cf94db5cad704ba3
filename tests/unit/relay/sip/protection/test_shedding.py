"""What is turned away under overload and while a pod drains, and what never is."""

from typing import Any

import pytest

from tests.support.sip_edge import DOMAIN, EdgeUnderTest, SipClient
from wigwag.protocols.sip import Request, Response, SipError, parse_datagram
from wigwag.relay.sip.config import SipOverloadSettings
from wigwag.relay.sip.protection.backlog import Measurement
from wigwag.relay.sip.protection.quick_refusal import refusable, refusal

TARGET = SipOverloadSettings().target_delay


async def talking() -> tuple[EdgeUnderTest, SipClient, SipClient]:
    """Return an edge, and two users who are registered."""
    edge = EdgeUnderTest()
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob", kind="tcp")
    assert (await alice.register()).status == 200
    assert (await bob.register()).status == 200
    return edge, alice, bob


def overloaded(edge: EdgeUnderTest, level: float = 1.0) -> None:
    """Make it turn away that share of new requests over connections."""
    edge.edge.shedding.overload.level = level
    edge.edge.shedding.active = level > 0


def late(edge: EdgeUnderTest) -> None:
    """Let new requests over UDP wait."""
    for _ in range(2):
        edge.edge.shedding.measured(0.0, Measurement(TARGET, 0.0))
    assert edge.edge.shedding.queueing


async def test_a_new_request_is_answered_503_with_a_time_to_wait_and_leaves_nothing() -> None:
    edge, alice, bob = await talking()
    overloaded(edge)
    before = len(edge.edge.transactions.servers)
    waits = set()
    for _ in range(10):
        bob.send(bob.message("alice"))
        response = bob.response()
        assert response.status == 503
        waits.add(response.get("retry-after"))
    assert waits == {"1", "2", "3", "4", "5"}
    assert len(edge.edge.transactions.servers) == before
    assert alice.received() == []


async def test_a_retransmission_of_what_was_taken_is_never_refused() -> None:
    edge, alice, bob = await talking()
    message = alice.message("bob")
    alice.send(message)
    challenge = alice.response()
    signed = alice.authenticated(message, challenge)
    alice.send(signed)
    await edge.settle()
    incoming = bob.incoming()
    late(edge)
    alice.send(signed)
    edge.runtime.time += 2 * TARGET
    await edge.settle()
    assert edge.edge.shedding.dropped == 1
    assert alice.received() == []
    bob.answer(incoming)
    assert alice.response().status == 200


async def test_new_datagrams_wait_their_turn_and_what_is_under_way_does_not() -> None:
    edge, alice, _ = await talking()
    late(edge)
    alice.send(alice.message("bob"))
    assert alice.received() == []
    alice.send(Response.to_request(alice.request("OPTIONS", f"sip:bob@{DOMAIN}"), 200, "OK"))
    assert edge.edge.counters["responses_received"] == 1
    inside = alice.request("NOTIFY", f"sip:bob@{DOMAIN}")
    inside.set("To", f"<sip:bob@{DOMAIN}>;tag=of-bob")
    alice.send(inside)
    assert (alice.response().status, len(edge.edge.shedding.queue)) == (407, 1)
    await edge.settle()
    assert alice.response().status == 407


async def test_who_waited_too_long_is_answered_503_or_not_at_all() -> None:
    edge, alice, _ = await talking()
    late(edge)
    for _ in range(100):
        alice.send(alice.message("bob"))
    edge.runtime.time += 2 * TARGET
    await edge.settle()
    answers = [one for one in alice.received() if isinstance(one, Response)]
    assert {one.status for one in answers} == {503}
    assert {one.get("retry-after") for one in answers} == {"1", "2", "3", "4", "5"}
    shedding = edge.edge.shedding
    assert len(answers) == shedding.refused < 50
    assert shedding.refused + shedding.dropped == 100
    for _ in range(100):
        shedding.measured(0.0, Measurement(0.0, 0.0))
    assert not shedding.active
    assert (await alice.exchange(alice.request("OPTIONS", "sip:edge.example.com"))).status == 200


async def test_a_registration_over_udp_that_has_credentials_goes_before_others(monkeypatch: pytest.MonkeyPatch) -> None:
    edge = EdgeUnderTest()
    alice = SipClient(edge, "alice")
    fields = [("Contact", f"<{alice.contact}>"), ("Expires", "600")]
    request = alice.request("REGISTER", f"sip:{DOMAIN}", fields, to=alice.aor)
    alice.send(request)
    await edge.settle()
    signed = alice.authenticated(request, alice.response())
    late(edge)
    for message in (alice.message("bob"), request, alice.message("bob"), signed):
        alice.send(message)
    order: list[bytes] = []
    monkeypatch.setattr(edge.edge, "datagram_received", lambda data, *_, waited: order.append(data))
    await edge.settle()
    assert len(order) == 4
    assert bytes(signed) in order[:2]


async def test_what_fails_while_it_is_served_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    edge, alice, _ = await talking()
    late(edge)
    alice.send(alice.message("bob"))
    alice.send(alice.message("bob"))
    received = edge.edge.datagram_received

    def broken(*args: Any, **more: Any) -> None:
        monkeypatch.setattr(edge.edge, "datagram_received", received)
        raise ValueError("a bug")

    monkeypatch.setattr(edge.edge, "datagram_received", broken)
    with pytest.raises(ValueError, match="a bug"):
        await edge.settle()
    edge.edge.shedding.measured(0.0, Measurement(0.0, 0.0))
    await edge.settle()
    assert alice.response().status == 407


async def test_requests_inside_a_dialog_pass() -> None:
    edge, alice, bob = await talking()
    overloaded(edge)
    info = alice.request("NOTIFY", f"sip:bob@{DOMAIN}")
    info.set("To", f"<sip:bob@{DOMAIN}>;tag=of-bob")
    alice.send(info)
    await edge.settle()
    assert alice.response().status == 407
    bob.send(bob.request("ACK", f"sip:alice@{DOMAIN}"))
    assert bob.received() == []


async def test_a_registration_that_is_refreshed_passes_mostly_a_new_one_does_not() -> None:
    edge = EdgeUnderTest()
    alice = SipClient(edge, "alice", kind="tcp")
    overloaded(edge, 0.5)
    answers = []
    for _ in range(8):
        fields = [("Contact", f"<{alice.contact}>"), ("Expires", "600")]
        request = alice.request("REGISTER", f"sip:{DOMAIN}", fields, to=alice.aor)
        alice.send(request)
        await edge.settle()
        first = alice.response()
        answers.append(first.status)
        if first.status == 401:
            alice.send(alice.authenticated(request, first))
            await edge.settle()
            assert alice.response().status == 200
    assert answers.count(503) == 4


async def test_a_draining_pod_sends_new_requests_of_leaving_streams_away_and_serves_the_others() -> None:
    edge, alice, bob = await talking()
    edge.edge.shedding.drain(draining=True)
    assert bob.flow is not None
    bob.flow.is_leaving = True
    bob.send(bob.message("alice"))
    assert bob.response().status == 503
    alice.send(alice.message("bob"))
    assert alice.response().status == 407
    edge.edge.shedding.drain(draining=True, mute=True)
    alice.send(alice.message("bob"))
    assert alice.received() == []
    edge.edge.shedding.drain(draining=False)
    bob.send(bob.message("alice"))
    assert bob.response().status == 407


async def test_a_refusal_without_parsing_says_what_the_parsed_one_says() -> None:
    edge, alice, _ = await talking()
    message = alice.message("bob")
    request = refusable(bytes(message), *alice.remote)
    assert request is not None
    quick = parse_datagram(refusal(request, 3))
    again = parse_datagram(bytes(message))
    assert isinstance(again, Request)
    error = SipError("Service Unavailable", status=503, request=again)
    edge.edge.answer_statelessly(error, edge.edge.flow_to(edge.socket, edge.addresses["udp"], alice.remote))
    parsed = alice.response()
    assert isinstance(quick, Response)
    assert (quick.status, quick.reason) == (parsed.status, parsed.reason) == (503, "Service Unavailable")
    for name in ("via", "from", "call-id", "cseq", "content-length"):
        assert quick.get(name) == parsed.get(name)
    assert quick.to.uri == parsed.to.uri
    assert quick.to.tag


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        pytest.param(b"Call-ID: ", b"X: ", id="a field is missing"),
        pytest.param(b";rport", b"", id="the answer goes elsewhere"),
        pytest.param(b"branch=z9hG4bK", b"branch=", id="an old branch"),
        pytest.param(b"To: ", b"To:\r\n ", id="folded"),
        pytest.param(b"From: ", b"From: <sip:a@b>;tag=1\r\nFrom: ", id="twice"),
        pytest.param(b"\r\n\r\n", b"\r\n", id="no end"),
    ],
)
def test_what_is_unusual_is_left_to_the_parser(was: bytes, becomes: bytes) -> None:
    data = bytes(SipClient(EdgeUnderTest(), "alice", port=5999).message("bob"))
    assert refusable(data, "203.0.113.200", 5060) is not None
    assert refusable(data.replace(was, becomes), "203.0.113.200", 5060) is None
