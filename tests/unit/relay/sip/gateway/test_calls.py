"""INVITEs that are led to the gateway's pods: for absent users, for users who take MESSAGE only, by a row."""

from typing import Any

import pytest

from tests.support.sip_agents import AGENTS, AgentPod, Owners, applications
from tests.support.sip_edge import DOMAIN, TRUSTED, EdgeUnderTest, SipClient
from wigwag.protocols.sip import Request, Response

BOB = f"sip:bob@{DOMAIN}"
OFFER = b"v=0\r\nm=message 2855 TCP/TLS/MSRP *\r\na=accept-types:text/plain\r\n"
AUDIO = b"v=0\r\nm=audio 4000 RTP/AVP 0\r\n"
PAGE_ONLY = {"methods": '"INVITE,MESSAGE"', "audio": '"TRUE"'}
HEADER = "wigwag-application"


def edge_for(sessions: str = "both", routes: "list[dict[str, Any]] | None" = None, **more: Any) -> EdgeUnderTest:
    settings = {"gateway": {"sessions": sessions}, "pager": {"services": ["gateway"]}, "routes": routes or []}
    return EdgeUnderTest(settings, sessions=Owners(), applications=applications(), **more)


@pytest.fixture
def edge() -> EdgeUnderTest:
    return edge_for()


async def pod_of(edge: EdgeUnderTest) -> AgentPod:
    pod = AgentPod(edge, "ua-1")
    assert (await pod.register_pod()).status == 200
    return pod


def neighbour(edge: EdgeUnderTest) -> SipClient:
    return SipClient(edge, "alice", host=TRUSTED, port=5060)


def invite(client: SipClient, uri: str = BOB, body: bytes = OFFER, **fields: str) -> Request:
    more = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return client.request("INVITE", uri, [("Contact", f"<{client.contact}>"), *more], body)


async def register(client: SipClient, says: dict[str, str]) -> None:
    more: dict[str, Any] = dict(says)
    assert (await client.register(**more)).status == 200


async def call(client: SipClient, **more: Any) -> list[int]:
    """Call, and return the statuses of the answers so far."""
    client.send(invite(client, **more))
    await client.under_test.settle()
    return [message.status for message in client.received() if isinstance(message, Response)]


async def statuses(client: SipClient) -> list[int]:
    await client.under_test.settle()
    return [message.status for message in client.received() if isinstance(message, Response)]


# Absent users


async def test_call_of_an_absent_user_goes_to_a_pod_with_the_applications_name(edge: EdgeUnderTest) -> None:
    pod, alice = await pod_of(edge), neighbour(edge)
    assert await call(alice) == [100]
    request = pod.incoming()
    assert (request.uri, request.get(HEADER), request.body) == (BOB, "gateway", OFFER)
    pod.answer(request, 200, "OK", fields=[("Contact", f"<sip:s1@{AGENTS}>")])
    assert await statuses(alice) == [200]


async def test_dialog_of_such_a_call_is_led_to_the_session(edge: EdgeUnderTest) -> None:
    pod, alice = await pod_of(edge), neighbour(edge)
    await call(alice)
    request = pod.incoming()
    pod.answer(request, 200, "OK", fields=[("Contact", f"<sip:s1@{AGENTS}>")])
    await statuses(alice)
    routes = request.get_all("record-route")[::-1]
    bye = alice.request("BYE", f"sip:s1@{AGENTS}", [("Route", route) for route in routes])
    bye.set("To", f"<{BOB}>;tag=ua")
    alice.send(bye)
    await edge.settle()
    came = pod.incoming()
    assert (came.method, came.uri, came.get(HEADER)) == ("BYE", f"sip:s1@{AGENTS}", None)


@pytest.mark.parametrize("sessions", ["off", "page"])
async def test_setting_says_whether_calls_of_absent_users_are_led(sessions: str) -> None:
    edge = edge_for(sessions)
    pod, alice = await pod_of(edge), neighbour(edge)
    assert await call(alice) == [100, 480]
    assert pod.received() == []


async def test_call_of_who_does_not_exist_is_404(edge: EdgeUnderTest) -> None:
    pod, alice = await pod_of(edge), neighbour(edge)
    assert await call(alice, uri=f"sip:nobody@{DOMAIN}") == [100, 404]
    assert pod.received() == []


