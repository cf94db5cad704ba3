"""A MESSAGE on its way to a session: as it came, wrapped or unwrapped, by what the peer takes."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.gateway_content import (
    ALICE,
    BOB,
    BOTH,
    COMPOSING,
    CPIM_ONLY,
    IMDN_REQUEST,
    NOW,
    PLAIN_ONLY,
    UNKNOWN,
    cpim,
    notification,
    page_message,
    settings,
    status_or,
)
from wigwag.gateway.content import Accepts, SessionContent, to_session
from wigwag.gateway.kinds import RefusedError, read
from wigwag.gateway.wrapping import PageMessage
from wigwag.protocols.cpim import CpimAddress, CpimMessage
from wigwag.protocols.imdn import Disposition, requested

IMDN = "message/imdn+xml"
COMPOSING_TYPE = "application/im-iscomposing+xml"


def sent(message: PageMessage, peer: Accepts = BOTH, **fields: object) -> SessionContent:
    return to_session(message, peer, settings(**fields))


def refused(message: PageMessage, peer: Accepts = BOTH, **fields: object) -> int:
    """Return the status of the refusal."""
    with pytest.raises(RefusedError) as error:
        sent(message, peer, **fields)
    return error.value.status


def unwrapped(content: SessionContent) -> CpimMessage:
    assert content.content_type == "message/cpim"
    return CpimMessage.parse(content.body)


# As it came


@pytest.mark.parametrize("peer", [PLAIN_ONLY, BOTH, UNKNOWN, Accepts(("*",)), Accepts(("text/*",))])
def test_text_that_is_taken_goes_as_it_came(peer: Accepts) -> None:
    body, kind = "Grüße".encode("latin-1"), "text/plain; charset=ISO-8859-1"
    assert sent(page_message(body, kind), peer) == SessionContent(content_type=kind, body=body)


@pytest.mark.parametrize("peer", [CPIM_ONLY, BOTH, UNKNOWN])
def test_cpim_that_is_taken_goes_to_the_octet_as_it_came(peer: Accepts) -> None:
    message = page_message(IMDN_REQUEST, "Message/CPIM")
    assert sent(message, peer) == SessionContent(content_type="Message/CPIM", body=IMDN_REQUEST)


@pytest.mark.parametrize(
    ("content_type", "body"), [(IMDN, notification()), (COMPOSING_TYPE, COMPOSING), ("image/png", b"\x89PNG\r\n\x00")]
)
def test_what_is_no_text_goes_as_it_came_where_it_is_taken(content_type: str, body: bytes) -> None:
    peer = Accepts(("message/cpim", content_type))
    expected = SessionContent(content_type=content_type, body=body)
    assert sent(page_message(body, content_type, Date="Thu, 26 Nov 2026 10:00:00 GMT"), peer) == expected


# Wrapped


def test_text_is_wrapped_for_who_takes_it_so_only() -> None:
    message = unwrapped(sent(page_message(b"Hello", "text/plain;charset=UTF-8"), CPIM_ONLY))
    assert message.sender == CpimAddress(ALICE, "Alice A.")
    assert message.recipients == (CpimAddress(BOB),)
    assert message.date_time == NOW
    assert (message.content_type, message.content) == ("text/plain;charset=UTF-8", b"Hello")
    assert requested(message) == frozenset()


def test_what_only_cpim_can_say_makes_that_text_is_wrapped() -> None:
    dated = page_message(Date="Wed, 25 Nov 2026 10:00:00 GMT", Subject="Größe\\n", Content_Language="de")
    message = unwrapped(sent(dated, BOTH))
    assert message.date_time == datetime(2026, 11, 25, 10, tzinfo=UTC)
    assert message.subject == "Größe\\n"
    assert [(header.name, header.value) for header in message.content_headers[1:]] == [("Content-Language", "de")]
    assert sent(dated, PLAIN_ONLY).content_type == "text/plain"


def test_a_date_that_can_not_be_read_is_that_of_arrival() -> None:
    for date in ("yesterday", "99 Foo 10000", "Thu, 32 Nov 2026 10:00:00 GMT", "0"):
        assert unwrapped(sent(page_message(Date=date), CPIM_ONLY)).date_time == NOW


def test_the_same_message_becomes_the_same_octets() -> None:
    assert sent(page_message(Subject="x"), BOTH) == sent(page_message(Subject="x"), BOTH)


@pytest.mark.parametrize(("content_type", "body"), [(IMDN, notification()), (COMPOSING_TYPE, COMPOSING)])
def test_notifications_and_status_messages_are_wrapped_where_they_are_taken_so_only(
    content_type: str, body: bytes
) -> None:
    message = unwrapped(sent(page_message(body, content_type), CPIM_ONLY))
    assert (message.media_type, message.content) == (content_type, body)
    assert message.content_disposition == ("notification" if content_type == IMDN else None)


def test_a_number_is_a_tel_uri_in_cpim() -> None:
    message = PageMessage(content=read("text/plain", b"x"), sender="+49301234", recipient=BOB, received_at=NOW)
    assert unwrapped(sent(message, CPIM_ONLY)).sender == CpimAddress("tel:+49301234")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("From", '"Eve\\\r\nTo: <sip:mallory@example.com>" <sip:alice@example.com>'),
        ("From", '"\udcff\udce4" <sip:alice@example.com>'),
        ("Subject", "x\r\n\r\nContent-Type: text/html\r\n\r\n<script>"),
        ("Subject", "\x00\x7f\udcff" + "y" * 70_000),
        ("Content-Language", "de\r\nFrom: <sip:mallory@example.com>"),
        ("Content-Disposition", "\udcff;x=\x00"),
    ],
)
def test_no_field_of_a_message_becomes_another_in_cpim(name: str, value: str) -> None:
    headers: dict[str, Any] = {name.replace("-", "_"): value}
    message = unwrapped(sent(page_message(**headers), CPIM_ONLY))
    assert message.sender is not None
    assert message.sender.uri == ALICE
    assert message.recipients == (CpimAddress(BOB),)
    assert (message.content_type, message.body) == ("text/plain", b"Hello")
    assert len(message.head()) < 2_000


# Unwrapped


def test_cpim_is_taken_off_for_who_does_not_take_it_and_what_it_asks_is_owed() -> None:
    content = sent(page_message(IMDN_REQUEST, "message/cpim"), PLAIN_ONLY)
    assert (content.content_type, content.body) == ("text/plain", b"Hello World\n")
    assert content.owed is not None
    assert requested(content.owed) == {Disposition.POSITIVE_DELIVERY, Disposition.NEGATIVE_DELIVERY}


def test_nothing_is_owed_where_nothing_was_asked() -> None:
    content = sent(page_message(cpim(b"Hi", "text/plain; charset=utf-8"), "message/cpim"), PLAIN_ONLY)
    assert content == SessionContent(content_type="text/plain; charset=utf-8", body=b"Hi")


def test_cpim_of_a_type_that_is_taken_bare_only_is_unwrapped() -> None:
    peer = Accepts(("image/png", "text/plain"), ())
    assert sent(page_message(cpim(b"\x89PNG", "image/png"), "message/cpim"), peer).content_type == "image/png"
    assert refused(page_message(cpim(b"GIF", "image/gif"), "message/cpim"), peer) == 415


def test_a_notification_is_passed_without_its_wrapping_where_that_is_not_taken() -> None:
    content = sent(page_message(cpim(notification(), IMDN), "message/cpim"), Accepts(("text/plain", IMDN)))
    assert content == SessionContent(content_type=IMDN, body=notification())


def test_what_has_to_be_understood_is_not_thrown_away_with_the_wrapping() -> None:
    head = "NS: x <urn:x>\r\nRequire: x.Vital\r\nx.Vital: 1\r\n"
    message = page_message(cpim(head=head), "message/cpim")
    assert sent(message, BOTH).body == message.content.body
    assert refused(message, PLAIN_ONLY) == 415


# Sizes


def test_what_is_too_large_for_the_peer_is_refused() -> None:
    assert sent(page_message(b"12345"), Accepts(("text/plain",), (), 5)).body == b"12345"
    assert refused(page_message(b"123456"), Accepts(("text/plain",), (), 5)) == 413
    assert refused(page_message(b"123456"), Accepts(("message/cpim",), ("*",), 6)) == 413
    assert refused(page_message(IMDN_REQUEST, "message/cpim"), Accepts(("*",), (), 5)) == 413


def test_what_is_too_large_in_its_wrapping_goes_without() -> None:
    peer = Accepts(("message/cpim", "text/plain"), (), 20)
    assert sent(page_message(Subject="x"), peer) == SessionContent(content_type="text/plain", body=b"Hello")
    assert sent(page_message(IMDN_REQUEST, "message/cpim"), peer).body == b"Hello World\n"


# Refused


def test_a_type_that_the_peer_does_not_take_is_refused() -> None:
    for peer in (PLAIN_ONLY, BOTH, Accepts(("message/cpim",), ("text/plain",))):
        assert refused(page_message(b"\x89PNG", "image/png"), peer) == 415
    assert refused(page_message(COMPOSING, COMPOSING_TYPE), PLAIN_ONLY) == 415


def test_unknown_types_are_passed_or_refused_by_policy() -> None:
    peer = Accepts(("*",))
    for body, content_type in ((b"\x89PNG", "image/png"), (cpim(b"\x89PNG", "image/png"), "message/cpim")):
        message = page_message(body, content_type)
        assert sent(message, peer).body == body
        assert refused(message, peer, unknown_types="refuse") == 415
    for body, content_type in ((b"x", "text/html"), (IMDN_REQUEST, "message/cpim"), (COMPOSING, COMPOSING_TYPE)):
        assert sent(page_message(body, content_type), peer, unknown_types="refuse").body == body


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (page_message(b""), 400),
        (page_message(cpim(b""), "message/cpim"), 400),
        (page_message(b"no cpim", "message/cpim"), 400),
        (page_message(b"x", "text/plain\r\nX: y"), 415),
        (page_message(b"\x1f\x8b", Content_Encoding="gzip"), 415),
    ],
)
def test_what_can_not_be_passed_is_refused(message: PageMessage, status: int) -> None:
    assert refused(message, PLAIN_ONLY) == status


def test_a_body_of_several_parts_is_passed_where_it_is_taken() -> None:
    kind = 'multipart/mixed;boundary="x\'y"'
    assert sent(page_message(b"--x'y\r\n", kind), Accepts(("*",))).content_type == kind
    assert refused(page_message(b"--x'y\r\n", kind), PLAIN_ONLY) == 415


TYPES = st.sampled_from(["message/cpim", "text/plain", IMDN, COMPOSING_TYPE, "multipart/mixed;boundary=x", "image/png"])
BODIES = st.binary(max_size=200) | st.builds(cpim, st.binary(max_size=20), st.text(max_size=20).map(repr))
PEERS = st.builds(
    Accepts,
    st.lists(st.sampled_from(["message/cpim", "text/plain", "*", "image/*", IMDN])).map(tuple),
    st.lists(st.sampled_from(["text/*", "*"])).map(tuple),
    st.sampled_from([0, 1, 50, 10_000]),
)
HEADERS = st.dictionaries(
    st.sampled_from(["From", "To", "Date", "Subject", "Content_Language", "Content_Disposition", "Content_Encoding"]),
    st.text(st.characters() | st.sampled_from('\r\n\x00\udcff"<>')),
)


@given(body=BODIES, content_type=TYPES, peer=PEERS, headers=HEADERS)
def test_whatever_comes_is_passed_as_the_peer_takes_it_or_refused(
    body: bytes, content_type: str, peer: Accepts, headers: dict[str, str]
) -> None:
    content = status_or(lambda: sent(page_message(body, content_type, **headers), peer))
    if isinstance(content, int):
        assert content in (400, 413, 415)
        return
    kind = read(content.content_type, content.body)
    assert kind.error is None
    assert content.body
    assert peer.fits(len(content.body))
    assert peer.bare(kind.media_type)
    if kind.message is not None:
        assert peer.within_cpim(kind.message.media_type)


@given(text=st.text(), name=st.text(), subject=st.text())
def test_what_was_wrapped_is_found_again(text: str, name: str, subject: str) -> None:
    escaped = name.replace("\\", "").replace('"', "")
    message = page_message(text.encode("utf-8", "replace") or b"x", From=f'"{escaped}" <{ALICE}>', Subject=subject)
    wrapped = unwrapped(sent(message, CPIM_ONLY))
    assert wrapped.content == message.content.body
    assert wrapped.sender is not None
    assert wrapped.sender.uri == ALICE
