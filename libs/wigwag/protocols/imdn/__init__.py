"""Instant message disposition notifications (RFC 5438): what became of a message, told to who asked.

``with_request`` makes a Message/CPIM ask; ``notification_for`` answers one that did; ``read_notification`` reads the
answer. A notification on a notification can't be made.
"""

from wigwag.protocols.specification import Spec

from .dispositions import STATUSES, Disposition, NotificationType, Status
from .error import ImdnError
from .headers import (
    IMDN_NAMESPACE,
    IMDN_TYPE,
    destination,
    is_notification,
    message_id_of,
    original_to,
    requested,
    routes,
    with_request,
)
from .notification import notification_for, read_notification
from .payload import XML_IMDN_NAMESPACE, Imdn

__all__ = [
    "IMDN_NAMESPACE",
    "IMDN_TYPE",
    "SPECIFICATIONS",
    "STATUSES",
    "XML_IMDN_NAMESPACE",
    "Disposition",
    "Imdn",
    "ImdnError",
    "NotificationType",
    "Status",
    "destination",
    "is_notification",
    "message_id_of",
    "notification_for",
    "original_to",
    "read_notification",
    "requested",
    "routes",
    "with_request",
]

_TESTS = "tests/conformance/imdn"

SPECIFICATIONS = (
    Spec("RFC 5438", "6", "CPIM headers, whatever their prefix", f"{_TESTS}/test_requests.py"),
    Spec("RFC 5438", "7.1.1", "Asking for notifications", f"{_TESTS}/test_requests.py"),
    Spec("RFC 5438", "7.2.1", "For who asked, never for a notification", f"{_TESTS}/test_notifications.py"),
    Spec("RFC 5438", "8.1", "Processing notifications", f"{_TESTS}/test_notifications.py"),
    Spec("RFC 5438", "10", "Grammar of the headers", f"{_TESTS}/test_requests.py"),
    Spec("RFC 5438", "11", "message/imdn+xml; document types refused", f"{_TESTS}/test_payload.py"),
)
"""What this package conforms to, and the tests that prove it."""
