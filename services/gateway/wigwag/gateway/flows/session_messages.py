"""Messages of the session-mode side to page-mode devices; what ua says of those of the page-mode side.

Theory of operation. ua answers a SEND when its row is durable, and leaves the rest to us: the row stays accepted until
``Agents.settle``. Each complete message becomes one MESSAGE, or as many as it is cut into. As in the other direction
what waits in a session goes first.
"""

from collections.abc import Sequence
from typing import Final

from wigwag.api.events.v1.pager_pb2 import PagerReason
from wigwag.api.ua.v1 import message_pb2, session_pb2
from wigwag.bus import Record
from wigwag.database.ledger import LedgerRow, State
from wigwag.errors import ConflictError, NotFoundError
from wigwag.gateway.config import GatewaySettings
from wigwag.gateway.conversations.book import CONVERSATION, Book, Session
from wigwag.gateway.conversations.setup import Setup
from wigwag.gateway.destinations import Destination, Destinations, Way
from wigwag.gateway.kinds import RefusedError, read
from wigwag.gateway.lanes import Lanes
from wigwag.gateway.ports import Agents
from wigwag.gateway.rows import PAGE, Rows
from wigwag.protocols.sip import SipError
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.conversations import AddressTooLongError, canonical_address, conversation_key
from wigwag.runtime.pager_events import attempt_id
from wigwag.runtime.ua_messages import INBOUND, conversation_of

from .notifications import Notifications
from .parts import PartsOfRows, check_is_current
from .reading import AGAIN, AT_ONCE, BINDING
from .to_devices import ToDevices

_FAILED: Final = message_pb2.DELIVERY_STATE_FAILED
_OUTBOUND: Final = session_pb2.SESSION_DIRECTION_OUTBOUND
_ABSENT: Final = 480
_UNKNOWN: Final = 404


