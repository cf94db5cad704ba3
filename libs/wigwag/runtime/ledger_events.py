"""The ledger's events on the bus: what the sweeper publishes with."""

from collections.abc import Sequence
from typing import Final

import structlog

from wigwag.api.events.v1 import message_pb2
from wigwag.bus import Bus, Message, RecordTooLargeError
from wigwag.database.ledger import LedgerEvent, State

from .events import MESSAGE_STATES, envelope

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
    """A ``Publisher`` for ``LedgerSweeper``.

    Args:
        bus: The bus; its topic is declared here.
        pod: This process.
    """

    def __init__(self, bus: Bus, pod: str) -> None:
        self._bus = bus
        self._pod = pod
        bus.declare(MESSAGE_STATES)

    async def publish(self, events: Sequence[LedgerEvent]) -> None:
        """Return once all events are durable on the bus.

        Raises:
            BusError, OverloadedError: At least one may not be.
        """
        messages = [self._message(event) for event in events]
        try:
            await self._bus.publish_many(MESSAGE_STATES.name, messages)
        except RecordTooLargeError:
            for event, message in zip(events, messages, strict=True):
                await self._publish_alone(event, message)

    async def _publish_alone(self, event: LedgerEvent, message: Message) -> None:
        try:
            await self._bus.publish_many(MESSAGE_STATES.name, [message])
        except RecordTooLargeError as error:
            # It will never fit; holding up those behind it would not help it.
            _logger.error("an event of the ledger does not fit the bus", message=event.id, reason=str(error))

    def _message(self, event: LedgerEvent) -> Message:
        row = event.row
        payload = message_pb2.MessageStateChanged(
            ledger_id=event.id,
            version=event.version,
            state=_STATES[event.state],
            conversation=row.conversation,
            reason=row.reason[:_LONGEST_REASON],
        )
        value = envelope(
            payload, event_id=f"{event.id}:{event.version}", at=event.at, pod=self._pod, version=event.version
        )
        return Message(value, key=row.conversation)
