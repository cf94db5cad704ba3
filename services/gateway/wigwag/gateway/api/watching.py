"""Watch: events of the gateway from a resume token on, until the watcher leaves.

Each watcher reads the log on his own: events are few, and so are operators. Who reads slowly makes only himself wait.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final, cast

import structlog
from google.protobuf.message import DecodeError

from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.api.gateway.v1 import conversation_pb2, gateway_pb2
from wigwag.bus import Bus, FromOffsets, Record
from wigwag.errors import OutOfRangeError, OverloadedError
from wigwag.runtime.events import GATEWAY_EVENTS
from wigwag.runtime.resume_tokens import Offsets, offsets_of, token_of

MOST_WATCHERS: Final = 100

logger = structlog.get_logger("wigwag.gateway")


class Watching:
    """Serves all who watch.

    Args:
        bus: Where the log is.
        most: Who may watch at a time.
    """

    def __init__(self, bus: Bus, *, most: int = MOST_WATCHERS) -> None:
        self._bus = bus
        self._most = most
        self._watchers = 0

    async def watch(self, request: gateway_pb2.WatchRequest) -> AsyncIterator[gateway_pb2.WatchResponse]:
        """Yield events; the first response says at once where it begins, and holds none.

        Raises:
            InvalidRequestError: The token is none.
            OutOfRangeError: What it stands for is kept no more.
            OverloadedError: Too many watch.
            BusError: The log can't be read.
        """
        given = offsets_of(request.resume_token) if request.resume_token else None
        if self._watchers >= self._most:
            raise OverloadedError("too many watch already")
        self._watchers += 1
        try:
            offsets = await self._beginning(given)
            yield gateway_pb2.WatchResponse(resume_token=token_of(offsets))
            records = self._bus.replay(GATEWAY_EVENTS.name, FromOffsets(dict(offsets)), follow=True)
            async with aclosing(cast(Any, records)):
                async for record in records:
                    offsets[record.partition] = record.offset + 1
                    event = event_of(record)
                    if event is not None:
                        yield gateway_pb2.WatchResponse(events=[event], resume_token=token_of(offsets))
        finally:
            self._watchers -= 1

    async def _beginning(self, given: Offsets | None) -> dict[int, int]:
        extent = await self._bus.extent(GATEWAY_EVENTS.name)
        if given is None:
            return {partition: held.stop for partition, held in extent.items()}
        if not given.keys() <= extent.keys() or any(
            not held.start <= given.get(partition, 0) <= held.stop for partition, held in extent.items()
        ):
            raise OutOfRangeError("resume_token: what follows it is kept no more; watch without one")
        return dict(given)


def event_of(record: Record) -> conversation_pb2.Event | None:
    """Return the event of a record; None: it holds none that this version knows."""
    try:
        found = Envelope.FromString(record.value)
    except DecodeError:
        logger.warning("an event can't be read", position=record.position)
        return None
    event = conversation_pb2.Event(event_id=found.event_id, occurred_at=found.occurred_at)
    match found.WhichOneof("payload"):
        case "gateway_conversation_changed":
            event.conversation_changed.CopyFrom(found.gateway_conversation_changed.conversation)
        case "gateway_setup_failed":
            failed = found.gateway_setup_failed
            event.setup_failed.CopyFrom(
                conversation_pb2.SetupFailed(
                    key=failed.key,
                    from_uri=failed.from_uri,
                    to_uri=failed.to_uri,
                    request_uri=failed.request_uri,
                    code=failed.code,
                    reason=failed.reason,
                    message_ids=failed.message_ids,
                    remedy=failed.remedy,
                )
            )
        case _:
            return None
    return event