class SessionMessages:
    """Handles messages that came in sessions of the gateway.

    Args:
        rows: Of the ledger.
        lanes: Keep the order.
        book: Conversations and sessions.
        destinations: Where messages go.
        agents: Tells the sender.
        setup: Wakes absent users.
        to_devices: Sends MESSAGEs.
        settings: Of the gateway.
        parts: What is sent of a message.
        notifications: Takes news from them.
    """

    def __init__(
        self,
        rows: Rows,
        lanes: Lanes,
        book: Book,
        destinations: Destinations,
        *,
        agents: Agents,
        setup: Setup,
        to_devices: ToDevices,
        settings: GatewaySettings,
        parts: PartsOfRows,
        notifications: Notifications,
    ) -> None:
        self._rows = rows
        self._lanes = lanes
        self._book = book
        self._destinations = destinations
        self._agents = agents
        self._setup = setup
        self._to_devices = to_devices
        self._settings = settings
        self._parts = parts
        self._notifications = notifications

    async def received(self, session_id: str, message_id: str, record: Record) -> None:
        """Send a message on, or what waits in its session.

        Args:
            session_id: The session.
            message_id: The message: it may be new, or have been tried by somebody who is gone.
            record: That says so, published once more or not.
        """
        session = await self._session(session_id, message_id)
        if session is None:
            return  # Forgotten, and its rows with it.
        again = record.headers.get(AGAIN)
        async with self._lanes.of(conversation_of(session_id), message_id, record.assignment) as lane:
            if lane.clean and again is None:
                row = await self._rows.find(message_id)
                rows, rests, device = [row] if row is not None and row.state is State.ACCEPTED else [], False, None
            else:
                rows, rests = await self._waiting(session, rested=again in AT_ONCE)
                device = None if again is None else record.headers.get(BINDING, b"").decode(errors="replace")
            lane.clean = (not rows or await self._forward(session, rows, device)) and not rests

    async def _session(self, session_id: str, message_id: str) -> Session | None:
        """Return a session; when a store came back empty what its messages say of it. None: there are none."""
        try:
            return await self._book.session(session_id)
        except NotFoundError:
            row = await self._rows.find(message_id)
        if row is None:
            return None
        found = Session(session_id=session_id, local_uri=row.recipient, remote_uri=row.sender)
        try:
            page, peer = canonical_address(row.recipient), canonical_address(row.sender)
        except (SipError, AddressTooLongError):
            return found
        found.labels[CONVERSATION] = conversation_key(page, peer, GATEWAY)
        return found

    async def _waiting(self, session: Session, *, rested: bool) -> tuple[list[LedgerRow], bool]:
        """Return what is to be done in a session, and whether more of it waits, but not long enough yet."""
        found: list[LedgerRow] = []
        rows = await self._rows.waiting(conversation_of(session.session_id), INBOUND)
        undone = await self._undone(rows, session) if rows else set()
        for row in rows:
            if row.owner and row.id not in undone:
                continue
            if not row.owner and not rested and self._setup.rests(row):
                return found, True
            found.append(row)
        return found, False

    async def _undone(self, rows: Sequence[LedgerRow], session: Session) -> set[str]:
        """Return those that somebody claimed who was gone before he had asked for all MESSAGEs of them."""
        wanted = {row.id: await self._attempts(row, session) for row in rows if row.owner}
        there = await self._rows.find_many([each for ids in wanted.values() for each in ids])
        return {row_id for row_id, ids in wanted.items() if not all(each in there for each in ids)}

    async def _attempts(self, row: LedgerRow, session: Session) -> list[str]:
        try:
            parts = await self._parts.of(row, session)
        except RefusedError:
            return [attempt_id(row.id, row.attempt)]
        return [attempt_id(part.message_id, row.attempt) for part in parts]

    async def _forward(self, session: Session, rows: Sequence[LedgerRow], device: str | None) -> bool:
        """Send rows on, in order; returns whether none of them waits now."""
        try:
            recipient = canonical_address(session.local_uri)
        except (SipError, AddressTooLongError):
            return await self._all_failed(rows, _UNKNOWN, "Not Found")
        destination = await self._destinations.of(recipient, PagerReason.PAGER_REASON_UNSPECIFIED, device)
        match destination.way:
            case Way.PAGE | Way.SESSION:
                return await self._send_all(session, recipient, rows, destination)
            case Way.WAIT:
                return await self._wait(recipient, rows)
            case Way.NOWHERE if session.direction == _OUTBOUND:
                return await self._send_all(session, recipient, rows, destination)  # He wrote from elsewhere.
            case Way.NOWHERE:
                return await self._all_failed(rows, _UNKNOWN, "Not Found")

    async def _send_all(
        self, session: Session, recipient: str, rows: Sequence[LedgerRow], destination: Destination
    ) -> bool:
        for row in rows:
            await self._notifications.by_session(session, row)
            await self._send(session, recipient, row, destination)
        return True

    async def _send(self, session: Session, recipient: str, row: LedgerRow, destination: Destination) -> None:
        try:
            check_is_current(row, self._rows.now)
            parts = await self._parts.of(row, session)
        except RefusedError as error:
            await self._failed(row, error.status, error.reason)
            return
        # Claimed by somebody who is gone: the same attempt once more.
        attempt = row.attempt if row.owner == PAGE else await self._rows.claim_for_page(row)
        if attempt is None:
            return
        known_by = parts[0].content.imdn_message_id
        self._notifications.sent(canonical_address(session.remote_uri), recipient, known_by, row.id)
        await self._to_devices.send_parts(
            parts,
            attempt,
            sender=session.remote_uri,
            recipient=recipient,
            conversation=session.labels.get(CONVERSATION, recipient),
            expires=row.expires,
            bindings=destination.bindings,
        )

    async def _wait(self, recipient: str, rows: Sequence[LedgerRow]) -> bool:
        passing = [row for row in rows if read(row.content_type, row.body or b"").is_composing]
        keeps = self._settings.sessions_for_absent
        await self._all_failed(passing if keeps else rows, _ABSENT, "Temporarily Unavailable")
        if not keeps or len(passing) == len(rows):
            return True
        self._setup.wake(recipient)
        return False

    async def _all_failed(self, rows: Sequence[LedgerRow], status: int, reason: str) -> bool:
        for row in rows:
            await self._failed(row, status, reason)
        return True

    async def _failed(self, row: LedgerRow, status: int, reason: str) -> None:
        try:
            await self._agents.settle(row.id, _FAILED, status=status, reason=reason)
        except (ConflictError, NotFoundError):
            return  # It has its outcome: its time had run out meanwhile.
