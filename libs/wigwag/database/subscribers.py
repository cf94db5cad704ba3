"""Users of the SQL database: OpenSIPS's ``subscriber`` table."""

from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Row, Select, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from wigwag.errors import ConflictError, NotFoundError
from wigwag.protocols.digest import Algorithm, StoredCredentials, ha1

from .engine import Database
from .tables import subscriber, wigwag_subscriber

_LONGEST: Final = {"username": 64, "domain": 64, "password": 25}
"""Characters that OpenSIPS's columns hold; databases without strict mode would cut the rest off silently."""
_HASHES: Final = {
    "ha1": Algorithm.MD5,
    "ha1_sha256": Algorithm.SHA_256,
    "ha1_sha512t256": Algorithm.SHA_512_256,
}

_KEY: Final[list[Column[Any]]] = [subscriber.c.id, subscriber.c.username, subscriber.c.domain]
_MIXED_COLLATIONS: Final = 1267
"""MariaDB's error for a comparison with text that the column's character set does not have."""
_NOT_EXPRESSIBLE: Final = 1366
"""MariaDB's error for storing such text."""


class Subscribers:
    """Users and their credentials.

    User names are compared letter for letter, domains in any case, whatever the database's collation thinks.

    Args:
        database: Open while methods are called.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def credentials(self, username: str, domain: str) -> StoredCredentials | None:
        """Return what is stored for a user, or None when there is no such user.

        Raises:
            DatabaseError: The database cannot be reached or refuses.
        """
        if not _storable(username, domain):
            return None
        columns = await self._database.columns_of(subscriber)
        async with self._database.transaction() as connection:
            row = await _find(connection, columns, username, domain)
            return None if row is None else _credentials(row)

    async def show(self, username: str, domain: str) -> StoredCredentials:
        """Return what is stored for a user.

        Raises:
            NotFoundError: There is no such user.
            DatabaseError: As ``credentials``.
        """
        found = await self.credentials(username, domain)
        if found is None:
            raise _not_found(username, domain)
        return found

    async def list(self) -> list[StoredCredentials]:
        """Return all users, by domain and name.

        Raises:
            DatabaseError: As ``credentials``.
        """
        columns = await self._database.columns_of(subscriber)
        query = _select(columns).order_by(subscriber.c.domain, subscriber.c.username)
        async with self._database.transaction() as connection:
            return [_credentials(row) for row in await connection.execute(query)]

    async def add(
        self, username: str, domain: str, password: str, store_password: bool = False, *, may_relay: bool = True
    ) -> None:
        """Add a user.

        Args:
            username: 1 to 64 characters, without control characters and ``:``, which would end it in a digest.
            domain: 1 to 64 characters, stored in lower case; the realm that the stored hashes are for.
            password: Not empty.
            store_password: Whether to keep the password itself (25 characters at most) beside its hashes, as is
                needed for other realms than ``domain``.
            may_relay: False for a user who is known but gets 403 from the relay.

        Raises:
            ConflictError: The user exists, or a value does not fit.
            DatabaseError: As ``credentials``.
        """
        domain = domain.lower()
        values = {"username": username, "domain": domain, **_secrets(username, domain, password, store_password)}
        _check(values)
        columns = {column.name for column in await self._database.columns_of(subscriber)}
        async with self._database.transaction(write=True) as connection:
            if await _find(connection, _KEY, username, domain) is not None:
                raise ConflictError(f"{username}@{domain} exists")
            known = {name: value for name, value in values.items() if name in columns}
            await _insert(connection, known)
            row = await _existing(connection, username, domain)
            await _set_may_relay(connection, row.id, may_relay)

    async def set_password(self, username: str, domain: str, password: str, store_password: bool = False) -> None:
        """Replace a user's password and hashes.

        Args:
            username: The user's name.
            domain: His domain in any case; the hashes are made for it as it is stored.
            password: Not empty.
            store_password: As ``add``; False also removes a password that is stored now.

        Raises:
            NotFoundError: There is no such user.
            ConflictError: A value does not fit.
            DatabaseError: As ``credentials``.
        """
        columns = {column.name for column in await self._database.columns_of(subscriber)}
        async with self._database.transaction(write=True) as connection:
            row = await _existing(connection, username, domain)
            values = _secrets(row.username, row.domain, password, store_password)
            _check({"username": row.username, "domain": row.domain, **values})
            known = {name: value for name, value in values.items() if name in columns}
            await connection.execute(update(subscriber).where(subscriber.c.id == row.id).values(known))

    async def set_may_relay(self, username: str, domain: str, may_relay: bool) -> None:
        """Give or take a user's right to the relay.

        Raises:
            NotFoundError: There is no such user.
            DatabaseError: As ``credentials``.
        """
        async with self._database.transaction(write=True) as connection:
            row = await _existing(connection, username, domain)
            await _set_may_relay(connection, row.id, may_relay)

    async def remove(self, username: str, domain: str) -> None:
        """Remove a user.

        Raises:
            NotFoundError: There is no such user.
            DatabaseError: As ``credentials``.
        """
        async with self._database.transaction(write=True) as connection:
            row = await _existing(connection, username, domain)
            await connection.execute(delete(wigwag_subscriber).where(wigwag_subscriber.c.subscriber_id == row.id))
            await connection.execute(delete(subscriber).where(subscriber.c.id == row.id))


def _select(columns: list[Column[Any]]) -> Select[Any]:
    """Return the query for these columns and the right to the relay.

    One query, so that an unknown user takes as long as a known one.
    """
    rights = wigwag_subscriber.c.subscriber_id == subscriber.c.id
    return select(*columns, wigwag_subscriber.c.may_relay).outerjoin_from(subscriber, wigwag_subscriber, rights)


def _same_user(username: str, domain: str) -> ColumnElement[bool]:
    return (subscriber.c.username == username) & (func.lower(subscriber.c.domain) == domain.lower())


async def _find(connection: AsyncConnection, columns: list[Column[Any]], username: str, domain: str) -> Row[Any] | None:
    """Return the user's row, the one whose domain is written the same way first.

    MariaDB's usual collations find ``Alice`` and ``alice `` for ``alice``: what was found is compared again. A name
    that the column's character set cannot even express is an error there; no such user can exist.
    """
    query = _select(columns).where(_same_user(username, domain)).order_by(subscriber.c.id)
    try:
        found = await connection.execute(query)
    except OperationalError as error:
        if _MIXED_COLLATIONS in getattr(error.orig, "args", ()):
            return None
        raise
    rows = [row for row in found if row.username == username]
    rows.sort(key=lambda row: row.domain != domain)
    return rows[0] if rows else None


async def _insert(connection: AsyncConnection, values: dict[str, str]) -> None:
    try:
        await connection.execute(insert(subscriber).values(values))
    except DBAPIError as error:
        if _NOT_EXPRESSIBLE in getattr(error.orig, "args", ()):
            raise ConflictError("the table's character set does not have all of these characters") from error
        raise


async def _existing(connection: AsyncConnection, username: str, domain: str) -> Row[Any]:
    row = await _find(connection, _KEY, username, domain) if _storable(username, domain) else None
    if row is None:
        raise _not_found(username, domain)
    return row


async def _set_may_relay(connection: AsyncConnection, subscriber_id: int, may_relay: bool) -> None:
    """Only a refusal is stored: a row left behind by another program's DELETE must not refuse a new user."""
    await connection.execute(delete(wigwag_subscriber).where(wigwag_subscriber.c.subscriber_id == subscriber_id))
    if not may_relay:
        await connection.execute(insert(wigwag_subscriber).values(subscriber_id=subscriber_id, may_relay=False))