@pytest.mark.parametrize("body", [AUDIO, b"", OFFER + AUDIO])
async def test_call_for_anything_else_is_answered_as_ever(edge: EdgeUnderTest, body: bytes) -> None:
    pod, alice = await pod_of(edge), neighbour(edge)
    assert await call(alice, body=body) == [100, 480]
    assert pod.received() == []


async def test_without_any_pod_the_caller_may_come_again(edge: EdgeUnderTest) -> None:
    alice = neighbour(edge)
    assert await call(alice) == [100, 503]


async def test_nobody_else_writes_the_header(edge: EdgeUnderTest) -> None:
    bob = SipClient(edge, "bob")
    await bob.register()
    for client in (neighbour(edge), SipClient(edge, "proxy", kind="peer")):
        await call(client, Wigwag_Application="gateway", X_Wigwag_Anything="1")
        assert not {HEADER, "x-wigwag-anything"}.intersection(bob.incoming().names)


async def test_pod_that_calls_an_absent_user_is_not_called_back(edge: EdgeUnderTest) -> None:
    pod = await pod_of(edge)
    pod.send(pod.calls("s1", BOB))
    assert await statuses(pod) == [100, 480]


# Users whose devices take MESSAGE only


async def test_device_that_says_it_takes_messages_only_is_not_rung(edge: EdgeUnderTest) -> None:
    pod, alice, bob = await pod_of(edge), neighbour(edge), SipClient(edge, "bob")
    await register(bob, PAGE_ONLY)
    assert await call(alice) == [100]
    assert (pod.incoming().get(HEADER), bob.received()) == ("gateway", [])


async def test_one_device_that_does_not_say_is_enough_to_ring_all(edge: EdgeUnderTest) -> None:
    pod, alice = await pod_of(edge), neighbour(edge)
    page, silent = SipClient(edge, "bob"), SipClient(edge, "bob")
    await register(page, PAGE_ONLY)
    await silent.register()
    await call(alice)
    assert [page.incoming().method, silent.incoming().method, *pod.received()] == ["INVITE", "INVITE"]


@pytest.mark.parametrize("status", [405, 415, 488, 501, 606])
async def test_device_that_takes_no_sessions_has_its_calls_led_and_is_not_rung_again(
    edge: EdgeUnderTest, status: int
) -> None:
    pod, alice, bob = await pod_of(edge), neighbour(edge), SipClient(edge, "bob")
    await bob.register(methods='"INVITE,MESSAGE"')
    await call(alice)
    bob.answer(bob.incoming(), status, "No")
    assert await statuses(alice) == []
    bob.received()
    request = pod.incoming()
    assert (request.get(HEADER), request.uri) == ("gateway", BOB)
    pod.answer(request, 200, "OK", fields=[("Contact", f"<sip:s1@{AGENTS}>")])
    assert await statuses(alice) == [200]
    await call(alice)
    assert (pod.incoming().method, bob.received()) == ("INVITE", [])


@pytest.mark.parametrize("status", [486, 603, 404])
async def test_user_who_declines_has_declined(edge: EdgeUnderTest, status: int) -> None:
    pod, alice, bob = await pod_of(edge), neighbour(edge), SipClient(edge, "bob")
    await bob.register()
    await call(alice)
    bob.answer(bob.incoming(), status, "No")
    assert await statuses(alice) == [status]
    assert pod.received() == []


async def test_device_that_is_away_makes_its_user_absent(edge: EdgeUnderTest) -> None:
    pod, alice, bob = await pod_of(edge), neighbour(edge), SipClient(edge, "bob")
    await bob.register()
    await call(alice)
    bob.answer(bob.incoming(), 480, "Away")
    assert await statuses(alice) == []
    assert pod.incoming().get(HEADER) == "gateway"


@pytest.mark.parametrize(("sessions", "status"), [("absent", 488), ("page", 480), ("off", 488), ("off", 480)])
async def test_setting_says_whether_calls_of_devices_are_led(sessions: str, status: int) -> None:
    edge = edge_for(sessions)
    pod, alice, bob = await pod_of(edge), neighbour(edge), SipClient(edge, "bob")
    await bob.register()
    await call(alice)
    bob.answer(bob.incoming(), status, "No")
    assert await statuses(alice) == [status]
    assert pod.received() == []


