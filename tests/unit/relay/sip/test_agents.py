"""Pods of the user agent at the edge: registered over mutual TLS, called by session or by application."""

import pytest

from tests.support.sip_agents import AGENTS, HELPDESK, AgentPod, Owners, applications
from tests.support.sip_cluster import SipCluster
from tests.support.sip_edge import DOMAIN, TRUSTED, EdgeUnderTest, SipClient
from wigwag.protocols.sip import Request, Response
from wigwag.runtime.agents import pod_instance

BUSY = (503, "Service Unavailable")


@pytest.fixture
def owners() -> Owners:
    return Owners()


@pytest.fixture
def edge(owners: Owners) -> EdgeUnderTest:
    return EdgeUnderTest(sessions=owners, applications=applications())


async def pods(edge: EdgeUnderTest, *names: str) -> list[AgentPod]:
    found = [AgentPod(edge, name) for name in names or ("ua-1", "ua-2", "ua-3")]
    for pod in found:
        assert (await pod.register_pod()).status == 200
    return found


async def user(edge: EdgeUnderTest, name: str = "alice", kind: str = "tcp") -> SipClient:
    client = SipClient(edge, name, kind=kind)
    assert (await client.register()).status == 200
    return client


async def ask(client: SipClient, request: Request) -> Request:
    """Send a request with credentials; returns it as it was sent."""
    client.send(request)
    await client.under_test.settle()
    challenge = client.response()
    if challenge.status != 407:
        raise AssertionError(challenge.start_line)
    again = client.authenticated(request, challenge)
    client.send(again)
    await client.under_test.settle()
    return again


def asked(candidates: "list[AgentPod]") -> tuple[AgentPod, Request]:
    """Return the one pod that got something, and what."""
    came = [(pod, message) for pod in candidates for message in pod.received()]
    ((pod, request),) = came
    assert isinstance(request, Request), request.start_line
    return pod, request


def in_dialog(client: SipClient, method: str, uri: str, routes: list[str], call_id: str) -> Request:
    request = client.request(method, uri, [("Route", route) for route in routes], call_id=call_id)
    request.set("To", f"<{uri}>;tag=other")
    return request


async def statuses(client: SipClient) -> list[int]:
    await client.under_test.settle()
    return [message.status for message in client.received() if isinstance(message, Response)]


# REGISTER


async def test_each_pod_has_a_binding_named_by_its_instance(edge: EdgeUnderTest) -> None:
    await pods(edge)
    found = await edge.store.find_registrations([f"sip:pods@{AGENTS}"])
    bindings = found[f"sip:pods@{AGENTS}"].bindings
    assert {binding.instance for binding in bindings} == {f"<{pod_instance(f'ua-{n}')}>" for n in (1, 2, 3)}
    assert all(binding.flow is not None and binding.flow.listener == "peer" for binding in bindings)


async def test_more_pods_register_than_a_user_may_have_devices(edge: EdgeUnderTest) -> None:
    await pods(edge, *(f"ua-{n}" for n in range(edge.settings.sip.registrar.contacts + 5)))


@pytest.mark.parametrize(
    ("kind", "host"), [("udp", ""), ("tcp", ""), ("tls", ""), ("wss", ""), ("peer", ""), ("udp", TRUSTED)]
)
async def test_nobody_without_a_pods_certificate_registers_as_one(edge: EdgeUnderTest, kind: str, host: str) -> None:
    mallory = SipClient(edge, "alice", kind=kind, host=host or "203.0.113.1")
    for uri in (f"sip:{AGENTS}", f"sip:{DOMAIN}"):
        fields = [("Contact", f'<{mallory.contact}>;+sip.instance="<{pod_instance("ua-1")}>";reg-id=1')]
        mallory.send(mallory.request("REGISTER", uri, fields, to=f"sip:pods@{AGENTS}"))
        await edge.settle()
        assert mallory.response().status == 403
    assert not await edge.store.find_registrations([f"sip:pods@{AGENTS}"])


