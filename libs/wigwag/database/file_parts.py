"""Files of which only the beginning is here: in which blob, and what was said of them, to go on with them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, delete, insert, select, update

from .engine import Database
from .tables import wigwag_file_part

INBOUND: Final = "inbound"
UPLOAD: Final = "upload"
"""Direction of a part that its application sends to us."""
_LONGEST_TEXT: Final = 255
_LONGEST_HASHES: Final = 512
_MOST: Final = 100
"""Parts of one peer that are looked at."""
_PART: Final = wigwag_file_part.c


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """The beginning of a file; it goes with its blob."""

    session: str
    """Whose transfer broke, or will be."""
    application: str
    peer: str
    """URI of the SIP user, 255 characters of it at most; of an upload: whom it is for."""
    direction: str
    """``INBOUND`` or ``UPLOAD``."""
    blob: str
    """Not committed."""
    name: str = ""
    content_type: str = ""
    size: int = 0
    """Octets of the whole file; 0: not known."""
    hashes: tuple[tuple[str, bytes], ...] = ()
    """Of the whole file: function in lower case, and digest."""

    def is_of(self, hashes: Iterable[tuple[str, bytes]]) -> bool:
        """Tell whether a hash says that a file is this one, and none that it is another."""
        mine, common = dict(self.hashes), False
        for function, digest in hashes:
            if function in mine:
                if mine[function] != digest:
                    return False
                common = True
        return common


class FileParts:
    """Reads and writes parts.

    Args:
        database: Open while methods are called.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, part: FilePart) -> None:
        """Write a part down; one of the same session is replaced.

        Raises:
            DatabaseError: The database cannot be reached or refuses.
        """
        values = {
            "session": part.session,
            "application": part.application,
            "peer": part.peer[:_LONGEST_TEXT],
            "direction": part.direction,
            "blob": part.blob,
            "name": part.name[:_LONGEST_TEXT],
            "content_type": part.content_type[:_LONGEST_TEXT],
            "size": part.size,
            "hashes": _text(part.hashes),
        }
        async with self._database.transaction(write=True) as connection:
            await connection.execute(delete(wigwag_file_part).where(_PART.session == part.session))
            await connection.execute(insert(wigwag_file_part), values)

    async def find(self, session: str) -> FilePart | None:
        """Return the part that a session left; errors as ``put``."""
        query = select(wigwag_file_part).where(_PART.session == session)
        async with self._database.transaction() as connection:
            row = (await connection.execute(query)).one_or_none()
        return _part(row) if row is not None else None

    async def of_peer(self, application: str, peer: str) -> Sequence[FilePart]:
        """Return the parts that a peer left, 100 at most; errors as ``put``."""
        wanted = (_PART.application == application, _PART.peer == peer[:_LONGEST_TEXT], _PART.direction == INBOUND)
        query = select(wigwag_file_part).where(*wanted).order_by(_PART.session).limit(_MOST)
        async with self._database.transaction() as connection:
            rows = (await connection.execute(query)).all()
        return [_part(row) for row in rows]

    async def move(self, session: str, to: str) -> bool:
        """Let another session go on with a part; False: there is none (any more). Errors as ``put``."""
        statement = update(wigwag_file_part).where(_PART.session == session).values(session=to)
        async with self._database.transaction(write=True) as connection:
            return bool((await connection.execute(statement)).rowcount)

    async def delete(self, session: str) -> None:
        """Forget a part, not its blob; errors as ``put``."""
        async with self._database.transaction(write=True) as connection:
            await connection.execute(delete(wigwag_file_part).where(_PART.session == session))


def _text(hashes: Iterable[tuple[str, bytes]]) -> str:
    written = ""
    for function, digest in hashes:
        one = f"{function}:{digest.hex()}"
        if len(written) + len(one) + 1 <= _LONGEST_HASHES:
            written = f"{written} {one}".strip()
    return written


def _part(row: Row[Any]) -> FilePart:
    pairs = (one.partition(":") for one in row.hashes.split())
    return FilePart(
        session=row.session,
        application=row.application,
        peer=row.peer,
        direction=row.direction,
        blob=row.blob,
        name=row.name,
        content_type=row.content_type,
        size=row.size,
        hashes=tuple((function, bytes.fromhex(digest)) for function, _, digest in pairs),
    )
