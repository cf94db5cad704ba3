"""Where credentials come from: settings, an HTTP hook, or several sources in turn.

``wigwag.database.Subscribers`` is one more source of the same form.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from wigwag.errors import ConfigurationError
from wigwag.protocols.digest import StoredCredentials

from .http_hook import Answer, HookAnswerError, HttpHook

_SECRETS: Final = ("password", "ha1", "ha1_sha256", "ha1_sha512t256")


class CredentialSource(Protocol):
    """Knows users."""

    async def credentials(self, username: str, domain: str) -> StoredCredentials | None:
        """Return what is known of ``username@domain``, or None when the user is not known here.

        Args:
            username: Compared letter for letter.
            domain: Compared in any case.

        Raises:
            WigwagError: The source cannot tell now.
        """


class FileCredentials:
    """Users that were listed in the settings.

    Raises:
        ConfigurationError: A user is listed twice.
    """

    def __init__(self, users: Iterable[StoredCredentials]) -> None:
        self._users: dict[tuple[str, str], StoredCredentials] = {}
        for user in users:
            key = (user.username, user.domain.lower())
            if key in self._users:
                raise ConfigurationError(f"the user {user.username}@{user.domain} is listed twice")
            self._users[key] = user

    async def credentials(self, username: str, domain: str) -> StoredCredentials | None:
        """Return what the settings say about the user; never fails."""
        return self._users.get((username, domain.lower()))


class HookCredentials:
    """Users that an HTTP service knows.

    The question is ``{"username", "domain"}``. The answer is 404 for an unknown user, or 200 with at least one of
    ``password``, ``ha1``, ``ha1_sha256`` and ``ha1_sha512t256``, the hashes being made for the domain as it was asked;
    ``"may_relay": false`` refuses the relay to a user who is known.
    """

    def __init__(self, hook: HttpHook) -> None:
        self._hook = hook

    async def credentials(self, username: str, domain: str) -> StoredCredentials | None:
        """Ask for the user.

        Raises:
            HookError: There is no usable answer.
        """
        answer = await self._hook.ask({"username": username, "domain": domain})
        return None if answer is None else _read(username, domain, answer)


class FirstOf:
    """Several sources; the first that knows the user decides.

    A source that cannot tell ends the search: the next one might know another user of the same name.
    """

    def __init__(self, sources: Sequence[CredentialSource]) -> None:
        self._sources = tuple(sources)

    async def credentials(self, username: str, domain: str) -> StoredCredentials | None:
        """Return what the first source that knows the user says.

        Raises:
            WigwagError: A source before that cannot tell.
        """
        for source in self._sources:
            found = await source.credentials(username, domain)
            if found is not None:
                return found
        return None


def _read(username: str, domain: str, answer: Answer) -> StoredCredentials:
    secrets: dict[str, str] = {}
    for name in _SECRETS:
        value = answer.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise HookAnswerError(f"credentials hook: {name} is not a string")
        secrets[name] = value
    if not any(secrets.values()):
        raise HookAnswerError(f"credentials hook: none of {', '.join(_SECRETS)} in the answer")
    may_relay = answer.get("may_relay", True)
    if not isinstance(may_relay, bool):
        raise HookAnswerError("credentials hook: may_relay is neither true nor false")
    return StoredCredentials(
        username,
        domain,
        password=secrets.get("password"),
        ha1=secrets.get("ha1"),
        ha1_sha256=secrets.get("ha1_sha256"),
        ha1_sha512t256=secrets.get("ha1_sha512t256"),
        may_relay=may_relay,
    )
