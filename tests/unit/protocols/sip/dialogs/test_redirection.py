"""Where a 3xx leads: RFC 3261 section 8.1.3.4 (S41)."""

import pytest

from tests.support.sip_dialogs import World, call
from wigwag.protocols.sip import Request, Response
from wigwag.protocols.sip.dialogs import CallFailed, Redirections

FIRST = "sip:bob@test"


def moved(*contacts: str) -> Response:
    request = Request.create("INVITE", FIRST, [("Via", "SIP/2.0/UDP a.test"), ("CSeq", "1 INVITE")])
    return Response.to_request(request, 302, "Moved", fields=[("Contact", contact) for contact in contacts])


def tried(*contacts: str) -> list[str]:
    redirections = Redirections(FIRST)
    redirections.take(moved(*contacts))
    return list(iter(redirections.next, None))


def test_s41_without_contacts_there_is_nothing_to_try() -> None:
    assert tried() == []


def test_s41_contacts_are_tried_in_the_order_of_q_and_equals_as_they_stand() -> None:
    assert tried("<sip:c@x>;q=0.2, <sip:a@x>", "<sip:b@x>;q=0.7", "<sip:d@x>;q=0.2") == [
        "sip:a@x",
        "sip:b@x",
        "sip:c@x",
        "sip:d@x",
    ]


@pytest.mark.parametrize("again", ["<sip:bob@test>", "<SIP:bob@TEST>", "<sip:%62ob@test>"])
def test_s41_what_was_tried_before_is_not_tried_again(again: str) -> None:
    assert tried(again) == []


def test_s41_contacts_that_lead_to_each_other_are_tried_once() -> None:
    redirections = Redirections(FIRST)
    seen = []
    redirections.take(moved("<sip:a@x>"))
    while (uri := redirections.next()) is not None:
        seen.append(uri)
        redirections.take(moved("<sip:a@x>", "<sip:b@x>", f"<{FIRST}>"))
    assert seen == ["sip:a@x", "sip:b@x"]


def test_s41_of_twenty_contacts_nine_are_tried() -> None:
    assert len(tried(", ".join(f"<sip:{number}@x>" for number in range(20)))) == 9


def test_what_can_not_be_tried_is_left_out() -> None:
    assert tried("<mailto:b@x>, <sip:a@x>;q=nonsense, <sip:b@x?Subject=1>") == ["sip:a@x", "sip:b@x"]
    assert tried("<sip:a@x") == []


def test_a_refusal_with_contacts_leads_to_the_next_call() -> None:
    world = World()
    alice, bob, carol = (world.agent(name) for name in ("alice", "bob", "carol"))
    call(alice)
    bob.invite.reject(world.now, 302, "Moved Temporarily", (("Contact", f"<{carol.uri}>"),))
    world.run()
    redirections = Redirections(bob.uri)
    redirections.take(alice.heard(CallFailed)[0].response)
    following = redirections.next()
    assert following is not None
    call(alice, following)
    assert carol.story == ["InviteReceived"]
