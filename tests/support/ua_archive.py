"""The archivist of a run: copies what the ledger and the bus say of its messages into a recording."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.support.ua_plan import Content, content_of, digest_of
from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.api.ua.v1 import event_pb2, message_pb2, session_pb2
from wigwag.bus import Earliest
from wigwag.bus.kafka import KafkaBus
from wigwag.bus.kafka_options import KafkaOptions
from wigwag.database import Database
from wigwag.database.ledger import Ledger, LedgerRow, State
from wigwag.runtime.events import SESSIONS_EVENTS
from wigwag.runtime.recording import Finished, Recorder, Started
from wigwag.runtime.ua_messages import conversation_of
from wigwag.runtime.ua_recording import MessageTold, RowFound, SessionTold, StateTold

_PAGE = 500


class Archivist:
    """See the module's text.

    Args:
        database: Where messages are.
        kafka: Bootstrap servers of the bus.
        sessions: Ids of all sessions of the run.
    """

    def __init__(self, database: str, kafka: str, sessions: Sequence[str]) -> None:
        self._database = database
        self._kafka = kafka
        self._sessions = sessions

    async def wait_until_settled(self, seconds: float) -> None:
        """Wait until every message has its state, and the bus has all that the ledger says.

        Raises:
            AssertionError: Some have not.
        """
        deadline = time.monotonic() + seconds
        async with Database(self._database) as database, Ledger(database, clock=time.time) as ledger:
            while (open_ := await self._open(ledger)) or await ledger.is_to_be_swept():
                assert time.monotonic() < deadline, f"{len(open_)} messages have no outcome: {open_[:3]}"
                await asyncio.sleep(0.5)

    async def _open(self, ledger: Ledger) -> list[LedgerRow]:
        return [row async for row in self._rows(ledger) if row.state is State.ACCEPTED]

    async def _rows(self, ledger: Ledger) -> Any:
        for session in self._sessions:
            after = 0
            while page := await ledger.conversation(conversation_of(session), after=after, limit=_PAGE):
                for row in page:
                    yield row
                after = page[-1].position

    async def write(self, path: Path) -> None:
        """Write the recording."""
        recorder = Recorder(path)

        def record(kind: type[msgspec.Struct], **fields: Any) -> None:
            recorder.write(kind(number=recorder.next_number(), time=time.time(), **fields))

        record(Started)
        async with Database(self._database) as database, Ledger(database, clock=time.time) as ledger:
            async for row in self._rows(ledger):
                record(
                    RowFound, message_id=row.id, session=row.conversation.partition(":")[2],
                    direction=row.direction, state=row.state.value, digest=digest_of(row.body or b""),
                )  # fmt: skip
        async for event in self._events():
            for kind, fields in _told(event):
                record(kind, **fields)
        record(Finished)
        recorder.close()

    async def _events(self) -> Any:
        wanted = set(self._sessions)
        async with KafkaBus(KafkaOptions(bootstrap_servers=self._kafka)) as bus:
            bus.declare(SESSIONS_EVENTS)
            async for record in bus.replay(SESSIONS_EVENTS.name, Earliest()):
                event = Envelope.FromString(record.value).session_event.event
                if event.session_id in wanted:
                    yield event


def _told(event: event_pb2.Event) -> Iterator[tuple[type[msgspec.Struct], dict[str, Any]]]:
    common = {"event_id": event.event_id, "session": event.session_id}
    match event.WhichOneof("what"):
        case "session_changed":
            name = session_pb2.SessionState.Name(event.session_changed.state)
            yield SessionTold, {**common, "state": name.removeprefix("SESSION_STATE_").lower()}
        case "message_changed" if event.message_changed.direction == message_pb2.MESSAGE_DIRECTION_OUTBOUND:
            name = message_pb2.DeliveryState.Name(event.message_changed.state)
            state = name.removeprefix("DELIVERY_STATE_").lower()
            yield StateTold, {**common, "message_id": event.message_changed.message_id, "state": state}
        case "message_received":
            body = event.message_received.body
            content: Content = content_of(body)
            yield (
                MessageTold,
                {**common, "key": content.key, "sequence": content.sequence, "digest": digest_of(body)},
            )
        case _:
            pass
