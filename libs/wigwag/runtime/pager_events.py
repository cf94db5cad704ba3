"""What the pager rows of the ledger say on the bus: messages that wait, results of attempts (DESIGN.md section 6)."""

from collections.abc import Iterator
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from wigwag.api.events.v1.pager_pb2 import PagerHeader, PagerMessage, PagerOutcome, PagerReason, PagerResult
from wigwag.bus import Message
from wigwag.database.ledger import Headers, LedgerEvent, LedgerRow, State
from wigwag.protocols.sip import SipError, parse_name_address
from wigwag.protocols.sip.values import parse_cseq

from .events import PAGER_INBOUND, PAGER_RESULTS, envelope
from .traceparent import HEADER, as_header

INBOUND: Final = "pager-inbound"
"""Direction of a row that is a message which came in and waits."""
OUTBOUND: Final = "pager-outbound"
"""Direction of a row that is an attempt to send a message; its id is ``<message id>/<attempt>``."""
IDENTITY: Final = "P-Asserted-Identity"
"""Row header that holds the sender's AOR as we know it."""
REQUEST_URI: Final = "Request-URI"
"""Row header that holds the Request-URI; no header field has this name."""
REASON: Final = "Pager-Reason"
"""Row header that says why it was kept, one of ``REASONS``; likewise."""
ANSWERED_BY: Final = "Pager-Answered-By"
"""Row header: until when, in seconds since 1970, the sender's request waits for the outcome; likewise."""
NOT_SENT: Final = "not sent: "
"""What the words of an attempt's outcome begin with when provably nobody has got anything of it."""
BEHIND: Final = "an earlier message waits"
"""Words of an attempt that was not sent because its predecessor is to be sent again."""
NOBODY_THERE: Final = frozenset((404, 408, 410, 430, 480))
"""Statuses of attempts that were not sent: their messages wait for their recipient."""
NO_PAGE_MODE: Final = 405
"""Status of an attempt that was not sent because no device takes MESSAGE: its message may go into a session."""
UNSUPPORTED_TYPE: Final = 415
"""Status of an attempt that a device refused: what is inside of message/cpim may be sent next."""
ACCEPTED_BY_ANOTHER: Final = 202

_OUTCOMES: Final = {
    State.DELIVERED: PagerOutcome.PAGER_OUTCOME_DELIVERED,
    State.DISPLAYED: PagerOutcome.PAGER_OUTCOME_DELIVERED,
    State.FAILED: PagerOutcome.PAGER_OUTCOME_FAILED,
    State.UNCONFIRMED: PagerOutcome.PAGER_OUTCOME_UNCONFIRMED,
    State.EXPIRED: PagerOutcome.PAGER_OUTCOME_EXPIRED,
}
REASONS: Final = {
    "route": PagerReason.PAGER_REASON_ROUTE,
    "absent": PagerReason.PAGER_REASON_ABSENT,
    "session-mode": PagerReason.PAGER_REASON_SESSION_MODE,
}
"""Why a MESSAGE is kept, as rows have it."""
_LONGEST_REASON: Final = 1_000
_APART: Final = (IDENTITY, REQUEST_URI, REASON, ANSWERED_BY, "Call-ID", "CSeq", HEADER)
"""Row headers that have fields of their own."""


def attempt_id(message_id: str, attempt: int) -> str:
    """Return the id of the row of an attempt."""
    return f"{message_id}/{attempt}"


def pager_records(event: LedgerEvent, pod: str) -> Iterator[tuple[str, Message]]:
    """Yield topic and record that an event of the ledger makes beside, or in place of, the change of state itself."""
    row = event.row
    headers = dict(as_header(traceparent_of(row.headers)))
    if row.direction == INBOUND and event.state is State.ACCEPTED and row.state is State.ACCEPTED:
        # One that has its outcome already, such as a late 200 of a device, is nobody's to deliver any more.
        value = envelope(message_of(row), event_id=event.id, at=event.at, pod=pod, version=event.version)
        yield PAGER_INBOUND.name, Message(value, key=row.conversation, headers=headers)
    elif row.direction == OUTBOUND and event.state is not State.ACCEPTED:
        value = envelope(result_of(event), event_id=event.id, at=event.at, pod=pod, version=event.version)
        yield PAGER_RESULTS.name, Message(value, key=row.conversation, headers=headers)


def traceparent_of(headers: Headers) -> str:
    """Return where the trace of a row's message goes on: it stands last; empty: it is not traced."""
    return headers[-1][1] if headers and headers[-1][0] == HEADER else ""


def message_of(row: LedgerRow) -> PagerMessage:
    """Return the message that a row of direction ``INBOUND`` holds."""
    fields = dict(row.headers)
    message = PagerMessage(
        message_id=row.id,
        from_aor=row.sender,
        to_aor=row.recipient,
        service=row.service,
        identity=fields.get(IDENTITY, ""),
        content_type=row.content_type,
        body=row.body or b"",
        request_uri=fields.get(REQUEST_URI, ""),
        call_id=_text(fields.get("Call-ID", "")),
        conversation=row.conversation,
        received_at=_moment(row.created),
        expires_at=_moment(row.expires),
        reason=REASONS.get(fields.get(REASON, ""), PagerReason.PAGER_REASON_UNSPECIFIED),
        traceparent=traceparent_of(row.headers),
    )
    message.cseq, message.from_tag = _numbered(fields)
    if ANSWERED_BY in fields:
        message.answered_by.CopyFrom(_moment(float(fields[ANSWERED_BY])))
    for name, value in row.headers:
        if name not in _APART:
            message.headers.append(PagerHeader(name=name, value=_text(value)))
    return message


def result_of(event: LedgerEvent) -> PagerResult:
    """Return the result that an event of a row of direction ``OUTBOUND`` tells."""
    row = event.row
    message_id, _, attempt = row.id.rpartition("/")
    outcome = _OUTCOMES[event.state]
    if event.state is State.UNCONFIRMED and row.status == ACCEPTED_BY_ANOTHER:
        outcome = PagerOutcome.PAGER_OUTCOME_ACCEPTED
    return PagerResult(
        message_id=message_id,
        attempt=int(attempt),
        outcome=outcome,
        status=row.status or 0,
        reason=_text(row.reason.removeprefix(NOT_SENT)[:_LONGEST_REASON]),
        conversation=row.conversation,
        sent=not (row.reason.startswith(NOT_SENT) or event.state is State.EXPIRED),
    )


def _numbered(fields: dict[str, str]) -> tuple[int, str]:
    try:
        return parse_cseq(fields.get("CSeq", "")).number, _text(parse_name_address(fields.get("From", "")).tag or "")
    except SipError:
        return 0, ""


def _moment(seconds: float) -> Timestamp:
    found = Timestamp()
    found.FromMicroseconds(round(seconds * 1e6))
    return found


def _text(value: str) -> str:
    """Return a header's text as protobuf takes it: octets that are no UTF-8 are marked."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
