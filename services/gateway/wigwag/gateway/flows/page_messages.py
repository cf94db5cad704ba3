"""MESSAGEs that the edge has kept: into the session of their conversation, to devices, or they wait.

Theory of operation. A record is a message that may be new, have come again, or stand for all that waits in its
conversation (``Waking`` publishes the first of these again). In a clean lane it goes on alone; else everything that
waits in the conversation goes on, in the order of acceptance. A message is claimed before it goes anywhere; a claim by
another session, or by MESSAGE, that has no outcome yet is looked into before anything is done again.
"""

import asyncio
from collections.abc import Sequence
from itertools import groupby

from wigwag.api.events.v1.pager_pb2 import PagerMessage, PagerReason
from wigwag.bus import Record
from wigwag.database.ledger import LedgerRow, State
from wigwag.errors import InvalidRequestError, OverloadedError
from wigwag.gateway.conversations.book import Book
from wigwag.gateway.conversations.setup import Setup
from wigwag.gateway.destinations import Destination, Destinations, Way
from wigwag.gateway.lanes import Lanes
from wigwag.gateway.rows import PAGE, Rows
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.pager_events import INBOUND, message_of
from wigwag.runtime.ua_messages import keyed_id
from wigwag.store.conversations import Conversation

from .into_session import IntoSession, SessionOverError
from .reading import AGAIN, NO_PAGE, REGISTERED, envelope_of
from .to_devices import ToDevices


class PageMessages:
    """Handles ``wigwag.pager.inbound``.

    Args:
        rows: Of the ledger.
        lanes: Keep the order.
        book: Conversations.
        destinations: Where messages go.
        setup: Sets sessions up.
        into_session: Sends in them.
        to_devices: Sends MESSAGEs.
    """

    def __init__(
        self,
        rows: Rows,
        lanes: Lanes,
        book: Book,
        destinations: Destinations,
        *,
        setup: Setup,
        into_session: IntoSession,
        to_devices: ToDevices,
    ) -> None:
        self._rows = rows
        self._lanes = lanes
        self._book = book
        self._destinations = destinations
        self._setup = setup
        self._into_session = into_session
        self._to_devices = to_devices

    async def handle(self, record: Record) -> None:
        """Handle a record; see ``Bus.consume`` for what its exceptions mean."""
        message = envelope_of(record).pager_message
        if message.service != GATEWAY:
            return
        again = record.headers.get(AGAIN)
        async with self._lanes.of(message.conversation) as lane:
            if lane.clean and again is None:
                lane.clean = await self._forward(message.conversation, [message])
            else:
                waiting, rests = await self._waiting(message, rested=again in (REGISTERED, NO_PAGE))
                if again == NO_PAGE:
                    for each in waiting:
                        each.reason = PagerReason.PAGER_REASON_SESSION_MODE
                lane.clean = await self._forward(message.conversation, waiting) and not rests

    async def _waiting(self, message: PagerMessage, *, rested: bool) -> tuple[list[PagerMessage], bool]:
        """Return what waits in a message's conversation, and whether more of it does, but not long enough yet."""
        found: list[PagerMessage] = []
        for row in await self._rows.waiting(message.conversation, INBOUND):
            if row.owner:
                if row.id != message.message_id or not await self._is_to_be_done_again(row):
                    continue
            elif not rested and self._setup.rests(row):
                return found, True
            found.append(message_of(row))
        return found, False

    async def _is_to_be_done_again(self, row: LedgerRow) -> bool:
        """Tell whether a message that was being tried when somebody died goes on as if it were new."""
        if row.owner == PAGE:
            await self._to_devices.repeat(message_of(row), row.attempt)
            return False
        conversation = await self._book.find(row.conversation)
        if conversation is not None and conversation.session_id == row.owner and conversation.state == "open":
            return True  # The same into the same session is the same message.
        if await self._rows.find(keyed_id(row.owner, row.id)) is not None:
            return False  # Its outcome was told, or will be.
        await self._rows.give_back(row.id)
        return True

    async def _forward(self, key: str, messages: Sequence[PagerMessage]) -> bool:
        """Send messages of a conversation on; returns whether none of them waits now."""
        done = True
        for parties, group in groupby(messages, lambda message: (message.from_aor, message.to_aor)):
            done &= await self._one_way(key, *parties, list(group))
        return done

    async def _one_way(self, key: str, sender: str, recipient: str, messages: list[PagerMessage]) -> bool:
        conversation = await self._book.find(key)
        if conversation is not None and conversation.state != "closed" and conversation.page == sender:
            return await self._in_conversation(conversation, messages)
        destination = await self._destinations.of(recipient, messages[-1].reason)
        match destination.way:
            case Way.SESSION:
                return await self._by_session(key, conversation, messages)
            case Way.PAGE:
                return await self._by_page(messages, destination)
            case Way.WAIT:
                return await self._wait(messages)
            case Way.NOWHERE:
                return await self._refuse(messages, 404, "Not Found")

    async def _in_conversation(self, conversation: Conversation, messages: list[PagerMessage]) -> bool:
        if not conversation.session_id:
            # Whoever began it may be gone: the same call once more is the same session.
            conversation = await self._setup.call(conversation, messages[0])
        try:
            return await self._into_session.send(conversation, messages)
        except SessionOverError as error:
            closed = await self._book.closed(conversation, str(error))
            return await self._by_session(closed.key, closed, messages)

    async def _by_session(self, key: str, before: Conversation | None, messages: list[PagerMessage]) -> bool:
        if before is not None and self._setup.is_resting(before):
            return False
        try:
            conversation = await self._setup.begin(key, before, messages[0])
        except OverloadedError as error:
            return await self._refuse(messages, 480, str(error))
        except InvalidRequestError as error:
            return await self._refuse(messages, 400, str(error))
        if conversation.page != messages[0].from_aor:
            return False  # The other side has begun meanwhile, as the page-mode side.
        return await self._into_session.send(conversation, messages)

    async def _by_page(self, messages: list[PagerMessage], destination: Destination) -> bool:
        for message in messages:
            await self._to_devices.send(message, destination.bindings)
        return True

    async def _wait(self, messages: list[PagerMessage]) -> bool:
        passing = [message for message in messages if self._to_devices.is_passing(message)]
        await self._refuse(passing, 480, "Temporarily Unavailable")
        if len(passing) == len(messages):
            return True
        self._setup.wake(messages[0].to_aor)
        return False

    async def _refuse(self, messages: Sequence[PagerMessage], status: int, reason: str) -> bool:
        await asyncio.gather(
            *(self._rows.settle(each.message_id, State.FAILED, status=status, reason=reason) for each in messages)
        )
        return True
