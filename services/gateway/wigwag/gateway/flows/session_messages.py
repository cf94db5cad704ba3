"""Messages of the session-mode side to page-mode devices; what ua says of those of the page-mode side.

Theory of operation. ua answers a SEND when its row is durable, and leaves the rest to us: the row stays accepted until
``Agents.settle``. Each complete message becomes one MESSAGE, or as many as it is cut into. As in the other direction
what waits in a session goes first.
"""

from collections.abc import Sequence
from typing import Final

from wigwag.api.events.v1.pager_pb2 import PagerReason
from wigwag.api.ua.v1 import message_pb2
from wigwag.database.ledger import LedgerRow, State
from wigwag.errors import NotFoundError
from wigwag.gateway.config import GatewaySettings
from wigwag.gateway.conversations.book import CONVERSATION, Book, Session
from wigwag.gateway.conversations.setup import Setup
from wigwag.gateway.destinations import Destination, Destinations, Way
from wigwag.gateway.kinds import RefusedError, read
from wigwag.gateway.lanes import Lanes
from wigwag.gateway.ports import Agents
from wigwag.gateway.rows import PAGE, Rows
from wigwag.protocols.sip import SipError
from wigwag.runtime.conversations import AddressTooLongError, canonical_address
from wigwag.runtime.ua_messages import INBOUND, conversation_of

from .parts import parts_of_row
from .reading import REGISTERED
from .to_devices import ToDevices

_FAILED: Final = message_pb2.DELIVERY_STATE_FAILED
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
    ) -> None:
        self._rows = rows
        self._lanes = lanes
        self._book = book
        self._destinations = destinations
        self._agents = agents
        self._setup = setup
        self._to_devices = to_devices
        self._settings = settings

    async def received(self, session_id: str, message_id: str, again: bytes | None) -> None:
        """Send a message on, or what waits in its session.

        Args:
            session_id: The session.
            message_id: The message: it may be new, or have been tried by somebody who is gone.
            again: Why its record was published again; None: it was not.
        """
        try:
            session = await self._book.session(session_id)
        except NotFoundError:
            return  # Forgotten, and its rows with it.
        async with self._lanes.of(conversation_of(session_id)) as lane:
            if lane.clean and again is None:
                row = await self._rows.find(message_id)
                rows, rests = [row] if row is not None and row.state is State.ACCEPTED else [], False
            else:
                rows, rests = await self._waiting(session_id, message_id, rested=again == REGISTERED)
            lane.clean = (not rows or await self._forward(session, rows)) and not rests

    async def _waiting(self, session_id: str, message_id: str, *, rested: bool) -> tuple[list[LedgerRow], bool]:
        """Return what waits in a session, and whether more of it does, but not long enough yet."""
        found: list[LedgerRow] = []
        for row in await self._rows.waiting(conversation_of(session_id), INBOUND):
            if row.owner:
                if row.id != message_id:
                    continue
            elif not rested and self._setup.rests(row):
                return found, True
            found.append(row)
        return found, False

    async def _forward(self, session: Session, rows: Sequence[LedgerRow]) -> bool:
        """Send rows on, in order; returns whether none of them waits now."""
        try:
            recipient = canonical_address(session.local_uri)
        except (SipError, AddressTooLongError):
            return await self._all_failed(rows, _UNKNOWN, "Not Found")
        destination = await self._destinations.of(recipient, PagerReason.PAGER_REASON_UNSPECIFIED)
        match destination.way:
            case Way.PAGE | Way.SESSION:
                for row in rows:
                    await self._send(session, recipient, row, destination)
                return True
            case Way.WAIT:
                return await self._wait(recipient, rows)
            case Way.NOWHERE:
                return await self._all_failed(rows, _UNKNOWN, "Not Found")

    async def _send(self, session: Session, recipient: str, row: LedgerRow, destination: Destination) -> None:
        try:
            parts = parts_of_row(
                row, page=recipient, session=canonical_address(session.remote_uri), settings=self._settings
            )
        except RefusedError as error:
            await self._agents.settle(row.id, _FAILED, status=error.status, reason=error.reason)
            return
        if row.owner == PAGE:
            attempt = row.attempt  # Claimed by somebody who is gone: the same attempt once more.
        else:
            claimed = await self._rows.claim([(row.id, row.expires)], PAGE, self._rows.next_token)
            if row.id not in claimed:
                return
            attempt = claimed[row.id]
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
            await self._agents.settle(row.id, _FAILED, status=status, reason=reason)
        return True
