"""The ledger's events on the bus: what the sweeper publishes with."""

from collections.abc import Iterator, Sequence
from typing import Final

import structlog

from wigwag.api.events.v1 import message_pb2
from wigwag.bus import Bus, Message, RecordTooLargeError
from wigwag.database.ledger import LedgerEvent, State

from .events import MESSAGE_STATES, PAGER_INBOUND, PAGER_RESULTS, SESSIONS_EVENTS, SESSIONS_OUTBOUND, empty_envelope
from .names import LEDGER_PUBLISH
from .pager_events import OUTBOUND, pager_records
from .traceparent import from_headers
from .tracing import Tracing
from .ua_events import ua_records
from .ua_messages import SERVICE as UA

_STATES: Final = {
    State.ACCEPTED: message_pb2.MESSAGE_STATE_ACCEPTED,
    State.DELIVERED: message_pb2.MESSAGE_STATE_DELIVERED,
    State.DISPLAYED: message_pb2.MESSAGE_STATE_DISPLAYED,
    State.FAILED: message_pb2.MESSAGE_STATE_FAILED,
    State.UNCONFIRMED: message_pb2.MESSAGE_STATE_UNCONFIRMED,
    State.EXPIRED: message_pb2.MESSAGE_STATE_EXPIRED,
}
_LONGEST_REASON: Final = 1_000
"""Characters of a reason that go on the bus: the row has all of it."""

_logger = structlog.get_logger(__name__)


class LedgerEvents:
    """A ``Publisher`` for ``LedgerSweeper``. States of messages of sessions are told as events of the session only.

    Args:
        bus: The bus; its topics are declared here.
        pod: This process.
        tracing: Begins spans.
    """

    def __init__(self, bus: Bus, pod: str, tracing: Tracing | None = None) -> None:
        self._bus = bus
        self._tracing = tracing or Tracing()
        self._pod = pod
        bus.declare(MESSAGE_STATES, PAGER_INBOUND, PAGER_RESULTS, SESSIONS_OUTBOUND, SESSIONS_EVENTS)

    async def publish(self, events: Sequence[LedgerEvent]) -> None:
        """Return once all events are durable on the bus.

        Raises:
            BusError, OverloadedError: At least one may not be.
        """
        records: dict[str, list[tuple[LedgerEvent, Message]]] = {}
        for event in events:
            for topic, message in self._records(event):
                records.setdefault(topic, []).append((event, message))
        for topic, pairs in records.items():
            await self._publish(topic, pairs)

    def _records(self, event: LedgerEvent) -> Iterator[tuple[str, Message]]:
        if event.row.service == UA:
            yield from ua_records(event, self._pod)
            return
        # First what has to be done, then what others may want to know; an attempt to send is no message of its own.
        yield from pager_records(event, self._pod)
        if event.row.direction != OUTBOUND:
            yield MESSAGE_STATES.name, self._message(event)

    async def _publish(self, topic: str, pairs: Sequence[tuple[LedgerEvent, Message]]) -> None:
        traced = (from_headers(message.headers) for _, message in pairs if message.headers)
        spans = [self._tracing.begin(LEDGER_PUBLISH, parent) for parent in traced if parent]
        try:
            await self._publish_together(topic, pairs)
        finally:
            for span in spans:
                span.end()

    async def _publish_together(self, topic: str, pairs: Sequence[tuple[LedgerEvent, Message]]) -> None:
        try:
            await self._bus.publish_many(topic, [message for _, message in pairs])
        except RecordTooLargeError:
            for event, message in pairs:
                await self._publish_alone(topic, event, message)

    async def _publish_alone(self, topic: str, event: LedgerEvent, message: Message) -> None:
        try:
            await self._bus.publish_many(topic, [message])
        except RecordTooLargeError as error:
            # It will never fit; holding up those behind it would not help it.
            _logger.error("an event of the ledger does not fit the bus", message=event.id, reason=str(error))

    def _message(self, event: LedgerEvent) -> Message:
        row = event.row
        found = empty_envelope(
            message_pb2.MessageStateChanged,
            event_id=f"{event.id}:{event.version}",
            at=event.at,
            pod=self._pod,
            version=event.version,
        )
        told = found.message_state_changed
        told.ledger_id, told.version, told.state = event.id, event.version, _STATES[event.state]
        told.conversation, told.reason = row.conversation, row.reason[:_LONGEST_REASON]
        told.content_type = row.content_type.partition(";")[0].strip().lower()
        return Message(found.SerializeToString(), key=row.conversation)
