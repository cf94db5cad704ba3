"""Messages of the user agent's sessions as rows of the ledger, and back: what its parts agree on.

The row's own columns hold what every message has; what only messages of a session have stands in its headers, under the
names below. A message that was wrapped in message/cpim is kept without its wrapping: content type and body are those
inside, and the wrapping's headers are headers of the row.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple, Self

from wigwag.api.ua.v1 import message_pb2
from wigwag.database.ledger import Headers, LedgerRow, State
from wigwag.database.ledger.states import FIRST_VERSION

from .events import set_moment
from .traceparent import HEADER

SERVICE: Final = "ua"
"""Service of these rows."""
OUTBOUND: Final = "outbound"
"""Direction of a message of an application."""
INBOUND: Final = "inbound"
"""Direction of a message of a SIP user."""

SESSION: Final = "session"
"""Row header: the session's id."""
APPLICATION: Final = "application"
"""Row header: the application's name."""
MSRP_MESSAGE_ID: Final = "msrp-message-id"
"""Row header: Message-ID of the SEND requests (RFC 4975 section 7.1); left out: none yet."""
IMDN_MESSAGE_ID: Final = "imdn-message-id"
"""Row header: imdn.Message-ID (RFC 5438 section 6.3); left out: none."""
NOTIFICATIONS: Final = "notifications"
"""Row header: what is asked for, as imdn.Disposition-Notification has it (RFC 5438 section 6.2); left out: nothing."""
CPIM: Final = "cpim"
"""Row header, one for each of message/cpim: ``name: value`` (RFC 3862 section 3)."""
REPORTS: Final = "reports"
"""Row header: which reports are told, as Success-Report and Failure-Report have it (RFC 4975 section 7.1), such as
``no partial``; left out: the application did not say."""
SIZE: Final = "size"
"""Row header: octets of a body that is a blob."""
REFERENCE: Final = "reference"
"""Row header: what the application gave as reference; left out: nothing."""
MSRP_REPORTS: Final = "msrp-reports"
"""Row header of a message whose sender is told by the application (``MsrpReports``); left out: ua tells him."""

TRACEPARENT: Final = HEADER
"""Row header: where the message's trace goes on (W3C Trace Context); left out: it is not traced."""

STATES: Final = {
    State.ACCEPTED: message_pb2.DELIVERY_STATE_ACCEPTED,
    State.DELIVERED: message_pb2.DELIVERY_STATE_DELIVERED,
    State.DISPLAYED: message_pb2.DELIVERY_STATE_DISPLAYED,
    State.FAILED: message_pb2.DELIVERY_STATE_FAILED,
    State.UNCONFIRMED: message_pb2.DELIVERY_STATE_UNCONFIRMED,
    State.EXPIRED: message_pb2.DELIVERY_STATE_EXPIRED,
}
"""State of a row -> state that an application is told."""
_DIRECTIONS: Final = {
    OUTBOUND: message_pb2.MESSAGE_DIRECTION_OUTBOUND,
    INBOUND: message_pb2.MESSAGE_DIRECTION_INBOUND,
}
_FAILURES: Final = {
    "yes": message_pb2.FAILURE_REPORTS_YES,
    "no": message_pb2.FAILURE_REPORTS_NO,
    "partial": message_pb2.FAILURE_REPORTS_PARTIAL,
}
_NOTIFICATIONS: Final = ("positive-delivery", "negative-delivery", "display", "processing")


class MsrpReports(NamedTuple):
    """What has to be known of a SEND to send REPORTs on it later (RFC 4975 sections 7.1.2 and 7.2)."""

    success: bool
    """Success-Report: yes."""
    failure: bool
    """Failure-Report: yes or partial."""
    octets: int
    """Of the whole message, with its wrapping."""

    @classmethod
    def parse(cls, value: str) -> Self | None:
        """Read a row's header, such as ``yes no 1200``; None: it can't be read."""
        words = value.split(" ")
        if len(words) != 3 or not (words[2].isascii() and words[2].isdigit()):
            return None
        return cls(words[0] == "yes", words[1] == "yes", int(words[2]))

    def __str__(self) -> str:
        return f"{'yes' if self.success else 'no'} {'yes' if self.failure else 'no'} {self.octets}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFields:
    """What a row's headers say of a message of a session."""

    session_id: str
    application: str
    msrp_message_id: str = ""
    imdn_message_id: str = ""
    notifications: frozenset[str] = frozenset()
    """Of ``positive-delivery``, ``negative-delivery``, ``display``, ``processing``."""
    cpim: Headers = ()
    """Headers of message/cpim, in order; empty: it was not, and is not to be, wrapped."""
    size: int | None = None
    """Octets of a body that is a blob; None: the row holds the body."""
    traceparent: str = ""
    """Where the message's trace goes on; empty: it is not traced."""
    reports: str = ""
    """Which reports are told, as ``REPORTS`` has it; empty: it is not said."""
    reference: str = ""
    """What the application gave with a message of its own."""
    msrp_reports: MsrpReports | None = None
    """Of a message whose sender is told by the application what became of it; None: ua tells him."""


def conversation_of(session_id: str) -> str:
    """Return the conversation key of a session's messages: what the ledger lists them by."""
    return f"session:{session_id}"


def keyed_id(session_id: str, key: str) -> str:
    """Return the id of an application's message that has an idempotency key."""
    return hashlib.blake2s(f"{session_id}\0{key}".encode(), digest_size=12).hexdigest()


def headers_of(fields: SessionFields) -> Headers:
    """Return the headers for ``NewMessage``."""
    return tuple(_headers(fields))


