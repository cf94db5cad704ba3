"""Notifications for who asked, and never for a notification (RFC 5438 sections 7.2.1 and 8)."""

from datetime import UTC, datetime

import pytest

from wigwag.errors import LocalProtocolError
from wigwag.protocols.cpim import CpimAddress, CpimHeader, CpimMessage
from wigwag.protocols.imdn import (
    STATUSES,
    Disposition,
    Imdn,
    ImdnError,
    NotificationType,
    Status,
    destination,
    is_notification,
    message_id_of,
    notification_for,
    read_notification,
    routes,
    with_request,
)

ALICE = CpimAddress("im:alice@example.com", "Alice")
BOB = CpimAddress("im:bob@example.com", "Bob")
SENT = datetime(2008, 4, 4, 12, 16, 49, tzinfo=UTC)
NOW = datetime(2008, 4, 4, 12, 17, tzinfo=UTC)
ASKED = [
    (Disposition.POSITIVE_DELIVERY, NotificationType.DELIVERY, Status.DELIVERED),
    (Disposition.NEGATIVE_DELIVERY, NotificationType.DELIVERY, Status.FAILED),
    (Disposition.PROCESSING, NotificationType.PROCESSING, Status.PROCESSED),
    (Disposition.PROCESSING, NotificationType.PROCESSING, Status.STORED),
    (Disposition.DISPLAY, NotificationType.DISPLAY, Status.DISPLAYED),
    (Disposition.DISPLAY, NotificationType.DISPLAY, Status.FORBIDDEN),
    (Disposition.PROCESSING, NotificationType.PROCESSING, Status.ERROR),
    (Disposition.POSITIVE_DELIVERY, NotificationType.DELIVERY, Status.FORBIDDEN),
    (Disposition.NEGATIVE_DELIVERY, NotificationType.DELIVERY, Status.ERROR),
]


def asking(*dispositions: Disposition, headers: tuple[CpimHeader, ...] = ()) -> CpimMessage:
    """Return a message that asks for these."""
    message = CpimMessage.of(ALICE, [BOB], "text/plain", b"Hello", date_time=SENT)
    return with_request(message, "34jk324j", dispositions).with_headers(*headers)


def notify(
    message: CpimMessage, kind: NotificationType, status: Status, recipient: CpimAddress | None = None
) -> CpimMessage | None:
    return notification_for(message, kind, status, message_id="d834jied93rf", now=NOW, recipient=recipient)


def delivered(message: CpimMessage, recipient: CpimAddress | None = None) -> CpimMessage:
    notification = notify(message, NotificationType.DELIVERY, Status.DELIVERED, recipient)
    assert notification is not None
    return CpimMessage.parse(bytes(notification))


def said(notification: CpimMessage) -> Imdn:
    imdn = read_notification(notification)
    assert imdn is not None
    return imdn


def test_a_notification_goes_from_the_recipient_to_the_sender() -> None:
    notification = delivered(asking(Disposition.POSITIVE_DELIVERY))
    assert (notification.sender, notification.recipients) == (BOB, (ALICE,))
    assert destination(notification) == "im:alice@example.com"
    assert (notification.media_type, notification.content_disposition) == ("message/imdn+xml", "notification")
    assert message_id_of(notification) == "d834jied93rf"
    assert notification.date_time == NOW
    assert is_notification(notification)


def test_it_says_what_became_of_which_message() -> None:
    assert said(delivered(asking(Disposition.POSITIVE_DELIVERY))) == Imdn(
        message_id="34jk324j",
        kind=NotificationType.DELIVERY,
        status=Status.DELIVERED,
        date_time="2008-04-04T12:16:49Z",
        recipient_uri="im:bob@example.com",
        original_recipient_uri="im:bob@example.com",
    )


