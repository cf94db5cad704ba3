"""Blobs in the database: bodies that are too large for a row of the ledger, and files, in pieces.

Theory of operation. A blob is written piece by piece, each in a transaction of its own, and counts only once it is
committed with its size and hash. Each blob has a moment when it goes in any case: a day after it was begun, and for a
committed one what its writer says, such as when the row that refers to it has been purged for sure. So a kill between
any two steps leaves nothing for ever. Usually it goes earlier, with its row. No more than a piece is in memory.
"""

import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, delete, func, insert, select, update

from wigwag.errors import ConflictError, NotFoundError

from .engine import Database
from .tables import wigwag_blob, wigwag_blob_chunk, wigwag_file_part

PIECE: Final = 262_144
"""Bytes of all pieces but the last; another number could not read what is there."""
UNFINISHED: Final = 86_400.0
"""Seconds for which a blob that is not committed is kept."""
DELETE_STEP: Final = 32
"""Pieces that one transaction deletes: more would hold the ledger up."""

_BLOB: Final = wigwag_blob.c
_PIECES: Final = wigwag_blob_chunk.c


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob that was committed."""

    id: str
    size: int
    sha256: str
    """Lower-case hexadecimal."""


class BlobWriter:
    """Writes a blob; made by ``BlobStore``. One that is dropped without ``commit`` goes a day after it was begun."""

    def __init__(self, database: Database, blob_id: str) -> None:
        self._database = database
        self._hash = hashlib.sha256()
        self._pending = bytearray()
        self._pieces = 0
        self._replaces = False
        """Whether the next piece stands there already, in part."""
        self.id = blob_id
        self.size = 0
        """Bytes so far."""

    @property
    def durable(self) -> int:
        """Bytes that would survive this process."""
        return self._pieces * PIECE

    async def append(self, data: bytes) -> None:
        """Add bytes; returns when all but less than a piece is durable.

        Raises:
            DatabaseError: The database cannot be reached or refuses; the blob can't be gone on with but by ``reopen``.
        """
        self._hash.update(data)
        self._pending += data
        self.size += len(data)
        while len(self._pending) >= PIECE:
            await self._write(bytes(self._pending[:PIECE]))
            del self._pending[:PIECE]

    async def flush(self) -> None:
        """Make all of it durable, to be gone on with by ``BlobStore.reopen``; errors as ``append``."""
        await self.append(b"")
        if self._pending:
            await self._write(bytes(self._pending))
            self._pieces -= 1
            self._replaces = True

    async def commit(self, *, expires: float, sha256: str = "") -> Blob:
        """Finish the blob; it can be read from now on.

        Args:
            expires: When it goes if nobody deletes it before, in seconds since 1970.
            sha256: What it has to be, in hexadecimal; empty: whatever it is.

        Raises:
            ConflictError: It has another hash; it stays unfinished.
            NotFoundError: It took longer than a day, or was deleted.
            DatabaseError: As ``append``.
        """
        found = self._hash.hexdigest()
        if sha256 and sha256.lower() != found:
            raise ConflictError(f"the body has SHA-256 {found}, not {sha256.lower()}")
        if self._pending:
            await self._write(bytes(self._pending))
            self._pending.clear()
        statement = update(wigwag_blob).where(_BLOB.id == self.id)
        values = {"complete": True, "total": self.size, "sha256": found, "expires": expires}
        async with self._database.transaction(write=True) as connection:
            if not (await connection.execute(statement.values(values))).rowcount:
                raise _gone(self.id)
        return Blob(self.id, self.size, found)

    async def _write(self, data: bytes) -> None:
        values = {"blob": self.id, "number": self._pieces, "data": data}
        async with self._database.transaction(write=True) as connection:
            if self._replaces:
                partial = (_PIECES.blob == self.id, _PIECES.number == self._pieces)
                await connection.execute(delete(wigwag_blob_chunk).where(*partial))
            await connection.execute(insert(wigwag_blob_chunk), values)
        self._replaces = False
        self._pieces += 1

    def _go_on(self, data: bytes) -> None:
        """Take note of a piece that is there already."""
        self._hash.update(data)
        self.size += len(data)
        if len(data) == PIECE:
            self._pieces += 1
        else:
            self._pending += data
            self._replaces = True


class BlobStore:
    """Blobs by id.

    Args:
        database: Open while methods are called.
        clock: Seconds since 1970.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def create(self) -> BlobWriter:
        """Begin a blob; its id tells nothing and can't be guessed.

        Raises:
            DatabaseError: The database cannot be reached or refuses.
        """
        blob_id, now = secrets.token_urlsafe(24), self._clock()
        values = {"id": blob_id, "created": now, "expires": now + UNFINISHED, "complete": False}
        async with self._database.transaction(write=True) as connection:
            await connection.execute(insert(wigwag_blob), {**values, "total": 0, "sha256": ""})
        return BlobWriter(self._database, blob_id)

    async def reopen(self, blob_id: str) -> BlobWriter:
        """Go on with a blob that was not committed; the writer's ``size`` says where. Another day begins.

        What is there is read for its hash, a piece at a time.

        Raises:
            NotFoundError: There is none.
            ConflictError: It was committed.
            DatabaseError: As ``create``.
        """
        condition = (_BLOB.id == blob_id, _BLOB.complete == False)  # noqa: E712
        renewal = update(wigwag_blob).where(*condition).values(expires=self._clock() + UNFINISHED)
        async with self._database.transaction(write=True) as connection:
            is_open = (await connection.execute(renewal)).rowcount
        if not is_open:
            await self.info(blob_id)
            raise ConflictError(f"blob {blob_id} is complete")
        writer = BlobWriter(self._database, blob_id)
        while (piece := await self._piece(blob_id, writer.size // PIECE)) is not None and len(piece) == PIECE:
            writer._go_on(piece)
        if piece:
            writer._go_on(piece)
        return writer

    async def written(self, blob_id: str) -> int:
        """Return how many bytes of a blob are durable, committed or not; 0 when there is none.

        Raises:
            DatabaseError: As ``create``.
        """
        last = select(_PIECES.number, func.length(_PIECES.data).label("size")).where(_PIECES.blob == blob_id)
        async with self._database.transaction() as connection:
            row = (await connection.execute(last.order_by(_PIECES.number.desc()).limit(1))).one_or_none()
        return row.number * PIECE + row.size if row is not None else 0

    async def info(self, blob_id: str) -> Blob:
        """Return what is known of a blob.

        Raises:
            NotFoundError: There is none, or it is not committed.
            DatabaseError: As ``create``.
        """
        query = select(_BLOB.total, _BLOB.sha256).where(_BLOB.id == blob_id, _BLOB.complete == True)  # noqa: E712
        async with self._database.transaction() as connection:
            row = (await connection.execute(query)).one_or_none() if _is_id(blob_id) else None
        if row is None:
            raise _gone(blob_id)
        return Blob(blob_id, row.total, row.sha256)

    async def size(self, blob_id: str) -> int:
        """Return how many bytes a blob has, as ``info`` does."""
        return (await self.info(blob_id)).size

    async def read(self, blob_id: str, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield a blob in pieces; no transaction stays open while the caller works on one.

        Args:
            blob_id: The blob.
            offset: Bytes to leave out at the beginning; more than there are is no error.

        Raises:
            NotFoundError: There is none, or it is not committed, or it was deleted meanwhile.
            DatabaseError: As ``create``.
        """
        size = await self.size(blob_id)
        position = max(offset, 0)
        while position < size:
            piece = await self._piece(blob_id, position // PIECE)
            if piece is None:
                raise _gone(blob_id)
            data = piece[position % PIECE :]
            position += len(data)
            yield data

    async def delete(self, blob_ids: Iterable[str]) -> None:
        """Delete blobs; those that are not there are passed over.

        Raises:
            DatabaseError: As ``create``; what is left goes with ``sweep``.
        """
        for blob_id in filter(_is_id, blob_ids):
            # From here on nobody reads it, and if the rest is cut off it is swept.
            hidden = update(wigwag_blob).where(_BLOB.id == blob_id).values(complete=False, expires=0.0)
            async with self._database.transaction(write=True) as connection:
                await connection.execute(hidden)
            await self._delete_pieces(blob_id)
            async with self._database.transaction(write=True) as connection:
                await connection.execute(delete(wigwag_file_part).where(wigwag_file_part.c.blob == blob_id))
                await connection.execute(delete(wigwag_blob).where(_BLOB.id == blob_id))

    async def sweep(self, *, limit: int = 100) -> int:
        """Delete blobs whose time has come, the oldest first; return how many went.

        Raises:
            DatabaseError: As ``create``.
        """
        query = select(_BLOB.id).where(_BLOB.expires <= self._clock()).order_by(_BLOB.expires).limit(limit)
        async with self._database.transaction() as connection:
            ids = list((await connection.execute(query)).scalars())
        await self.delete(ids)
        return len(ids)

    async def _piece(self, blob_id: str, number: int) -> bytes | None:
        query = select(_PIECES.data).where(_PIECES.blob == blob_id, _PIECES.number == number)
        async with self._database.transaction() as connection:
            row: Row[Any] | None = (await connection.execute(query)).one_or_none()
        return None if row is None else bytes(row.data)

    async def _delete_pieces(self, blob_id: str, first: int = 0) -> None:
        query = select(func.max(_PIECES.number)).where(_PIECES.blob == blob_id)
        async with self._database.transaction() as connection:
            last = (await connection.execute(query)).scalar_one()
        # From the end: what is left of a blob has no gaps.
        for above in range(-1 if last is None else last, first - 1, -DELETE_STEP):
            low = max(first, above - DELETE_STEP + 1)
            some = (_PIECES.blob == blob_id, _PIECES.number.between(low, above))
            async with self._database.transaction(write=True) as connection:
                await connection.execute(delete(wigwag_blob_chunk).where(*some))


def _is_id(text: str) -> bool:
    """Tell whether a blob may have this id: some drivers fail on what they can't encode."""
    return 0 < len(text) <= 64 and text.isascii() and text.isprintable()


def _gone(blob_id: str) -> NotFoundError:
    return NotFoundError(f"there is no blob {blob_id}")
