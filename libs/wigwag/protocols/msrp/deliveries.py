"""What becomes of the messages we sent: responses, REPORTs and silence, put together (RFC 4975 sections 7.1 and 7.3.2).

A message ends in one of these: ``DeliveryFailed``; ``DeliverySucceeded`` when success REPORTs, whatever ranges they are
cut into, cover all of it; ``DeliveryUnconfirmed`` when its session ends before. A message without success REPORTs only
gets ``MessageAccepted`` from the next hop, and ``DeliveryFailed`` if a failure REPORT comes later.
"""

from typing import Final

from .events import (
    DeliveryFailed,
    DeliverySucceeded,
    DeliveryUnconfirmed,
    Event,
    MessageAccepted,
    MessageSent,
    ReportReceived,
    SessionFailed,
    TransactionTimedOut,
)
from .grammar import COMMENTS, ByteRange, FailureReport, RequestHead, ResponseHead
from .sending import OutboundMessage, Outbox, Progress
from .session import Session, SessionState
from .transactions import Transaction

_TIMEOUT: Final = 408
# Octets are missing at the peer, or he denies the session: it MUST be treated as failed (section 7.3.2).
_SESSION_IS_LOST: Final = frozenset((408, 481, 506))
_MOST_RANGES: Final = 1024
"""Separate ranges of one message that REPORTs may confirm: a peer can send one for every other octet."""


