"""Who may do what, and what they may know of."""

from typing import Final

from wigwag.database.ledger import Ledger, LedgerRow
from wigwag.errors import InvalidRequestError, NotAuthorizedError, NotFoundError
from wigwag.runtime.ua_messages import SERVICE, fields_of

from .applications.registry import Applications
from .config import ApplicationSettings
from .ports import Caller
from .sessions.pod_sessions import PodSessions
from .sessions.record import SessionRecord
from .texts import checked_uri

READ_SESSIONS: Final = "sessions:read"
WRITE_SESSIONS: Final = "sessions:write"
READ_MESSAGES: Final = "messages:read"
WRITE_MESSAGES: Final = "messages:write"


def demand(caller: Caller, scope: str) -> None:
    """Raise NotAuthorizedError if the caller has not the scope."""
    if caller.application and scope not in caller.scopes:
        raise NotAuthorizedError(f"the key has not the scope {scope}")


class Access:
    """What a caller may know of.

    Args:
        applications: Who calls.
        sessions: Knows sessions, wherever they are.
        ledger: Where messages are.
    """

    def __init__(self, applications: Applications, sessions: PodSessions, ledger: Ledger) -> None:
        self._applications = applications
        self._sessions = sessions
        self._ledger = ledger

    def application(self, caller: Caller, named: str) -> ApplicationSettings:
        """Return the application for which something is done.

        Raises:
            NotAuthorizedError: It is another one than the caller.
            InvalidRequestError: An operator named none.
        """
        if caller.application and named not in ("", caller.application):
            raise NotAuthorizedError("application: another one than the caller")
        name = caller.application or named
        if not name:
            raise InvalidRequestError("application: an operator has to name one")
        return self._applications.get(name)

    def caller_uri(self, application: ApplicationSettings, wanted: str) -> str:
        """Return the address that an application calls from; InvalidRequestError: it is not its own."""
        if wanted:
            checked_uri("from_uri", wanted)
        return self._applications.caller_uri(application, wanted)

    async def session(self, caller: Caller, session_id: str) -> SessionRecord:
        """Return a session that the caller may know of.

        Raises:
            NotFoundError: There is none; another's is as one that does not exist.
        """
        if not session_id or not session_id.isascii() or not session_id.isalnum():
            raise NotFoundError(f"there is no session {session_id[:64]!r}")
        record = await self._sessions.find(session_id)
        if caller.application and record.application != caller.application:
            raise NotFoundError(f"there is no session {session_id!r}")
        return record

    async def message(self, caller: Caller, message_id: str) -> LedgerRow:
        """Return a message that the caller may know of; NotFoundError as ``session``."""
        row = await self._ledger.find(message_id)
        fields = fields_of(row.headers) if row is not None and row.service == SERVICE else None
        if row is None or fields is None or (caller.application and fields.application != caller.application):
            raise NotFoundError(f"there is no message {message_id[:64]!r}")
        return row
