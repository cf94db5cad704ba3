"""The applications that are known: those that are built in, those of the settings, then those of the database."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

from wigwag.errors import InvalidRequestError, NotFoundError
from wigwag.protocols.sip import SipError, SipUri, parse_uri
from wigwag.runtime.agents import APPLICATION, ApplicationUris
from wigwag.ua.config import ApplicationSettings, BuiltInApplication

_NAMED: Final = APPLICATION.lower()
Load = Callable[[], Awaitable[Sequence[ApplicationSettings]]]


class Applications:
    """Who may start sessions, and whose a call is.

    Args:
        configured: Those of the settings.
        load: Reads those of the database; a name of the settings hides one there.
        builtin: Those that are parts of Wigwag.
    """

    def __init__(
        self, configured: Sequence[ApplicationSettings], load: Load, builtin: Sequence[ApplicationSettings] = ()
    ) -> None:
        self._builtin = {each.name: each for each in builtin}
        self._configured = (*builtin, *configured)
        self._load = load
        self._known: Mapping[str, ApplicationSettings] = {}
        self._uris = ApplicationUris()
        self.is_complete = False
        """Whether the database was read: until then an application that is not known may be one all the same."""
        self._use(())

    async def reload(self) -> int:
        """Read the database again; on an error what was known stays.

        Returns:
            How many applications there are, besides those that are parts of Wigwag.

        Raises:
            DatabaseError: It can't be read.
            ValueError: A URI of an application is none.
        """
        self._use(await self._load())
        self.is_complete = True
        return len(self)

    def __len__(self) -> int:
        return len(self._known) - len(self._builtin)

    @property
    def names(self) -> Sequence[str]:
        """Of all applications."""
        return list(self._known)

    def get(self, name: str) -> ApplicationSettings:
        """Return an application.

        Raises:
            NotFoundError: There is none of that name.
        """
        found = self._known.get(name)
        if found is None:
            raise NotFoundError(f"there is no application {name!r}")
        return found

    def find(self, name: str) -> ApplicationSettings | None:
        """Return an application; None: there is none of that name."""
        return self._known.get(name)

    def called(self, uri: str, fields: Iterable[tuple[str, str]] = ()) -> ApplicationSettings | None:
        """Return the application that a call is for; None: nobody.

        Args:
            uri: Who is called.
            fields: Header fields of the INVITE: the edge leads some to what is built in, whoever is called.
        """
        named = [value.strip() for name, value in fields if name.lower() == _NAMED]
        if not named:
            return self.owner(uri)
        return self._builtin.get(named[0]) if len(named) == 1 else None

    def owner(self, uri: str) -> ApplicationSettings | None:
        """Return the application whose address this is; None: nobody's."""
        try:
            parsed = parse_uri(uri)
        except SipError:
            return None
        name = self._uris.owner(parsed) if isinstance(parsed, SipUri) else None
        return self._known.get(name) if name is not None else None

    def caller_uri(self, application: ApplicationSettings, wanted: str) -> str:
        """Return the address that an application calls as.

        Args:
            application: It.
            wanted: What it asks for; empty: its first address that is no pattern.

        Raises:
            InvalidRequestError: That is not its own, or it has none.
        """
        if not wanted:
            for uri in application.uris:
                if "*" not in uri:
                    return uri
            raise InvalidRequestError("from_uri: the application has no address of its own, so it has to name one")
        if isinstance(application, BuiltInApplication) and application.calls_as_anyone:
            return wanted
        owner = self.owner(wanted)
        if owner is None or owner.name != application.name:
            raise InvalidRequestError(f"from_uri: {wanted!r} is no address of the application {application.name}")
        return wanted

    def _use(self, loaded: Sequence[ApplicationSettings]) -> None:
        known = {each.name: each for each in (*loaded, *self._configured)}
        ordered = [known[name] for name in dict.fromkeys(each.name for each in (*self._configured, *loaded))]
        self._uris = ApplicationUris((each.name, each.uris) for each in ordered)
        self._known = {each.name: each for each in ordered}
