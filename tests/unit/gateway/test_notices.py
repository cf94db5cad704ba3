"""What a page-mode sender is told of his message."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.gateway_content import (
    ALICE,
    BOB,
    COMPOSING,
    IMDN_REQUEST,
    NOW,
    cpim,
    notification,
    page_message,
    settings,
)
from wigwag.database.ledger import State
from wigwag.gateway.kinds import is_told_about, read
from wigwag.gateway.notices import Notice, left_notice, notice_of, sentence_of
from wigwag.gateway.wrapping import PageMessage
from wigwag.protocols.cpim import CpimMessage
from wigwag.protocols.imdn import Imdn, NotificationType, Status, is_notification, message_id_of, read_notification

ROW = "pager-0123456789abcdef"
ASKED = page_message(IMDN_REQUEST, "message/cpim", call_id="c1@phone")
BAD_NEWS = (State.FAILED, State.UNCONFIRMED, State.EXPIRED)


def told(
    message: PageMessage, state: State, *, status: int = 0, is_answered: bool = False, **fields: object
) -> Notice | None:
    return notice_of(
        message, state, row_id=ROW, settings=settings(**fields), now=NOW, status=status, is_answered=is_answered
    )


def imdn_of(notice: Notice | None) -> Imdn:
    assert notice is not None
    assert notice.content_type == "message/cpim"
    found = read_notification(CpimMessage.parse(notice.body))
    assert found is not None
    return found


def text_of(notice: Notice | None) -> str:
    assert notice is not None
    assert notice.content_type == "text/plain;charset=UTF-8"
    return notice.body.decode()


# By notification


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.DELIVERED, Status.DELIVERED),
        (State.DISPLAYED, Status.DELIVERED),
        (State.FAILED, Status.FAILED),
        (State.EXPIRED, Status.FAILED),
        (State.UNCONFIRMED, Status.ERROR),
    ],
)
def test_who_asked_gets_a_notification(state: State, status: Status) -> None:
    imdn = imdn_of(told(ASKED, state))
    assert imdn == Imdn(
        message_id="34jk324j",
        kind=NotificationType.DELIVERY,
        status=status,
        date_time="2006-04-04T12:16:49-05:00",
        recipient_uri="im:bob@example.com",
        original_recipient_uri="im:bob@example.com",
    )


def test_a_notification_is_a_message_of_its_own_from_the_recipient() -> None:
    notice = told(ASKED, State.FAILED)
    assert notice is not None
    assert (notice.message_id, notice.from_uri, notice.to_uri) == (f"{ROW}.delivery", BOB, ALICE)
    assert notice.headers == (("Auto-Submitted", "auto-replied"), ("In-Reply-To", "c1@phone"))
    message = CpimMessage.parse(notice.body)
    assert is_notification(message)
    assert message.sender is not None
    assert message.sender.uri == "im:bob@example.com"
    assert message.date_time == NOW
    own_id = message_id_of(message)
    assert own_id not in (None, "34jk324j")
    assert told(ASKED, State.FAILED) == notice


def test_a_notification_goes_to_whom_the_message_came_from_and_nobody_else() -> None:
    """Else anybody could make us write to anybody."""
    forged = IMDN_REQUEST.replace(b"im:alice@example.com", b"sip:victim@example.net").replace(
        b"NS: imdn <urn:ietf:params:imdn>\r\n",
        b"NS: imdn <urn:ietf:params:imdn>\r\nimdn.IMDN-Record-Route: <sip:victim@example.net>\r\n",
    )
    notice = told(page_message(forged, "message/cpim"), State.FAILED)
    assert notice is not None
    assert notice.to_uri == ALICE


def test_the_recipients_own_device_says_that_it_got_what_came_to_it_in_cpim() -> None:
    assert told(ASKED, State.DELIVERED, is_answered=True) is None
    assert imdn_of(told(ASKED, State.FAILED, is_answered=True)).status is Status.FAILED


def test_who_asked_for_processing_is_told_that_his_message_waits() -> None:
    asked = page_message(IMDN_REQUEST.replace(b"negative-delivery", b"processing"), "message/cpim")
    notice = told(asked, State.ACCEPTED, notices="none")
    imdn = imdn_of(notice)
    assert (imdn.kind, imdn.status) == (NotificationType.PROCESSING, Status.STORED)
    assert notice is not None
    assert notice.message_id == f"{ROW}.processing"
    assert told(ASKED, State.ACCEPTED) is None
    assert told(page_message(), State.ACCEPTED) is None


def test_who_did_not_ask_for_good_news_gets_none() -> None:
    only_failures = page_message(IMDN_REQUEST.replace(b"positive-delivery, ", b""), "message/cpim")
    assert told(only_failures, State.DELIVERED) is None
    assert told(page_message(), State.DELIVERED) is None
    assert imdn_of(told(only_failures, State.FAILED)).status is Status.FAILED


@pytest.mark.parametrize(
    "asked",
    [
        IMDN_REQUEST.replace(b"34jk324j", b"x" * 300),
        IMDN_REQUEST.replace(b"NS:", b"Subject: " + b"x" * 20_000 + b"\r\nNS:"),
        IMDN_REQUEST.replace(b"imdn.Message-ID", b"imdn.Original-To: <sip:" + b"x" * 9_000 + b">\r\nimdn.Message-ID"),
        IMDN_REQUEST.replace(b"imdn.Message-ID", b"imdn.Original-To: nobody\r\nimdn.Message-ID"),
        IMDN_REQUEST.replace(b"imdn.Message-ID", b"imdn.IMDN-Record-Route: <sip:r@x>\r\n" * 33 + b"imdn.Message-ID"),
    ],
)
def test_what_asks_too_much_is_answered_in_bounds(asked: bytes) -> None:
    notice = told(page_message(asked, "message/cpim"), State.FAILED)
    assert notice is not None
    assert len(notice.body) < 8_192


# By a sentence


@pytest.mark.parametrize(
    ("state", "status", "sentence"),
    [
        (State.FAILED, 404, "was not delivered: there is no such user (404)."),
        (State.FAILED, 480, "was not delivered: the recipient can't be reached (480)."),
        (State.FAILED, 0, "was not delivered: it was refused."),
        (State.UNCONFIRMED, 0, "may not have been delivered: nobody confirmed it."),
        (State.EXPIRED, 0, "was not delivered: the recipient could not be reached in time."),
    ],
)
def test_who_did_not_ask_is_told_in_a_sentence(state: State, status: int, sentence: str) -> None:
    notice = told(page_message(b"See you\r\nat noon "), state, status=status)
    assert text_of(notice) == f"Your message “See you at noon” to bob@example.com {sentence}"
    assert notice is not None
    assert notice.message_id == f"{ROW}.delivery"


def test_a_sentence_quotes_the_beginning_of_a_text_only() -> None:
    def quote(body: bytes, content_type: str = "text/plain") -> str:
        return sentence_of(page_message(body, content_type), State.EXPIRED).partition(" to bob")[0]

    assert quote(b"x" * 41) == f"Your message “{'x' * 40}…”"
    assert quote(b"x" * 40) == f"Your message “{'x' * 40}”"
    assert quote(b"x" * 39 + "e\u0301e".encode()) == f"Your message “{'x' * 39}…”"
    assert quote("Grüße".encode("latin-1"), "text/plain;charset=ISO-8859-1") == "Your message “Grüße”"
    assert quote(cpim(b"inside"), "message/cpim") == "Your message “inside”"
    for content_type in ("text/html", "image/png", "text/plain;charset=utf-7", "text/plain;charset=zlib"):
        assert quote(b"x", content_type) == "Your message"
    assert quote(b" \r\n ") == quote(b"no cpim", "message/cpim") == "Your message"


def test_a_number_is_written_as_people_do() -> None:
    message = replace(page_message(), recipient="+49301234")
    assert "to +49301234 was" in sentence_of(message, State.EXPIRED)
    notice = told(message, State.EXPIRED)
    assert notice is not None
    assert notice.from_uri == "tel:+49301234"


def test_a_notice_goes_where_messages_for_the_sender_go() -> None:
    notice = notice_of(
        page_message(), State.FAILED, row_id=ROW, settings=settings(), now=NOW, page_uri="sip:alice@gw.example"
    )
    assert notice is not None
    assert notice.to_uri == "sip:alice@gw.example"


# By policy


def test_the_policy_says_how_failures_are_told() -> None:
    for state in BAD_NEWS:
        assert told(page_message(), state, notices="imdn") is None
        assert told(page_message(), state, notices="none") is None
        assert told(ASKED, state, notices="none") is None
        assert imdn_of(told(ASKED, state, notices="imdn")).message_id == "34jk324j"
    assert imdn_of(told(ASKED, State.DELIVERED, notices="none")).status is Status.DELIVERED


# Nothing goes in a circle


@pytest.mark.parametrize(
    "message",
    [
        page_message(notification(), "message/imdn+xml"),
        page_message(cpim(notification(), "message/imdn+xml"), "message/cpim"),
        page_message(
            IMDN_REQUEST.replace(b"Content-length", b"Content-Disposition: notification\r\nContent-length"),
            "message/cpim",
        ),
        page_message(COMPOSING, "application/im-iscomposing+xml"),
        page_message(cpim(COMPOSING, "application/im-iscomposing+xml"), "message/cpim"),
        page_message(Auto_Submitted="auto-replied"),
    ],
)
def test_nobody_is_told_about_what_nobody_wrote(message: PageMessage) -> None:
    for state, notices in product(State, ("imdn", "text", "none")):
        assert told(message, state, notices=notices) is None


def test_nobody_is_told_about_a_notice() -> None:
    for notice in (
        *(told(message, state) for message in (ASKED, page_message()) for state in BAD_NEWS),
        told(ASKED, State.DELIVERED),
        left_notice("k", 1, page=ALICE, session=BOB),
    ):
        assert notice is not None
        assert not is_told_about(read(notice.content_type, notice.body), notice.headers)


def test_the_page_mode_side_is_told_once_that_the_other_side_has_left() -> None:
    notice = left_notice("a b", 7, page=ALICE, session=BOB)
    assert text_of(notice) == "bob@example.com has left the conversation."
    assert (notice.from_uri, notice.to_uri) == (BOB, ALICE)
    assert left_notice("a b", 7, page=ALICE, session=BOB, page_uri="sip:x@y").message_id == notice.message_id
    assert left_notice("a b", 8, page=ALICE, session=BOB).message_id != notice.message_id
    assert len(notice.message_id) <= 100


@given(
    body=st.binary(max_size=100)
    | st.builds(IMDN_REQUEST.replace, st.sampled_from([b"imdn", b"<", b"\r\n"]), st.binary()),
    content_type=st.sampled_from(["message/cpim", "text/plain", "text/plain;charset=idna", "image/png"]),
    state=st.sampled_from(State),
    call_id=st.text(),
)
def test_any_message_leads_to_a_notice_in_bounds_or_none(
    body: bytes, content_type: str, state: State, call_id: str
) -> None:
    message = page_message(body, content_type, call_id=call_id)
    notice = told(message, state)
    if state in BAD_NEWS and is_told_about(message.content, message.headers):
        assert notice is not None
    if notice is not None:
        assert 0 < len(notice.body) <= 8_192
        assert all(value.isascii() and value.isprintable() for _, value in notice.headers)
