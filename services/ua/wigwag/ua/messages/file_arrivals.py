"""Files that come: written as they come, checked against what was said of them, then messages of their session."""

import hashlib
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from wigwag.api.ua.v1 import message_pb2
from wigwag.errors import WigwagError
from wigwag.protocols.cpim import CpimMessage
from wigwag.protocols.sdp import FileSelector
from wigwag.runtime.ua_messages import SessionFields
from wigwag.ua.endpoint.model import Received, StreamBegan, StreamEnded, StreamPiece
from wigwag.ua.sessions.ports import OwnedSession

from .content import Content
from .file_events import ANY_TYPE, file_of
from .files import Files
from .inbox import TRY_LATER, Arrived, Inbox
from .staging import BlobInfo, Blobs
from .streams import Streams

_MISMATCH = (400, "not the file that was offered")

logger = structlog.get_logger("wigwag.ua")


class FileArrivals:
    """Takes what comes in sessions of files (a ``Taker``).

    Args:
        files: Tells how they stand.
        blobs: Where they go.
        inbox: Keeps them.
        largest: Octets of a file.
        expires: Returns when the blob of a session goes, seconds since 1970.
        now: Seconds, monotonic.
        spawn: Runs work in the background.
    """

    def __init__(
        self,
        files: Files,
        blobs: Blobs,
        inbox: Inbox,
        *,
        largest: int,
        expires: Callable[[OwnedSession], float],
        now: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.streams = Streams(blobs, self, largest=largest, expires=expires, spawn=spawn)
        self._files = files
        self._blobs = blobs
        self._inbox = inbox
        self._expires = expires
        self._now = now
        self._spawn = spawn

    def receive(self, own: OwnedSession, event: Received | StreamBegan | StreamPiece | StreamEnded) -> None:
        """Take what comes."""
        if isinstance(event, Received):
            self._spawn(self._small(own, event.message_id, event.content_type, event.body, event.accept, event.refuse))
            return
        self.streams.receive(own, event)
        if isinstance(event, StreamPiece):
            size = own.transfer.selector.size if own.transfer is not None else None
            self._files.progress(own, "inbound", event.offset + len(event.data), size or 0)
        elif isinstance(event, StreamEnded) and not event.complete:
            self._failed(own, event.reason or "cut off", event.total)

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
            writer = await self._blobs.create()
            await writer.append(body)
            blob = await writer.commit(expires=self._expires(own))
        except WigwagError as error:
            logger.info("a file is not kept", session=own.record.id, reason=str(error))
            refuse(*TRY_LATER)
            return
        await self._take(own, message_id, content_type, blob, accept, refuse)

    async def _take(
        self,
        own: OwnedSession,
        message_id: str,
        content_type: str,
        blob: BlobInfo,
        accept: Callable[[], None],
        refuse: Callable[[int, str], None],
    ) -> None:
        try:
            fits = own.transfer is None or await self._fits(own.transfer.selector, blob)
            if not fits:
                refuse(*_MISMATCH)
                self._failed(own, _MISMATCH[1], blob.size)
                await self._blobs.delete([blob.id])
                return
        except WigwagError:
            refuse(*TRY_LATER)
            return

        def accepted() -> None:
            accept()
            self._completed(own, content_type, blob)

        record = own.record
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
                refuse=refuse,
                at=self._now(),
                blob=blob.id,
            )
        )

    async def _fits(self, selector: FileSelector, blob: BlobInfo) -> bool:
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
        self._files.told(own, file)

    def _failed(self, own: OwnedSession, reason: str, octets: int) -> None:
        failed = message_pb2.FILE_STATE_FAILED
        self._files.told(
            own, file_of(own.record, own.transfer, "inbound", state=failed, transferred=octets, reason=reason)
        )
