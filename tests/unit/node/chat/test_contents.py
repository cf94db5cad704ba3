"""What is written into messages of a chat is what the other side reads."""

from datetime import UTC, datetime

import pytest

from wigwag.node.chat.contents import CPIM_TYPE, Text, Unreadable, Writer, read_content
from wigwag.protocols.imdn import IMDN_TYPE, Imdn, Status
from wigwag.protocols.iscomposing import IS_COMPOSING_TYPE, IsComposing, State

ALICE, BOB = "sip:alice@example.com", "sip:bob@example.com"


def writer(own: str, peer: str) -> Writer:
    return Writer(own, peer, lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), lambda: "0123456789abcdef")


def test_a_text_is_read_as_it_was_written_and_its_display_is_told() -> None:
    text = read_content(CPIM_TYPE, writer(ALICE, BOB).text("hällo\r\n\r\nFrom: x", "id1"))
    assert isinstance(text, Text)
    assert (text.text, text.message_id) == ("hällo\r\n\r\nFrom: x", "id1")
    assert text.wrapped is not None
    told = writer(BOB, ALICE).displayed(text.wrapped)
    assert told is not None
    notification = read_content(CPIM_TYPE, told)
    assert isinstance(notification, Imdn)
    assert (notification.message_id, notification.status) == ("id1", Status.DISPLAYED)


def test_nobody_is_told_who_did_not_ask() -> None:
    bare = b"From: <im:a@b>\r\nTo: <im:c@d>\r\n\r\nContent-Type: text/plain\r\n\r\nhello"
    text = read_content("Message/CPIM; x=y", bare)
    assert isinstance(text, Text)
    assert (text.text, text.message_id) == ("hello", "")
    assert text.wrapped is not None
    assert writer(BOB, ALICE).displayed(text.wrapped) is None


def test_texts_without_a_wrapper_and_status_messages_are_known() -> None:
    assert read_content("text/plain;charset=utf-8", "ä".encode()) == Text(text="ä")
    assert read_content("", b"\xff") == Text(text="\ufffd")
    composing = IsComposing(State.ACTIVE, "text/plain", 90)
    assert read_content(IS_COMPOSING_TYPE, bytes(composing)) == composing


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("image/png", b"\x89PNG"),
        (CPIM_TYPE, b"nonsense"),
        (CPIM_TYPE, b"From: <im:a@b>\r\n\r\nContent-Type: message/cpim\r\n\r\nFrom: <im:a@b>\r\n\r\n"),
        (IMDN_TYPE, b"<!DOCTYPE x><imdn/>"),
        (IS_COMPOSING_TYPE, b""),
    ],
)
def test_what_cannot_be_read_is_named_and_nothing_fails(content_type: str, body: bytes) -> None:
    assert read_content(content_type, body) == Unreadable(content_type, len(body))
