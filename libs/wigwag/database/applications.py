"""Applications of the user agent and their API keys."""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final

from sqlalchemy import Row, String, delete, insert, select, update

from wigwag.errors import ConflictError, NotFoundError

from .engine import Database
from .tables import wigwag_api_key, wigwag_application

KEY_BEGIN: Final = "wua_"
"""What keys begin with, so that one that got out is known for what it is."""
SHOWN: Final = 12
"""Characters of a key that people may see."""
RESERVED: Final = frozenset(("gateway",))
"""Names of applications that are built in: they have neither row nor key."""
_LISTS: Final = ("uris", "accept_types", "accept_wrapped_types")
_LONGEST: Final = {
    column.name: column.type.length
    for table in (wigwag_application, wigwag_api_key)
    for column in table.columns
    if isinstance(column.type, String) and column.type.length is not None
}
_APPLICATION: Final = wigwag_application.c
_KEY: Final = wigwag_api_key.c


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationRow:
    """A row of ``wigwag_application``, unjudged; fields and units are those of the setting ``ua.applications``."""

    name: str
    uris: tuple[str, ...] = ()
    answer: str = "ask"
    answer_timeout: float = 20.0
    fallback: str = "reject"
    reject_status: int = 480
    accept_types: tuple[str, ...] | None = None
    """None: as the setting's default is."""
    accept_wrapped_types: tuple[str, ...] | None = None
    """None: as the setting's default is."""
    greeting: str = ""
    idle_timeout: float = 0.0
    max_duration: float = 43_200.0
    message_expires: float = 86_400.0
    outcome_timeout: float = 60.0
    content: str | None = None
    """None: as the setting's default is."""
    reports: str | None = None
    """None: as the setting's default is."""
    way: str = "relay"
    file_requests: str = "ask"
    webhook_url: str | None = None
    webhook_secret: str | None = field(default=None, repr=False)

    def settings(self) -> dict[str, Any]:
        """Return the row as settings have it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRow:
    """A row of ``wigwag_api_key``: a key by which an application is known, without the key."""

    id: int
    application: str
    prefix: str
    """The key's first characters, for people."""
    scopes: tuple[str, ...]
    created: float
    """Seconds since 1970."""
    comment: str


