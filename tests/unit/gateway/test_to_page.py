"""What came by a session on its way to a page-mode user."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.gateway_content import ALICE, BOB, COMPOSING, IMDN_REQUEST, cpim, notification, settings, status_or
from wigwag.gateway.content import PageContent, to_page
from wigwag.gateway.kinds import RefusedError, read
from wigwag.protocols.imdn import requested

IMDN = "message/imdn+xml"
COMPOSING_TYPE = "application/im-iscomposing+xml"
FROM_BOB = IMDN_REQUEST.replace(b"From: Alice <im:alice", b"From: Bob <im:bob").replace(
    b"To: Bob <im:bob", b"To: Alice <im:alice"
)


def sent(
    body: bytes, content_type: str = "message/cpim", *, accepts_cpim: bool = True, **fields: object
) -> PageContent:
    content = read(content_type, body)
    return to_page(content, page=ALICE, session=BOB, settings=settings(**fields), cpim=accepts_cpim)


def refused(body: bytes, content_type: str = "message/cpim", *, accepts_cpim: bool = True, **fields: object) -> int:
    """Return the status of the refusal."""
    with pytest.raises(RefusedError) as error:
        sent(body, content_type, accepts_cpim=accepts_cpim, **fields)
    return error.value.status


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain; charset=ISO-8859-1", "Grüße".encode("latin-1")),
        ("text/plain", b"\xff\xfe"),
        ("text/html", b"<b>x</b>"),
        (IMDN, notification()),
        (COMPOSING_TYPE, COMPOSING),
        ('multipart/mixed;boundary="x"', b"--x--"),
    ],
)
def test_what_is_not_wrapped_goes_as_it_came(content_type: str, body: bytes) -> None:
    assert sent(body, content_type) == PageContent(content_type=content_type, body=body)


@pytest.mark.parametrize(
    ("sender", "recipient"),
    [
        (BOB, ALICE),
        ("im:bob@EXAMPLE.com", "sips:alice@example.com;user=x"),
        ("sip:anonymous@anonymous.invalid", "sip:anonymous@anonymous.invalid"),
    ],
)
def test_cpim_between_the_two_parties_is_taken_off(sender: str, recipient: str) -> None:
    content = sent(cpim(b"Hi", "text/plain; charset=utf-8", sender=sender, recipient=recipient))
    assert content == PageContent(content_type="text/plain; charset=utf-8", body=b"Hi")


def test_what_cpim_said_stands_in_the_head_of_the_message() -> None:
    body = cpim(head="Subject: a\\nb\r\nSubject:;lang=fr autre\r\nDateTime: 2026-11-26T13:00:00+01:00\r\n")
    content = sent(body.replace(b"Content-Type", b"Content-Language: de\r\nContent-ID: <x@y>\r\nContent-Type"))
    assert content.headers == (
        ("Subject", "a b"),
        ("Date", "Thu, 26 Nov 2026 12:00:00 GMT"),
        ("Content-Language", "de"),
    )


def test_a_time_that_a_date_can_not_hold_is_left_out() -> None:
    assert sent(cpim(head="DateTime: 0001-01-01T00:00:00+14:00\r\n")).headers == ()


@pytest.mark.parametrize(
    "body",
    [
        FROM_BOB,
        cpim(sender="sip:carol@example.com"),
        cpim(recipient="sip:carol@example.com"),
        cpim(sender="xmpp:bob@example.com"),
        cpim(head="To: <sip:carol@example.com>\r\n"),
        cpim(head="cc: <sip:carol@example.com>\r\n"),
        cpim(head="NS: x <urn:x>\r\nx.Colour: red\r\n"),
        cpim(head="undeclared.Colour: red\r\n"),
        cpim(head="Require: Subject\r\nSubject: x\r\n"),
        cpim(notification(), IMDN).replace(b"Content-Type", b"Content-Disposition: notification\r\nContent-Type"),
    ],
)
def test_cpim_stays_when_names_or_notifications_demand_it(body: bytes) -> None:
    content = sent(body)
    assert (content.content_type, content.body, content.headers, content.owed) == ("message/cpim", body, (), None)


def test_who_asks_for_notifications_is_known_by_his_message_id() -> None:
    assert sent(FROM_BOB).imdn_message_id == "34jk324j"
    assert sent(FROM_BOB.replace(b"positive-delivery, negative-delivery", b"")).imdn_message_id == ""


def test_a_device_that_takes_no_cpim_gets_the_text_and_the_gateway_owes_the_notification() -> None:
    content = sent(FROM_BOB, accepts_cpim=False)
    assert (content.content_type, content.body) == ("text/plain", b"Hello World\n")
    assert content.owed is not None
    assert requested(content.owed)
    assert content.imdn_message_id == ""
    assert refused(cpim(head="Require: Subject\r\nSubject: x\r\n"), accepts_cpim=False) == 415


def test_what_is_too_large_is_refused() -> None:
    limits = {"message_bytes": 10}
    assert sent(b"1234567890", "text/plain", limits=limits).body == b"1234567890"
    assert refused(b"12345678901", "text/plain", limits=limits) == 413
    assert refused(FROM_BOB, limits=limits) == 413
    assert sent(cpim(b"1234567890"), limits=limits).body == b"1234567890"


def test_unknown_types_are_passed_or_refused_by_policy() -> None:
    for body, content_type in ((b"x", "image/png"), (cpim(b"x", "image/png"), "message/cpim")):
        assert sent(body, content_type).content_type == "image/png"
        assert refused(body, content_type, unknown_types="refuse") == 415
    assert refused(FROM_BOB.replace(b"text/plain", b"image/png"), unknown_types="refuse") == 415


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "text/plain", 400),
        (cpim(b""), "message/cpim", 400),
        (b"From: x", "message/cpim", 400),
        (cpim(cpim(), "message/cpim"), "message/cpim", 415),
        (b"x", "text/plain\r\nVia: x", 415),
    ],
)
def test_what_can_not_be_passed_is_refused(body: bytes, content_type: str, status: int) -> None:
    assert refused(body, content_type) == status


TYPES = st.sampled_from(["message/cpim", "text/plain", IMDN, COMPOSING_TYPE, "image/png"])
HEADS = st.text(st.characters(exclude_categories=["Cs"])).map(lambda text: f"Subject: {text}\r\n")
BODIES = st.binary(max_size=200) | st.builds(
    lambda body, head: cpim(body, head=head),
    st.binary(max_size=20),
    HEADS | st.just("DateTime: 9999-12-31T23:59:60-12:00\r\n"),
)


@given(body=BODIES, content_type=TYPES, accepts_cpim=st.booleans())
def test_whatever_comes_is_passed_or_refused(body: bytes, content_type: str, accepts_cpim: bool) -> None:
    content = status_or(lambda: sent(body, content_type, accepts_cpim=accepts_cpim))
    if isinstance(content, int):
        assert content in (400, 413, 415)
        return
    assert content.body
    for name, value in content.headers:
        assert value
        assert len(value) <= 255
        assert not {"\r", "\n", "\x00"} & set(name + value)
