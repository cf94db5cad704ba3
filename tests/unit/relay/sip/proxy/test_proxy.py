"""The stateful proxy: what is done to a request on its way, and to its response (RFC 3261 section 16)."""

import pytest

from tests.support.sip_edge import DOMAIN, TRUSTED, EdgeUnderTest, SipClient
from wigwag.protocols.sip import Request, Response


@pytest.fixture
def edge() -> EdgeUnderTest:
    return EdgeUnderTest()


async def registered(edge: EdgeUnderTest, user: str, kind: str = "udp") -> SipClient:
    client = SipClient(edge, user, kind=kind)
    assert (await client.register()).status == 200
    return client


async def send(client: SipClient, request: Request) -> Request:
    """Send a request with credentials and return it as it went out."""
    client.send(request)
    await client.under_test.settle()
    challenge = client.response()
    assert challenge.status == 407
    again = client.authenticated(request, challenge)
    client.send(again)
    await client.under_test.settle()
    return again


@pytest.mark.parametrize("kind", ["udp", "tcp", "tls", "ws", "wss"])
async def test_message_reaches_the_other_user_and_his_answer_comes_back(edge: EdgeUnderTest, kind: str) -> None:
    alice, bob = await registered(edge, "alice"), await registered(edge, "bob", kind)
    sent = await send(alice, alice.message("bob", "hello"))
    came = bob.incoming()
    assert (came.uri, came.body) == (bob.contact, b"hello")
    assert came.get("max-forwards") == "69"
    assert came.via.transport == kind.upper()
    bob.answer(came)
    response = alice.response()
    assert (response.status, response.via.branch) == (200, sent.via.branch)
    assert len(response.items("via")) == 1


async def test_what_the_proxy_does_not_touch_arrives_as_it_was_sent(edge: EdgeUnderTest) -> None:
    alice, bob = await registered(edge, "alice"), await registered(edge, "bob")
    request = alice.message("bob")
    for name, value in (("X-Odd", "a ,  b;c"), ("Subject", "grüße"), ("s", "short")):
        request.append(name, value)
    await send(alice, request)
    came = bob.incoming()
    assert [line for line in request.lines if line[:1] in "Xs" or line.startswith("Subject")] == [
        line for line in came.lines if line[:1] in "Xs" or line.startswith("Subject")
    ]


async def test_retransmission_is_answered_again_and_not_passed_on_again(edge: EdgeUnderTest) -> None:
    alice, bob = await registered(edge, "alice"), await registered(edge, "bob")
    sent = await send(alice, alice.message("bob"))
    came = bob.incoming()
    alice.send(sent)
    assert bob.received() == []
    bob.answer(came)
    alice.send(sent)
    assert [response.start_line for response in alice.received()] == ["SIP/2.0 200 OK"] * 2
    assert bob.received() == []


async def test_any_pod_forwards_a_retransmission_under_the_same_branch() -> None:
    one = EdgeUnderTest(pod="pod-a")
    other = EdgeUnderTest(pod="pod-b", store=one.store)
    branches = []
    for edge in (one, other):
        bob = SipClient(edge, "bob", port=4000)
        await bob.register()
        neighbour = SipClient(edge, "alice", host=TRUSTED, port=5060)
        neighbour.send(neighbour.message("bob", branch="z9hG4bKsame", call_id="same"))
        await edge.settle()
        branches.append(bob.incoming().via.branch)
    assert branches[0] == branches[1]


async def test_unanswered_message_is_sent_again_and_never_answered_408(edge: EdgeUnderTest) -> None:
    alice, bob = await registered(edge, "alice"), await registered(edge, "bob")
    await send(alice, alice.message("bob"))
    edge.pass_time(33)
    assert len(bob.received()) == 11
    assert alice.received() == []


async def test_message_to_nobody_is_answered_480(edge: EdgeUnderTest) -> None:
    alice = await registered(edge, "alice")
    assert (await alice.exchange(alice.message("bob"))).status == 480


