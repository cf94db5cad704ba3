"""What a device says of itself in its Contact: pages, sessions, or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bindings import binding
from wigwag.runtime.capabilities import Capabilities, capabilities, modes, modes_of
from wigwag.store import Registration

CPM = "urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm"
IARI = "urn%3Aurn-7%3A3gpp-application.ims.iari"


@pytest.mark.parametrize(
    ("params", "page", "session"),
    [
        ("", None, None),
        (';+sip.instance="<urn:uuid:0>";reg-id=1', None, None),
        (';methods="INVITE,ACK,BYE,MESSAGE"', True, None),
        (';methods="INVITE, ACK, BYE"', False, None),
        (';methods="MESSAGE"', True, False),
        (';methods="!MESSAGE"', False, None),
        (';methods="!INVITE"', True, False),
        (";methods=message", True, False),
        (';methods=""', None, None),
        (";+sip.message", None, True),
        (";message", None, True),
        (';message="TRUE"', None, True),
        (';message="FALSE"', None, False),
        (';+sip.message="!TRUE"', None, False),
        (';audio;video;methods="INVITE,MESSAGE"', True, False),
        (";audio;message", None, True),
        (";+g.oma.sip-im", None, True),
        (';+g.oma.sip-im;methods="INVITE,ACK,BYE"', False, True),
        (f';+g.3gpp.icsi-ref="{CPM}.session"', False, True),
        (f';+g.3gpp.icsi-ref="{CPM}.msg,{CPM}.session"', True, True),
        (f';+g.3gpp.icsi-ref="{CPM}.MSG"', True, False),
        (f';+g.3gpp.icsi-ref="{CPM}.largemsg"', False, True),
        (f';+g.3gpp.icsi-ref="{CPM}.session";methods="INVITE,MESSAGE"', True, True),
        (';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"', None, None),
        (f';+g.3gpp.iari-ref="{IARI}.rcse.im,{IARI}.rcse.ft"', False, True),
        (f';+g.3gpp.iari-ref="{IARI}.rcse.ft"', None, None),
        (f';+g.3gpp.iari-ref="{IARI}.rcs.chatbot,{IARI}.rcs.chatbot.sa"', True, True),
        (';methods="INVITE', None, None),
    ],
)
def test_device_is_taken_at_its_word(params: str, page: bool | None, session: bool | None) -> None:
    assert capabilities(params) == Capabilities(page, session)


@given(st.text(max_size=200))
def test_whatever_stands_in_a_contact_has_an_answer(params: str) -> None:
    assert capabilities(params) == capabilities(params)


def test_user_has_what_any_device_has_or_may_have() -> None:
    page, session = Capabilities(page=True, session=False), Capabilities(page=False, session=True)
    silent = Capabilities()
    assert modes_of([page, page]).page_only
    assert modes_of([session]).session_only
    mixed = modes_of([page, session])
    assert (mixed.has_page, mixed.has_session, mixed.page_only, mixed.session_only) == (True, True, False, False)
    unsaid = modes_of([silent])
    assert (unsaid.has_page, unsaid.has_session, unsaid.page_only, unsaid.session_only) == (True, True, False, False)


def test_user_without_devices_has_nothing() -> None:
    for registration in (None, Registration("sip:bob@example.com", (), 0)):
        nothing = modes(registration)
        assert not any((nothing.has_page, nothing.has_session, nothing.page_only, nothing.session_only))


def test_registration_is_summed_up_from_its_bindings() -> None:
    registration = Registration("sip:bob@example.com", (binding(';methods="INVITE"'), binding(";+sip.message")), 1)
    found = modes(registration)
    assert (found.has_page, found.has_session, found.session_only) == (True, True, False)
