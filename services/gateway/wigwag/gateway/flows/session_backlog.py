"""What a session-mode user has said to a page-mode one and waits to be sent, in whichever of their sessions it came.

Theory of operation. Records are handled by session, so two pods may look at what two users have said in one session and
in the next. Each goes through all of it, in the order of acceptance. A row is claimed by compare and set: both ask for
the same attempt then, and the edge makes it once.
"""

from collections.abc import Sequence
from typing import Final

from wigwag.database.ledger import LedgerRow
from wigwag.errors import NotFoundError
from wigwag.gateway.conversations.book import CONVERSATION, Book, Session
from wigwag.gateway.conversations.setup import Setup
from wigwag.gateway.kinds import RefusedError
from wigwag.gateway.rows import Rows
from wigwag.gateway.succession import Look
from wigwag.gateway.wrapping import uri_of
from wigwag.protocols.sip import SipError
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.conversations import AddressTooLongError, canonical_address, conversation_key
from wigwag.runtime.pager_events import attempt_id
from wigwag.runtime.ua_messages import fields_of

from .parts import PartsOfRows

_LONGEST_ADDRESS: Final = 255


class SessionBacklog:
    """Finds it.

    Args:
        rows: Of the ledger.
        book: Sessions.
        setup: Knows pauses.
        parts: What is sent of a message.
    """

    def __init__(self, rows: Rows, book: Book, setup: Setup, parts: PartsOfRows) -> None:
        self._rows = rows
        self._book = book
        self._setup = setup
        self._parts = parts

    async def session(self, session_id: str, message_id: str) -> Session | None:
        """Return a session; when a store came back empty what its messages say of it. None: there are none."""
        try:
            return await self._book.session(session_id)
        except NotFoundError:
            row = await self._rows.find(message_id)
        return None if row is None else _said_by(row)

    async def session_of(self, row: LedgerRow) -> Session:
        """Return the session that a message came in, likewise."""
        try:
            return await self._book.session(fields_of(row.headers).session_id)
        except NotFoundError:
            return _said_by(row)

    async def waiting(self, session: Session, look: Look, *, rested: bool, fresh: str) -> tuple[list[LedgerRow], bool]:
        """Return what is to be done, and whether more waits behind what has not rested long enough yet.

        Args:
            session: Of both users.
            look: Is told of what is under way, and to be sent.
            rested: No pause is kept.
            fresh: The message that needs none of its own.
        """
        found: list[LedgerRow] = []
        rows = await self._rows.said(_address(session.remote_uri), _address(session.local_uri))
        attempts = {row.id: await self._attempts(row) for row in rows if row.owner}
        there = await self._rows.find_many([each for ids in attempts.values() for each in ids])
        for row in rows:
            if row.owner and all(each in there for each in attempts[row.id]):
                look.under_way(row, attempts[row.id][-1])
                continue
            if not (row.owner or rested or row.id == fresh) and self._setup.rests(row):
                return found, True
            look.to_be_sent(row)
            found.append(row)
        return found, False

    async def _attempts(self, row: LedgerRow) -> Sequence[str]:
        try:
            parts = await self._parts.between(row, row.recipient, row.sender)
        except RefusedError:
            return [attempt_id(row.id, row.attempt)]
        return [attempt_id(part.message_id, row.attempt) for part in parts]


def _said_by(row: LedgerRow) -> Session:
    """Return what a message says of the session that it came in."""
    session_id = fields_of(row.headers).session_id
    found = Session(session_id=session_id, local_uri=uri_of(row.recipient), remote_uri=uri_of(row.sender))
    try:
        page, peer = canonical_address(found.local_uri), canonical_address(found.remote_uri)
    except (SipError, AddressTooLongError):
        return found
    found.labels[CONVERSATION] = conversation_key(page, peer, GATEWAY)
    return found


def _address(uri: str) -> str:
    """Return an address as ua's rows have it."""
    try:
        return canonical_address(uri)
    except (SipError, AddressTooLongError):
        return uri[:_LONGEST_ADDRESS]
