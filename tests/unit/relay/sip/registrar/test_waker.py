"""Sleeping devices are woken for a MESSAGE or INVITE, which waits until they have registered (RFC 8599)."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.sip_edge import DOMAIN, EdgeUnderTest, SipClient
from tests.support.waiting import until
from wigwag.errors import WigwagError
from wigwag.protocols.sip import Request, Response

ALICE = f"sip:alice@{DOMAIN}"
PUSHED = "sip:alice@invalid;pn-provider=fcm;pn-param=project;pn-prid=token"


class FakePusher:
    """The HTTP service: what it was asked; ``fails`` makes it unreachable."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self.fails = False

    async def ask(self, question: Mapping[str, Any]) -> Mapping[str, Any] | None:
        self.asked.append(question)
        if self.fails:
            raise WigwagError("the push service is away")
        return {}


@pytest.fixture
def pusher() -> FakePusher:
    return FakePusher()


def edge_with(pusher: FakePusher, **push: Any) -> EdgeUnderTest:
    return EdgeUnderTest({"push": {"url": "http://push.example/", "providers": ["fcm", "apns"], **push}}, pusher=pusher)


async def asleep(edge: EdgeUnderTest) -> SipClient:
    """Return a device that registered and then lost its connection."""
    alice = SipClient(edge, "alice", kind="tls")
    assert (await alice.register(600, PUSHED)).status == 200
    alice.disconnect()
    await edge.parts.registrations.upkeep.turn()
    return alice


async def sent(bob: SipClient, request: Request) -> None:
    """Send a request with credentials; what comes back is not waited for."""
    bob.send(request)
    await bob.under_test.settle()
    bob.send(bob.authenticated(request, bob.response()))


async def test_message_waits_until_the_device_has_woken(pusher: FakePusher) -> None:
    edge = edge_with(pusher)
    alice, bob = await asleep(edge), SipClient(edge, "bob")
    await sent(bob, bob.message("alice"))
    await until(lambda: bool(pusher.asked))
    assert pusher.asked == [
        {
            "aor": ALICE,
            "reason": "MESSAGE",
            "devices": [
                {"contact": PUSHED, "instance": "", "provider": "fcm", "param": "project", "prid": "token"},
            ],
        }
    ]
    alice.connect()
    answer, came = await registered_beside(alice)
    assert isinstance(answer, Response)
    assert answer.status == 200
    assert isinstance(came, Request)
    assert came.body == b"hello"
    alice.answer(came)
    assert bob.response().status == 200
    assert edge.edge.waker is not None
    assert edge.edge.waker.counters["wakeups_in_time"] == 1


async def registered_beside(client: SipClient) -> list[Request | Response]:
    """Register while another request waits; returns the answer and the request, in the order in which they came."""
    request = client.request("REGISTER", f"sip:{DOMAIN}", [("Contact", f"<{PUSHED}>"), ("Expires", "600")], to=ALICE)
    client.send(request)
    found: list[Request | Response] = []

    def received(count: int) -> bool:
        found.extend(client.received())
        return len(found) >= count

    await until(lambda: received(1))
    (challenge,) = found
    found.clear()
    assert isinstance(challenge, Response)
    client.send(client.authenticated(request, challenge))
    await until(lambda: received(2))
    return found


async def test_device_that_does_not_wake_is_absent_after_a_while(pusher: FakePusher) -> None:
    edge = edge_with(pusher, wait=0.05)
    await asleep(edge)
    bob = SipClient(edge, "bob")
    assert (await bob.exchange(bob.message("alice"))).status in (404, 430, 480)
    assert len(pusher.asked) == 1


async def test_device_is_woken_once_in_a_while(pusher: FakePusher) -> None:
    edge = edge_with(pusher, wait=0.0, interval=10.0)
    await asleep(edge)
    bob = SipClient(edge, "bob")
    for _ in range(3):
        await bob.exchange(bob.message("alice"))
    assert len(pusher.asked) == 1
    edge.runtime.time += 10
    await bob.exchange(bob.message("alice"))
    assert len(pusher.asked) == 2


async def test_push_service_that_fails_is_tried_again_with_the_next_request(pusher: FakePusher) -> None:
    edge = edge_with(pusher, wait=0.0)
    pusher.fails = True
    await asleep(edge)
    bob = SipClient(edge, "bob")
    for _ in range(2):
        await bob.exchange(bob.message("alice"))
    assert len(pusher.asked) == 2


async def test_other_device_is_reached_at_once(pusher: FakePusher) -> None:
    edge = edge_with(pusher)
    await asleep(edge)
    desk, bob = SipClient(edge, "alice"), SipClient(edge, "bob")
    await desk.register()
    await sent(bob, bob.message("alice"))
    await asyncio.sleep(0)
    assert desk.incoming().body == b"hello"
    await edge.settle()
    assert len(pusher.asked) == 1


@pytest.mark.parametrize("method", ["OPTIONS", "SUBSCRIBE"])
async def test_other_methods_wake_nobody(pusher: FakePusher, method: str) -> None:
    edge = edge_with(pusher)
    await asleep(edge)
    bob = SipClient(edge, "bob")
    await bob.exchange(bob.request(method, ALICE))
    assert pusher.asked == []


CAPABILITIES = [
    ("sip:alice@203.0.113.1;pn-provider=apns;pn-prid=t", ['*;+sip.pns="apns"']),
    ("sip:alice@203.0.113.1;pn-provider", ['*;+sip.pns="fcm"', '*;+sip.pns="apns"']),
    ("sip:alice@203.0.113.1", []),
]


@pytest.mark.parametrize(("contact", "capabilities"), CAPABILITIES)
async def test_client_is_told_which_push_services_there_are(
    pusher: FakePusher, contact: str, capabilities: list[str]
) -> None:
    alice = SipClient(edge_with(pusher), "alice")
    assert (await alice.register(600, contact)).get_all("feature-caps") == capabilities


async def test_push_service_that_is_not_offered_is_refused(pusher: FakePusher) -> None:
    alice = SipClient(edge_with(pusher), "alice")
    response = await alice.register(600, "sip:alice@203.0.113.1;pn-provider=carrier-pigeon;pn-prid=t")
    assert response.status == 555


async def test_without_a_push_service_nothing_is_claimed_and_the_parameters_are_kept() -> None:
    edge = EdgeUnderTest()
    alice = SipClient(edge, "alice")
    response = await alice.register(600, "sip:alice@203.0.113.1;pn-provider=apns;pn-prid=t")
    assert (response.status, response.get_all("feature-caps")) == (200, [])
    (binding,) = (await edge.store.find_registrations([ALICE]))[ALICE].bindings
    assert binding.push == ";pn-provider=apns;pn-prid=t"
