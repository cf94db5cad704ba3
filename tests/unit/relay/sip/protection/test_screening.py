"""Block lists: nothing of a blocked sender reaches the user, and the sender is told no more than 403."""

import pytest

from tests.support.sip_edge import DOMAIN, TRUSTED, EdgeUnderTest, SipClient
from wigwag.protocols.sip import Request
from wigwag.relay.sip.protection.screening import Block

BOB = f"sip:bob@{DOMAIN}"


@pytest.fixture
async def edge() -> EdgeUnderTest:
    return EdgeUnderTest()


def block(edge: EdgeUnderTest, *patterns: str, aor: str = BOB) -> None:
    edge.parts.block_lists.replace([Block(aor, pattern) for pattern in patterns])


PATTERNS = [
    (f"alice@{DOMAIN}", True),
    (f"*@{DOMAIN}", True),
    (f"al*@{DOMAIN}", True),
    ("*", True),
    (f"carol@{DOMAIN}", False),
    (f"alic@{DOMAIN}", False),
    (f"?lice@{DOMAIN}", False),
    (f"[a]lice@{DOMAIN}", False),
    ("*@example.org", False),
    (f"*lice@{DOMAIN}.evil", False),
]


@pytest.mark.parametrize(("pattern", "blocked"), PATTERNS)
@pytest.mark.parametrize("method", ["MESSAGE", "INVITE", "SUBSCRIBE"])
async def test_blocked_sender_reaches_nobody(edge: EdgeUnderTest, pattern: str, blocked: bool, method: str) -> None:
    bob, alice = SipClient(edge, "bob"), SipClient(edge, "alice")
    await bob.register()
    block(edge, pattern)
    request = alice.request(method, BOB)
    alice.send(request)
    await edge.settle()
    alice.send(alice.authenticated(request, alice.response()))
    await edge.settle()
    statuses = [response.status for response in alice.received() if not isinstance(response, Request)]
    assert (403 in statuses) is blocked
    assert len(bob.received()) == (0 if blocked else 1)


async def test_block_of_one_user_is_no_block_of_another(edge: EdgeUnderTest) -> None:
    bob, alice = SipClient(edge, "bob"), SipClient(edge, "alice")
    await bob.register()
    block(edge, "*", aor=f"sip:carol@{DOMAIN}")
    request = alice.message("bob")
    alice.send(request)
    await edge.settle()
    alice.send(alice.authenticated(request, alice.response()))
    await edge.settle()
    assert bob.incoming().body == b"hello"


ASSERTED = [
    ("<tel:+15551234>", "+15551234", True),
    ("<tel:+1-555-1234>", "+1555*", True),
    ("<sip:spam@elsewhere.example>", "*@elsewhere.example", True),
    ("<sip:spam@elsewhere.example>", "*@here.example", False),
]


@pytest.mark.parametrize(("asserted", "pattern", "blocked"), ASSERTED)
async def test_what_a_neighbour_asserts_counts(edge: EdgeUnderTest, asserted: str, pattern: str, blocked: bool) -> None:
    bob, neighbour = SipClient(edge, "bob"), SipClient(edge, "gateway", host=TRUSTED, port=5060)
    await bob.register()
    block(edge, pattern)
    request = neighbour.message("bob")
    request.set("From", "<sip:anonymous@anonymous.invalid>;tag=1")
    request.append("P-Asserted-Identity", asserted)
    neighbour.send(request)
    assert len(bob.received()) == (0 if blocked else 1)


async def test_list_that_was_replaced_holds_no_more(edge: EdgeUnderTest) -> None:
    block(edge, "*")
    block(edge)
    assert edge.parts.block_lists.entries == 0
