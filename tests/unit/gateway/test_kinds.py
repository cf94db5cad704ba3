"""What a body is, and what nobody is told about."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.gateway_content import COMPOSING, IMDN_REQUEST, cpim, notification, status_or
from wigwag.bus.consuming import is_temporary
from wigwag.database.ledger import State
from wigwag.gateway.kinds import (
    Kind,
    RefusedError,
    composing_lifetime,
    is_automatic,
    is_told_about,
    news_of,
    parameter,
    read,
)

IMDN = "message/imdn+xml"
COMPOSING_TYPE = "application/im-iscomposing+xml"


@pytest.mark.parametrize(
    ("content_type", "body", "kind"),
    [
        ("text/plain", b"x", Kind.CONTENT),
        ("", b"x", Kind.CONTENT),
        ("Application/IM-isComposing+XML; charset=utf-8", COMPOSING, Kind.COMPOSING),
        ("message/CPIM", cpim(COMPOSING, COMPOSING_TYPE), Kind.COMPOSING),
        (IMDN, notification(), Kind.NOTIFICATION),
        ("message/cpim", cpim(notification(), IMDN), Kind.NOTIFICATION),
        ("message/cpim", IMDN_REQUEST, Kind.CONTENT),
        ("image/png", b"\x89PNG", Kind.CONTENT),
    ],
)
def test_a_body_is_known_by_its_type_or_that_inside_of_cpim(content_type: str, body: bytes, kind: Kind) -> None:
    content = read(content_type, body)
    assert (content.kind, content.error) == (kind, None)
    assert (content.content_type or "text/plain", content.body) == (content_type or "text/plain", body)


def test_a_notification_of_another_type_is_known_by_its_disposition() -> None:
    body = cpim(b"x").replace(b"Content-Type", b"Content-Disposition: notification\r\nContent-Type")
    assert read("message/cpim", body).is_notification


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text", b"x", 415),
        ("text/plain\r\nVia: x", b"x", 415),
        ("text/plain; x=" + "y" * 300, b"x", 415),
        ("message/cpim", b"", 400),
        ("message/cpim", b"From: <sip:a@b>\r\nno header\r\n\r\nContent-Type: text/plain\r\n\r\n", 400),
        ("message/cpim", b"From: \xff\r\n\r\nContent-Type: text/plain\r\n\r\n", 400),
        ("message/cpim", b"a: b\r\n" * 20_000 + b"\r\nContent-Type: text/plain\r\n\r\n", 413),
    ],
)
def test_what_can_not_be_read_says_why(content_type: str, body: bytes, status: int) -> None:
    content = read(content_type, body)
    assert content.error is not None
    assert content.error.status == status
    with pytest.raises(RefusedError):
        content.inner()


def test_cpim_within_cpim_is_not_unwrapped() -> None:
    with pytest.raises(RefusedError, match="within"):
        read("message/cpim", cpim(cpim(), "message/cpim")).inner()


def test_a_transfer_encoding_is_taken_off_with_the_wrapping() -> None:
    body = cpim(b"SGVsbG8=").replace(b"Content-Type", b"Content-Transfer-Encoding: base64\r\nContent-Type")
    assert read("message/cpim", body).inner().body == b"Hello"
    strange = body.replace(b"base64", b"x-own")
    with pytest.raises(RefusedError) as refused:
        read("message/cpim", strange).inner()
    assert refused.value.status == 415


@pytest.mark.parametrize(
    ("kind", "status", "state"),
    [
        ("delivery", "delivered", State.DELIVERED),
        ("delivery", "failed", State.FAILED),
        ("display", "displayed", State.DISPLAYED),
        ("delivery", "error", None),
        ("delivery", "forbidden", None),
        ("processing", "stored", None),
        ("display", "error", None),
    ],
)
@pytest.mark.parametrize("is_wrapped", [True, False])
def test_a_notification_says_which_message_and_what_became_of_it(
    kind: str, status: str, state: State | None, is_wrapped: bool
) -> None:
    body = notification("m1", kind, status)
    content = read("message/cpim", cpim(body, IMDN)) if is_wrapped else read(IMDN, body)
    news = news_of(content)
    assert news is not None
    assert (news.message_id, news.state, news.recipient) == ("m1", state, "im:bob@example.com")


@pytest.mark.parametrize("body", [b"", b"<imdn/>", notification()[:-5], b'<!DOCTYPE a [<!ENTITY x "y">]><imdn/>'])
def test_a_notification_that_can_not_be_understood_says_nothing(body: bytes) -> None:
    assert news_of(read(IMDN, body)) is None
    assert news_of(read("text/plain", notification())) is None


def test_a_status_message_is_of_use_for_its_refresh_time() -> None:
    assert composing_lifetime(read(COMPOSING_TYPE, COMPOSING)) == 90
    assert composing_lifetime(read("message/cpim", cpim(COMPOSING, COMPOSING_TYPE))) == 90
    assert composing_lifetime(read(COMPOSING_TYPE, COMPOSING.replace(b"90", b"999999999"))) == 3_600
    for body in (COMPOSING.replace(b"<refresh>90</refresh>", b""), b"no xml"):
        assert composing_lifetime(read(COMPOSING_TYPE, body)) == 120


def test_nobody_is_told_about_what_nobody_wrote() -> None:
    assert is_told_about(read("text/plain", b"x"))
    assert is_told_about(read("message/cpim", IMDN_REQUEST), [("auto-submitted", "no")])
    assert not is_told_about(read("text/plain", b"x"), [("Auto-Submitted", "auto-replied; x=y")])
    assert not is_told_about(read(IMDN, notification()))
    assert not is_told_about(read("message/cpim", cpim(COMPOSING, COMPOSING_TYPE)))
    assert not is_automatic([("Subject", "auto-replied")])


def test_a_refusal_that_nobody_expects_is_no_reason_to_wait_for_ever() -> None:
    assert not is_temporary(RefusedError(415, "not taken"))


def test_parameters_of_a_content_type_are_found() -> None:
    assert parameter('text/plain; a=b;CharSet="UTF-8"', "charset") == "UTF-8"
    assert parameter("text/plain", "charset") == ""


@given(content_type=st.sampled_from(["message/cpim", IMDN, COMPOSING_TYPE]) | st.text(max_size=40), body=st.binary())
def test_no_body_is_more_than_refused(content_type: str, body: bytes) -> None:
    content = read(content_type, body)
    news_of(content)
    assert 0 < composing_lifetime(content) <= 3_600
    is_told_about(content)
    inner = status_or(content.inner)
    assert not isinstance(inner, int) or inner in (400, 413, 415)
