"""What is there of files that have not come whole, so that they can be gone on with (RFC 5547 a=file-range)."""

from collections.abc import Sequence
from typing import Protocol

from wigwag.database.file_parts import INBOUND, UPLOAD, FilePart
from wigwag.errors import ConflictError, NotFoundError
from wigwag.protocols.sdp import FileSelector, FileTransfer
from wigwag.ua.sessions.ports import OwnedSession
from wigwag.ua.sessions.record import SessionRecord

from .content import RefusedError
from .staging import BlobOut, Blobs


class Parts(Protocol):
    """Where parts are written down (``wigwag.database.FileParts``)."""

    async def put(self, part: FilePart) -> None:
        """Write a part down."""

    async def find(self, session: str) -> FilePart | None:
        """Return the part that a session left."""

    async def of_peer(self, application: str, peer: str) -> Sequence[FilePart]:
        """Return the parts that a peer left."""

    async def move(self, session: str, to: str) -> bool:
        """Let another session go on with a part."""

    async def delete(self, session: str) -> None:
        """Forget a part."""


def first_octet(own: OwnedSession) -> int:
    """Return the number of the file's octet with which the session's message begins.

    Without a=file-range in the answer it is the first (RFC 5547 section 8.7).
    """
    agreed = own.chat.file
    if agreed is not None and own.record.direction == "outbound":
        return agreed.range.start if agreed.range is not None else 1
    wished = own.transfer
    return wished.range.start if wished is not None and wished.range is not None else 1


class PartKeeper:
    """The parts of files that come to a pod.

    Args:
        blobs: Where they are.
        parts: Where they are written down.
        largest: Octets of a file.
    """

    def __init__(self, blobs: Blobs, parts: Parts, *, largest: int) -> None:
        self._blobs = blobs
        self._parts = parts
        self._largest = largest

    async def find(self, session: str, direction: str = INBOUND) -> FilePart | None:
        """Return the part that a session, or an upload, left; None: nothing, or the blob is gone.

        Raises:
            DatabaseError: The database can't be reached.
        """
        part = await self._parts.find(session)
        if part is None or part.direction != direction or not await self._blobs.written(part.blob):
            return None
        return part

    async def octets(self, session: str) -> int:
        """Return how much of a file is kept; errors as ``find``."""
        part = await self._parts.find(session)
        return await self._blobs.written(part.blob) if part is not None else 0

    async def written(self, part: FilePart) -> int:
        """Return how many octets a part has; errors as ``find``."""
        return await self._blobs.written(part.blob)

    async def open(self, own: OwnedSession) -> BlobOut:
        """Return the blob of a session's file: begun, or gone on with.

        What is there is read again for its hash, in constant memory.

        Raises:
            RefusedError: It should be gone on with, and is not there (any more).
            DatabaseError: As ``find``.
        """
        record = own.record
        part = await self._parts.find(record.id)
        if part is None and record.resumes and await self._parts.move(record.resumes, record.id):
            part = await self._parts.find(record.id)
        if part is not None:
            try:
                return await self._blobs.reopen(part.blob)
            except (NotFoundError, ConflictError) as error:
                if first_octet(own) > 1:
                    raise RefusedError(413, "the beginning of the file is gone") from error
        elif first_octet(own) > 1:
            raise RefusedError(413, "the beginning of the file is gone")
        return await self._fresh(own)

    async def _fresh(self, own: OwnedSession) -> BlobOut:
        record, writer = own.record, await self._blobs.create()
        selector = own.transfer.selector if own.transfer is not None else FileSelector()
        part = FilePart(
            session=record.id,
            application=record.application,
            peer=record.remote_uri,
            direction=INBOUND,
            blob=writer.id,
            name=selector.name or "",
            content_type=selector.media_type or "",
            size=min(selector.size or 0, 2**63 - 1),
            hashes=selector.hashes,
        )
        await self._parts.put(part)
        return writer

    async def upload(self, session: str, application: str, peer: str) -> BlobOut:
        """Begin a file that its application sends, to be gone on with when that breaks; errors as ``find``."""
        writer = await self._blobs.create()
        part = FilePart(session=session, application=application, peer=peer, direction=UPLOAD, blob=writer.id)
        await self._parts.put(part)
        return writer

    async def resume_upload(self, session: str, offset: int) -> BlobOut:
        """Go on with it.

        Raises:
            ConflictError: Not so many octets are here.
            DatabaseError: As ``find``.
        """
        part = await self.find(session, UPLOAD)
        try:
            writer = await self._blobs.reopen(part.blob) if part is not None else None
        except NotFoundError:
            writer = None
        here = writer.size if writer is not None else 0
        if writer is None or here < offset:
            raise ConflictError(f"offset: {here} octets of the file are here")
        return writer

    async def forget(self, session: str) -> None:
        """Hear that a file is whole; errors as ``find``."""
        await self._parts.delete(session)

    async def resumable(self, record: SessionRecord, transfer: FileTransfer) -> str | None:
        """Find the part that a peer offers to go on with (``Messages.resumable``)."""
        selector, wanted = transfer.selector, transfer.range
        if record.file_direction != "inbound":
            return ""
        if (selector.size or 0) > self._largest:
            return None
        if wanted is None or (wanted.start == 1 and wanted.stop in (None, selector.size)):
            return ""
        if wanted.stop is not None and wanted.stop != selector.size:
            # The file would not become whole by it.
            return None
        for part in await self._parts.of_peer(record.application, record.remote_uri):
            if part.is_of(selector.hashes) and await self._blobs.written(part.blob) >= wanted.start - 1:
                return part.session
        return None