async def test_pod_registers_that_address_only_and_over_its_connection_only(edge: EdgeUnderTest) -> None:
    pod = AgentPod(edge, "ua-1")
    assert (await pod.register_pod(to=f"sip:somebody@{AGENTS}")).status == 404
    assert (await pod.register_pod(contact=f"<sip:ua-1@{AGENTS}>")).status == 400
    assert (await pod.register_pod()).status == 200


# Requests of sessions


@pytest.mark.parametrize("method", ["INVITE", "BYE", "OPTIONS", "MESSAGE"])
async def test_stranger_and_user_find_no_session_of_a_pod(edge: EdgeUnderTest, owners: Owners, method: str) -> None:
    (pod,) = await pods(edge, "ua-1")
    owners.own("s1", "ua-1")
    alice = await user(edge)
    for client in (alice, SipClient(edge, "alice")):
        client.send(client.request(method, f"sip:s1@{AGENTS}"))
        assert await statuses(client) == [404]
    assert pod.received() == []


async def test_neighbour_reaches_the_owner_of_a_session(edge: EdgeUnderTest, owners: Owners) -> None:
    found = await pods(edge)
    neighbour = SipClient(edge, "proxy", host=TRUSTED, port=5060)
    for name in ("ua-3", "ua-1", "ua-2"):
        owners.own("s1", name)
        neighbour.send(neighbour.request("OPTIONS", f"sip:s1@{AGENTS}"))
        await edge.settle()
        pod, request = asked(found)
        assert (pod.pod, request.uri) == (name, f"sip:s1@{AGENTS}")
        pod.answer(request)
        assert neighbour.response().status == 200


async def call_from_pod(edge: EdgeUnderTest, pod: AgentPod, bob: SipClient, session_id: str) -> tuple[Request, Request]:
    """Set a call up; returns the INVITE as it came and the 200's Record-Routes as an in-dialog Route set holds them."""
    pod.send(pod.calls(session_id, bob.aor))
    await edge.settle()
    invite = bob.incoming()
    fields = [("Contact", f"<{bob.contact}>"), *(("Record-Route", route) for route in invite.get_all("record-route"))]
    bob.answer(invite, 200, "OK", fields=fields)
    assert await statuses(pod) == [100, 200]
    ack = in_dialog(pod, "ACK", bob.contact, invite.get_all("record-route")[::-1], session_id)
    pod.send(ack)
    await edge.settle()
    assert bob.incoming().method == "ACK"
    return invite, ack


async def exchange(sender: SipClient, request: Request, receivers: "list[AgentPod]") -> AgentPod:
    sender.send(request)
    await sender.under_test.settle()
    pod, came = asked(receivers)
    assert (came.method, came.uri, "route" in came) == (request.method, request.uri, False)
    pod.answer(came)
    assert await statuses(sender) == [200]
    return pod


async def test_call_of_an_application_is_set_up_used_and_ended_by_both_sides(
    edge: EdgeUnderTest, owners: Owners
) -> None:
    (pod,), bob = await pods(edge, "ua-1"), await user(edge, "bob")
    owners.own("s1", "ua-1")
    invite, _ = await call_from_pod(edge, pod, bob, "s1")
    routes, contact = invite.get_all("record-route"), f"sip:s1@{AGENTS}"
    assert len(routes) == 2
    assert all("peer" not in route and "5071" not in route for route in routes)
    for method in ("INFO", "UPDATE", "PRACK", "INVITE"):
        await exchange(bob, in_dialog(bob, method, contact, routes, "s1"), [pod])
    bob.send(in_dialog(bob, "ACK", contact, routes, "s1"))
    await edge.settle()
    assert pod.incoming().method == "ACK"
    bye = in_dialog(pod, "BYE", bob.contact, routes[::-1], "s1")
    pod.send(bye)
    await edge.settle()
    bob.answer(bob.incoming())
    assert await statuses(pod) == [200]


