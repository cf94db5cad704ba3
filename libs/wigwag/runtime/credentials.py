"""Where users' credentials come from, besides the database: the settings, an HTTP service, several in turn."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from wigwag.errors import WigwagError
from wigwag.protocols.digest import StoredCredentials

from .http_hook import HookError, HttpHook


class CredentialSource(Protocol):
    """Knows users."""

    async def credentials(self, username: str, domain: str) -> StoredCredentials | None:
        """Return what is known of the user, or None."""


class FileCredentials:
    """The users of the settings."""

    def __init__(self, users: Iterable[StoredCredentials]) -> None:
        self._users = {(user.username, user.domain): user for user in users}

    async def credentials(self, username: str, domain: str) -> StoredCredentials | None:
        """Return what is known of the user, or None."""
        return self._users.get((username, domain))


class HookCredentials:
    """An HTTP service that knows users.

    It is asked ``{"username": ..., "domain": ...}`` and answers 404, or 200 with one or more of ``password``, ``ha1``,
    ``ha1_sha256``, ``ha1_sha512t256`` and, if the user may not relay, ``"may_relay": false``.
    """

    def __init__(self, hook: HttpHook) -> None:
        self._hook = hook

    async def credentials(self, username: str, domain: str) -> StoredCredentials | None:
        """Return what is known of the user, or None.

        Raises:
            HookError: The service gave no usable answer.
        """
        answer = await self._hook.ask({"username": username, "domain": domain})
        if answer is None:
            return None
        may_relay = answer.get("may_relay", True)
        if not isinstance(may_relay, bool):
            raise HookError("may_relay is not a boolean")
        return StoredCredentials(
            username=username,
            domain=domain,
            password=_text(answer.get("password")),
            ha1=_text(answer.get("ha1")),
            ha1_sha256=_text(answer.get("ha1_sha256")),
            ha1_sha512t256=_text(answer.get("ha1_sha512t256")),
            may_relay=may_relay,
        )


class FirstOf:
    """Several sources; the first that knows the user decides."""

    def __init__(self, sources: Sequence[CredentialSource]) -> None:
        self._sources = sources

    async def credentials(self, username: str, domain: str) -> StoredCredentials | None:
        """Return what the first source that knows the user says, or None.

        All of them are asked, so that the time does not tell where, or whether, a user is known.

        Raises:
            WigwagError: No source knows the user, and one of them failed.
        """
        found: StoredCredentials | None = None
        failure: WigwagError | None = None
        for source in self._sources:
            try:
                known = await source.credentials(username, domain)
            except WigwagError as error:
                failure = failure or error
            else:
                found = found or known
        if found is None and failure is not None:
            raise failure
        return found


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise HookError("a password or hash is not text")
    return value
