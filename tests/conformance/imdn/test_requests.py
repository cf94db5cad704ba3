"""Asking for notifications (RFC 5438 sections 6, 7.1.1 and 10)."""

from datetime import UTC, datetime

import pytest

from wigwag.errors import LocalProtocolError
from wigwag.protocols.cpim import ContentHeader, CpimAddress, CpimError, CpimHeader, CpimMessage
from wigwag.protocols.imdn import (
    Disposition,
    destination,
    is_notification,
    message_id_of,
    original_to,
    requested,
    routes,
    with_request,
)

ALICE = CpimAddress("im:alice@example.com", "Alice")
BOB = CpimAddress("im:bob@example.com", "Bob")
NOW = datetime(2006, 4, 4, 12, 16, 49, tzinfo=UTC)


def message_of(*lines: str, content: str = "Content-Type: text/plain") -> CpimMessage:
    """Parse a message with these headers."""
    head = "".join(f"{line}\r\n" for line in lines)
    return CpimMessage.parse(f"{head}\r\n{content}\r\n\r\nHello".encode())


def plain(*headers: CpimHeader, date_time: datetime | None = NOW) -> CpimMessage:
    """Return a message that asks for nothing."""
    return CpimMessage.of(ALICE, [BOB], "text/plain", b"Hello", date_time=date_time, headers=headers)


def test_a_request_is_written_in_the_words_of_the_rfc() -> None:
    message = with_request(plain(), "34jk324j", [Disposition.POSITIVE_DELIVERY, Disposition.NEGATIVE_DELIVERY])
    assert [str(header) for header in message.headers] == [
        "From: Alice <im:alice@example.com>",
        "To: Bob <im:bob@example.com>",
        "DateTime: 2006-04-04T12:16:49Z",
        "NS: imdn <urn:ietf:params:imdn>",
        "imdn.Message-ID: 34jk324j",
        "imdn.Disposition-Notification: negative-delivery, positive-delivery",
    ]


def test_a_request_is_read_as_it_was_meant() -> None:
    for wanted in (list(Disposition), [Disposition.DISPLAY], []):
        message = CpimMessage.parse(bytes(with_request(plain(), "34jk324j", wanted)))
        assert requested(message) == frozenset(wanted)
        assert message_id_of(message) == "34jk324j"


def test_a_message_of_another_default_namespace_asks_all_the_same() -> None:
    own = (CpimHeader("NS", "<urn:x:y>"), CpimHeader("imdn.Message-ID", "x"), CpimHeader("Mood", "fine"))
    message = with_request(plain(*own), "34jk324j", [Disposition.DISPLAY])
    assert requested(message) == {Disposition.DISPLAY}
    assert message.find("Mood", "urn:x:y") is not None


@pytest.mark.parametrize("namespace", ["urn:ietf:params:imdn", "urn:ietf:params:imdn:"])
def test_any_prefix_of_the_namespace_will_do(namespace: str) -> None:
    lines = [f"NS: Q <{namespace}>", "Q.Message-ID: abc", "Q.Disposition-Notification: display"]
    message = message_of(*lines)
    assert message_id_of(message) == "abc"
    assert requested(message) == {Disposition.DISPLAY}


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("", set()),
        (" positive-delivery ,display", {Disposition.POSITIVE_DELIVERY, Disposition.DISPLAY}),
        ("positive-delivery;x=y, interworking, processing", {Disposition.POSITIVE_DELIVERY, Disposition.PROCESSING}),
        (",,", set()),
    ],
)
def test_values_that_nobody_knows_are_ignored(value: str, wanted: set[Disposition]) -> None:
    lines = ["NS: imdn <urn:ietf:params:imdn>", "imdn.Message-ID: abc", f"imdn.Disposition-Notification: {value}"]
    assert requested(message_of(*lines)) == wanted


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["NS: imdn <urn:ietf:params:imdn>", "imdn.Disposition-Notification: display"],
        ["imdn.Message-ID: abc", "imdn.Disposition-Notification: display"],
        ["Message-ID: abc", "Disposition-Notification: display"],
        ["NS: imdn <urn:x:y>", "imdn.Message-ID: abc", "imdn.Disposition-Notification: display"],
    ],
)
def test_without_a_message_id_or_the_namespace_nothing_is_asked(lines: list[str]) -> None:
    assert requested(message_of(*lines)) == frozenset()


@pytest.mark.parametrize(
    "content",
    ["Content-Type: message/IMDN+xml", "Content-Type: text/xml\r\nContent-Disposition: Notification;x=y"],
)
def test_a_notification_can_ask_for_nothing(content: str) -> None:
    lines = ["NS: imdn <urn:ietf:params:imdn>", "imdn.Message-ID: abc", "imdn.Disposition-Notification: display"]
    message = message_of(*lines, content=content)
    assert is_notification(message)
    assert requested(message) == frozenset()
    with pytest.raises(LocalProtocolError):
        with_request(message, "def", [Disposition.DISPLAY])


def test_what_can_not_ask_is_a_bug_of_ours() -> None:
    display = [Disposition.DISPLAY]
    notification = CpimMessage.of(
        ALICE,
        [BOB],
        "text/plain",
        b"",
        date_time=NOW,
        content_headers=[ContentHeader("Content-Disposition", "notification")],
    )
    for message in (plain(date_time=None), with_request(plain(), "abc", display), notification):
        with pytest.raises(LocalProtocolError):
            with_request(message, "def", display)
    for message_id in ("", "a b", "a\r\nX: y", "a@b", "ä", "x" * 129):
        with pytest.raises(LocalProtocolError):
            with_request(plain(), message_id, display)
    assert message_id_of(with_request(plain(date_time=None), "abc", [])) == "abc"


def test_routes_and_the_original_recipient_are_read() -> None:
    message = message_of(
        "To: <im:list@example.com>",
        "NS: imdn <urn:ietf:params:imdn>",
        "imdn.IMDN-Route: <sip:two.example.com>",
        "imdn.IMDN-Route: One <sip:one.example.com>",
        "imdn.Original-To: Bob <im:bob@example.com>",
    )
    assert [address.uri for address in routes(message, "IMDN-Route")] == ["sip:two.example.com", "sip:one.example.com"]
    assert destination(message) == "sip:two.example.com"
    assert original_to(message) == BOB


def test_without_a_route_the_destination_is_the_recipient_if_there_is_one() -> None:
    assert destination(plain()) == "im:bob@example.com"
    assert destination(message_of("From: <im:a@b>")) is None


@pytest.mark.parametrize("lines", [["imdn.Original-To: <im:a@b>"] * 2, ["imdn.Original-To: nobody"]])
def test_an_original_recipient_that_can_not_be_read_is_an_error(lines: list[str]) -> None:
    with pytest.raises(CpimError):
        original_to(message_of("NS: imdn <urn:ietf:params:imdn>", *lines))


@pytest.mark.parametrize(
    ("lines", "status"),
    [(["imdn.IMDN-Record-Route: nowhere"], 400), (["imdn.IMDN-Record-Route: <sip:a>"] * 33, 413)],
)
def test_a_route_that_can_not_be_read_or_is_too_long_is_an_error(lines: list[str], status: int) -> None:
    with pytest.raises(CpimError) as caught:
        routes(message_of("NS: imdn <urn:ietf:params:imdn>", *lines), "IMDN-Record-Route")
    assert caught.value.status == status