async def test_dialog_outlives_the_pods_connection_and_the_pod(edge: EdgeUnderTest, owners: Owners) -> None:
    first, bob = (await pods(edge, "ua-1"))[0], await user(edge, "bob")
    owners.own("s1", "ua-1")
    invite, _ = await call_from_pod(edge, first, bob, "s1")
    routes, contact = invite.get_all("record-route"), f"sip:s1@{AGENTS}"
    first.disconnect()
    first.connect()
    assert (await first.register_pod()).status == 200
    assert await exchange(bob, in_dialog(bob, "INFO", contact, routes, "s1"), [first]) is first
    first.disconnect()
    (second,) = await pods(edge, "ua-2")
    # It has not claimed the session yet: the request itself may make it do so.
    assert await exchange(bob, in_dialog(bob, "INFO", contact, routes, "s1"), [second]) is second
    owners.own("s1", "ua-2")
    bye = in_dialog(second, "BYE", bob.contact, routes[::-1], "s1")
    second.send(bye)
    await edge.settle()
    bob.answer(bob.incoming())
    assert await statuses(second) == [200]


async def test_session_without_owner_goes_to_the_same_pod_each_time(edge: EdgeUnderTest, owners: Owners) -> None:
    found, bob = await pods(edge), await user(edge, "bob")
    owners.own("s1", "ua-1")
    invite, _ = await call_from_pod(edge, found[0], bob, "s1")
    owners.own("s1", "")
    routes, contact = invite.get_all("record-route"), f"sip:s1@{AGENTS}"
    answered = {(await exchange(bob, in_dialog(bob, "INFO", contact, routes, "s1"), found)).pod for _ in range(5)}
    assert len(answered) == 1


async def test_owner_whose_lease_has_run_out_is_asked_last(edge: EdgeUnderTest, owners: Owners) -> None:
    found, bob = await pods(edge, "ua-1", "ua-2"), await user(edge, "bob")
    invite, _ = await call_from_pod(edge, found[0], bob, "s1")
    routes, contact = invite.get_all("record-route"), f"sip:s1@{AGENTS}"
    for lapsed, other in (("ua-1", "ua-2"), ("ua-2", "ua-1")):
        owners.own("s1", lapsed, lease_until=edge.runtime.wall() - 1)
        assert (await exchange(bob, in_dialog(bob, "INFO", contact, routes, "s1"), found)).pod == other


async def test_last_known_owner_is_asked_while_the_store_is_away_or_has_come_back_empty(
    edge: EdgeUnderTest, owners: Owners
) -> None:
    found, bob = await pods(edge), await user(edge, "bob")
    invite, _ = await call_from_pod(edge, found[0], bob, "s1")
    routes, contact = invite.get_all("record-route"), f"sip:s1@{AGENTS}"
    for name in ("ua-1", "ua-2", "ua-3"):
        owners.own("s1", name)
        await exchange(bob, in_dialog(bob, "INFO", contact, routes, "s1"), found)
        owners.away = True
        assert (await exchange(bob, in_dialog(bob, "INFO", contact, routes, "s1"), found)).pod == name
        owners.away = False
        owners.sessions.clear()
        assert (await exchange(bob, in_dialog(bob, "INFO", contact, routes, "s1"), found)).pod == name


@pytest.mark.parametrize("failure", [BUSY, (430, "Flow Failed"), None])
async def test_next_pod_is_asked_when_one_does_not_serve(
    edge: EdgeUnderTest, owners: Owners, failure: tuple[int, str] | None
) -> None:
    found, bob = await pods(edge), await user(edge, "bob")
    owners.own("s1", "ua-2")
    invite, _ = await call_from_pod(edge, found[0], bob, "s1")
    bob.send(in_dialog(bob, "BYE", f"sip:s1@{AGENTS}", invite.get_all("record-route"), "s1"))
    left = list(found)
    for _ in range(2):
        await edge.settle()
        pod, request = asked(left)
        left.remove(pod)
        if failure is None:
            pod.disconnect()
        else:
            pod.answer(request, *failure)
    last, request = asked(left)
    last.answer(request)
    assert await statuses(bob) == [200]