async def test_connection_that_is_lost_before_the_answer_is_answered_430(edge: EdgeUnderTest) -> None:
    alice, bob = await registered(edge, "alice"), await registered(edge, "bob", "tcp")
    await send(alice, alice.message("bob"))
    bob.disconnect()
    assert alice.response().status == 430


async def test_max_forwards_of_zero_is_483(edge: EdgeUnderTest) -> None:
    alice = SipClient(edge, "alice")
    request = alice.message("bob")
    request.set("Max-Forwards", "0")
    alice.send(request)
    assert alice.response().status == 483


async def test_request_without_max_forwards_gets_70(edge: EdgeUnderTest) -> None:
    alice, bob = await registered(edge, "alice"), await registered(edge, "bob")
    request = alice.message("bob")
    request.remove("max-forwards")
    await send(alice, request)
    assert bob.incoming().get("max-forwards") == "70"


async def test_proxy_require_that_is_not_known_is_420(edge: EdgeUnderTest) -> None:
    alice = SipClient(edge, "alice")
    request = alice.message("bob")
    request.append("Proxy-Require", "foo, bar")
    alice.send(request)
    response = alice.response()
    assert (response.status, response.get("unsupported")) == (420, "foo, bar")


async def test_request_that_goes_round_is_stopped_when_it_has_come_twice(edge: EdgeUnderTest) -> None:
    neighbour = SipClient(edge, "alice", host=TRUSTED, port=5060)
    bob = await registered(edge, "bob")
    first = neighbour.message("bob")
    neighbour.send(first)
    for number in range(2):
        came = bob.incoming()
        came.set_uri(first.uri)  # The next hop sends it back to where it was.
        came.insert("Via", f"SIP/2.0/UDP {TRUSTED}:5060;branch=z9hG4bKround{number};rport")
        neighbour.send(came)
    assert neighbour.response().status == 482


async def test_fork_that_comes_back_is_a_loop_at_once(edge: EdgeUnderTest) -> None:
    neighbour = SipClient(edge, "alice", host=TRUSTED, port=5060)
    devices = await fork(edge)
    first = neighbour.message("bob")
    neighbour.send(first)
    came = devices[0].incoming()
    came.set_uri(first.uri)
    came.insert("Via", f"SIP/2.0/UDP {TRUSTED}:5060;branch=z9hG4bKround;rport")
    neighbour.send(came)
    assert neighbour.response().status == 482


async def test_spiral_is_no_loop(edge: EdgeUnderTest) -> None:
    neighbour = SipClient(edge, "alice", host=TRUSTED, port=5060)
    bob, carol = await registered(edge, "bob"), await registered(edge, "carol")
    neighbour.send(neighbour.message("bob"))
    came = bob.incoming()
    came.set_uri(f"sip:carol@{DOMAIN}")  # Bob diverts to Carol.
    came.insert("Via", f"SIP/2.0/UDP {TRUSTED}:5060;branch=z9hG4bKdivert;rport")
    neighbour.send(came)
    assert carol.incoming().method == "MESSAGE"


async def test_options_to_the_edge_itself_are_answered(edge: EdgeUnderTest) -> None:
    client = SipClient(edge, "alice")
    client.send(client.request("OPTIONS", "sip:edge.example.com"))
    response = client.response()
    assert response.status == 200
    assert "MESSAGE" in str(response.get("allow"))


async def test_response_goes_to_the_source_when_rport_is_asked_for_and_else_to_the_via(edge: EdgeUnderTest) -> None:
    client = SipClient(edge, "alice", host="203.0.113.5", port=4444)
    request = client.request("OPTIONS", "sip:edge.example.com")
    client.send(request)
    via = client.response().via
    assert (via.parameters["rport"], via.parameters["received"]) == ("4444", "203.0.113.5")
    request = client.request("OPTIONS", "sip:edge.example.com")
    request.replace_item("via", "SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKold")
    client.send(request)
    assert client.received() == []
    assert len(edge.socket.sent[("203.0.113.5", 5062)]) == 1


