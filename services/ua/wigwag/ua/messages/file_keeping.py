"""Files of applications on their way into the blob store: as they are sent, from another blob, gone on with."""

import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from wigwag.api.ua.v1 import ua_pb2
from wigwag.errors import ConflictError, InvalidRequestError, WigwagError
from wigwag.ua.config import ApplicationSettings

from .checking import is_content_type
from .file_events import ANY_TYPE
from .file_parts import PartKeeper
from .inbox import BLOB_SPARE
from .staging import BlobInfo, BlobOut, Blobs

_DIGESTS: Final = {"sha256": 32, "sha1": 20}
"""Octets of a digest, by field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A file that is to be sent, in the blob store."""

    blob: BlobInfo
    sha1: bytes
    content_type: str

    @property
    def hashes(self) -> tuple[tuple[str, bytes], ...]:
        """As a selector has them."""
        return ("sha-1", self.sha1), ("sha-256", bytes.fromhex(self.blob.sha256))


class FileKeeping:
    """Keeps files.

    Args:
        blobs: Where they go.
        parts: Knows what is here of those whose upload broke.
        largest: Octets of a file.
        wall: Seconds since 1970, by the store's clock.
    """

    def __init__(self, blobs: Blobs, parts: PartKeeper, *, largest: int, wall: Callable[[], float]) -> None:
        self._blobs = blobs
        self._parts = parts
        self._largest = largest
        self._wall = wall

    async def keep(
        self, application: ApplicationSettings, file: ua_pb2.FileDescription, data: AsyncIterator[bytes], upload: str
    ) -> Kept:
        """Keep a file that an application sends.

        Args:
            application: It.
            file: What it says of it.
            data: The file, or what of it is not here yet.
            upload: Under which name it can be gone on with when the connection breaks; empty: it can't.

        Raises:
            InvalidRequestError: The file is not what was said of it, or too large; names the field.
            ConflictError: Not so much of it is here.
            DatabaseError: It is not kept.
        """
        content_type = self._check(file)
        writer, ahead = await self._writer(application, file, upload)
        sha1 = hashlib.sha1(usedforsecurity=False) if not writer.size else None
        most = min(self._largest, file.size or self._largest)
        try:
            async for piece in data:
                fresh = piece[ahead:]
                ahead -= len(piece) - len(fresh)
                if writer.size + len(fresh) > most:
                    raise InvalidRequestError(f"size: the file is longer than {most} octets")
                if sha1 is not None:
                    sha1.update(fresh)
                await writer.append(fresh)
            if upload and 0 < writer.size < file.size:
                raise ConflictError(f"size: {writer.size} octets of the file are here; send the rest by offset")
            blob = await self._commit(application, file, writer)
        except InvalidRequestError:
            # Nobody goes on with what is not the file.
            await self._blobs.delete([writer.id])
            raise
        except BaseException:
            if upload:
                with contextlib.suppress(WigwagError):
                    await writer.flush()
            raise
        if upload:
            await self._parts.forget(upload)
        return Kept(
            blob=blob,
            sha1=sha1.digest() if sha1 is not None else await self._sha1(blob),
            content_type=content_type,
        )

    async def copy(self, application: ApplicationSettings, blob_id: str, content_type: str) -> Kept:
        """Keep a body that is here already once more: what it belongs to may go before.

        Raises:
            NotFoundError: There is none.
            DatabaseError: It is not kept.
        """
        if (await self._blobs.info(blob_id)).size > self._largest:
            raise InvalidRequestError(f"blob_id: more than {self._largest} octets")
        file = ua_pb2.FileDescription(content_type=content_type)
        return await self.keep(application, file, self._blobs.read(blob_id), "")

    def _check(self, file: ua_pb2.FileDescription) -> str:
        content_type = file.content_type or ANY_TYPE
        if not is_content_type(content_type):
            raise InvalidRequestError("content_type: not a media type such as image/png")
        if file.sha256:
            digest_of("sha256", file.sha256)
        if file.size > self._largest:
            raise InvalidRequestError(f"size: more than {self._largest} octets")
        return content_type

    async def _writer(
        self, application: ApplicationSettings, file: ua_pb2.FileDescription, upload: str
    ) -> tuple[BlobOut, int]:
        """Return the blob, and how many octets of the data it has already."""
        if file.offset:
            if not upload:
                raise InvalidRequestError("offset: only with the idempotency_key of what was sent before")
            writer = await self._parts.resume_upload(upload, file.offset)
            return writer, writer.size - file.offset
        if upload:
            return await self._parts.upload(upload, application.name, file.to_uri), 0
        return await self._blobs.create(), 0

    async def _commit(
        self, application: ApplicationSettings, file: ua_pb2.FileDescription, writer: BlobOut
    ) -> BlobInfo:
        if not writer.size:
            raise InvalidRequestError("size: the file has 0 octets")
        if file.size and writer.size != file.size:
            raise InvalidRequestError(f"size: the file has {writer.size} octets")
        expires = self._wall() + application.message_expires + BLOB_SPARE
        try:
            return await writer.commit(expires=expires, sha256=file.sha256)
        except ConflictError as error:
            raise InvalidRequestError(f"sha256: {error}") from error

    async def _sha1(self, blob: BlobInfo) -> bytes:
        sha1 = hashlib.sha1(usedforsecurity=False)
        async for piece in self._blobs.read(blob.id):
            sha1.update(piece)
        return sha1.digest()


def digest_of(field: str, text: str) -> bytes:
    """Return a digest that a request gives.

    Raises:
        InvalidRequestError: It is none; names the field.
    """
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != _DIGESTS[field]:
        raise InvalidRequestError(f"{field}: not {2 * _DIGESTS[field]} hexadecimal digits")
    return digest