async def test_answer_that_is_no_failure_of_the_way_is_the_answer(edge: EdgeUnderTest, owners: Owners) -> None:
    found, bob = await pods(edge), await user(edge, "bob")
    invite, _ = await call_from_pod(edge, found[0], bob, "s1")
    bob.send(in_dialog(bob, "BYE", f"sip:s1@{AGENTS}", invite.get_all("record-route"), "s1"))
    await edge.settle()
    pod, request = asked(found)
    pod.answer(request, 481, "Call/Transaction Does Not Exist")
    assert await statuses(bob) == [481]
    assert [message for pod in found for message in pod.received()] == []


async def test_request_of_a_dialog_without_any_pod_is_refused_so_that_the_dialog_stays(
    edge: EdgeUnderTest, owners: Owners
) -> None:
    (pod,), bob = await pods(edge, "ua-1"), await user(edge, "bob")
    invite, _ = await call_from_pod(edge, pod, bob, "s1")
    pod.disconnect()
    bob.send(in_dialog(bob, "INFO", f"sip:s1@{AGENTS}", invite.get_all("record-route"), "s1"))
    await edge.settle()
    response = bob.response()
    assert (response.status, response.get("retry-after")) == (503, "5")


async def test_route_of_one_dialog_leads_to_no_user_and_no_other_place(edge: EdgeUnderTest, owners: Owners) -> None:
    (pod,), bob = await pods(edge, "ua-1"), await user(edge, "bob")
    await user(edge, "alice")
    invite, _ = await call_from_pod(edge, pod, bob, "s1")
    routes = invite.get_all("record-route")
    bob.send(in_dialog(bob, "BYE", f"sip:alice@{DOMAIN}", routes, "s1"))
    assert await statuses(bob) == [404]
    bob.send(in_dialog(bob, "BYE", f"sip:s1@{AGENTS}", routes, "another call"))
    assert await statuses(bob) == [404]
    assert pod.received() == []


async def test_calls_of_a_pod_that_is_lost_are_called_off(edge: EdgeUnderTest) -> None:
    (pod,), bob = await pods(edge, "ua-1"), await user(edge, "bob")
    pod.send(pod.calls("s1", bob.aor))
    await edge.settle()
    bob.answer(bob.incoming(), 180, "Ringing")
    pod.disconnect()
    await edge.settle()
    assert bob.incoming().method == "CANCEL"


async def test_cancel_of_a_pod_reaches_the_device(edge: EdgeUnderTest) -> None:
    (pod,), bob = await pods(edge, "ua-1"), await user(edge, "bob")
    invite = pod.calls("s1", bob.aor)
    pod.send(invite)
    await edge.settle()
    bob.answer(bob.incoming(), 180, "Ringing")
    cancel = Request.create("CANCEL", invite.uri, [("Via", str(invite.via)), ("Call-ID", "s1")])
    for name in ("from", "to"):
        cancel.append(name, str(invite.get(name)))
    cancel.append("CSeq", f"{invite.cseq.number} CANCEL")
    pod.send(cancel)
    await edge.settle()
    assert await statuses(pod) == [100, 180, 200]
    assert bob.incoming().method == "CANCEL"


# Who calls


