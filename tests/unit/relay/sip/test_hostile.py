"""What hostile and clumsy peers send: each is answered or dropped, and stops nobody else."""

import asyncio
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest

from tests.support.sip_cluster import SipCluster
from tests.support.sip_edge import DOMAIN, TRUSTED, EdgeUnderTest, SipClient
from wigwag.protocols.sip import Request, Response
from wigwag.protocols.sip.digest import Account, DigestClient
from wigwag.relay.sip.flows.flow import Flow
from wigwag.relay.sip.flows.next_hops import Candidate
from wigwag.relay.sip.module import fire

ELSEWHERE = "elsewhere.example"


@pytest.fixture
def edge() -> EdgeUnderTest:
    return EdgeUnderTest()


@pytest.fixture
def cluster() -> SipCluster:
    return SipCluster("pod-a", "pod-b", "pod-c")


async def sent(client: SipClient, request: Request) -> Request:
    """Send a request as a user, with credentials; returns it as it was sent then."""
    client.send(request)
    await client.under_test.settle()
    challenge = client.response()
    if request.method == "INVITE":
        ack = client.request("ACK", request.uri, branch=request.via.branch, call_id=request.call_id)
        ack.set("To", challenge.get("to") or "")
        ack.set("CSeq", f"{request.cseq.number} ACK")
        client.send(ack)
    again = client.authenticated(request, challenge)
    client.send(again)
    await client.under_test.settle()
    return again


def statuses(client: SipClient) -> list[int]:
    return [message.status for message in client.received() if isinstance(message, Response)]


# Malformed requests


@pytest.mark.parametrize("value", ["", ",", " , ,"])
def test_route_without_an_element_is_refused(edge: EdgeUnderTest, value: str) -> None:
    alice = SipClient(edge, "alice")
    request = alice.message("bob")
    request.append("Route", value)
    alice.send(request)
    assert statuses(alice) == [400]


def test_datagram_without_a_field_is_answered_by_the_pod_that_it_reached(cluster: SipCluster) -> None:
    alice = SipClient(cluster.edges["pod-a"], "alice", port=5060)
    for name, answer in (("via", []), ("cseq", [400]), ("call-id", [400])):
        request = alice.message("bob")
        request.replace_via(request.via)
        request.set("Via", "SIP/2.0/UDP 203.0.113.1;branch=old")
        request.remove(name)
        alice.send(request)
        assert statuses(alice) == answer


async def test_max_breadth_that_is_no_number_is_refused_and_nothing_is_left(edge: EdgeUnderTest) -> None:
    alice = SipClient(edge, "alice", kind="tcp")
    for _ in range(2):
        await SipClient(edge, "bob").register()
    await sent(alice, alice.request("INVITE", f"sip:bob@{DOMAIN}", [("Max-Breadth", "x")]))
    assert statuses(alice) == [100, 400]
    assert edge.edge.proxy.invites == set()


