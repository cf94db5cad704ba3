"""Files that come: written as they come, checked against what was said of them, then messages of their session."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Final
from weakref import WeakValueDictionary

import structlog

from wigwag.api.ua.v1 import message_pb2
from wigwag.database.ledger import Ledger, LedgerRow
from wigwag.errors import DatabaseError, WigwagError
from wigwag.protocols.cpim import CpimMessage
from wigwag.protocols.sdp import FileSelector
from wigwag.runtime.ua_messages import INBOUND, SessionFields, conversation_of
from wigwag.ua.endpoint.model import Received, StreamBegan, StreamEnded, StreamPiece
from wigwag.ua.sessions.ports import OwnedSession

from .content import Content, RefusedError
from .file_events import ANY_TYPE, file_of
from .file_parts import PartKeeper, first_octet
from .file_telling import FileTelling
from .inbox import TRY_LATER, Arrived, Inbox
from .staging import BlobInfo, BlobOut, Blobs
from .streams import Streams

_MISMATCH = (400, "not the file that was offered")
_RETRY: Final = 0.5
_PATIENCE: Final = 30.0
"""Seconds for which the database may be away when it is asked how much of a file is there."""
_ROWS: Final = 10
"""Messages of a session that are looked at: one of a file has one."""

logger = structlog.get_logger("wigwag.ua")


class FileArrivals:
    """Takes what comes in sessions of files (a ``Taker`` and a ``Keeper``).

    Args:
        telling: Tells how they stand.
        ledger: Knows which have come whole.
        blobs: Where they go.
        parts: Knows what is there of those that have not come whole.
        inbox: Keeps them.
        largest: Octets of a file.
        expires: Returns when the blob of a session goes, seconds since 1970.
        now: Seconds, monotonic.
        spawn: Runs work in the background.
    """

    keeps = True

    def __init__(
        self,
        telling: FileTelling,
        ledger: Ledger,
        blobs: Blobs,
        parts: PartKeeper,
        inbox: Inbox,
        *,
        largest: int,
        expires: Callable[[OwnedSession], float],
        now: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.streams = Streams(blobs, self, largest=largest, expires=expires, spawn=spawn, keeper=self)
        self._telling = telling
        self._ledger = ledger
        self._blobs = blobs
        self._parts = parts
        self._inbox = inbox
        self._expires = expires
        self._now = now
        self._spawn = spawn
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._taking: set[str] = set()
        """Sessions whose file is here, and about to be told of."""

    def receive(self, own: OwnedSession, event: Received | StreamBegan | StreamPiece | StreamEnded) -> None:
        """Take what comes."""
        if isinstance(event, Received):
            self._spawn(self._small(own, event.message_id, event.content_type, event.body, event.accept, event.refuse))
            return
        self.streams.receive(own, event)
        if isinstance(event, StreamPiece):
            size = own.transfer.selector.size if own.transfer is not None else None
            octets = first_octet(own) - 1 + event.offset + len(event.data)
            self._telling.progress(own, "inbound", octets, size or 0)
        elif isinstance(event, StreamEnded) and not event.complete and not event.lost:
            self._spawn(self._broke_off(own, event.reason or "cut off"))

    async def leaving(self, own: OwnedSession) -> None:
        """Make durable what came: another pod is about to go on with the session."""
        await self.streams.cut(own, "another pod goes on with it")

    async def ended(self, own: OwnedSession, reason: str) -> None:
        """Tell of a file that has not come whole: its session is over."""
        if not own.record.file_state:
            await self._broke_off(own, reason)

    # Taker

    def check(self, own: OwnedSession, content_type: str, message: CpimMessage | None) -> None:
        """Every type was agreed on when the file was offered."""

    def whole(self, own: OwnedSession, began: StreamBegan, ended: StreamEnded, body: bytes) -> None:
        """Take a small file."""
        self._spawn(self._small(own, began.message_id, began.content_type, body, ended.accept, ended.refuse))

    def large(
        self, own: OwnedSession, began: StreamBegan, ended: StreamEnded, blob: BlobInfo, message: CpimMessage | None
    ) -> None:
        """Take a file that is in a blob."""
        self._spawn(self._take(own, began.message_id, began.content_type, blob, ended.accept, ended.refuse))

    # Keeper

    def turn(self, own: OwnedSession) -> AbstractAsyncContextManager[Any]:
        """Return what is held while the session's file is written: one connection after the other."""
        lock = self._turns.get(own.record.id)
        if lock is None:
            lock = self._turns[own.record.id] = asyncio.Lock()
        return lock

    async def begin(self, own: OwnedSession, began: StreamBegan) -> tuple[BlobOut, int]:
        """Begin the file's blob, or go on with what is there of it."""
        writer = await self._parts.open(own)
        return writer, writer.size - (first_octet(own) - 1)

    async def broke(self, own: OwnedSession, writer: BlobOut, *, refused: bool) -> None:
        """Keep what came, unless it is not wanted, or another pod's by now."""
        if refused:
            await self._blobs.delete([writer.id])
        elif not own.lost:
            await writer.flush()

    # What came

    async def _small(
        self,
        own: OwnedSession,
        message_id: str,
        content_type: str,
        body: bytes,
        accept: Callable[[], None],
        refuse: Callable[[int, str], None],
    ) -> None:
        try:
            async with self.turn(own):
                blob = await self._whole(own, body)
        except RefusedError as error:
            refuse(error.status, error.comment)
        except WigwagError as error:
            logger.info("a file is not kept", session=own.record.id, reason=str(error))
            refuse(*TRY_LATER)
        else:
            await self._take(own, message_id, content_type, blob, accept, refuse)

    async def _whole(self, own: OwnedSession, body: bytes) -> BlobInfo:
        """Write what came at once: a small file, or the end of one."""
        first = first_octet(own)
        writer = await self._parts.open(own) if first > 1 else await self._blobs.create()
        if writer.size < first - 1:
            raise RefusedError(413, "octets are missing")
        await writer.append(body[writer.size - (first - 1) :])
        return await writer.commit(expires=self._expires(own))

    async def _take(
        self,
        own: OwnedSession,
        message_id: str,
        content_type: str,
        blob: BlobInfo,
        accept: Callable[[], None],
        refuse: Callable[[int, str], None],
    ) -> None:
        record = own.record
        self._taking.add(record.id)

        def accepted() -> None:
            accept()
            self._taking.discard(record.id)
            self._completed(own, content_type, blob)
            if record.direction == "outbound":
                # We asked for it, and have it; its sender need not be the one to hang up.
                own.chat.end()

        def refused(status: int, comment: str) -> None:
            refuse(status, comment)
            self._taking.discard(record.id)
            self._failed(own, comment, 0)

        try:
            if not await self._fits(own, blob):
                refused(*_MISMATCH)
                await self._blobs.delete([blob.id])
                return
        except WigwagError:
            refused(*TRY_LATER)
            return
        fields = SessionFields(
            session_id=record.id, application=record.application, msrp_message_id=message_id, size=blob.size
        )
        content = Content(content_type=content_type or ANY_TYPE, body=b"", fields=fields, message=None)
        self._inbox.put(
            Arrived(
                own=own,
                message_id=message_id,
                content=content,
                accept=accepted,
                refuse=refused,
                at=self._now(),
                blob=blob.id,
            )
        )

    async def _fits(self, own: OwnedSession, blob: BlobInfo) -> bool:
        """Tell whether a file is what its offer, or the answer to our question, says (RFC 5547 section 8.2.2)."""
        said = [transfer.selector for transfer in (own.transfer, own.chat.file) if transfer is not None]
        return all([await self._is(selector, blob) for selector in dict.fromkeys(said)])

    async def _is(self, selector: FileSelector, blob: BlobInfo) -> bool:
        if selector.size is not None and selector.size != blob.size:
            return False
        hashes = dict(selector.hashes)
        if "sha-256" in hashes:
            return hashes["sha-256"].hex() == blob.sha256
        if "sha-1" not in hashes:
            return True
        sha1 = hashlib.sha1(usedforsecurity=False)
        async for piece in self._blobs.read(blob.id):
            sha1.update(piece)
        return sha1.digest() == hashes["sha-1"]

    # How it ended

    def _completed(self, own: OwnedSession, content_type: str, blob: BlobInfo) -> None:
        file = file_of(
            own.record,
            own.transfer,
            "inbound",
            state=message_pb2.FILE_STATE_COMPLETED,
            content_type=content_type,
            size=blob.size,
            sha256=blob.sha256,
            transferred=blob.size,
            blob_id=blob.id,
        )
        self._telling.told(own, file)
        self._spawn(self._parts.forget(own.record.id))

    async def _broke_off(self, own: OwnedSession, reason: str) -> None:
        """Tell that a file has not come whole, and how much of it is kept."""
        record, until = own.record, self._now() + _PATIENCE
        rows: list[LedgerRow] = []
        octets = 0
        while self._now() < until:
            try:
                async with self.turn(own):
                    rows = await self._ledger.conversation(conversation_of(record.id), limit=_ROWS)
                    octets = await self._parts.octets(record.id)
                break
            except DatabaseError:
                await asyncio.sleep(_RETRY)
        # Whoever took the session over does not know that it came whole before.
        is_told = own.record.file_state or record.id in self._taking
        if not is_told and not any(row.direction == INBOUND for row in rows):
            self._failed(own, reason, octets, declined=not record.opened)

    def _failed(self, own: OwnedSession, reason: str, octets: int, *, declined: bool = False) -> None:
        state = message_pb2.FILE_STATE_DECLINED if declined else message_pb2.FILE_STATE_FAILED
        file = file_of(own.record, own.transfer, "inbound", state=state, transferred=octets, reason=reason)
        self._telling.told(own, file)
