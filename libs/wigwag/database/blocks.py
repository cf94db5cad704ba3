"""Block lists of users: from whom they want nothing."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, func, insert, select

from wigwag.errors import ConflictError, NotFoundError

from .engine import Database
from .tables import wigwag_block

_LONGEST: Final = {"username": 64, "domain": 64, "pattern": 255}
_MOST: Final = 1_000
"""Entries of one user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRow:
    """A row of ``wigwag_block``."""

    username: str
    """Who blocks; user part of his address-of-record."""
    domain: str
    pattern: str
    """Whom: ``user@domain`` or a number, with ``*`` for any characters."""


class Blocks:
    """Reads and writes block lists.

    Args:
        database: Open while methods are called.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stamp(self) -> tuple[int, int]:
        """Return what differs after every change: how many rows there are, and the highest id that was given."""
        query = select(func.count(), func.coalesce(func.max(wigwag_block.c.id), 0)).select_from(wigwag_block)
        async with self._database.transaction() as connection:
            count, last = (await connection.execute(query)).one()
            return int(count), int(last)

    async def all(self) -> list[BlockRow]:
        """Return all rows.

        Raises:
            DatabaseError: The database cannot be reached or refuses.
        """
        columns = (wigwag_block.c.username, wigwag_block.c.domain, wigwag_block.c.pattern)
        async with self._database.transaction() as connection:
            return [
                BlockRow(**row._mapping)
                for row in await connection.execute(select(*columns).order_by(wigwag_block.c.id))
            ]

    async def of(self, username: str, domain: str) -> list[str]:
        """Return whom a user blocks, in the order in which it was written; DatabaseError."""
        query = select(wigwag_block.c.pattern).where(_whose(username, domain)).order_by(wigwag_block.c.id)
        async with self._database.transaction() as connection:
            return [row.pattern for row in await connection.execute(query)]

    async def add(self, username: str, domain: str, pattern: str) -> bool:
        """Block; False: it was blocked already.

        Raises:
            ConflictError: The user has too many entries, or a value does not fit.
            DatabaseError: The database cannot be reached or refuses.
        """
        values = {"username": username, "domain": domain.lower(), "pattern": normal_pattern(pattern)}
        for name, longest in _LONGEST.items():
            if not values[name] or len(values[name]) > longest or not values[name].isprintable():
                raise ConflictError(f"the {name} is empty, longer than {longest} characters or not printable")
        async with self._database.transaction(write=True) as connection:
            query = select(wigwag_block.c.pattern).where(_whose(username, domain))
            known = [row.pattern for row in await connection.execute(query)]
            if values["pattern"] in known:
                return False
            if len(known) >= _MOST:
                raise ConflictError(f"{username}@{domain} blocks {_MOST} already")
            await connection.execute(insert(wigwag_block).values(values))
            return True

    async def remove(self, username: str, domain: str, pattern: str) -> None:
        """Take an entry back.

        Raises:
            NotFoundError: There is none.
            DatabaseError: The database cannot be reached or refuses.
        """
        condition = and_(_whose(username, domain), wigwag_block.c.pattern == normal_pattern(pattern))
        async with self._database.transaction(write=True) as connection:
            result = await connection.execute(delete(wigwag_block).where(condition))
            if not result.rowcount:
                raise NotFoundError(f"{username}@{domain} does not block {pattern}")


def normal_pattern(pattern: str) -> str:
    """Return a pattern as it is compared: without scheme, the domain in lower case, a lone domain as all its users."""
    text = pattern.strip()
    for scheme in ("sips:", "sip:", "tel:"):
        text = text.removeprefix(scheme)
    user, at, domain = text.rpartition("@")
    if at:
        return f"{user or '*'}@{domain.lower()}"
    return f"*@{text.lower()}" if "." in text else text


def _whose(username: str, domain: str) -> ColumnElement[bool]:
    return and_(wigwag_block.c.username == username, wigwag_block.c.domain == domain.lower())
