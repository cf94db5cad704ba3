"""Which record goes where."""

from collections.abc import Sequence

from wigwag.api.events.v1.registration_pb2 import RegistrationChange
from wigwag.api.ua.v1 import event_pb2, message_pb2
from wigwag.bus import Record
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.events import (
    MESSAGE_STATES,
    PAGER_INBOUND,
    PAGER_RESULTS,
    REGISTRATIONS,
    SESSIONS_EVENTS,
)

from .outcomes import Outcomes
from .page_messages import PageMessages
from .reading import envelope_of
from .session_changes import SessionChanges
from .session_messages import SessionMessages
from .telling import Telling
from .waking import Waking

TOPICS = (PAGER_INBOUND, PAGER_RESULTS, SESSIONS_EVENTS, MESSAGE_STATES, REGISTRATIONS)
_INBOUND = message_pb2.MESSAGE_DIRECTION_INBOUND


class Consuming:
    """Hands records to the flows.

    Args:
        page_messages: MESSAGEs that were kept.
        session_messages: Messages that came in sessions.
        session_changes: Sessions.
        outcomes: What became of messages.
        telling: Tells senders.
        waking: Wakes what waits for who has registered.
    """

    def __init__(
        self,
        page_messages: PageMessages,
        session_messages: SessionMessages,
        session_changes: SessionChanges,
        outcomes: Outcomes,
        telling: Telling,
        waking: Waking,
    ) -> None:
        self._page_messages = page_messages
        self._session_messages = session_messages
        self._session_changes = session_changes
        self._outcomes = outcomes
        self._telling = telling
        self._waking = waking
        self._handlers = {
            PAGER_INBOUND.name: page_messages.handle,
            PAGER_RESULTS.name: self._result,
            SESSIONS_EVENTS.name: self._session_event,
            MESSAGE_STATES.name: self._state,
            REGISTRATIONS.name: self._registration,
        }

    async def handle(self, record: Record) -> None:
        """Handle a record of one of ``TOPICS``; see ``Bus.consume`` for what its exceptions mean."""
        await self._handlers[record.topic](record)

    async def handle_group(self, records: Sequence[Record]) -> None:
        """Handle records of one topic and key that are there together, as ``handle`` does one after the other."""
        topic = records[0].topic
        if topic == PAGER_INBOUND.name:
            await self._page_messages.handle_group(records)
        elif topic == SESSIONS_EVENTS.name:
            await self._session_events(records)
        else:
            for record in records:
                await self._handlers[topic](record)

    async def _result(self, record: Record) -> None:
        await self._outcomes.of_attempt(envelope_of(record).pager_result)

    async def _state(self, record: Record) -> None:
        await self._telling.state_changed(envelope_of(record).message_state_changed)

    async def _registration(self, record: Record) -> None:
        registration = envelope_of(record).registration
        if registration.change == RegistrationChange.REGISTRATION_CHANGE_REGISTERED:
            await self._waking.registered(registration.aor, registration.key)

    async def _session_event(self, record: Record) -> None:
        await self._session_events([record])

    async def _session_events(self, records: Sequence[Record]) -> None:
        """Take events of a session in their order; what ua says of messages one after the other is taken together."""
        outcomes: list[message_pb2.Message] = []
        for record in records:
            event: event_pb2.Event = envelope_of(record).session_event.event
            if event.application != GATEWAY:
                continue
            what = event.WhichOneof("what")
            if what == "message_changed" and event.message_changed.direction != _INBOUND:
                outcomes.append(event.message_changed)
                continue
            if outcomes:
                await self._outcomes.of_session_messages(outcomes)
                outcomes = []
            await self._happened(event, what, record)
        if outcomes:
            await self._outcomes.of_session_messages(outcomes)

    async def _happened(self, event: event_pb2.Event, what: str | None, record: Record) -> None:
        match what:
            case "message_received":
                message = event.message_received
                await self._session_messages.received(message.session_id, message.message_id, record)
            case "message_changed":
                await self._outcomes.of_session_message_that_came(event.message_changed)
                await self._telling.session_message_changed(event.message_changed)
            case "session_changed":
                await self._session_changes.changed(event.session_changed)
            case _:
                pass