async def test_error_that_nobody_has_foreseen_leaves_no_request_unanswered(
    edge: EdgeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(edge.router, "admit", broken)
    alice = SipClient(edge, "alice")
    with pytest.raises(KeyError):
        alice.send(alice.message("bob"))
    assert statuses(alice) == [500]


async def test_what_devices_write_in_other_characters_is_kept_as_far_as_it_can_be(edge: EdgeUnderTest) -> None:
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    contact = f'<{bob.contact}>;+sip.instance="<\udcff>";reg-id=1;x="\udcfe"'
    fields = [("Contact", contact), ("User-Agent", "T\udce9l\udce9phone"), ("Supported", "path")]
    path = ("Path", f'"\udcff" <sip:{TRUSTED};lr>')
    request = bob.request("REGISTER", f"sip:{DOMAIN}", [*fields, path], to=bob.aor, call_id="\udcff")
    assert (await bob.exchange(request)).status == 200
    (registration,) = (await edge.store.find_registrations([bob.aor])).values()
    (binding,) = registration.bindings
    text = " ".join([binding.key, binding.params, binding.instance, binding.user_agent, binding.call_id, *binding.path])
    assert text.count("�") == 8
    text.encode()
    await sent(alice, alice.request("INVITE", f"sip:bob@{DOMAIN}"))
    assert bob.incoming().method == "INVITE"


# Routes of dialogs


async def test_part_of_a_call_id_does_not_pass_for_part_of_a_token(edge: EdgeUnderTest) -> None:
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    await bob.register()
    await sent(alice, alice.request("INVITE", f"sip:bob@{DOMAIN}"))
    came = bob.incoming()
    alice.received()
    found = re.search(r"sip:([^@]+)@", came.items("record-route")[0])
    assert found is not None
    token = found[1]
    raw = urlsafe_b64decode(token[1:] + "=" * (-(len(token) - 1) % 4))
    moved = urlsafe_b64encode(raw + came.call_id[:1].encode()).decode().rstrip("=")
    request = alice.message("bob", call_id=came.call_id[1:])
    request.set("To", f"<{bob.aor}>;tag=1")
    request.insert("Route", f"<sip:{token[0]}{moved}@edge.example.com:5060;lr>")
    alice.send(request)
    assert statuses(alice) == [407]


async def test_stranger_whom_a_row_lets_in_does_not_leave_by_the_route_of_another_ones_dialog() -> None:
    rows: list[dict[str, Any]] = [{"name": "in", "methods": ["INFO"], "sender": "anybody", "action": "location"}]
    edge = EdgeUnderTest({"routes": rows})
    edge.hops.add(ELSEWHERE, "203.0.113.10")
    edge.hops.add("victim.example", "203.0.113.99")
    alice, eve = SipClient(edge, "alice"), SipClient(edge, "eve", host="203.0.113.10", port=5060)
    await sent(alice, alice.request("INVITE", f"sip:eve@{ELSEWHERE}"))
    invite = eve.incoming()
    request = eve.request("INFO", "sip:x@victim.example", call_id=invite.call_id)
    request.set("From", f"<sip:eve@{ELSEWHERE}>;tag=eve")
    request.set("To", f"{invite.get('from')}")
    request.append("Route", invite.items("record-route")[0])
    eve.send(request)
    await edge.settle()
    assert edge.socket.sent.get(("203.0.113.99", 5060)) is None
    assert statuses(eve) == [403]


async def test_neighbours_word_counts_within_a_dialog_too(edge: EdgeUnderTest) -> None:
    bob, gateway = SipClient(edge, "bob"), SipClient(edge, "gateway", host=TRUSTED, port=5060)
    await bob.register()
    gateway.send(gateway.request("INVITE", f"sip:bob@{DOMAIN}"))
    await edge.settle()
    invite = bob.incoming()
    bob.answer(invite)
    request = gateway.request("UPDATE", bob.contact, [("P-Asserted-Identity", "<tel:+15550100>")])
    request.set("To", f"<{bob.aor}>;tag=bob-tag")
    for route in reversed(invite.items("record-route")):
        request.append("Route", route)
    gateway.send(request)
    await edge.settle()
    assert bob.incoming().get("p-asserted-identity") == "<tel:+15550100>"


# Who they say they are


@pytest.mark.parametrize(
    "host", [DOMAIN, f"{DOMAIN}:5099", f"{DOMAIN}.", f"{DOMAIN.upper()}:7", "edge.example.com:5060"]
)
async def test_nobody_is_let_in_as_one_of_ours_however_the_domain_is_written(host: str) -> None:
    rows: list[dict[str, Any]] = [{"name": "in", "domain": DOMAIN, "sender": "anybody", "action": "location"}]
    edge = EdgeUnderTest({"routes": rows})
    bob, mallory = SipClient(edge, "bob"), SipClient(edge, "mallory", host="198.18.0.1")
    await bob.register()
    request = mallory.message("bob")
    request.set("From", f"<sip:alice@{host}>;tag=1")
    mallory.send(request)
    await edge.settle()
    assert bob.received() == []
    assert statuses(mallory) in ([403], [407])


async def test_account_whose_name_looks_like_an_escaped_one_is_not_that_other_one(edge: EdgeUnderTest) -> None:
    edge.passwords.passwords["%61lice"] = "mine"
    alice, mallory = SipClient(edge, "alice"), SipClient(edge, "bob")
    request = mallory.message("alice")
    request.set("From", f"<{alice.aor}>;tag=1")
    mallory.digest = DigestClient(lambda realm: Account("%61lice", "mine"), lambda octets: b"c" * octets)
    await sent(mallory, request)
    assert statuses(mallory) == [403]


def test_neighbour_is_known_by_his_address_however_the_socket_writes_it(edge: EdgeUnderTest) -> None:
    flow = edge.edge.flow_to(edge.socket, edge.addresses["udp"], (f"::ffff:{TRUSTED}", 5060))
    assert edge.edge.is_trusted(flow)


# Calls that end while they are set up


class SlowHops:
    """Lets connections wait until they are let go."""

    def __init__(self, edge: EdgeUnderTest) -> None:
        self.go = asyncio.Event()
        self._connect = edge.hops.connect
        edge.hops.connect = self.connect  # type: ignore[method-assign]

    async def connect(self, candidate: Candidate) -> Flow:
        await self.go.wait()
        return await self._connect(candidate)


async def ringing(edge: EdgeUnderTest) -> tuple[SipClient, Request, SlowHops, Candidate]:
    """A call to a host that is being connected to."""
    alice, slow = SipClient(edge, "alice"), SlowHops(edge)
    (candidate,) = edge.hops.add(ELSEWHERE, "203.0.113.10", transport="tcp")
    request = alice.request("INVITE", f"sip:eve@{ELSEWHERE}")
    alice.send(request)
    again = alice.authenticated(request, alice.response())
    alice.send(again)
    for _ in range(30):
        await asyncio.sleep(0)
    return alice, again, slow, candidate


async def test_call_that_is_cancelled_while_a_connection_is_opened_does_not_ring(edge: EdgeUnderTest) -> None:
    alice, invite, slow, candidate = await ringing(edge)
    cancel = alice.request("CANCEL", invite.uri, branch=invite.via.branch, call_id=invite.call_id)
    cancel.set("CSeq", f"{invite.cseq.number} CANCEL")
    cancel.set("To", invite.get("to") or "")
    alice.send(cancel)
    slow.go.set()
    await edge.settle()
    assert edge.hops.connections[candidate].written == []
    assert 487 in statuses(alice)


async def test_target_is_not_called_any_more_when_another_has_declined_for_the_user(edge: EdgeUnderTest) -> None:
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    (candidate,) = edge.hops.add(ELSEWHERE, "203.0.113.10", transport="tcp")
    gateway = SipClient(edge, "gateway", host=TRUSTED, port=5060)
    await bob.register()
    fields = [("Contact", f"<sip:bob@{ELSEWHERE}>"), ("Supported", "path"), ("Expires", "600")]
    register = gateway.request("REGISTER", f"sip:{DOMAIN}", fields, to=bob.aor, call_id="by-gateway")
    register.append("Via", "SIP/2.0/UDP 192.0.2.50;branch=z9hG4bKfirst")
    gateway.send(register)
    await edge.settle()
    slow = SlowHops(edge)
    request = alice.request("INVITE", f"sip:bob@{DOMAIN}")
    alice.send(request)
    alice.send(alice.authenticated(request, alice.response()))
    for _ in range(30):
        await asyncio.sleep(0)
    bob.answer(bob.incoming(), 603, "Decline")
    slow.go.set()
    await edge.settle()
    assert edge.hops.connections[candidate].written == []
    assert 603 in statuses(alice)


# Responses


async def test_refusal_with_a_broken_via_below_ours_goes_back(edge: EdgeUnderTest) -> None:
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    await bob.register()
    await sent(alice, alice.message("bob"))
    refusal = Response.to_request(bob.incoming(), 404, "Not Found", to_tag="b")
    refusal.append("Via", 'SIP/2.0/UDP h;branch=z9hG4bKx, "never closed')
    bob.send(refusal)
    assert statuses(alice) == [404]


def test_timer_that_fails_stops_no_other() -> None:
    def broken(now: float) -> None:
        raise KeyError(now)

    heard: list[float] = []
    fire([heard.append, broken, heard.append], 5.0)
    assert heard == [5.0, 5.0]


async def test_flow_that_closes_while_the_caller_is_looked_up_is_told_at_once(edge: EdgeUnderTest) -> None:
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob", kind="tcp")
    await bob.register()
    await alice.exchange(alice.message("nobody"))
    request = alice.request("INVITE", f"sip:bob@{DOMAIN}")
    alice.send(request)
    alice.send(alice.authenticated(request, alice.response()))
    bob.disconnect()
    await edge.settle()
    assert statuses(alice) == [100, 430]


async def test_look_up_that_is_overtaken_by_a_registration_does_not_hide_it(
    edge: EdgeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob, read, go = SipClient(edge, "bob"), asyncio.Event(), asyncio.Event()
    look_up = edge.store.find_registrations

    async def slow(aors: Any) -> Any:
        found = await look_up(aors)
        read.set()
        await go.wait()
        return found

    monkeypatch.setattr(edge.store, "find_registrations", slow)
    asking = asyncio.ensure_future(edge.parts.locations._look_up(bob.aor))
    await read.wait()
    assert (await bob.register()).status == 200
    go.set()
    assert (await asking).bindings == ()
    assert len(edge.parts.locations.peek(bob.aor)) == 1


async def test_call_whose_first_flow_fails_as_it_is_used_is_called_off_where_it_rings(edge: EdgeUnderTest) -> None:
    alice, first, second = SipClient(edge, "alice"), SipClient(edge, "bob", kind="tcp"), SipClient(edge, "bob")
    for reg_id, device in ((1, second), (2, first)):
        edge.runtime.time += 1
        extra = f';+sip.instance="<urn:uuid:1>";reg-id={reg_id}'
        fields = [("Contact", f"<{device.contact}>{extra}"), ("Supported", "path, outbound"), ("Expires", "600")]
        request = device.request("REGISTER", f"sip:{DOMAIN}", fields, to=device.aor, call_id=f"reg-{reg_id}")
        assert (await device.exchange(request)).status == 200
    flow = first.flow
    assert flow is not None

    def lost(frames: list[bytes]) -> None:
        flow.disconnected("while it is written")

    first.connection.send = lost  # type: ignore[method-assign]
    invite = await sent(alice, alice.request("INVITE", f"sip:bob@{DOMAIN}"))
    second.answer(second.incoming(), 180, "Ringing")
    cancel = alice.request("CANCEL", invite.uri, branch=invite.via.branch)
    cancel.set("CSeq", f"{invite.cseq.number} CANCEL")
    alice.send(cancel)
    assert second.incoming().method == "CANCEL"


@pytest.mark.parametrize("status", [180, 200, 486])
async def test_device_asserts_nobodys_identity_in_its_answers(edge: EdgeUnderTest, status: int) -> None:
    alice, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    await bob.register()
    for method in ("INVITE", "OPTIONS"):
        await sent(alice, alice.request(method, f"sip:bob@{DOMAIN}"))
        alice.received()
        claims = [("P-Asserted-Identity", "<sip:carol@example.com>"), ("X-Wigwag-Odd", "1"), ("Server", "x")]
        came = bob.received()[-1]
        assert isinstance(came, Request)
        bob.answer(came, status, "Answer", fields=claims)
        (answer,) = alice.received()
        assert answer.get("server") == "x"
        assert "p-asserted-identity" not in answer
        assert "x-wigwag-odd" not in answer


async def test_neighbours_word_in_an_answer_is_passed_on(edge: EdgeUnderTest) -> None:
    alice, gateway = SipClient(edge, "alice"), SipClient(edge, "gateway", host=TRUSTED, port=5060)
    edge.hops.add(ELSEWHERE, TRUSTED)
    await sent(alice, alice.request("OPTIONS", f"sip:x@{ELSEWHERE}"))
    gateway.answer(gateway.incoming(), fields=[("P-Asserted-Identity", "<tel:+15550100>")])
    assert alice.response().get("p-asserted-identity") == "<tel:+15550100>"


async def test_error_that_nobody_has_foreseen_on_the_way_to_a_next_hop_is_answered(edge: EdgeUnderTest) -> None:
    async def broken(*_: object, **__: object) -> list[Candidate]:
        raise KeyError("a bug")

    edge.hops.candidates = broken  # type: ignore[method-assign]
    alice = SipClient(edge, "alice")
    request = alice.message(f"sip:x@{ELSEWHERE}")
    alice.send(request)
    alice.send(alice.authenticated(request, alice.response()))
    with pytest.raises(KeyError):
        await edge.settle()
    assert statuses(alice) == [500]


async def test_call_that_is_cancelled_before_its_sender_is_known_is_refused_once(
    edge: EdgeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = asyncio.Event()

    async def slow(*_: object) -> None:
        await go.wait()

    monkeypatch.setattr(edge.passwords, "credentials", slow)
    mallory = SipClient(edge, "alice")
    request = mallory.request("INVITE", f"sip:bob@{DOMAIN}")
    mallory.send(request)
    invite = mallory.authenticated(request, mallory.response())
    mallory.send(invite)
    cancel = mallory.request("CANCEL", invite.uri, branch=invite.via.branch)
    cancel.set("CSeq", f"{invite.cseq.number} CANCEL")
    mallory.send(cancel)
    edge.pass_time(40)
    assert statuses(mallory) == [200, 487]
    go.set()
    await edge.settle()
    assert statuses(mallory) == []
    assert edge.edge.proxy.invites == set()