async def test_without_any_pod_the_devices_answer_goes_back(edge: EdgeUnderTest) -> None:
    alice, bob = neighbour(edge), SipClient(edge, "bob")
    await bob.register()
    await call(alice)
    bob.answer(bob.incoming(), 488, "Not Acceptable Here")
    assert await statuses(alice) == [488]


async def test_gateways_own_refusal_goes_back(edge: EdgeUnderTest) -> None:
    pod, alice, bob = await pod_of(edge), neighbour(edge), SipClient(edge, "bob")
    await bob.register()
    await call(alice)
    bob.answer(bob.incoming(), 405, "Method Not Allowed")
    await edge.settle()
    pod.answer(pod.incoming(), 480, "Later")
    assert await statuses(alice) == [480]


async def test_caller_who_gives_up_is_not_led_anywhere(edge: EdgeUnderTest) -> None:
    pod, alice, bob = await pod_of(edge), neighbour(edge), SipClient(edge, "bob")
    await bob.register()
    request = invite(alice)
    alice.send(request)
    await edge.settle()
    rung = bob.incoming()
    bob.answer(rung, 488, "Not Acceptable Here")
    alice.cseq -= 1
    alice.send(alice.request("CANCEL", BOB, branch=request.via.branch))
    await edge.settle()
    answers = [(message.cseq.method, message.status) for message in alice.received() if isinstance(message, Response)]
    assert ("CANCEL", 200) in answers
    assert [status for method, status in answers if method == "INVITE" and status >= 200] == [488]
    assert pod.received() == []


async def test_caller_who_gives_up_later_calls_the_pod_off(edge: EdgeUnderTest) -> None:
    pod, alice, bob = await pod_of(edge), neighbour(edge), SipClient(edge, "bob")
    await bob.register()
    request = invite(alice)
    alice.send(request)
    await edge.settle()
    bob.answer(bob.incoming(), 488, "Not Acceptable Here")
    await edge.settle()
    rung = pod.incoming()
    pod.answer(rung, 180, "Ringing")
    alice.cseq -= 1
    alice.send(alice.request("CANCEL", BOB, branch=request.via.branch))
    await edge.settle()
    assert pod.incoming().method == "CANCEL"
    pod.answer(rung, 487, "Request Terminated")
    assert (await statuses(alice))[-1] == 487


async def test_refusal_of_everybody_does_not_keep_the_gateway_from_being_asked(edge: EdgeUnderTest) -> None:
    pod, alice = await pod_of(edge), neighbour(edge)
    devices = [SipClient(edge, "bob") for _ in range(2)]
    for device in devices:
        await device.register()
    await call(alice)
    first, second = [device.incoming() for device in devices]
    devices[0].answer(first, 606, "Not Acceptable")
    await edge.settle()
    devices[1].answer(second, 487, "Request Terminated")
    await edge.settle()
    assert (await statuses(alice), pod.received()) == ([606], [])
    await call(alice)
    for device in devices:
        rung = next(
            message for message in device.received() if isinstance(message, Request) and message.method == "INVITE"
        )
        device.answer(rung, 606 if device is devices[1] else 488, "Not Acceptable")
        await edge.settle()
    assert pod.incoming().get(HEADER) == "gateway"


# Rows


async def test_row_for_the_gateway_leads_calls_there_whoever_is_called() -> None:
    routes = [{"methods": ["INVITE"], "user": "+*", "action": "service", "service": "gateway"}]
    edge = edge_for("off", routes)
    pod, alice = await pod_of(edge), neighbour(edge)
    await call(alice, uri=f"sip:+15551234@{DOMAIN}", body=AUDIO)
    assert pod.incoming().get(HEADER) == "gateway"


async def test_row_for_the_gateway_is_none_for_its_own_calls() -> None:
    routes: list[dict[str, Any]] = [
        {"user": "+*", "action": "service", "service": "gateway"},
        {"user": "+*", "action": "forward", "next_hops": ["sip:abroad.example"]},
    ]
    edge = edge_for("off", routes)
    pod, alice = await pod_of(edge), neighbour(edge)
    uri = f"sip:+15551234@{DOMAIN}"
    pod.send(pod.calls("s1", uri))
    await edge.settle()
    assert [uri for uri, *_ in edge.hops.asked] == ["sip:abroad.example"]
    await call(alice, uri=uri)
    assert any(isinstance(message, Request) and message.get(HEADER) == "gateway" for message in pod.received())
