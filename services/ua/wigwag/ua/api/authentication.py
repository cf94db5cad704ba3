"""Who calls: an application, known by its API key or a token of an identity provider, or an operator."""

import hmac
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Protocol

from wigwag.database.applications import RESERVED, hash_of
from wigwag.errors import NotAuthenticatedError
from wigwag.ua.config import UaApiSettings
from wigwag.ua.ports import Caller

OPERATOR: Final = Caller("")
_LONGEST: Final = 8_192
"""Characters of a credential."""
_KEPT: Final = 4_096
"""Looked-up keys that are remembered."""
_KEPT_FOR: Final = 5.0
"""Seconds for which a key of the database is taken as it was."""


class StoredKey(Protocol):
    """What is known of a key of the database."""

    @property
    def application(self) -> str:
        """Whose it is."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """What it allows."""


FindKey = Callable[[str], Awaitable[StoredKey | None]]
"""Looks for a key in the database; DatabaseError."""


class Tokens(Protocol):
    """Tokens of an identity provider."""

    async def caller(self, token: str) -> Caller:
        """Return whose a token is; NotAuthenticatedError."""


class Authenticator:
    """Tells who calls.

    Args:
        settings: Keys that are asked before the database.
        find_key: Looks in the database.
        tokens: Judges JSON Web Tokens; None: there are none.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        settings: UaApiSettings,
        find_key: FindKey,
        tokens: Tokens | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = [
            (hash_of(each.key).encode(), Caller(each.application, frozenset(each.scopes)))
            for each in settings.keys
            if each.key is not None
        ]
        self._find_key = find_key
        self._tokens = tokens
        self._clock = clock
        self._found: dict[str, tuple[float, Caller | None]] = {}
        """Until when it holds; all hold equally long, so that the oldest is the first."""

    @property
    def demands(self) -> bool:
        """Whether callers have to show something."""
        return bool(self._keys) or self._tokens is not None

    async def caller(self, presented: Sequence[str], *, asked: bool = False) -> Caller:
        """Return who calls.

        Args:
            presented: Credentials, as they came.
            asked: Whether callers are asked for something elsewhere already, so that nothing is not enough.

        Raises:
            NotAuthenticatedError: Nobody knows him.
            DatabaseError: It can't be asked.
        """
        if not presented:
            if self.demands or asked:
                raise NotAuthenticatedError("an API key or a token is needed: Authorization: Bearer KEY")
            return OPERATOR
        if len(presented) > 1:
            raise NotAuthenticatedError("more than one credential")
        found = await self._known(presented[0])
        if found.application in RESERVED:
            raise NotAuthenticatedError("the credential names what is built in")
        return found

    def forget(self) -> None:
        """Ask the database again about every key."""
        self._found.clear()

    async def _known(self, credential: str) -> Caller:
        if not credential or len(credential) > _LONGEST or not credential.isascii():
            raise NotAuthenticatedError("the credential is none that is known")
        found = self._of_settings(credential)
        if found is None and self._tokens is not None and credential.count(".") == 2:
            return await self._tokens.caller(credential)
        found = found or await self._of_database(credential)
        if found is None:
            raise NotAuthenticatedError("the credential is none that is known")
        return found

    def _of_settings(self, credential: str) -> Caller | None:
        """Compare with every key, in the same time."""
        shown, found = hash_of(credential).encode(), None
        for known, caller in self._keys:
            if hmac.compare_digest(shown, known):
                found = caller
        return found

    async def _of_database(self, credential: str) -> Caller | None:
        shown, now = hash_of(credential), self._clock()
        self._forget_old(now)
        if shown in self._found:
            return self._found[shown][1]
        row = await self._find_key(credential)
        caller = None if row is None or not row.application else Caller(row.application, frozenset(row.scopes))
        self._found[shown] = now + _KEPT_FOR, caller
        return caller

    def _forget_old(self, now: float) -> None:
        while self._found:
            oldest = next(iter(self._found))
            if len(self._found) < _KEPT and self._found[oldest][0] > now:
                return
            del self._found[oldest]


def bearers(values: Iterable[str]) -> list[str]:
    """Return the credentials of Authorization headers; one of another scheme counts as one that nobody knows."""
    found = []
    for value in values:
        scheme, _, credential = value.partition(" ")
        found.append(credential.strip() if scheme.lower() == "bearer" else "")
    return found