async def test_application_may_do_what_users_may_and_asserts_its_name_itself(edge: EdgeUnderTest) -> None:
    (pod,), bob = await pods(edge, "ua-1"), await user(edge, "bob")
    hop = edge.hops.add("elsewhere.example", "203.0.113.10")[0]
    outside = SipClient(edge, "server", host=hop.host, port=5060)
    for number, uri, receiver in ((1, bob.aor, bob), (2, "sip:eve@elsewhere.example", outside)):
        request = pod.calls(f"s{number}", uri)
        request.append("P-Asserted-Identity", f"<{HELPDESK}>")
        pod.send(request)
        await edge.settle()
        assert receiver.incoming().get_all("p-asserted-identity") == [f"<{HELPDESK}>"]
        pod.received()


async def test_dialog_with_the_outside_is_led_both_ways(edge: EdgeUnderTest, owners: Owners) -> None:
    (pod,) = await pods(edge, "ua-1")
    owners.own("s1", "ua-1")
    hop = edge.hops.add("elsewhere.example", "203.0.113.10")[0]
    eve = SipClient(edge, "eve", host=hop.host, port=5060)
    pod.send(pod.calls("s1", "sip:eve@elsewhere.example"))
    await edge.settle()
    invite = eve.incoming()
    routes = invite.get_all("record-route")
    eve.answer(invite, 200, "OK", fields=[("Record-Route", route) for route in routes])
    assert await statuses(pod) == [100, 200]
    await exchange(eve, in_dialog(eve, "INFO", f"sip:s1@{AGENTS}", routes, "s1"), [pod])
    pod.send(in_dialog(pod, "BYE", "sip:eve@elsewhere.example", routes[::-1], "s1"))
    await edge.settle()
    eve.answer(eve.incoming())
    assert await statuses(pod) == [200]


@pytest.mark.parametrize("kind", ["peer", "udp"])
async def test_other_neighbour_who_names_an_application_does_not_become_one(edge: EdgeUnderTest, kind: str) -> None:
    await pods(edge, "ua-1")
    edge.hops.add("elsewhere.example", "203.0.113.10")
    neighbour = SipClient(edge, "proxy", kind=kind, host=TRUSTED)
    neighbour.aor = HELPDESK
    neighbour.send(neighbour.request("INVITE", "sip:eve@elsewhere.example"))
    assert await statuses(neighbour) == [100, 403]


async def test_pod_that_names_no_application_is_a_neighbour(edge: EdgeUnderTest) -> None:
    (pod,) = await pods(edge, "ua-1")
    edge.hops.add("elsewhere.example", "203.0.113.10")
    pod.aor = f"sip:alice@{DOMAIN}"
    pod.send(pod.calls("s1", "sip:eve@elsewhere.example"))
    assert await statuses(pod) == [100, 403]


# Calls to applications


async def test_call_to_an_application_reaches_a_pod_and_its_dialog_the_owner(
    edge: EdgeUnderTest, owners: Owners
) -> None:
    found, alice = await pods(edge), await user(edge)
    sent = await ask(alice, alice.request("INVITE", HELPDESK, [("Contact", f"<{alice.contact}>")], b"v=0"))
    pod, invite = asked(found)
    assert (invite.uri, invite.get("p-asserted-identity")) == (HELPDESK, f"<{alice.aor}>")
    routes = invite.get_all("record-route")
    fields = [("Contact", f"<sip:s9@{AGENTS}>"), *(("Record-Route", route) for route in routes)]
    pod.answer(invite, 200, "OK", fields=fields)
    owners.own("s9", pod.pod)
    assert await statuses(alice) == [100, 200]
    alice.send(in_dialog(alice, "ACK", f"sip:s9@{AGENTS}", routes[::-1], sent.call_id))
    await edge.settle()
    assert asked(found)[1].method == "ACK"
    other = next(each for each in found if each is not pod)
    pod.disconnect()
    owners.own("s9", other.pod)
    again = in_dialog(alice, "INFO", f"sip:s9@{AGENTS}", routes[::-1], sent.call_id)
    assert await exchange(alice, again, [each for each in found if each is not pod]) is other
    other.send(in_dialog(other, "BYE", alice.contact, routes, sent.call_id))
    await edge.settle()
    alice.answer(alice.incoming())
    assert await statuses(other) == [200]


