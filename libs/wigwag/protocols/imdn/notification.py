"""Notifications as messages: made for those who asked, never for a notification (RFC 5438 sections 7.2 and 8)."""

from datetime import datetime

from wigwag.errors import LocalProtocolError
from wigwag.protocols.cpim import ContentHeader, CpimAddress, CpimHeader, CpimMessage, format_date_time

from .dispositions import STATUSES, NotificationType, Status, asked_for_by
from .headers import IMDN_TYPE, message_id_of, original_to, own_headers, requested, routes
from .payload import Imdn


def notification_for(
    message: CpimMessage,
    kind: NotificationType,
    status: Status,
    *,
    message_id: str,
    now: datetime,
    recipient: CpimAddress | None = None,
) -> CpimMessage | None:
    """Return the notification that a message's sender asked for.

    The caller sends it to ``destination`` of what is returned. He keeps in mind that he did: there MUST NOT be two of
    a type on a message. Only intermediaries make ``PROCESSING`` notifications.

    Args:
        message: What it is about.
        kind: What it is about in that message.
        status: What became of the message.
        message_id: The notification's own Message-ID: 1 to 128 token characters, 64 bits of them unpredictable.
        now: With an offset from UTC; also stands for the DateTime of a message that has none.
        recipient: Who reports, if the message has several recipients; its first one if None.

    Returns:
        None when there must be none: the sender did not ask, the message is itself a notification, or does not say
        who it is from and for.

    Raises:
        CpimError: The message's Original-To or IMDN-Record-Route can't be read.
        LocalProtocolError: The status is none of the type's, or ``message_id`` is no token.
    """
    if status not in STATUSES[kind]:
        raise LocalProtocolError(f"not a status of a {kind.value}: {status}")
    sender = message.sender
    reporter = recipient or next(iter(message.recipients), None)
    if sender is None or reporter is None or not requested(message) & asked_for_by(kind, status):
        return None
    payload = bytes(_payload(message, kind, status, reporter, now))
    route = [CpimHeader("imdn.IMDN-Route", str(address)) for address in routes(message, "IMDN-Record-Route")]
    return CpimMessage.of(
        reporter,
        [sender],
        IMDN_TYPE,
        payload,
        date_time=now,
        headers=(*own_headers(message_id), *route),
        content_headers=(
            ContentHeader("Content-Disposition", "notification"),
            ContentHeader("Content-Length", str(len(payload))),
        ),
    )


def _payload(
    message: CpimMessage, kind: NotificationType, status: Status, reporter: CpimAddress, now: datetime
) -> Imdn:
    date_time, subject, original = message.find("DateTime"), message.find("Subject"), original_to(message)
    return Imdn(
        message_id=message_id_of(message) or "",
        kind=kind,
        status=status,
        date_time=format_date_time(now) if date_time is None else date_time.text,
        recipient_uri=reporter.uri,
        original_recipient_uri=None if original is None else original.uri,
        subject=None if subject is None else subject.text,
        subject_language=None if subject is None else subject.language,
    )


def read_notification(message: CpimMessage) -> Imdn | None:
    """Return what a notification says; None when the message is none that can be understood as one.

    Raises:
        ImdnError: The XML is malformed, too large (413), or says nothing.
        CpimError: The content is not in its Content-Transfer-Encoding (400), or in an unknown one (415).
    """
    return Imdn.parse(message.content) if message.media_type == IMDN_TYPE else None
