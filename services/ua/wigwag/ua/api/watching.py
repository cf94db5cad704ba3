"""Watch: events of an application from a resume token on, until the watcher leaves."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Final, cast

from wigwag.api.ua.v1 import event_pb2, ua_pb2
from wigwag.bus import Bus, FromOffsets
from wigwag.errors import InvalidRequestError, OutOfRangeError, OverloadedError
from wigwag.runtime.resume_tokens import offsets_of, token_of

from .feed import TOPIC, Bounds, EventFeed, Place, entry_of

FRAME: Final = Bounds(64, 1_048_576)
"""Of one response."""
WAITING: Final = Bounds(8_192, 16_777_216)
"""Of what a watcher may let wait."""
MOST_WATCHERS: Final = 1_000
MOST_CATCHING_UP: Final = 32
"""Watchers that read the log on their own at a time."""
LONGEST_SILENCE: Final = 30.0
"""Seconds after which a watcher gets a newer token, though nothing happened that concerns him."""
LONGEST_READING: Final = 60.0
"""Seconds for which a watcher that catches up may think about one response."""
_MOST_SESSIONS: Final = 1_000
_BEGIN: Final = 5.0


class Watching:
    """Serves all who watch, from one feed.

    Args:
        bus: Where the log is.
        feed: Reads it.
        waiting: Of what a watcher may let wait.
        silence: Seconds after which he gets a newer token.
    """

    def __init__(
        self, bus: Bus, feed: EventFeed, *, waiting: Bounds = WAITING, silence: float = LONGEST_SILENCE
    ) -> None:
        self._bus = bus
        self._feed = feed
        self._waiting = waiting
        self._silence = silence
        self._watchers = 0
        self._catching_up = 0

    async def watch(self, application: str, request: ua_pb2.WatchRequest) -> AsyncIterator[ua_pb2.WatchResponse]:
        """Yield events; the first response says at once where it begins, and may hold none.

        Args:
            application: Whose; empty: everybody's.
            request: From where on, and of which sessions.

        Raises:
            InvalidRequestError: The token is none; too many sessions.
            OutOfRangeError: What it stands for is kept no more.
            OverloadedError: He reads too slowly, or too many watch.
            BusError: The log can't be read.
        """
        if len(request.session_ids) > _MOST_SESSIONS:
            raise InvalidRequestError(f"session_ids: more than {_MOST_SESSIONS}")
        given = offsets_of(request.resume_token) if request.resume_token else None
        if self._watchers >= MOST_WATCHERS:
            raise OverloadedError("too many watch already")
        self._watchers += 1
        try:
            await self._feed.began(_BEGIN)
            offsets = self._feed.ends if given is None else given
            place = Place(application, request.session_ids, offsets, self._waiting)
            if given is not None:
                await self._check(given)
            yield _response((), place)
            async with aclosing(cast(Any, self._follow(place))) as responses:
                async for response in responses:
                    yield response
        finally:
            self._watchers -= 1

    async def _follow(self, place: Place) -> AsyncIterator[ua_pb2.WatchResponse]:
        while not self._feed.join(place):
            async with aclosing(cast(Any, self._catch_up(place))) as responses:
                async for response in responses:
                    yield response
        try:
            while True:
                before = dict(place.offsets)
                filled = await place.filled(self._silence)
                # Let the rest of this turn's events come into the same response.
                await asyncio.sleep(0)
                events = place.take(FRAME, self._feed.ends)
                if events or (not filled and place.offsets != before):
                    yield _response(events, place)
        finally:
            self._feed.leave(place)

    async def _check(self, offsets: Mapping[int, int]) -> None:
        """Find out whether the log still holds what follows; the feed knows, unless he is far behind or ahead of it."""
        if self._feed.holds(offsets):
            return
        extent = await self._bus.extent(TOPIC)
        if not offsets.keys() <= extent.keys() or any(
            not held.start <= offsets.get(partition, 0) <= held.stop for partition, held in extent.items()
        ):
            raise OutOfRangeError("resume_token: what follows it is kept no more; watch without one")

    async def _catch_up(self, place: Place) -> AsyncIterator[ua_pb2.WatchResponse]:
        """Yield what the log holds from the watcher's place to its end of this moment."""
        if self._catching_up >= MOST_CATCHING_UP:
            raise OverloadedError("too many read old events already; try again")
        self._catching_up += 1
        gathered: list[event_pb2.Event] = []
        size = 0
        try:
            records = self._bus.replay(TOPIC, FromOffsets(dict(place.offsets)))
            async with aclosing(cast(Any, records)):
                async for record in records:
                    entry = entry_of(record)
                    place.offsets[record.partition] = record.offset + 1
                    if entry is None or not place.concerns(entry.event):
                        continue
                    gathered.append(entry.event)
                    size += entry.size
                    if len(gathered) >= FRAME.events or size >= FRAME.octets:
                        began = time.monotonic()
                        yield _response(gathered, place)
                        if time.monotonic() - began > LONGEST_READING:
                            # What stands next in the log may be gone by now, and nothing would tell.
                            raise OverloadedError("events are read too slowly: watch again with the last resume token")
                        gathered, size = [], 0
            if gathered:
                yield _response(gathered, place)
        finally:
            self._catching_up -= 1


def _response(events: "list[event_pb2.Event] | tuple[()]", place: Place) -> ua_pb2.WatchResponse:
    return ua_pb2.WatchResponse(events=events, resume_token=token_of(place.offsets))