async def test_calls_are_spread_over_the_pods_and_a_failure_moves_on(edge: EdgeUnderTest) -> None:
    found, alice = await pods(edge), await user(edge)
    reached = set()
    for number in range(24):
        await ask(alice, alice.request("OPTIONS", "sip:desk-7@example.com", call_id=f"number {number}"))
        pod, request = asked(found)
        reached.add(pod.pod)
        pod.answer(request, *BUSY)
        await edge.settle()
        other, again = asked(found)
        assert other is not pod
        other.answer(again)
        assert await statuses(alice) == [200]
    assert reached == {"ua-1", "ua-2", "ua-3"}


async def test_call_without_any_pod_is_refused_for_now(edge: EdgeUnderTest) -> None:
    alice = await user(edge)
    await ask(alice, alice.request("INVITE", HELPDESK))
    _, refused = alice.received()
    assert isinstance(refused, Response)
    assert (refused.status, refused.get("retry-after")) == (503, "5")


async def test_row_for_the_service_leads_calls_there_and_messages_to_pager_services(owners: Owners) -> None:
    route = {"user": "sales", "action": "service", "service": "ua"}
    edge = EdgeUnderTest({"routes": [route]}, sessions=owners)
    (pod,), alice = await pods(edge, "ua-1"), await user(edge)
    await ask(alice, alice.request("OPTIONS", f"sip:sales@{DOMAIN}", call_id="options"))
    pod.answer(pod.incoming())
    assert await statuses(alice) == [200]
    await ask(alice, alice.message("sales"))
    assert await statuses(alice) == [404]  # No such pager service is set up.
    assert pod.received() == []


async def test_application_has_its_address_before_a_user_who_registers_it(edge: EdgeUnderTest) -> None:
    edge.passwords.passwords["helpdesk"] = "x"
    (pod,), alice = await pods(edge, "ua-1"), await user(edge)
    await ask(alice, alice.request("OPTIONS", HELPDESK, call_id="options"))
    assert pod.incoming().method == "OPTIONS"


async def test_strangers_call_no_application_unless_a_row_lets_them(edge: EdgeUnderTest) -> None:
    (pod,) = await pods(edge, "ua-1")
    stranger = SipClient(edge, "mallory")
    stranger.aor = "sip:mallory@elsewhere.example"
    stranger.send(stranger.request("INVITE", HELPDESK))
    assert await statuses(stranger) == [403]
    assert pod.received() == []


# Many edges


async def test_pod_at_one_edge_and_device_at_another(owners: Owners) -> None:
    cluster = SipCluster("edge-a", "edge-b", "edge-c", sessions=owners, applications=applications())
    first = (await pods(cluster.edges["edge-a"], "ua-1"))[0]
    bob = await user(cluster.edges["edge-b"], "bob")
    owners.own("s1", "ua-1")
    first.send(first.calls("s1", bob.aor))
    await first.under_test.settle()
    invite = bob.incoming()
    routes = invite.get_all("record-route")
    bob.answer(invite, 200, "OK", fields=[("Record-Route", route) for route in routes])
    assert await statuses(first) == [100, 200]
    contact = f"sip:s1@{AGENTS}"
    assert await exchange(bob, in_dialog(bob, "INFO", contact, routes, "s1"), [first]) is first
    cluster.kill("edge-a")
    first.under_test = cluster.edges["edge-c"]
    first.connect()
    assert (await first.register_pod()).status == 200
    assert await exchange(bob, in_dialog(bob, "INFO", contact, routes, "s1"), [first]) is first
    first.send(in_dialog(first, "BYE", bob.contact, routes[::-1], "s1"))
    await first.under_test.settle()
    bob.answer(bob.incoming())
    assert await statuses(first) == [200]