def _headers(fields: SessionFields) -> Iterator[tuple[str, str]]:
    yield SESSION, fields.session_id
    yield APPLICATION, fields.application
    if fields.msrp_message_id:
        yield MSRP_MESSAGE_ID, fields.msrp_message_id
    if fields.imdn_message_id:
        yield IMDN_MESSAGE_ID, fields.imdn_message_id
    if fields.notifications:
        yield NOTIFICATIONS, ", ".join(name for name in _NOTIFICATIONS if name in fields.notifications)
    for name, value in fields.cpim:
        yield CPIM, f"{name}: {value}"
    if fields.size is not None:
        yield SIZE, str(fields.size)
    if fields.reports:
        yield REPORTS, fields.reports
    if fields.reference:
        yield REFERENCE, fields.reference
    if fields.msrp_reports is not None:
        yield MSRP_REPORTS, str(fields.msrp_reports)
    if fields.traceparent:
        yield TRACEPARENT, fields.traceparent


@lru_cache(maxsize=512)
def fields_of(headers: Headers) -> SessionFields:
    """Return what the headers of a row say; names that are not known are passed over.

    Rows of a session without more have equal headers.
    """
    single = dict(headers)
    cpim: list[tuple[str, str]] = []
    if CPIM in single:
        parts = (value.partition(": ") for name, value in headers if name == CPIM)
        cpim = [(name, value) for name, _, value in parts]
    size = single.get(SIZE, "")
    return SessionFields(
        session_id=single.get(SESSION, ""),
        application=single.get(APPLICATION, ""),
        msrp_message_id=single.get(MSRP_MESSAGE_ID, ""),
        imdn_message_id=single.get(IMDN_MESSAGE_ID, ""),
        notifications=notifications_of(single[NOTIFICATIONS]) if NOTIFICATIONS in single else frozenset(),
        cpim=tuple(cpim),
        size=int(size) if size.isascii() and size.isdigit() else None,
        traceparent=single.get(TRACEPARENT, ""),
        reports=single.get(REPORTS, ""),
        reference=single.get(REFERENCE, ""),
        msrp_reports=MsrpReports.parse(single[MSRP_REPORTS]) if MSRP_REPORTS in single else None,
    )


def same_headers(one: Headers, other: Headers) -> bool:
    """Tell whether two rows are of the same message as far as headers go: trace and reference are not its content."""
    return one == other or _content(one) == _content(other)


def _content(headers: Headers) -> Headers:
    return tuple(pair for pair in headers if pair[0] not in (TRACEPARENT, REFERENCE))


def notifications_of(value: str) -> frozenset[str]:
    """Return which notifications imdn.Disposition-Notification asks for; what is not known counts as not asked for."""
    return frozenset(name.strip().lower() for name in value.split(",")) & frozenset(_NOTIFICATIONS)


def requested(names: frozenset[str]) -> message_pb2.Notifications:
    """Return notifications as an application is told."""
    return message_pb2.Notifications(**{name.replace("-", "_"): True for name in names})


def names_of(notifications: message_pb2.Notifications) -> frozenset[str]:
    """Return the names of the notifications that an application asks for."""
    return frozenset(name for name in _NOTIFICATIONS if getattr(notifications, name.replace("-", "_")))


def reports_text(reports: message_pb2.Reports) -> str:
    """Return which reports an application wants, as ``REPORTS`` has it."""
    failure = next((word for word, number in _FAILURES.items() if number == reports.failure), "yes")
    return f"{'yes' if reports.success else 'no'} {failure}"


def reports_of(text: str) -> message_pb2.Reports:
    """Return which reports ``REPORTS`` says."""
    success, _, failure = text.partition(" ")
    return message_pb2.Reports(
        success=success == "yes", failure=_FAILURES.get(failure, message_pb2.FAILURE_REPORTS_YES)
    )


def message_of(row: LedgerRow) -> message_pb2.Message:
    """Return a row of service ``SERVICE`` as an application sees it, as it is now."""
    message = message_pb2.Message()
    describe(message, row, row.version, row.state, fields_of(row.headers))
    return message


def describe(
    message: message_pb2.Message,
    row: LedgerRow,
    version: int,
    state: State,
    fields: SessionFields,
    *,
    body: bool = True,
) -> None:
    """Fill an empty message in place: this is done several times for each.

    Args:
        message: To be filled.
        row: Of service ``SERVICE``.
        version: Of the row, at the time that is told of.
        state: Likewise.
        fields: What ``fields_of`` makes of its headers.
        body: Whether the body goes with it; its size always does.
    """
    content = row.body or b""
    message.message_id = row.id
    message.session_id = fields.session_id
    message.direction = _DIRECTIONS.get(row.direction, message_pb2.MESSAGE_DIRECTION_UNSPECIFIED)
    message.content_type = row.content_type
    message.size = len(content) if fields.size is None else fields.size
    message.state = STATES[state]
    message.version = version
    set_moment(message.accepted_at, row.created)
    if body and content:
        message.body = content
    if row.blob:
        message.blob_id = row.blob
    if fields.imdn_message_id:
        message.imdn_message_id = _text(fields.imdn_message_id)
    for name, value in fields.cpim:
        message.cpim_headers.add(name=_text(name), value=_text(value))
    if fields.notifications:
        message.requested.CopyFrom(requested(fields.notifications))
    if fields.reports:
        message.reports.CopyFrom(reports_of(fields.reports))
    if fields.reference:
        message.reference = fields.reference
    if version > FIRST_VERSION:
        _add_outcome(message, row)


def _add_outcome(message: message_pb2.Message, row: LedgerRow) -> None:
    message.status = row.status or 0
    if row.reason:
        message.reason = _text(row.reason)
    if row.settled is not None:
        set_moment(message.settled_at, row.settled)


def _text(value: str) -> str:
    """Return a header's text as protobuf takes it: octets that are no UTF-8 are marked."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
