"""Messages that come in pieces: into a blob as they come, with what waits for the database bounded.

Theory of operation. A peer may send in pieces what is small, because he does not know its size; so up to 256 KiB are
held in memory, and if that was all the message is like any other. Beyond, a blob is begun and written by a task per
message; while more than a mebibyte waits for it, nothing is read from the peer. What is not complete at its end is
deleted, or kept to be gone on with: that is for the keeper to say. Octets come in order; what was there before is
passed over, and a message of which some are missing is refused.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from wigwag.errors import WigwagError
from wigwag.protocols.cpim import CPIM_TYPE, CpimError, CpimMessage, head_length
from wigwag.ua.endpoint.model import StreamBegan, StreamEnded, StreamPiece
from wigwag.ua.sessions.ports import OwnedSession

from .content import RefusedError
from .staging import BlobInfo, BlobOut, Blobs

IN_MEMORY: Final = 262_144
"""Octets up to which a message is held in memory."""
_MOST_WAITING: Final = 1_048_576
"""Octets that wait for the database, above which the peer is paused."""
_TOO_LONG: Final = (413, "longer than messages may be")
_TRY_LATER: Final = (413, "Try again later")
_HOLE: Final = (413, "octets are missing")
_REPORT_EVERY: Final = 4_194_304
"""Octets that are reported on at once before all have come."""
_TRANSPARENT: Final = ("7bit", "8bit", "binary", "")


class Taker(Protocol):
    """What is done with what came."""

    def check(self, own: OwnedSession, content_type: str, message: CpimMessage | None) -> None:
        """Look at a large message before it is written; RefusedError: it is not taken."""

    def whole(self, own: OwnedSession, began: StreamBegan, ended: StreamEnded, body: bytes) -> None:
        """Take a message that was small after all; answer it."""

    def large(
        self, own: OwnedSession, began: StreamBegan, ended: StreamEnded, blob: BlobInfo, message: CpimMessage | None
    ) -> None:
        """Take a message that is in a blob, without its wrapping if that was read; answer it."""


class Keeper(Protocol):
    """Which blob it is that a message in pieces goes to."""

    keeps: bool
    """Whether what has not come whole is kept; then the peer is told from time to time how much that is."""

    def turn(self, own: OwnedSession) -> AbstractAsyncContextManager[Any]:
        """Return what is held while the blob is written."""

    async def begin(self, own: OwnedSession, began: StreamBegan) -> tuple[BlobOut, int]:
        """Begin a blob, or go on with one.

        Returns:
            The blob, and how many octets of the message are in it already: less than 0 when octets before the message's
            first are missing.
        """

    async def broke(self, own: OwnedSession, writer: BlobOut, *, refused: bool) -> None:
        """Hear that the rest will not come, or is not wanted."""


class Fresh:
    """A keeper that begins a blob for each message, and deletes what is not whole."""

    keeps = False

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def turn(self, own: OwnedSession) -> AbstractAsyncContextManager[Any]:
        """Return nothing to be waited for."""
        return nullcontext()

    async def begin(self, own: OwnedSession, began: StreamBegan) -> tuple[BlobOut, int]:
        """Begin a blob."""
        return await self._blobs.create(), 0

    async def broke(self, own: OwnedSession, writer: BlobOut, *, refused: bool) -> None:
        """Delete it."""
        await self._blobs.delete([writer.id])


@dataclass(slots=True, eq=False)
class _Stream:
    own: OwnedSession
    began: StreamBegan
    held: bytearray = field(default_factory=bytearray)
    """Not written yet."""
    first: int | None = None
    """Octets of the message before the first one that came."""
    size: int = 0
    """Octets of the message up to the last one that came."""
    refused: bool = False
    spilled: bool = False
    paused: bool = False
    left: bool = False
    """Whether somebody else goes on with it: nothing more may be read for it here."""
    message: CpimMessage | None = None
    head: int = 0
    """Octets of the message that were its wrapping."""
    ended: StreamEnded | None = None
    filled: asyncio.Event = field(default_factory=asyncio.Event)
    written: asyncio.Event = field(default_factory=asyncio.Event)

    def pause(self, *, on: bool) -> None:
        if self.paused is not on and not self.left:
            self.paused = on
            self.began.pause(on)


class Streams:
    """All messages that are coming in pieces.

    Args:
        blobs: Where they go.
        taker: Takes them at their end.
        largest: Octets of a message.
        expires: Returns when the blob of a session goes if nobody deletes it before, seconds since 1970.
        spawn: Runs work in the background.
        keeper: Says which blob a message goes to; None: one of its own.
    """

    def __init__(
        self,
        blobs: Blobs,
        taker: Taker,
        *,
        largest: int,
        expires: Callable[[OwnedSession], float],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        keeper: Keeper | None = None,
    ) -> None:
        self._keeper = keeper or Fresh(blobs)
        self._taker = taker
        self._largest = largest
        self._expires = expires
        self._spawn = spawn
        self._streams: dict[tuple[str, str], _Stream] = {}

    def __len__(self) -> int:
        """Messages that are coming."""
        return len(self._streams)

    def receive(self, own: OwnedSession, event: StreamBegan | StreamPiece | StreamEnded) -> None:
        """Take what comes."""
        key = (own.record.id, event.message_id)
        if isinstance(event, StreamBegan):
            if key in self._streams:
                # It was cut off, and begins anew.
                self._cut(key, "it begins anew")
            self._streams[key] = stream = _Stream(own, event)
            if event.total is not None and event.total > self._largest:
                self._refuse(stream, *_TOO_LONG)
        elif isinstance(event, StreamPiece):
            found = self._streams.get(key)
            if found is not None:
                self._piece(found, event.offset, event.data)
        else:
            ending = self._streams.pop(key, None)
            if ending is not None:
                self._ended(ending, event)

    async def cut(self, own: OwnedSession, reason: str) -> None:
        """Take no more of a session, and return when what came is written: somebody else is about to go on with it."""
        for key, stream in list(self._streams.items()):
            if key[0] == own.record.id:
                stream.pause(on=True)
                stream.left = True
                if stream.held and not stream.spilled:
                    self._spill(stream)
                self._cut(key, reason)
                if stream.spilled:
                    await stream.written.wait()

    def _cut(self, key: tuple[str, str], reason: str) -> None:
        stream = self._streams.pop(key)
        stream.ended = StreamEnded(
            session=stream.began.session,
            message_id=key[1],
            total=stream.size,
            complete=False,
            reason=reason,
            accept=lambda: None,
            refuse=lambda status, comment: None,
        )
        stream.filled.set()

    def _piece(self, stream: _Stream, offset: int, data: bytes) -> None:
        if stream.first is None:
            stream.first = stream.size = offset
        if offset > stream.size:
            self._refuse(stream, *_HOLE)
            return
        data = data[stream.size - offset :]
        stream.size += len(data)
        if stream.size > self._largest:
            self._refuse(stream, *_TOO_LONG)
            return
        stream.held += data
        if stream.spilled:
            stream.pause(on=len(stream.held) > _MOST_WAITING)
            stream.filled.set()
        elif len(stream.held) > IN_MEMORY or stream.first:
            self._spill(stream)

    def _spill(self, stream: _Stream) -> None:
        began = stream.began
        try:
            is_wrapped = began.content_type.partition(";")[0].strip().lower() == CPIM_TYPE
            if is_wrapped and stream.own.application.content != "as_is":
                size = len(stream.held)
                stream.message = _unwrap(stream.held)
                stream.head = size - len(stream.held)
            self._taker.check(stream.own, began.content_type, stream.message)
        except RefusedError as error:
            self._refuse(stream, error.status, error.comment)
            return
        stream.spilled = True
        stream.filled.set()
        self._spawn(self._write(stream))

    def _ended(self, stream: _Stream, event: StreamEnded) -> None:
        stream.ended = event
        if self._keeper.keeps and stream.held and not event.complete and not stream.spilled:
            self._spill(stream)
        if stream.spilled:
            stream.filled.set()
        elif event.complete:
            self._taker.whole(stream.own, stream.began, event, bytes(stream.held))

    def _refuse(self, stream: _Stream, status: int, comment: str) -> None:
        stream.refused = True
        stream.held.clear()
        key = (stream.own.record.id, stream.began.message_id)
        if self._streams.get(key) is stream:
            # What still comes of it is passed over.
            del self._streams[key]
        stream.pause(on=False)
        refuse = stream.ended.refuse if stream.ended is not None else stream.began.refuse
        refuse(status, comment)
        stream.filled.set()

    async def _write(self, stream: _Stream) -> None:
        try:
            async with self._keeper.turn(stream.own):
                blob = await self._written(stream) if not stream.refused else None
        except RefusedError as error:
            self._refuse(stream, error.status, error.comment)
        except WigwagError:
            if not stream.refused:
                self._refuse(stream, *_TRY_LATER)
        else:
            if blob is not None and stream.ended is not None:
                self._taker.large(stream.own, stream.began, stream.ended, blob, stream.message)
        finally:
            stream.written.set()

    async def _written(self, stream: _Stream) -> BlobInfo | None:
        """Write a message as it comes; None: it has not come whole.

        Raises:
            RefusedError: It can't be taken.
        """
        writer, there = await self._keeper.begin(stream.own, stream.began)
        ahead = there - (stream.first or 0)
        if ahead < 0:
            await self._keeper.broke(stream.own, writer, refused=False)
            raise RefusedError(*_HOLE)
        await self._write_all(stream, writer, ahead)
        ended = stream.ended
        if ended is None or stream.refused or not ended.complete:
            await self._keeper.broke(stream.own, writer, refused=stream.refused)
            return None
        return await writer.commit(expires=self._expires(stream.own))

    async def _write_all(self, stream: _Stream, writer: BlobOut, ahead: int) -> None:
        """Write what comes, but the octets that are there already."""
        before = ahead + (stream.first or 0) + stream.head - writer.size
        reported = 0
        while not stream.refused:
            await stream.filled.wait()
            stream.filled.clear()
            while stream.held and not stream.refused:
                data, stream.held = bytes(stream.held), bytearray()
                stream.pause(on=False)
                fresh = data[ahead:]
                ahead -= len(data) - len(fresh)
                await writer.append(fresh)
                here = before + writer.durable
                # Not of the whole: that says that it was taken.
                if self._keeper.keeps and here - reported >= _REPORT_EVERY and here != stream.began.total:
                    reported = here
                    stream.began.report(reported)
            if stream.ended is not None and not stream.held:
                return


def _unwrap(held: bytearray) -> CpimMessage:
    """Return a wrapping, and take it off what is held.

    Raises:
        RefusedError: It is malformed, longer than it may be, or its content is encoded.
    """
    try:
        length = head_length(bytes(held))
        if length is None:
            raise RefusedError(413, "headers of message/cpim that do not end")
        message = CpimMessage.parse(bytes(held[:length]))
    except CpimError as error:
        raise RefusedError(error.status or 400, error.reason) from error
    encoding = next((h.text for h in message.content_headers if h.name.lower() == "content-transfer-encoding"), "")
    if encoding.lower() not in _TRANSPARENT:
        raise RefusedError(415, "a large content that is encoded")
    del held[:length]
    return message