def _credentials(row: Row[Any]) -> StoredCredentials:
    stored = row._mapping
    secrets = {name: stored.get(name) or None for name in ("password", *_HASHES)}
    return StoredCredentials(row.username, row.domain, **secrets, may_relay=row.may_relay is not False)


def _secrets(username: str, domain: str, password: str, store_password: bool) -> dict[str, str]:
    if not password:
        raise ConflictError("the password is empty")
    hashes = {
        column: ha1(algorithm, username, domain, password) if algorithm.available else ""
        for column, algorithm in _HASHES.items()
    }
    return {"password": password if store_password else "", **hashes}


def _check(values: dict[str, str]) -> None:
    for name, longest in _LONGEST.items():
        if len(values[name]) > longest:
            raise ConflictError(f"the {name} is longer than the {longest} characters that the table holds")
    for name in ("username", "domain"):
        if (
            not values[name]
            or not values[name].isprintable()
            or ":" in values[name]
            or values[name].strip() != values[name]
        ):
            raise ConflictError(f"the {name} is empty or holds characters that a digest cannot carry")


def _storable(username: str, domain: str) -> bool:
    """Tell whether such a user can exist at all: some drivers fail on what they cannot encode."""
    return (
        len(username) <= _LONGEST["username"]
        and len(domain) <= _LONGEST["domain"]
        and username.isprintable()
        and domain.isprintable()
    )


def _not_found(username: str, domain: str) -> NotFoundError:
    return NotFoundError(f"no user {username}@{domain}")