# Forking


async def fork(edge: EdgeUnderTest, *, q: tuple[str, ...] = ("1.0", "1.0")) -> list[SipClient]:
    devices = [SipClient(edge, "bob") for _ in q]
    for device, preference in zip(devices, q, strict=True):
        await device.register(q=preference)
    return devices


async def test_message_goes_to_all_devices_and_the_first_success_comes_back(edge: EdgeUnderTest) -> None:
    alice, (one, other) = await registered(edge, "alice"), await fork(edge)
    await send(alice, alice.message("bob"))
    first, second = one.incoming(), other.incoming()
    assert first.via.branch != second.via.branch
    one.answer(first, 486, "Busy")
    assert alice.received() == []
    other.answer(second)
    assert alice.response().status == 200


@pytest.mark.parametrize(
    ("answers", "best"),
    [((404, 486), 404), ((500, 404), 404), ((603, 200), 200), ((503, 486), 486), ((480, 503), 480), ((503, 503), 500)],
)
async def test_best_response_of_several_comes_back(edge: EdgeUnderTest, answers: tuple[int, int], best: int) -> None:
    alice, devices = await registered(edge, "alice"), await fork(edge)
    await send(alice, alice.message("bob"))
    for device, status in zip(devices, answers, strict=True):
        device.answer(device.incoming(), status, "Answer")
    assert alice.response().status == best


async def test_lower_q_is_tried_after_the_higher_one_has_refused(edge: EdgeUnderTest) -> None:
    alice, (desk, mobile) = await registered(edge, "alice"), await fork(edge, q=("1.0", "0.5"))
    await send(alice, alice.message("bob"))
    assert mobile.received() == []
    desk.answer(desk.incoming(), 486, "Busy")
    mobile.answer(mobile.incoming())
    assert alice.response().status == 200


async def test_challenges_of_all_devices_come_back_together(edge: EdgeUnderTest) -> None:
    alice, devices = await registered(edge, "alice"), await fork(edge)
    await send(alice, alice.message("bob"))
    for number, device in enumerate(devices):
        fields = (("WWW-Authenticate", f'Digest realm="{number}", nonce="n"'),)
        device.answer(device.incoming(), 401, "Unauthorized", fields=fields)
    response = alice.response()
    assert (response.status, len(response.get_all("www-authenticate"))) == (401, 2)


# INVITE


async def test_call_is_set_up_used_and_ended_by_both_sides(edge: EdgeUnderTest) -> None:
    alice, bob = await registered(edge, "alice"), await registered(edge, "bob", "tcp")
    invite = alice.request("INVITE", f"sip:bob@{DOMAIN}", [("Contact", f"<{alice.contact}>")], b"v=0")
    sent = await send(alice, invite)
    came = bob.incoming()
    trying, *_ = alice.received()
    assert isinstance(trying, Response)
    assert trying.status == 100
    bob.answer(came, 180, "Ringing")
    assert alice.response().status == 180
    routes = came.get_all("record-route")
    assert len(routes) == 2
    fields = [("Contact", f"<{bob.contact}>"), *(("Record-Route", route) for route in routes)]
    bob.answer(came, 200, "OK", fields=fields)
    ok = alice.response()
    assert ok.status == 200

    def in_dialog(client: SipClient, method: str, uri: str, route_set: list[str]) -> Request:
        request = client.request(method, uri, [("Route", route) for route in route_set], call_id=sent.call_id)
        request.set("To", f"<{uri}>;tag=other")
        return request

    ack = in_dialog(alice, "ACK", bob.contact, routes[::-1])
    alice.send(ack)
    await edge.settle()
    assert bob.incoming().method == "ACK"
    await _reaches(in_dialog(alice, "INFO", bob.contact, routes[::-1]), alice, bob)
    await _reaches(in_dialog(bob, "BYE", alice.contact, routes), bob, alice)
    # Bob's connection is replaced; the dialog follows his binding.
    bob.connect()
    await bob.register()
    await _reaches(in_dialog(alice, "INFO", bob.contact, routes[::-1]), alice, bob)


