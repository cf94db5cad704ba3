"""What a message says about notifications in its CPIM headers (RFC 5438 sections 6, 7.1.1 and 10)."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from wigwag.errors import LocalProtocolError
from wigwag.protocols.cpim import CpimAddress, CpimError, CpimHeader, CpimMessage

from .dispositions import Disposition

IMDN_NAMESPACE: Final = "urn:ietf:params:imdn"
"""The namespace of the headers."""
IMDN_TYPE: Final = "message/imdn+xml"
"""The media type of notifications."""

_NAMESPACES: Final = (IMDN_NAMESPACE, f"{IMDN_NAMESPACE}:")
"""The one of the RFC, and the same written like that of RFC 3862, with a colon at its end."""
_KNOWN: Final = {disposition.value: disposition for disposition in Disposition}
# Message-ID = "Message-ID" ": " Token
_TOKEN = re.compile(r"[!#-'*+\-.0-9A-Z^-z|~]{1,128}")
_MOST_ROUTES: Final = 32


def is_notification(message: CpimMessage) -> bool:
    """Tell whether a message is itself a notification: by its Content-Disposition, or its type."""
    return message.content_disposition == "notification" or message.media_type == IMDN_TYPE


def find_all(message: CpimMessage, name: str) -> list[CpimHeader]:
    """Return the headers of a name in the namespace of RFC 5438, in order."""
    return [header for namespace in _NAMESPACES for header in message.find_all(name, namespace)]


def message_id_of(message: CpimMessage) -> str | None:
    """Return the Message-ID that notifications on a message refer to; None if there is none."""
    headers = find_all(message, "Message-ID")
    return headers[0].text or None if headers else None


def requested(message: CpimMessage) -> frozenset[Disposition]:
    """Return what the sender asks to be told of; whatever is not known, and all that a notification asks, is ignored.

    Without a Message-ID there is nothing to be told (section 7.1.1.1).
    """
    if is_notification(message) or message_id_of(message) is None:
        return frozenset()
    items = [item for header in find_all(message, "Disposition-Notification") for item in header.value.split(",")]
    names = [item.partition(";")[0].strip(" ").lower() for item in items]
    return frozenset(_KNOWN[name] for name in names if name in _KNOWN)


def original_to(message: CpimMessage) -> CpimAddress | None:
    """Return whom the sender wrote to before an intermediary changed it; None if that is not said.

    Raises:
        CpimError: The header can't be read, or comes twice.
    """
    headers = find_all(message, "Original-To")
    if len(headers) > 1:
        raise CpimError("Original-To comes twice")
    return CpimAddress.parse(headers[0].value) if headers else None


def routes(message: CpimMessage, name: str) -> list[CpimAddress]:
    """Return the addresses of all IMDN-Record-Route or IMDN-Route headers, in order.

    Raises:
        CpimError: One can't be read, or there are too many.
    """
    headers = find_all(message, name)
    if len(headers) > _MOST_ROUTES:
        raise CpimError(f"too many {name}", status=413)
    return [CpimAddress.parse(header.value) for header in headers]


def destination(notification: CpimMessage) -> str | None:
    """Return the URI that a notification is sent to: its first IMDN-Route, else its To (section 7.2.1).

    Raises:
        CpimError: A route can't be read.
    """
    addresses = (*routes(notification, "IMDN-Route"), *notification.recipients)
    return addresses[0].uri if addresses else None


def with_request(message: CpimMessage, message_id: str, dispositions: Iterable[Disposition]) -> CpimMessage:
    """Return a message that asks for notifications.

    Args:
        message: One with DateTime, which notifications repeat.
        message_id: Globally unique, with 64 unpredictable bits at least (section 6.3): 1 to 128 token characters.
        dispositions: What the sender wants to be told of; with none the message only gets its Message-ID.

    Raises:
        LocalProtocolError: The message is a notification, has no DateTime or a Message-ID, or ``message_id`` is none.
    """
    names = sorted(disposition.value for disposition in dispositions)
    if is_notification(message) or message_id_of(message) is not None:
        raise LocalProtocolError("a notification, or a message with a Message-ID, can't ask for notifications")
    if names and message.date_time is None:
        raise LocalProtocolError("a message without DateTime can't ask for notifications")
    headers = own_headers(message_id)
    if names:
        headers.append(CpimHeader("imdn.Disposition-Notification", ", ".join(names)))
    # Before any NS of the message's own, which could change what "NS" means.
    at = next((index for index, header in enumerate(message.headers) if header.name == "NS"), len(message.headers))
    return replace(message, headers=(*message.headers[:at], *headers, *message.headers[at:]))


def own_headers(message_id: str) -> list[CpimHeader]:
    """Return NS and Message-ID.

    Raises:
        LocalProtocolError: The Message-ID is no token.
    """
    if _TOKEN.fullmatch(message_id) is None:
        raise LocalProtocolError(f"not a Message-ID: {message_id!r}")
    return [CpimHeader("NS", f"imdn <{IMDN_NAMESPACE}>"), CpimHeader("imdn.Message-ID", message_id)]
