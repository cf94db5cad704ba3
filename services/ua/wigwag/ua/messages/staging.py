"""Large bodies on their way from the blob store to MSRP: through a file, so that memory stays small."""

import tempfile
from collections.abc import AsyncIterator, Iterable
from typing import IO, Protocol

from wigwag.protocols.msrp import BodySource


class BlobOut(Protocol):
    """A blob being written (``wigwag.database.BlobWriter``)."""

    id: str
    size: int

    @property
    def durable(self) -> int:
        """How many of its octets would survive this process."""

    async def append(self, data: bytes) -> None:
        """Add bytes; returns when most is durable."""

    async def flush(self) -> None:
        """Make all of it durable."""

    async def commit(self, *, expires: float, sha256: str = "") -> "BlobInfo":
        """Finish it; ConflictError: it has another hash."""


class BlobInfo(Protocol):
    """A blob that was finished."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def size(self) -> int:
        """Octets."""

    @property
    def sha256(self) -> str:
        """Lower-case hexadecimal."""


class Blobs(Protocol):
    """Where large bodies are (``wigwag.database.BlobStore``)."""

    async def create(self) -> BlobOut:
        """Begin a blob."""

    async def reopen(self, blob_id: str) -> BlobOut:
        """Go on with a blob; NotFoundError: there is none; ConflictError: it was finished."""

    async def written(self, blob_id: str) -> int:
        """Return how many octets of a blob are durable; 0: there is none."""

    async def info(self, blob_id: str) -> BlobInfo:
        """Return what is known of a blob; NotFoundError: there is none."""

    def read(self, blob_id: str, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield a blob from an offset; NotFoundError: there is none."""

    async def delete(self, blob_ids: Iterable[str]) -> None:
        """Delete blobs."""


class Staged:
    """A body in a file without a name, which the system takes back whatever happens."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="wigwag-")  # noqa: SIM115 (closed by close)
        self.size = 0
        self.read = 0
        """How far it was read."""

    def write(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._file.write(data)
        self.size += len(data)

    def open(self, head: bytes = b"") -> BodySource:
        """Return a source that yields ``head``, then the file from its beginning; several may be open."""
        return _Source(self, self._file, head)

    def close(self) -> None:
        """Give it back; sources end with an error."""
        self._file.close()


class _Source:
    def __init__(self, staged: Staged, file: IO[bytes], head: bytes) -> None:
        self._staged = staged
        self._file = file
        self._head = head
        self._position = 0

    def read(self, octets: int, /) -> bytes:
        if self._head:
            data, self._head = self._head[:octets], self._head[octets:]
            return data
        self._file.seek(self._position)
        data = self._file.read(octets)
        self._position += len(data)
        self._staged.read = self._position
        return data


async def stage(blobs: Blobs, blob_id: str, offset: int = 0, end: int | None = None) -> Staged:
    """Fetch a blob into a file.

    Args:
        blobs: Where it is.
        blob_id: Its id.
        offset: Octets to leave out at the beginning.
        end: Octets of the blob up to the last one that is wanted; None: all.

    Raises:
        NotFoundError: There is none.
        DatabaseError: The database can't be reached.
    """
    staged = Staged()
    try:
        async for piece in blobs.read(blob_id, offset):
            staged.write(piece if end is None else piece[: end - offset - staged.size])
            if end is not None and staged.size >= end - offset:
                break
    except BaseException:
        staged.close()
        raise
    return staged