async def _reaches(request: Request, sender: SipClient, receiver: SipClient) -> None:
    sender.send(request)
    await sender.under_test.settle()
    came = receiver.incoming()
    assert (came.method, came.uri) == (request.method, request.uri)
    assert "route" not in came
    receiver.answer(came)
    assert sender.response().status == 200


async def test_cancel_ends_every_branch_and_the_caller_hears_487(edge: EdgeUnderTest) -> None:
    alice, devices = await registered(edge, "alice"), await fork(edge)
    sent = await send(alice, alice.request("INVITE", f"sip:bob@{DOMAIN}"))
    invites = [device.incoming() for device in devices]
    for device, invite in zip(devices, invites, strict=True):
        device.answer(invite, 180, "Ringing")
    alice.received()
    cancel = Request.create("CANCEL", sent.uri, [("Via", str(sent.via))])
    for name in ("from", "to", "call-id"):
        cancel.append(name, str(sent.get(name)))
    cancel.append("CSeq", f"{sent.cseq.number} CANCEL")
    alice.send(cancel)
    assert alice.response().status == 200
    for device, invite in zip(devices, invites, strict=True):
        cancelled = device.incoming()
        assert (cancelled.method, cancelled.via.branch) == ("CANCEL", invite.via.branch)
        device.answer(cancelled)
        device.answer(invite, 487, "Request Terminated")
        assert device.incoming().method == "ACK"
    assert alice.response().status == 487


async def test_cancel_of_nothing_is_481(edge: EdgeUnderTest) -> None:
    alice = SipClient(edge, "alice")
    alice.send(alice.request("CANCEL", f"sip:bob@{DOMAIN}"))
    assert alice.response().status == 481


async def test_other_branches_are_cancelled_when_one_has_answered(edge: EdgeUnderTest) -> None:
    alice, (one, other) = await registered(edge, "alice"), await fork(edge)
    await send(alice, alice.request("INVITE", f"sip:bob@{DOMAIN}"))
    first, second = one.incoming(), other.incoming()
    other.answer(second, 180, "Ringing")
    one.answer(first)
    assert other.incoming().method == "CANCEL"


async def test_call_that_rings_too_long_is_called_off(edge: EdgeUnderTest) -> None:
    alice, bob = await registered(edge, "alice"), await registered(edge, "bob")
    await send(alice, alice.request("INVITE", f"sip:bob@{DOMAIN}"))
    bob.answer(bob.incoming(), 180, "Ringing")
    edge.pass_time(186, step=1)
    assert "CANCEL" in [message.method for message in bob.received() if isinstance(message, Request)]
    edge.pass_time(40, step=1)
    assert [message.start_line for message in alice.received()][-1] == "SIP/2.0 408 Request Timeout"
    assert not edge.edge.proxy.invites


async def test_fork_shares_what_it_may_be_forked_into(edge: EdgeUnderTest) -> None:
    alice, devices = await registered(edge, "alice"), await fork(edge)
    await send(alice, alice.message("bob"))
    assert [device.incoming().get("max-breadth") for device in devices] == ["30", "30"]
    request = alice.message("bob")
    request.append("Max-Breadth", "1")
    await send(alice, request)
    assert alice.response().status == 440


async def test_peer_that_does_not_read_is_given_up(edge: EdgeUnderTest) -> None:
    neighbour, bob = SipClient(edge, "gateway", host=TRUSTED, port=5060), await registered(edge, "bob", "tcp")
    assert bob.flow is not None
    bob.flow.pause_sending()
    bob.connection.backlog = 2_000_000
    neighbour.send(neighbour.message("bob"))
    assert bob.connection.closed == "the peer does not read"
    bob.disconnect()
    assert neighbour.response().status == 430
