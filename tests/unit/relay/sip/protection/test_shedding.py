"""What is turned away under overload and while a pod drains, and what never is."""

import pytest

from tests.support.sip_edge import DOMAIN, EdgeUnderTest, SipClient
from wigwag.protocols.sip import Response
from wigwag.relay.sip.protection.overload import HIGHEST
from wigwag.relay.sip.protection.quick_refusal import refusable


async def talking() -> tuple[EdgeUnderTest, SipClient, SipClient]:
    """Return an edge, and two users who are registered."""
    edge = EdgeUnderTest()
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob", kind="tcp")
    assert (await alice.register()).status == 200
    assert (await bob.register()).status == 200
    return edge, alice, bob


def overloaded(edge: EdgeUnderTest, level: float = 1.0) -> None:
    """Make it turn away that share of new requests."""
    edge.edge.shedding.overload.level = level
    edge.edge.shedding.active = level > 0


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
    overloaded(edge)
    alice.send(signed)
    assert alice.received() == []
    bob.answer(incoming)
    assert alice.response().status == 200


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


async def test_above_the_share_of_refusals_datagrams_are_dropped_unread_but_answers_are_not() -> None:
    edge, alice, _ = await talking()
    overloaded(edge, HIGHEST)
    silent = 0
    for _ in range(100):
        alice.send(alice.message("bob"))
        silent += not alice.received()
    assert 88 <= silent <= 96
    alice.send(Response.to_request(alice.request("OPTIONS", f"sip:bob@{DOMAIN}"), 200, "OK"))
    assert edge.edge.counters["responses_received"] == 1
    overloaded(edge, 0.0)
    assert (await alice.exchange(alice.request("OPTIONS", "sip:edge.example.com"))).status == 200


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
    overloaded(edge, 1.0)
    edge.edge.shedding.overload.drops = lambda: False  # type: ignore[method-assign]
    edge.edge.shedding.overload.refuses = lambda *, sifted: True  # type: ignore[method-assign]
    message = alice.message("bob")
    alice.send(message)
    quick = alice.response()
    alice.send(bytes(message).replace(b"From: ", b"From:\r\n "))
    parsed = alice.response()
    assert edge.edge.shedding.refused == 2
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
