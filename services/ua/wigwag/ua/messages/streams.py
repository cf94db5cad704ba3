"""Messages that come in pieces: into a blob as they come, with what waits for the database bounded.

Theory of operation. A peer may send in pieces what is small, because he does not know its size; so up to 256 KiB are
held in memory, and if that was all the message is like any other. Beyond, a blob is begun and written by a task per
message; while more than a mebibyte waits for it, nothing is read from the peer. What is not complete at its end leaves
a blob that goes by itself.
"""

import asyncio
from collections.abc import Callable, Coroutine
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


@dataclass(slots=True, eq=False)
class _Stream:
    own: OwnedSession
    began: StreamBegan
    held: bytearray = field(default_factory=bytearray)
    """Not written yet."""
    size: int = 0
    refused: bool = False
    spilled: bool = False
    paused: bool = False
    message: CpimMessage | None = None
    ended: StreamEnded | None = None
    filled: asyncio.Event = field(default_factory=asyncio.Event)

    def pause(self, *, on: bool) -> None:
        if self.paused is not on:
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
    """

    def __init__(
        self,
        blobs: Blobs,
        taker: Taker,
        *,
        largest: int,
        expires: Callable[[OwnedSession], float],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._blobs = blobs
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
                self._streams[key].refused = True
                self._streams[key].filled.set()
            self._streams[key] = stream = _Stream(own, event)
            if event.total is not None and event.total > self._largest:
                self._refuse(stream, *_TOO_LONG)
        elif isinstance(event, StreamPiece):
            found = self._streams.get(key)
            if found is not None:
                self._piece(found, event.data)
        else:
            ending = self._streams.pop(key, None)
            if ending is not None:
                self._ended(ending, event)

    def _piece(self, stream: _Stream, data: bytes) -> None:
        stream.size += len(data)
        if stream.size > self._largest:
            self._refuse(stream, *_TOO_LONG)
            return
        stream.held += data
        if stream.spilled:
            stream.pause(on=len(stream.held) > _MOST_WAITING)
            stream.filled.set()
        elif len(stream.held) > IN_MEMORY:
            self._spill(stream)

    def _spill(self, stream: _Stream) -> None:
        began = stream.began
        try:
            is_wrapped = began.content_type.partition(";")[0].strip().lower() == CPIM_TYPE
            if is_wrapped and stream.own.application.content != "as_is":
                stream.message = _unwrap(stream.held)
            self._taker.check(stream.own, began.content_type, stream.message)
        except RefusedError as error:
            self._refuse(stream, error.status, error.comment)
            return
        stream.spilled = True
        stream.filled.set()
        self._spawn(self._write(stream))

    def _ended(self, stream: _Stream, event: StreamEnded) -> None:
        stream.ended = event
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
        writer: BlobOut | None = None
        try:
            writer = await self._blobs.create()
            await self._write_all(stream, writer)
            ended = stream.ended
            if ended is None or stream.refused or not ended.complete:
                await self._blobs.delete([writer.id])
                return
            blob = await writer.commit(expires=self._expires(stream.own))
        except WigwagError:
            if not stream.refused:
                self._refuse(stream, *_TRY_LATER)
            return
        self._taker.large(stream.own, stream.began, ended, blob, stream.message)

    async def _write_all(self, stream: _Stream, writer: BlobOut) -> None:
        while not stream.refused:
            await stream.filled.wait()
            stream.filled.clear()
            while stream.held and not stream.refused:
                data, stream.held = bytes(stream.held), bytearray()
                stream.pause(on=False)
                await writer.append(data)
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
