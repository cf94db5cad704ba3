"""The records of a partition that a consumer works on: order per key, bounded work, what may be committed.

Theory of operation. Records enter ``Partition.begin`` in order and join the lane of their key; a lane is one task that
brings one record after the other to an end, or all that are there by then together. A record counts against the
partition's limit until its offset is committed, so that a kill repeats no more than the limit. ``committable`` never
passes a record that is not finished.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import islice

from . import Record
from .consuming import Processing


class Partition:
    """The records of one partition that are read and not yet committed.

    Args:
        processing: Brings them to an end.
        limit: How many they may be.
        on_finished: Called when a record is finished.
    """

    def __init__(self, processing: Processing, limit: int, on_finished: Callable[[], None]) -> None:
        self._processing = processing
        self._limit = limit
        self._on_finished = on_finished
        self._under_way: deque[int] = deque()
        self._finished: set[int] = set()
        self._lanes: dict[str, deque[Record]] = {}
        """By key; without order, what came since the last task began."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._position: int | None = None

    @property
    def room(self) -> int:
        """How many records it takes now."""
        return self._limit - len(self._under_way)

    @property
    def position(self) -> int | None:
        """Offset up to which, itself excluded, all is committed; None before the first record."""
        return self._position

    def begin(self, record: Record) -> None:
        """Take a record; offsets have to grow."""
        if self._position is None:
            self._position = record.offset
        self._under_way.append(record.offset)
        key = self._lane_of(record)
        lane = self._lanes.get(key)
        if lane is not None:
            lane.append(record)
            return
        self._lanes[key] = deque([record])
        task = asyncio.create_task(self._run(key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _lane_of(self, record: Record) -> str:
        if self._processing.ordered:
            return record.key
        return str(record.offset) if self._processing.together == 1 else ""

    async def _run(self, key: str) -> None:
        lane = self._lanes[key]
        if not self._processing.ordered:
            del self._lanes[key]  # What comes from now on need not wait for this.
        while lane:
            records = list(islice(lane, self._processing.together))
            done = await self._processing.process(records, self._stopping)
            for _ in range(done):
                self._finished.add(lane.popleft().offset)
            self._on_finished()
            if done < len(records):
                return
        if self._processing.ordered:
            del self._lanes[key]

    @property
    def committable(self) -> int | None:
        """The offset up to which, itself excluded, all are finished; None when that is nothing new."""
        result = None
        for offset in self._under_way:
            if offset not in self._finished:
                break
            result = offset + 1
        return result

    def committed(self, offset: int) -> None:
        """Forget what is below a committed offset."""
        self._position = offset
        while self._under_way and self._under_way[0] < offset:
            self._finished.discard(self._under_way.popleft())

    async def settle(self) -> None:
        """Begin no handler any more; wait for those that run, then cancel them."""
        self._stopping.set()
        if not self._tasks:
            return
        _, late = await asyncio.wait(set(self._tasks), timeout=self._processing.policy.settle)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
