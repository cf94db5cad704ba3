"""Pieces of blobs as objects of a store such as S3, each known by a row of the database.

Theory of operation. An object is written first, under a name that no other writer has, then its row; so a row says that
the object is whole, of two writers of one piece only one gets a row, and none overwrites what another one wrote. The
blob's own row is there before its first object: what a kill leaves of it goes with that row, since all objects of a
blob have a folder of their own. A writer under whom the blob was deleted takes away itself what it has just written.
"""

import contextlib
import secrets
from typing import Final, NamedTuple, Protocol

from sqlalchemy import delete, insert, select

from wigwag.errors import ConflictError, NotFoundError, StoreError

from .engine import Database
from .tables import wigwag_blob, wigwag_blob_object

OBJECT_PIECE: Final = 1_048_576
"""Octets of all objects but a blob's last: each writer holds as much, and each request costs as much as a small one."""

_BLOB: Final = wigwag_blob.c
_OBJECTS: Final = wigwag_blob_object.c


class Objects(Protocol):
    """A store of objects. Any method raises StoreError when it can't be reached, or not in time, or refuses."""

    async def put(self, key: str, data: bytes) -> None:
        """Write an object; durable when this returns."""

    async def get(self, key: str, start: int, end: int) -> bytes | None:
        """Return an object's octets from ``start`` to before ``end``; None: there is no such object."""

    async def delete(self, key: str) -> None:
        """Delete an object, if it is there."""

    async def delete_folder(self, folder: str) -> None:
        """Delete all objects whose keys begin with ``folder`` and a slash."""


class ObjectPieces:
    """Pieces that are objects.

    Args:
        database: Where their rows are; open while methods are called.
        objects: Where they are.
    """

    place = "s3"
    piece = OBJECT_PIECE

    def __init__(self, database: Database, objects: Objects) -> None:
        self._database = database
        self._objects = objects

    async def write(self, blob_id: str, number: int, data: bytes, *, replaces: bool) -> None:
        """See ``Pieces``.

        Raises:
            NotFoundError: The blob was deleted meanwhile.
        """
        partial = await self._row(blob_id, number) if replaces else None
        name = f"{number:08}-{secrets.token_hex(6)}"
        await self._objects.put(f"{blob_id}/{name}", data)
        try:
            await self._write_row(blob_id, number, name, len(data), partial)
        except (NotFoundError, ConflictError):
            # After any other error the row may be there all the same.
            await self._delete_quietly(f"{blob_id}/{name}")
            raise
        if partial is not None:
            await self._delete_quietly(f"{blob_id}/{partial.name}")

    async def read(self, blob_id: str, number: int, offset: int = 0) -> bytes | None:
        """See ``Pieces``."""
        row = await self._row(blob_id, number)
        if row is None or offset >= row.size:
            return None if row is None else b""
        data = await self._objects.get(f"{blob_id}/{row.name}", offset, row.size)
        if data is not None and len(data) != row.size - offset:
            raise StoreError(f"object {blob_id}/{row.name} has not the {row.size} octets that were written")
        return data

    async def last(self, blob_id: str) -> tuple[int, int] | None:
        """See ``Pieces``."""
        query = select(_OBJECTS.number, _OBJECTS.size).where(_OBJECTS.blob == blob_id)
        async with self._database.transaction() as connection:
            row = (await connection.execute(query.order_by(_OBJECTS.number.desc()).limit(1))).one_or_none()
        return None if row is None else (row.number, row.size)

    async def delete(self, blob_id: str) -> None:
        """See ``Pieces``."""
        await self._objects.delete_folder(blob_id)
        async with self._database.transaction(write=True) as connection:
            await connection.execute(delete(wigwag_blob_object).where(_OBJECTS.blob == blob_id))

    async def _row(self, blob_id: str, number: int) -> "_Object | None":
        query = select(_OBJECTS.name, _OBJECTS.size).where(_OBJECTS.blob == blob_id, _OBJECTS.number == number)
        async with self._database.transaction() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _Object(*row)

    async def _write_row(self, blob_id: str, number: int, name: str, size: int, partial: "_Object | None") -> None:
        # Locked, so that it is not deleted between this and the commit.
        blob = select(_BLOB.id).where(_BLOB.id == blob_id, _BLOB.expires > 0.0).with_for_update(read=True)
        values = {"blob": blob_id, "number": number, "name": name, "size": size}
        async with self._database.transaction(write=True) as connection:
            if (await connection.execute(blob)).one_or_none() is None:
                raise NotFoundError(f"there is no blob {blob_id}")
            if partial is not None:
                # By its name: if another writer has replaced it, there are two of this number, and this one fails.
                same = (_OBJECTS.blob == blob_id, _OBJECTS.number == number, _OBJECTS.name == partial.name)
                await connection.execute(delete(wigwag_blob_object).where(*same))
            await connection.execute(insert(wigwag_blob_object), values)

    async def _delete_quietly(self, key: str) -> None:
        with contextlib.suppress(StoreError):
            await self._objects.delete(key)


class _Object(NamedTuple):
    name: str
    size: int
