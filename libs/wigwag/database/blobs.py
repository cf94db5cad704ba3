"""Blobs: bodies that are too large for a row of the ledger, and files, in pieces, each blob known by a row.

Theory of operation. A blob is written piece by piece, each in a transaction of its own, and counts only once it is
committed with its size and hash. Each blob has a moment when it goes in any case: a day after it was begun, and for a
committed one what its writer says, such as when the row that refers to it has been purged for sure. So a kill between
any two steps leaves nothing for ever. Usually it goes earlier, with its row. No more than a piece is in memory.

Where the pieces are, in rows or as objects, is said by the blob's row: when the settings change, what was kept before
is still read, gone on with and deleted where it is.
"""

import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import delete, insert, select, update

from wigwag.errors import ConflictError, NotFoundError, StoreError

from .blob_objects import ObjectPieces, Objects
from .blob_pieces import Pieces, RowPieces
from .engine import Database
from .tables import wigwag_blob, wigwag_file_part

UNFINISHED: Final = 86_400.0
"""Seconds for which a blob that is not committed is kept."""

_BLOB: Final = wigwag_blob.c


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob that was committed."""

    id: str
    size: int
    sha256: str
    """Lower-case hexadecimal."""


class _Kept(NamedTuple):
    complete: bool
    total: int
    sha256: str
    place: str
    piece: int


class BlobWriter:
    """Writes a blob; made by ``BlobStore``. One that is dropped without ``commit`` goes a day after it was begun.

    Any method may raise DatabaseError or StoreError: what the blob is kept in can't be reached or refuses. It can't be
    gone on with then but by ``BlobStore.reopen``.
    """

    def __init__(self, database: Database, pieces: Pieces, blob_id: str, piece: int) -> None:
        self._database = database
        self._stored = pieces
        self._piece = piece
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
        return self._pieces * self._piece

    async def append(self, data: bytes) -> None:
        """Add bytes; returns when all but less than a piece is durable.

        Raises:
            NotFoundError: The blob was deleted.
            ConflictError: Another writer goes on with it.
        """
        self._hash.update(data)
        self._pending += data
        self.size += len(data)
        while len(self._pending) >= self._piece:
            with memoryview(self._pending) as pending:
                piece = bytes(pending[: self._piece])
            await self._write(piece)
            del self._pending[: self._piece]

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
        await self._stored.write(self.id, self._pieces, data, replaces=self._replaces)
        self._replaces = False
        self._pieces += 1

    def _go_on(self, data: bytes) -> None:
        """Take note of a piece that is there already."""
        self._hash.update(data)
        self.size += len(data)
        if len(data) == self._piece:
            self._pieces += 1
        else:
            self._pending += data
            self._replaces = True


class BlobStore:
    """Blobs by id.

    Any method may raise DatabaseError, and StoreError when blobs are in S3: it can't be reached, or refuses.

    Args:
        database: Open while methods are called.
        clock: Seconds since 1970.
        objects: Where the pieces of new blobs go; None: into the database.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float], objects: Objects | None = None) -> None:
        self._database = database
        self._clock = clock
        rows: Pieces = RowPieces(database)
        self._new = rows if objects is None else ObjectPieces(database, objects)
        self._places: dict[str, Pieces] = {pieces.place: pieces for pieces in (rows, self._new)}

    async def create(self) -> BlobWriter:
        """Begin a blob; its id tells nothing and can't be guessed."""
        blob_id, now, pieces = secrets.token_urlsafe(24), self._clock(), self._new
        values = {
            "id": blob_id, "created": now, "expires": now + UNFINISHED, "complete": False, "total": 0, "sha256": "",
            "place": pieces.place, "piece": pieces.piece,
        }  # fmt: skip
        async with self._database.transaction(write=True) as connection:
            await connection.execute(insert(wigwag_blob), values)
        return BlobWriter(self._database, pieces, blob_id, pieces.piece)

    async def reopen(self, blob_id: str) -> BlobWriter:
        """Go on with a blob that was not committed; the writer's ``size`` says where. Another day begins.

        What is there is read for its hash, a piece at a time.

        Raises:
            NotFoundError: There is none.
            ConflictError: It was committed.
        """
        condition = (_BLOB.id == blob_id, _BLOB.complete == False)  # noqa: E712
        renewal = update(wigwag_blob).where(*condition).values(expires=self._clock() + UNFINISHED)
        async with self._database.transaction(write=True) as connection:
            is_open = (await connection.execute(renewal)).rowcount
        if not is_open:
            await self.info(blob_id)
            raise ConflictError(f"blob {blob_id} is complete")
        pieces, size = self._kept(blob_id, await self._row(blob_id))
        writer = BlobWriter(self._database, pieces, blob_id, size)
        while (piece := await pieces.read(blob_id, writer.size // size)) is not None and len(piece) == size:
            writer._go_on(piece)
        if piece:
            writer._go_on(piece)
        return writer

    async def written(self, blob_id: str) -> int:
        """Return how many bytes of a blob are durable, committed or not; 0 when there is none."""
        row = await self._row(blob_id)
        if row is None:
            return 0
        pieces, size = self._kept(blob_id, row)
        last = await pieces.last(blob_id)
        return last[0] * size + last[1] if last is not None else 0

    async def info(self, blob_id: str) -> Blob:
        """Return what is known of a blob.

        Raises:
            NotFoundError: There is none, or it is not committed.
        """
        row = await self._complete(blob_id)
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
        """
        row = await self._complete(blob_id)
        pieces, size = self._kept(blob_id, row)
        position = max(offset, 0)
        while position < row.total:
            data = await pieces.read(blob_id, position // size, position % size)
            if not data:
                await self._complete(blob_id)
                raise StoreError(f"blob {blob_id} has lost what begins at {position}")
            position += len(data)
            yield data

    async def delete(self, blob_ids: Iterable[str]) -> None:
        """Delete blobs; those that are not there are passed over. What an error leaves goes with ``sweep``."""
        for blob_id in filter(_is_id, blob_ids):
            # From here on nobody reads it, and if the rest is cut off it is swept.
            hidden = update(wigwag_blob).where(_BLOB.id == blob_id).values(complete=False, expires=0.0)
            async with self._database.transaction(write=True) as connection:
                await connection.execute(hidden)
            if (row := await self._row(blob_id)) is not None:
                await self._delete_hidden(blob_id, self._kept(blob_id, row)[0])

    async def _delete_hidden(self, blob_id: str, pieces: Pieces) -> None:
        await pieces.delete(blob_id)
        async with self._database.transaction(write=True) as connection:
            await connection.execute(delete(wigwag_file_part).where(wigwag_file_part.c.blob == blob_id))
            await connection.execute(delete(wigwag_blob).where(_BLOB.id == blob_id))

    async def sweep(self, *, limit: int = 100) -> int:
        """Delete blobs whose time has come, the oldest first; return how many went."""
        query = select(_BLOB.id).where(_BLOB.expires <= self._clock()).order_by(_BLOB.expires).limit(limit)
        async with self._database.transaction() as connection:
            ids = list((await connection.execute(query)).scalars())
        await self.delete(ids)
        return len(ids)

    async def _row(self, blob_id: str) -> _Kept | None:
        if not _is_id(blob_id):
            return None
        query = select(_BLOB.complete, _BLOB.total, _BLOB.sha256, _BLOB.place, _BLOB.piece).where(_BLOB.id == blob_id)
        async with self._database.transaction() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _Kept(*row)

    async def _complete(self, blob_id: str) -> _Kept:
        row = await self._row(blob_id)
        if row is None or not row.complete:
            raise _gone(blob_id)
        return row

    def _kept(self, blob_id: str, row: _Kept | None) -> tuple[Pieces, int]:
        """Return where a blob's pieces are, and how many octets all but the last have."""
        if row is None:
            raise _gone(blob_id)
        pieces = self._places.get(row.place)
        if pieces is None:
            raise StoreError(f"blob {blob_id} is in {row.place}, and no setting says where that is (blobs.url)")
        return pieces, row.piece


def _is_id(text: str) -> bool:
    """Tell whether a blob may have this id: some drivers fail on what they can't encode."""
    return 0 < len(text) <= 64 and text.isascii() and text.isprintable()


def _gone(blob_id: str) -> NotFoundError:
    return NotFoundError(f"there is no blob {blob_id}")
