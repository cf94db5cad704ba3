"""Pieces of blobs: the port, and the adapter that keeps them in rows of the database."""

from typing import Any, Final, Protocol

from sqlalchemy import Row, delete, func, insert, select

from .engine import Database
from .tables import wigwag_blob_chunk

PIECE: Final = 262_144
"""Octets of all pieces in rows but a blob's last."""
DELETE_STEP: Final = 32
"""Pieces that one transaction deletes: more would hold the ledger up."""

_PIECES: Final = wigwag_blob_chunk.c


class Pieces(Protocol):
    """Where the pieces of blobs are. Any method raises DatabaseError or StoreError when that can't be reached."""

    place: str
    """What a blob's row says of where its pieces are."""
    piece: int
    """Octets of all pieces but the last of a blob that is begun here."""

    async def write(self, blob_id: str, number: int, data: bytes, *, replaces: bool) -> None:
        """Make a piece durable.

        Args:
            blob_id: The blob.
            number: The next one, counted from 0.
            data: The piece.
            replaces: Whether it stands there already, in part.

        Raises:
            ConflictError: Another writer has written it.
        """

    async def read(self, blob_id: str, number: int, offset: int = 0) -> bytes | None:
        """Return a piece without its first octets; None: there is none."""

    async def last(self, blob_id: str) -> tuple[int, int] | None:
        """Return number and octets of the last piece; None: there is none."""

    async def delete(self, blob_id: str) -> None:
        """Delete all pieces of a blob of which nobody may read or write one any more."""


class RowPieces:
    """Pieces in rows of the database.

    Args:
        database: Open while methods are called.
    """

    place = ""
    piece = PIECE

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, blob_id: str, number: int, data: bytes, *, replaces: bool) -> None:
        """See ``Pieces``."""
        values = {"blob": blob_id, "number": number, "data": data}
        async with self._database.transaction(write=True) as connection:
            if replaces:
                partial = (_PIECES.blob == blob_id, _PIECES.number == number)
                await connection.execute(delete(wigwag_blob_chunk).where(*partial))
            await connection.execute(insert(wigwag_blob_chunk), values)

    async def read(self, blob_id: str, number: int, offset: int = 0) -> bytes | None:
        """See ``Pieces``."""
        query = select(_PIECES.data).where(_PIECES.blob == blob_id, _PIECES.number == number)
        async with self._database.transaction() as connection:
            row: Row[Any] | None = (await connection.execute(query)).one_or_none()
        return None if row is None else bytes(row.data)[offset:]

    async def last(self, blob_id: str) -> tuple[int, int] | None:
        """See ``Pieces``."""
        query = select(_PIECES.number, func.length(_PIECES.data).label("size")).where(_PIECES.blob == blob_id)
        async with self._database.transaction() as connection:
            row = (await connection.execute(query.order_by(_PIECES.number.desc()).limit(1))).one_or_none()
        return None if row is None else (row.number, row.size)

    async def delete(self, blob_id: str) -> None:
        """See ``Pieces``."""
        query = select(func.max(_PIECES.number)).where(_PIECES.blob == blob_id)
        async with self._database.transaction() as connection:
            last = (await connection.execute(query)).scalar_one()
        # From the end: what is left of a blob has no gaps.
        for above in range(-1 if last is None else last, -1, -DELETE_STEP):
            low = max(0, above - DELETE_STEP + 1)
            some = (_PIECES.blob == blob_id, _PIECES.number.between(low, above))
            async with self._database.transaction(write=True) as connection:
                await connection.execute(delete(wigwag_blob_chunk).where(*some))
