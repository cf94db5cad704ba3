"""Messages of the session-mode side to page-mode devices; what ua says of those of the page-mode side.

Theory of operation. ua answers a SEND when its row is durable, and leaves the rest to us: the row stays accepted until
``Agents.settle``. Each complete message becomes one MESSAGE, or as many as it is cut into. As in the other direction
what waits goes first, also what waits of an earlier session of the two.
"""

from collections.abc import Awaitable, Callable, Sequence
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
from wigwag.gateway.quotas import within
from wigwag.gateway.rows import PAGE, Rows
from wigwag.gateway.statuses import report_of
from wigwag.gateway.succession import Look, Succession
from wigwag.protocols.sip import SipError
from wigwag.runtime.conversations import AddressTooLongError, canonical_address
from wigwag.runtime.ua_messages import conversation_of, fields_of

from .notifications import Notifications
from .parts import PartsOfRows, check_is_current
from .reading import AGAIN, AT_ONCE, BEHIND, BINDING
from .session_backlog import SessionBacklog
from .to_devices import ToDevices

_FAILED: Final = message_pb2.DELIVERY_STATE_FAILED
_OUTBOUND: Final = session_pb2.SESSION_DIRECTION_OUTBOUND
_ABSENT: Final = 480
_UNKNOWN: Final = 404
_TOO_MANY: Final = "Temporarily Unavailable: too many messages wait"


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
        backlog: Finds what waits.
        notifications: Takes news from them.
        tell_waiting: Is told of those that wait for their recipient, whenever it is looked for him.
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
        backlog: SessionBacklog,
        notifications: Notifications,
        tell_waiting: Callable[[Sequence[LedgerRow]], Awaitable[None]],
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
        self._backlog = backlog
        self._notifications = notifications
        self._tell_waiting = tell_waiting

    async def received(self, session_id: str, message_id: str, record: Record) -> None:
        """Send a message on, or what waits before and with it.

        Args:
            session_id: The session.
            message_id: The message: it may be new, or have been tried by somebody who is gone.
            record: That says so, published once more or not.
        """
        session = await self._backlog.session(session_id, message_id)
        if session is None:
            return  # Forgotten, and its rows with it.
        async with self._lanes.of(conversation_of(session_id), message_id, record.assignment) as lane:
            if not lane.clean or AGAIN in record.headers:
                lane.clean = await self._look(session, message_id, record, lane.succession)
            elif not lane.taken_along:
                lane.clean = await self._next(session, message_id, record, lane.succession)

    async def _next(self, session: Session, message_id: str, record: Record, succession: Succession) -> bool:
        """Send the next message of a session before which nothing waits; returns whether it does not wait either."""
        row = await self._rows.find(message_id)
        if row is None or row.state is not State.ACCEPTED:
            return True
        if row.owner:
            # Another pod has found it from the next session's side, and maybe those before it.
            return await self._look(session, message_id, record, succession)
        return await self._forward(session, [row], None, succession)

    async def _look(self, session: Session, message_id: str, record: Record, succession: Succession) -> bool:
        """Send what waits before and with a message; returns whether none of it waits any more."""
        look, again = Look(), record.headers.get(AGAIN)
        fresh = message_id if again == BEHIND else ""
        rows, rests = await self._backlog.waiting(session, look, rested=again in AT_ONCE, fresh=fresh)
        if all(row.id != message_id for row in rows):
            await self._refuse_again(message_id)
        succession.begin(look)
        own = conversation_of(session.session_id)
        self._lanes.note(row.id for row in rows if row.conversation == own)
        device = None if again is None else record.headers.get(BINDING, b"").decode(errors="replace")
        done = not rows or await self._forward(session, rows, device, succession)
        succession.end(look)
        return done and not rests

    async def _refuse_again(self, message_id: str) -> None:
        """Tell that a message has failed: whoever wrote it down may be gone without a word."""
        row = await self._rows.find(message_id)
        if row is not None and row.state is State.FAILED:
            await self._settle_failed(message_id, row.status or 0, row.reason)

    async def _forward(
        self, session: Session, rows: Sequence[LedgerRow], device: str | None, succession: Succession
    ) -> bool:
        """Send rows on, in order; returns whether none of them waits now."""
        try:
            recipient = canonical_address(session.local_uri)
        except (SipError, AddressTooLongError):
            return await self._all_failed(rows, _UNKNOWN, "Not Found")
        destination = await self._destinations.of(recipient, PagerReason.PAGER_REASON_UNSPECIFIED, device)
        match destination.way:
            case Way.PAGE | Way.SESSION:
                return await self._send_all(session, rows, destination, succession)
            case Way.WAIT:
                # What was claimed and not asked for goes on as it began: nobody wakes it.
                await self._send_all(session, [row for row in rows if row.owner], destination, succession)
                return await self._wait(recipient, [row for row in rows if not row.owner])
            case Way.NOWHERE if session.direction == _OUTBOUND:
                return await self._send_all(session, rows, destination, succession)  # He wrote from elsewhere.
            case Way.NOWHERE:
                return await self._all_failed(rows, _UNKNOWN, "Not Found")

    async def _send_all(
        self, session: Session, rows: Sequence[LedgerRow], destination: Destination, succession: Succession
    ) -> bool:
        own = conversation_of(session.session_id)
        for row in rows:
            # The same attempt is the same MESSAGE: as its own session has it, whoever makes it.
            its_own = session if row.conversation == own else await self._backlog.session_of(row)
            await self._notifications.by_session(its_own, row)
            await self._send(its_own, row, destination, succession)
        return True

    async def _send(self, session: Session, row: LedgerRow, destination: Destination, succession: Succession) -> None:
        before = succession.before(row.sender, row.id)
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
        recipient = canonical_address(session.local_uri)
        known_by = parts[0].content.imdn_message_id
        self._notifications.sent(canonical_address(session.remote_uri), recipient, known_by, row.id)
        last = await self._to_devices.send_parts(
            parts,
            attempt,
            sender=session.remote_uri,
            recipient=recipient,
            conversation=session.labels.get(CONVERSATION, recipient),
            expires=row.expires,
            bindings=destination.bindings,
            after=before,
            traceparent=fields_of(row.headers).traceparent,
        )
        succession.sent(row.sender, last)

    async def _wait(self, recipient: str, rows: Sequence[LedgerRow]) -> bool:
        passing = [row for row in rows if read(row.content_type, row.body or b"").is_composing]
        keeps = self._settings.sessions_for_absent
        await self._all_failed(passing if keeps else rows, _ABSENT, "Temporarily Unavailable")
        if not keeps or len(passing) == len(rows):
            return True
        kept = [row for row in rows if row not in passing]
        room = within(kept, self._settings.limits)
        await self._all_failed(kept[room:], _ABSENT, _TOO_MANY)
        await self._tell_waiting(kept[:room])
        self._setup.wake(recipient)
        return False

    async def _all_failed(self, rows: Sequence[LedgerRow], status: int, reason: str) -> bool:
        for row in rows:
            await self._failed(row, status, reason)
        return True

    async def _failed(self, row: LedgerRow, status: int, reason: str) -> None:
        report = report_of(State.FAILED, status, reason)
        await self._settle_failed(row.id, report.status, report.comment)

    async def _settle_failed(self, message_id: str, status: int, comment: str) -> None:
        try:
            await self._agents.settle(message_id, _FAILED, status=status, reason=comment)
        except (ConflictError, NotFoundError):
            return  # It has its outcome: its time had run out meanwhile.