@pytest.mark.parametrize(("disposition", "kind", "status"), ASKED)
def test_only_what_was_asked_for_is_told(disposition: Disposition, kind: NotificationType, status: Status) -> None:
    assert notify(asking(disposition), kind, status) is not None
    delivery = {Disposition.POSITIVE_DELIVERY, Disposition.NEGATIVE_DELIVERY}
    either = delivery if status in (Status.FORBIDDEN, Status.ERROR) and disposition in delivery else {disposition}
    assert notify(asking(*set(Disposition) - either), kind, status) is None
    assert notify(asking(), kind, status) is None


@pytest.mark.parametrize("kind", NotificationType)
def test_there_is_no_notification_on_a_notification(kind: NotificationType) -> None:
    notification = delivered(asking(Disposition.POSITIVE_DELIVERY))
    everything = ", ".join(disposition.value for disposition in Disposition)
    greedy = notification.with_headers(CpimHeader("imdn.Disposition-Notification", everything))
    for status in STATUSES[kind]:
        assert notify(greedy, kind, status) is None


def test_the_recorded_route_is_the_route_of_the_notification_in_the_same_order() -> None:
    recorded = (
        CpimHeader("imdn.IMDN-Record-Route", "Two <sip:two.example.com>"),
        CpimHeader("imdn.IMDN-Record-Route", "<sip:one.example.com>"),
    )
    notification = delivered(asking(Disposition.POSITIVE_DELIVERY, headers=recorded))
    assert routes(notification, "IMDN-Route") == [
        CpimAddress("sip:two.example.com", "Two"),
        CpimAddress("sip:one.example.com"),
    ]
    assert routes(notification, "IMDN-Record-Route") == []
    assert destination(notification) == "sip:two.example.com"


def test_the_original_recipient_and_the_subject_are_repeated() -> None:
    more = (CpimHeader("imdn.Original-To", "<im:list@example.com>"), CpimHeader.of("Subject", "Hi <there>\x07", "en"))
    imdn = said(delivered(asking(Disposition.POSITIVE_DELIVERY, headers=more)))
    assert (imdn.recipient_uri, imdn.original_recipient_uri) == ("im:bob@example.com", "im:list@example.com")
    assert (imdn.subject, imdn.subject_language) == ("Hi <there>\ufffd", "en")


def test_one_of_several_recipients_reports_for_himself() -> None:
    carol = CpimAddress("im:carol@example.com")
    notification = delivered(asking(Disposition.POSITIVE_DELIVERY), carol)
    assert notification.sender == carol
    assert said(notification).recipient_uri == carol.uri


@pytest.mark.parametrize("missing", ["From", "To"])
def test_a_message_from_or_for_nobody_gets_none(missing: str) -> None:
    message = asking(Disposition.POSITIVE_DELIVERY)
    headers = tuple(header for header in message.headers if header.name != missing)
    partial = CpimMessage(headers=headers, content_headers=message.content_headers, body=message.body)
    assert notify(partial, NotificationType.DELIVERY, Status.DELIVERED) is None


def test_a_message_without_date_and_time_is_told_by_the_time_of_the_notification() -> None:
    message = asking(Disposition.POSITIVE_DELIVERY)
    headers = tuple(header for header in message.headers if header.name != "DateTime")
    partial = CpimMessage(headers=headers, content_headers=message.content_headers, body=message.body)
    assert said(delivered(partial)).date_time == "2008-04-04T12:17:00Z"


def test_a_status_of_another_type_is_a_bug_of_ours() -> None:
    with pytest.raises(LocalProtocolError):
        notify(asking(*Disposition), NotificationType.DISPLAY, Status.DELIVERED)
    with pytest.raises(LocalProtocolError):
        notification_for(
            asking(*Disposition), NotificationType.DISPLAY, Status.DISPLAYED, message_id="not a token", now=NOW
        )


def test_what_is_no_notification_says_nothing_and_a_broken_one_is_an_error() -> None:
    assert read_notification(asking()) is None
    broken = CpimMessage.of(ALICE, [BOB], "message/imdn+xml", b"<imdn/>")
    with pytest.raises(ImdnError):
        read_notification(broken)
