"""A member of a group that consumes one topic of the SQLite log.

Theory of operation. What is published is read at once. Offsets are committed when a part of what may be uncommitted is
finished, or nothing has been published for a moment: a transaction for each record would cost more than the record.
"""

import asyncio
from contextlib import suppress
from typing import Final

import structlog

from . import BusError
from .consuming import Processing
from .partition import Partition
from .sqlite_file import LogFile
from .sqlite_tables import LogTopic, commit, committed, page

logger = structlog.get_logger(__name__)

_PAGE_RECORDS: Final = 256
_GATHER: Final = 0.01
"""Seconds without a publication until what is finished is committed."""
_AFTER_FAILURE: Final = 0.5
"""Seconds until a file that could not be read or written is tried again."""


class SqliteConsumer:
    """Reads on from the group's offset, hands records over, commits what is finished.

    Args:
        file: The log.
        group: The group's name.
        topic: The topic's name.
        processing: Handles the records.
        limit: Records that are read but not committed.
        turn: Held while it works: one member of the group at a time.
    """

    def __init__(
        self, file: LogFile, group: str, topic: str, processing: Processing, *, limit: int, turn: asyncio.Lock
    ) -> None:
        self.group = group
        self.topic = topic
        self.is_active = False
        """Whether it is this member's turn."""
        self._file = file
        self._turn = turn
        self._published = asyncio.Event()
        self._published.set()
        """There may be records that were not read."""
        self._woken = asyncio.Event()
        self._stopping = False
        self._next = 0
        self._committed = 0
        self._log: LogTopic | None = None
        self._enough = max(1, limit // 4)
        self._partition = Partition(processing, limit, self._woken.set)

    @property
    def lag(self) -> int:
        """Records that are not committed yet."""
        return self._log.next - self._committed if self._log else 0

    def wake(self) -> None:
        """There may be something to read."""
        self._published.set()
        self._woken.set()

    def stop(self) -> None:
        """Finish the handlers that run, then end ``run``."""
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        """Consume until ``stop``; cancel it instead while it is not its turn."""
        async with self._turn:
            self.is_active = True
            try:
                while not self._stopping:
                    await self._one_round()
                await self._partition.settle()
                await self._commit()
            except BusError as error:
                logger.warning("what was handled last will be handled again", topic=self.topic, reason=str(error))
            finally:
                self.is_active = False

    async def _one_round(self) -> None:
        try:
            self._woken.clear()
            log = self._log or await self._begin()
            if self._finished >= self._enough:
                await self._commit()
            if self._published.is_set() and self._partition.room > 0:
                await self._read(log)
            elif not self._finished:
                await self._woken.wait()
            else:
                await self._commit_in_a_moment()
        except Exception as error:  # nothing may end the consumer unseen
            self._published.set()
            is_bug = not isinstance(error, BusError)
            logger.warning(
                "topic can't be consumed", topic=self.topic, group=self.group, reason=str(error), exc_info=is_bug
            )
            await asyncio.sleep(_AFTER_FAILURE)

    async def _begin(self) -> LogTopic:
        log = await self._file.submit(lambda connection: self._file.topic(connection, self.topic))
        self._next = self._committed = await self._file.read(committed(log, self.group))
        self._log = log
        return log

    @property
    def _finished(self) -> int:
        """How far beyond the committed offset all are finished."""
        offset = self._partition.committable
        return 0 if offset is None else offset - self._committed

    async def _commit_in_a_moment(self) -> None:
        """Let more be finished before it is committed; what is published meanwhile is read first."""
        if self._partition.room > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(_GATHER):
                    await self._published.wait()
                return
        await self._commit()

    async def _read(self, log: LogTopic) -> None:
        """Begin what there is room for."""
        room = min(self._partition.room, _PAGE_RECORDS)
        self._published.clear()
        records = await self._file.read(page(log, self._next, room))
        for record in records:
            self._partition.begin(record)
            self._next = record.offset + 1
        if records and self._next < log.next:
            self._published.set()  # There is more than a page.

    async def _commit(self) -> None:
        offset = self._partition.committable
        if offset is None:
            return
        file, group, topic = self._file, self.group, self.topic
        await file.submit(lambda connection: commit(connection, file.topic(connection, topic), group, offset))
        self._partition.committed(offset)
        self._committed = offset