class Applications:
    """Reads and writes applications and keys. An application may have keys here and stand in the settings.

    Args:
        database: Open while methods are called.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self) -> list[ApplicationRow]:
        """Return all, by name.

        Raises:
            DatabaseError: The database cannot be reached or refuses.
        """
        query = select(*_columns()).order_by(_APPLICATION.name)
        async with self._database.transaction() as connection:
            return [_application(row) for row in await connection.execute(query)]

    async def get(self, name: str) -> ApplicationRow:
        """Return one.

        Raises:
            NotFoundError: There is none of that name.
            DatabaseError: As ``list``.
        """
        if not name.isprintable():
            raise _unknown(name)
        async with self._database.transaction() as connection:
            row = (await connection.execute(select(*_columns()).where(_APPLICATION.name == name))).one_or_none()
        if row is None:
            raise _unknown(name)
        return _application(row)

    async def put(self, application: ApplicationRow) -> bool:
        """Write an application, in place of one of that name.

        Returns:
            Whether it is new.

        Raises:
            ConflictError: A value does not fit; the text names it.
            DatabaseError: As ``list``.
        """
        values = _application_values(application)
        _check(values)
        async with self._database.transaction(write=True) as connection:
            same_name = _APPLICATION.name == application.name
            known = (await connection.execute(select(_APPLICATION.name).where(same_name))).first()
            if known is not None:
                await connection.execute(update(wigwag_application).where(same_name).values(values))
            else:
                await connection.execute(insert(wigwag_application).values(values))
        return known is None

    async def delete(self, name: str) -> None:
        """Delete an application and its keys.

        Raises:
            NotFoundError: There is none of that name.
            DatabaseError: As ``list``.
        """
        if not name.isprintable():
            raise _unknown(name)
        async with self._database.transaction(write=True) as connection:
            result = await connection.execute(delete(wigwag_application).where(_APPLICATION.name == name))
            if not result.rowcount:
                raise _unknown(name)
            await connection.execute(delete(wigwag_api_key).where(_KEY.application == name))

    # Keys

    async def create_key(
        self, application: str, scopes: Iterable[str], *, now: float, comment: str = ""
    ) -> tuple[ApiKeyRow, str]:
        """Make a key for an application, in this table or not.

        Returns:
            What is kept, and the key itself, which can't be had a second time.

        Raises:
            ConflictError: A value does not fit; the text names it.
            DatabaseError: As ``list``.
        """
        key = KEY_BEGIN + secrets.token_urlsafe(32)
        row = ApiKeyRow(
            id=0, application=application, prefix=key[:SHOWN], scopes=tuple(scopes), created=now, comment=comment
        )
        values = {**asdict(row), "scopes": " ".join(row.scopes), "sha256": hash_of(key)}
        del values["id"]
        _check(values)
        async with self._database.transaction(write=True) as connection:
            result = await connection.execute(insert(wigwag_api_key).values(values))
            assert result.inserted_primary_key is not None  # of one row it always is
        return replace(row, id=result.inserted_primary_key[0]), key

    async def find_key(self, key: str) -> ApiKeyRow | None:
        """Return what is known of a key that somebody shows; None: it is not, or no more, a key; DatabaseError."""
        found = await self._keys(_KEY.sha256 == hash_of(key))
        return found[0] if found else None

    async def keys(self, application: str) -> Sequence[ApiKeyRow]:
        """Return an application's keys in the order in which they were made; DatabaseError."""
        return await self._keys(_KEY.application == application) if application.isprintable() else []

    async def revoke_key(self, key_id: int) -> None:
        """Make a key worth nothing.

        Raises:
            NotFoundError: There is none of that id.
            DatabaseError: As ``list``.
        """
        async with self._database.transaction(write=True) as connection:
            result = await connection.execute(delete(wigwag_api_key).where(_KEY.id == key_id))
            if not result.rowcount:
                raise NotFoundError(f"there is no API key {key_id}")

    async def _keys(self, condition: Any) -> Sequence[ApiKeyRow]:
        columns = [_KEY[known.name] for known in fields(ApiKeyRow)]
        async with self._database.transaction() as connection:
            found = (await connection.execute(select(*columns).where(condition).order_by(_KEY.id))).all()
        return [ApiKeyRow(**{**row._mapping, "scopes": tuple(row.scopes.split())}) for row in found]


def hash_of(key: str) -> str:
    """Return what is stored of a key: it has 256 random bits, which no dictionary has."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def _columns() -> Sequence[Any]:
    return [_APPLICATION[known.name] for known in fields(ApplicationRow)]


def _application(row: Row[Any]) -> ApplicationRow:
    values = dict(row._mapping)
    for name in _LISTS:
        if values[name] is not None:
            values[name] = tuple(values[name].split())
    return ApplicationRow(**values)


def _application_values(application: ApplicationRow) -> dict[str, Any]:
    values = asdict(application)
    for name in _LISTS:
        if values[name] is not None and any(len(item.split()) != 1 for item in values[name]):
            raise ConflictError(f"{name} has an entry that is empty or has blanks")
        if values[name] is not None:
            values[name] = "\n".join(values[name])
    return values


def _check(values: dict[str, Any]) -> None:
    """Refuse what does not fit: a database without strict mode would cut the rest off silently."""
    for name, value in values.items():
        if not isinstance(value, str):
            continue
        if len(value) > _LONGEST[name]:
            raise ConflictError(f"{name} is longer than the {_LONGEST[name]} characters that the table holds")
        if any(not (letter.isprintable() or letter == "\n") for letter in value):
            raise ConflictError(f"{name} holds characters that the table does not")
    key = values.get("name", values.get("application", ""))
    if not key or "\n" in key:
        raise ConflictError("the application's name is empty or has line breaks")
    if key in RESERVED:
        raise ConflictError(f"the name {key} is that of an application that is built in")


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(f"there is no application {name}")
