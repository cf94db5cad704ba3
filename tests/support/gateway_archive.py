"""The archivist of a run around the gateway: copies what the ledger and the bus say of its messages."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select

from tests.support.page_users import QUOTED
from tests.support.ua_plan import content_of, digest_of
from wigwag.api.events.v1 import message_pb2
from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.api.ua.v1 import event_pb2
from wigwag.api.ua.v1 import message_pb2 as ua_message_pb2
from wigwag.bus import Earliest
from wigwag.bus.kafka import KafkaBus
from wigwag.bus.kafka_options import KafkaOptions
from wigwag.database import Database
from wigwag.database.ledger import Ledger
from wigwag.database.tables import wigwag_ledger
from wigwag.runtime.events import MESSAGE_STATES, SESSIONS_EVENTS
from wigwag.runtime.message_recording import MessageFound, NoticeFound, StateTold
from wigwag.runtime.recording import Finished, Recorder, Started

Fields = tuple[type[msgspec.Struct], dict[str, Any]]
_COLUMNS = wigwag_ledger.c
_WAYS = {"pager-inbound": "to session", "inbound": "to page"}
_ACCEPTED = "accepted"


class GatewayArchivist:
    """See the module's text.

    Args:
        database: Where messages are.
        kafka: Bootstrap servers of the bus.
    """

    def __init__(self, database: str, kafka: str) -> None:
        self._database = database
        self._kafka = kafka

    async def wait_until_settled(self, seconds: float) -> None:
        """Wait until every message, and every notice, has its state, and the bus has all that the ledger says.

        Raises:
            AssertionError: Some have not.
        """
        deadline = time.monotonic() + seconds
        async with Database(self._database) as database, Ledger(database, clock=time.time) as ledger:
            calm = 0
            # What becomes final may make a notice: none for a moment is none.
            while calm < 4:
                waiting = [row for row in await self._rows(database) if row.state == _ACCEPTED]
                calm = 0 if waiting or await ledger.is_to_be_swept() else calm + 1
                left = [(row.id, row.direction, row.owner, row.attempt, row.sender, row.recipient) for row in waiting]
                assert time.monotonic() < deadline, f"{len(left)} messages have no outcome: {left[:8]}"
                await asyncio.sleep(0.5)

    async def _rows(self, database: Database) -> list[Any]:
        query = select(wigwag_ledger).order_by(_COLUMNS.position)
        return await database.run(lambda connection: list(connection.execute(query).all()))

    async def write(self, path: Path) -> None:
        """Write the recording."""
        recorder = Recorder(path)

        def record(kind: type[msgspec.Struct], **fields: Any) -> None:
            recorder.write(kind(number=recorder.next_number(), time=time.time(), **fields))

        record(Started)
        async with Database(self._database) as database:
            for row in await self._rows(database):
                for kind, fields in _found(row):
                    record(kind, **fields)
        async with KafkaBus(KafkaOptions(bootstrap_servers=self._kafka)) as bus:
            bus.declare(MESSAGE_STATES, SESSIONS_EVENTS)
            for topic in (MESSAGE_STATES, SESSIONS_EVENTS):
                async for each in bus.replay(topic.name, Earliest()):
                    for kind, fields in _told(Envelope.FromString(each.value)):
                        record(kind, **fields)
        record(Finished)
        recorder.close()


def _found(row: Any) -> Iterator[Fields]:
    if row.direction not in _WAYS:
        return
    body = row.body or b""
    common = {"message_id": row.id, "state": row.state}
    try:
        key = content_of(body).key
    except msgspec.DecodeError:
        about = QUOTED.search(body.decode())
        if about is not None:
            yield NoticeFound, {**common, "key": about[1]}
        return
    yield MessageFound, {**common, "way": _WAYS[row.direction], "key": key, "digest": digest_of(body)}


def _told(envelope: Envelope) -> Iterator[Fields]:
    if envelope.HasField("message_state_changed"):
        changed = envelope.message_state_changed
        name = message_pb2.MessageState.Name(changed.state).removeprefix("MESSAGE_STATE_").lower()
        yield StateTold, {"event_id": envelope.event_id, "message_id": changed.ledger_id, "state": name}
        return
    event: event_pb2.Event = envelope.session_event.event
    what = event.WhichOneof("what")
    if what == "message_received":
        yield (
            StateTold,
            {
                "event_id": event.event_id,
                "message_id": event.message_received.message_id,
                "state": _ACCEPTED,
            },
        )
    elif what == "message_changed":
        name = ua_message_pb2.DeliveryState.Name(event.message_changed.state).removeprefix("DELIVERY_STATE_").lower()
        yield StateTold, {"event_id": event.event_id, "message_id": event.message_changed.message_id, "state": name}