class Deliveries:
    """Follows the messages of one connection from the queue to their end.

    Args:
        outbox: Where messages wait; a failed one is aborted there.
        most_remembered: Messages that are followed after their last chunk; beyond, the oldest are given up.
    """

    def __init__(self, outbox: Outbox, most_remembered: int) -> None:
        self._outbox = outbox
        self._most_remembered = most_remembered
        self._messages: dict[str, OutboundMessage] = {}

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._messages

    def add(self, message: OutboundMessage) -> list[Event]:
        """Follow a message; returns what became of one that is given up for it."""
        events: list[Event] = []
        if len(self._messages) >= self._most_remembered:
            oldest = next((old for old in self._messages.values() if old.progress is Progress.DONE), None)
            if oldest is not None:
                events += self._forget(oldest)
        self._messages[message.message_id] = message
        return events

    def find(self, session: Session, message_id: str) -> OutboundMessage | None:
        """Return a message of ``session`` whose end is not known yet."""
        message = self._messages.get(message_id)
        return message if message is not None and message.session is session else None

    def opened(self, transaction: Transaction) -> None:
        """Count a transaction that waits for its response."""
        if transaction.message is not None:
            transaction.message.open_transactions += 1

    def sent(self, message: OutboundMessage, flag: str) -> list[Event]:
        """Note that the last chunk of a message was handed out."""
        session, message_id = message.session, message.message_id
        if flag == "#":
            # Nothing but its source aborts a message that has not failed.
            return [] if message.failed else self._fail(message, None, "body ended early or could not be read", None)
        events: list[Event] = [MessageSent(session=session, message_id=message_id, total=message.sent)]
        if message.failure_report is FailureReport.NO and not message.success_report:
            self._messages.pop(message_id, None)
        return events + self._succeed_if_covered(message)

    def responded(self, transaction: Transaction, head: ResponseHead) -> list[Event]:
        """Take the response to a transaction."""
        message = transaction.message
        succeeded = 200 <= head.status_code < 300
        if message is None:
            return [] if succeeded else self._fail_session(transaction.session, head.status_code, head.comment)
        message.open_transactions -= 1
        if not succeeded:
            return self._refused(message, head.status_code, head.comment, _range_of(transaction, message))
        if message.failed or message.progress is not Progress.DONE or message.open_transactions:
            return []
        return [MessageAccepted(session=message.session, message_id=message.message_id)]

    def timed_out(self, transaction: Transaction) -> list[Event]:
        """Take note that no response came; with Failure-Report yes the request has probably failed (section 7.1.1)."""
        message = transaction.message
        if message is None:
            return self._fail_session(transaction.session, 408, "no response to the first request")
        message.open_transactions -= 1
        if not transaction.timed:
            return []
        timed_out = TransactionTimedOut(
            transaction_id=transaction.transaction_id, session=message.session, message_id=message.message_id
        )
        byte_range = _range_of(transaction, message)
        return [timed_out, *self._fail(message, 408, "no response in 30 seconds", byte_range)]

    def reported(self, session: Session, head: RequestHead) -> list[Event]:
        """Take a REPORT; one on an unknown message is ignored (section 7.3.2)."""
        message = self.find(session, head.message_id or "")
        status = head.status
        if message is None or status is None:
            return []
        byte_range = head.byte_range
        events: list[Event] = [
            ReportReceived(session=session, message_id=message.message_id, byte_range=byte_range, status=status)
        ]
        if status.namespace != 0:
            # Only namespace 000 holds MSRP status codes (section 7.1.3).
            return events
        if not 200 <= status.code < 300:
            return events + self._refused(message, status.code, status.comment, byte_range)
        start = byte_range.start if byte_range is not None else 1
        end = byte_range.end if byte_range is not None else None
        message.reported_on = True
        if len(message.confirmed) < _MOST_RANGES:
            message.confirmed.add(start, message.sent if end is None else min(end, message.sent))
        return events + self._succeed_if_covered(message)

    def _succeed_if_covered(self, message: OutboundMessage) -> list[Event]:
        if not message.success_report or message.failed or message.progress is not Progress.DONE:
            return []
        if not message.reported_on or not message.confirmed.covers(1, message.sent):
            return []
        self._messages.pop(message.message_id, None)
        return [DeliverySucceeded(session=message.session, message_id=message.message_id, total=message.sent)]

    def _refused(
        self, message: OutboundMessage, status: int, comment: str | None, byte_range: ByteRange | None
    ) -> list[Event]:
        """Take a failure that a hop tells of."""
        goes_on = status == _TIMEOUT and message.session.resumable
        return self._fail(message, status, comment, byte_range, session_goes_on=goes_on)

    def _fail(
        self,
        message: OutboundMessage,
        status: int | None,
        comment: str | None,
        byte_range: ByteRange | None,
        *,
        session_goes_on: bool = False,
    ) -> list[Event]:
        if message.failed or self._messages.pop(message.message_id, None) is None:
            return []
        message.failed = True
        # The whole message is aborted if some of it is still to be sent (section 7.3.2).
        self._outbox.abort(message)
        failed = DeliveryFailed(
            session=message.session,
            message_id=message.message_id,
            status=status,
            comment=comment,
            byte_range=byte_range,
        )
        if session_goes_on or status is None or status not in _SESSION_IS_LOST:
            return [failed]
        return [failed, *self._fail_session(message.session, status, comment)]

    def _fail_session(self, session: Session, status: int, comment: str | None) -> list[Event]:
        if session.state is not SessionState.OPEN:
            return []
        session.state = SessionState.FAILED
        reason = comment or COMMENTS.get(status, "refused")
        events: list[Event] = [SessionFailed(session=session, status=status, reason=reason)]
        for message in list(self._messages.values()):
            if message.session is session and message.progress is Progress.WAITING:
                events += self._fail(message, status, reason, None)
        return events

    def abort(self, message: OutboundMessage) -> None:
        """Stop sending a message because the application says so, and follow it no further."""
        message.failed = True
        self._messages.pop(message.message_id, None)
        self._outbox.abort(message)

    def end_session(self, session: Session, reason: str) -> list[Event]:
        """Tell what is to be told of the messages of a session that ends, or of all when its connection is lost."""
        events: list[Event] = []
        for message in [message for message in self._messages.values() if message.session is session]:
            if message.progress is Progress.DONE and not message.open_transactions:
                events += self._forget(message)
            else:
                events += self._fail(message, None, reason, None)
        self._outbox.withdraw(session)
        return events

    def _forget(self, message: OutboundMessage) -> list[Event]:
        del self._messages[message.message_id]
        if not message.success_report:
            return []
        return [DeliveryUnconfirmed(session=message.session, message_id=message.message_id)]


def _range_of(transaction: Transaction, message: OutboundMessage) -> ByteRange:
    return ByteRange(transaction.start, transaction.end, message.total)
