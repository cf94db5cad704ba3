"""What a sender may ask to be told of, and what he may be told (RFC 5438 sections 5, 6.2 and 11.1.7)."""

from enum import Enum
from typing import Final


class Disposition(Enum):
    """What a sender asks to be told of."""

    POSITIVE_DELIVERY = "positive-delivery"
    NEGATIVE_DELIVERY = "negative-delivery"
    PROCESSING = "processing"
    DISPLAY = "display"


class NotificationType(Enum):
    """What a notification is about."""

    DELIVERY = "delivery-notification"
    PROCESSING = "processing-notification"
    DISPLAY = "display-notification"


class Status(Enum):
    """What became of a message."""

    DELIVERED = "delivered"
    FAILED = "failed"
    PROCESSED = "processed"
    STORED = "stored"
    DISPLAYED = "displayed"
    FORBIDDEN = "forbidden"
    """The sender is not to know."""
    ERROR = "error"
    """Nobody knows."""


STATUSES: Final[dict[NotificationType, frozenset[Status]]] = {
    NotificationType.DELIVERY: frozenset((Status.DELIVERED, Status.FAILED, Status.FORBIDDEN, Status.ERROR)),
    NotificationType.PROCESSING: frozenset((Status.PROCESSED, Status.STORED, Status.FORBIDDEN, Status.ERROR)),
    NotificationType.DISPLAY: frozenset((Status.DISPLAYED, Status.FORBIDDEN, Status.ERROR)),
}
"""The statuses of each type."""

_BOTH_DELIVERIES: Final = frozenset((Disposition.POSITIVE_DELIVERY, Disposition.NEGATIVE_DELIVERY))


def asked_for_by(kind: NotificationType, status: Status) -> frozenset[Disposition]:
    """Return the dispositions of which one has to be asked for before a notification may say this."""
    if kind is NotificationType.DISPLAY:
        return frozenset((Disposition.DISPLAY,))
    if kind is NotificationType.PROCESSING:
        return frozenset((Disposition.PROCESSING,))
    if status is Status.DELIVERED:
        return frozenset((Disposition.POSITIVE_DELIVERY,))
    if status is Status.FAILED:
        return frozenset((Disposition.NEGATIVE_DELIVERY,))
    return _BOTH_DELIVERIES
