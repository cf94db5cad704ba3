"""MESSAGEs that the edge has kept: into the session of their conversation, to devices, or they wait.

Theory of operation. A record is a message that may be new, have come again, or stand for all that waits in its
conversation (``Waking`` publishes the first of these again). In a clean lane it goes on alone; else everything that
waits in the conversation goes on, in the order of acceptance. A message is claimed before it goes anywhere. One that
is claimed and was never handed on, because a pod was killed in between, goes on as it began; one that an earlier
session has, and whose outcome is not told yet, holds up those behind it: it may have to be sent again, before them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from wigwag.api.events.v1.pager_pb2 import PagerMessage, PagerReason
from wigwag.bus import Record
from wigwag.database.ledger import LedgerRow, State
from wigwag.errors import InvalidRequestError
from wigwag.gateway.conversations.book import Book
from wigwag.gateway.conversations.setup import Setup, TooManyConversationsError
from wigwag.gateway.destinations import Destination, Destinations, Way
from wigwag.gateway.lanes import Lanes
from wigwag.gateway.rows import PAGE, Rows
from wigwag.gateway.succession import Look
from wigwag.gateway.wrapping import is_number
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.pager_events import INBOUND, NOT_SENT, attempt_id, message_of
from wigwag.runtime.ua_messages import keyed_id
from wigwag.store.conversations import Conversation

from .into_session import IntoSession, SessionOverError, was_never_sent
from .notifications import Notifications
from .reading import AGAIN, AT_ONCE, BEHIND, BINDING, NO_PAGE, envelope_of
from .to_devices import ToDevices

_FOR_SESSIONS: Final = (PagerReason.PAGER_REASON_ROUTE, PagerReason.PAGER_REASON_SESSION_MODE)
"""Why the edge keeps what is meant for a session; what it keeps because somebody is absent waits in any case."""
_ROUNDS: Final = 3
"""Sessions that are found to be over while messages are sent, before these wait for the next look."""


class _OtherSessionError(Exception):
    """The conversation has another session than the one that those before were sent in."""


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
        setup: Setup,
        into_session: IntoSession,
        to_devices: ToDevices,
        notifications: Notifications,
        tell_waiting: Callable[[Sequence[PagerMessage]], Awaitable[None]],
    ) -> None:
        self._rows = rows
        self._lanes = lanes
        self._book = book
        self._destinations = destinations
        self._setup = setup
        self._into_session = into_session
        self._to_devices = to_devices
        self._notifications = notifications
        self._tell_waiting = tell_waiting

    async def handle(self, record: Record) -> None:
        """Handle a record; see ``Bus.consume`` for what its exceptions mean."""
        await self._handle([record], record.headers.get(AGAIN))

    async def handle_group(self, records: Sequence[Record]) -> None:
        """Handle records of a conversation that are there together; see ``Bus.consume``."""
        if any(AGAIN in record.headers for record in records):
            for record in records:
                await self.handle(record)
        else:
            await self._handle(records, None)

    async def _handle(self, records: Sequence[Record], again: bytes | None) -> None:
        messages = [envelope_of(record).pager_message for record in records]
        messages = [message for message in messages if message.service == GATEWAY]
        if not messages:
            return
        first, *others = messages
        key, ids = first.conversation, [message.message_id for message in others]
        async with self._lanes.of(key, first.message_id, records[0].assignment, others=ids) as lane:
            known = lane.clean and again is None
            if known:
                # The others a look here has sent on, and left nothing waiting.
                messages = [message for message in messages if message.message_id not in lane.taken_along]
            lane.clean = False
            for number in range(_ROUNDS):
                try:
                    going = self._forward(key, messages, None) if known else self._look(records[0], first, number)
                    lane.clean = await going
                    break
                except (SessionOverError, _OtherSessionError):
                    known = False  # What went elsewhere may come back, and goes before all that is sent here.

    async def _look(self, record: Record, message: PagerMessage, tried: int) -> bool:
        """Send on what waits in a message's conversation; returns whether nothing does any more.

        Args:
            record: Why it is looked at.
            message: What it holds.
            tried: Sessions that were found to be over: what they did not take needs no pause.
        """
        again = record.headers.get(AGAIN)
        look, fresh = Look(), message.message_id if again == BEHIND else ""
        waiting, is_held = await self._waiting(
            message.conversation, look, rested=again in AT_ONCE or tried > 0, fresh=fresh
        )
        succession = self._lanes.succession(message.conversation)
        succession.begin(look)
        self._lanes.note(each.message_id for each in waiting)
        if again == NO_PAGE:
            for each in waiting:
                each.reason = PagerReason.PAGER_REASON_SESSION_MODE
        device = None if again is None else record.headers.get(BINDING, b"").decode(errors="replace")
        done = await self._forward(message.conversation, waiting, device)
        succession.end(look)
        return done and not is_held

    async def _waiting(self, key: str, look: Look, *, rested: bool, fresh: str) -> tuple[list[PagerMessage], bool]:
        """Return what is to be done in a conversation, and whether more of it waits behind what can't be done yet.

        Args:
            key: Of the conversation.
            look: Is told of what goes by MESSAGE.
            rested: No pause is kept.
            fresh: The message that needs none of its own.
        """
        found: list[PagerMessage] = []
        held: set[str] = set()
        rows = await self._rows.waiting(key, INBOUND)
        conversation = await self._book.find(key)
        self._lanes.went_into(key, _session_of(conversation))
        handed_on = await self._handed_on(rows)
        for row in rows:
            onward = handed_on.get(row.id)
            if row.sender in held or (onward is not None and _holds_up(row, conversation)):
                held.add(row.sender)
            elif row.owner == PAGE:
                await self._by_page_already(row, look, onward)
            elif row.owner and (onward is None or self._may_be_unknown_to_its_owner(row, onward)):
                look.to_be_sent(row)
                found.append(await self._into_session_again(row, onward, conversation))
            elif not row.owner and not rested and row.id != fresh and self._setup.rests(row):
                held.add(row.sender)
            elif not row.owner:
                look.to_be_sent(row)
                found.append(message_of(row))
        return found, bool(held)

    async def _handed_on(self, rows: Sequence[LedgerRow]) -> dict[str, LedgerRow]:
        """Return id -> row of the next hop.

        Of none that somebody claimed who was gone before he handed it on, or whose session was over before it was
        sent: that may have been told before the row was claimed for this session once more.
        """
        onward = {row.id: _next_hop(row) for row in rows if row.owner}
        there = await self._rows.find_many(list(onward.values())) if onward else {}
        return {row_id: there[hop] for row_id, hop in onward.items() if hop in there and not was_never_sent(there[hop])}

    async def _by_page_already(self, row: LedgerRow, look: Look, attempt: LedgerRow | None) -> None:
        """Have the same attempt go on; its own record, if it has not come yet, finds it taken care of."""
        if attempt is None:
            await self._to_devices.repeat(message_of(row), row.attempt, after=look.last_tried(row.sender))
        may_come_back = attempt is None or attempt.state is State.ACCEPTED or attempt.reason.startswith(NOT_SENT)
        look.under_way(row, attempt_id(row.id, row.attempt), may_come_back=may_come_back)
        self._lanes.note([row.id])

    def _may_be_unknown_to_its_owner(self, row: LedgerRow, onward: LedgerRow) -> bool:
        """Tell whether the pod that has the session may not know yet of a message that is durable there.

        Whoever wrote it down may have lost the session in that moment: he acknowledges it when the next owner has it.
        What is only of the moment needs no place.
        """
        if onward.state is not State.ACCEPTED or self._into_session.is_acknowledged(onward.id):
            return False
        return not self._to_devices.is_passing(message_of(row))

    async def _into_session_again(
        self, row: LedgerRow, onward: LedgerRow | None, conversation: Conversation | None
    ) -> PagerMessage:
        """Return a message that is to be sent as if it were new."""
        is_open = conversation is not None and conversation.session_id == row.owner and conversation.state == "open"
        if onward is None and not is_open:
            await self._rows.give_back(row)
        return message_of(row)  # The same into the same session is the same message.

    async def _forward(self, key: str, messages: Sequence[PagerMessage], device: str | None) -> bool:
        """Send messages of a conversation on; returns whether none of them waits now."""
        ways: dict[tuple[str, str], list[PagerMessage]] = {}
        for message in messages:
            if self._to_devices.is_notification(message):
                conversation = await self._book.find(key)
                await self._notifications.by_page(message, conversation.session_id if conversation is not None else "")
            ways.setdefault((message.from_aor, message.to_aor), []).append(message)
        done = True
        for parties, group in ways.items():
            done &= await self._one_way(key, *parties, group, device)
        return done

    async def _one_way(
        self, key: str, sender: str, recipient: str, messages: list[PagerMessage], device: str | None
    ) -> bool:
        conversation = await self._book.find(key)
        if _session_of(conversation) != self._lanes.via(key):
            raise _OtherSessionError
        if conversation is not None and conversation.state != "closed" and conversation.page == sender:
            return await self._in_conversation(conversation, messages)
        destination = await self._destinations.of(recipient, messages[-1].reason, device)
        match destination.way:
            case Way.SESSION if not _are_notices_to_a_number(messages):
                return await self._by_session(key, conversation, messages)
            case Way.SESSION | Way.PAGE:
                return await self._by_page(messages, destination)
            case Way.WAIT:
                return await self._wait(messages)
            case Way.NOWHERE if not messages[0].request_uri:
                return await self._by_page(messages, destination)  # A notice of ours, to who wrote from elsewhere.
            case Way.NOWHERE:
                return await self._refuse(messages, 404, "Not Found")

    async def _in_conversation(self, conversation: Conversation, messages: list[PagerMessage]) -> bool:
        try:
            if not conversation.session_id:
                # Whoever began it may be gone: the same call once more is the same session.
                conversation = await self._setup.call(conversation, messages[0])
            succession = self._lanes.succession(conversation.key)
            free = [message for message in messages if succession.may_go_into_session(message.message_id)]
            is_sent = await self._into_session.send(conversation, free) if free else False
            if is_sent:
                self._lanes.went_into(conversation.key, conversation.session_id)
            return is_sent and len(free) == len(messages)
        except SessionOverError as error:
            await self._book.closed(conversation, str(error))
            raise
        except InvalidRequestError as error:
            return await self._not_callable(conversation, messages, error)

    async def _not_callable(
        self, conversation: Conversation, messages: list[PagerMessage], error: InvalidRequestError
    ) -> bool:
        """There will never be a session: the next message begins anew, and is told the same."""
        await self._book.closed(conversation, str(error))
        return await self._refuse(messages, 400, str(error))

    async def _by_session(self, key: str, before: Conversation | None, messages: list[PagerMessage]) -> bool:
        # Nobody is called for what is only of the moment, nor for what has its outcome already.
        passing = [message for message in messages if self._to_devices.is_passing(message)]
        await self._refuse(passing, 480, "Temporarily Unavailable")
        messages = await self._still_waiting([message for message in messages if message not in passing])
        if not messages:
            return True
        if before is not None and self._setup.is_resting(before):
            return False
        try:
            conversation = await self._setup.begin(key, before, messages[0])
        except TooManyConversationsError as error:
            return await self._refuse(messages, 480, str(error))
        except InvalidRequestError as error:
            begun = await self._book.find(key)
            return await self._not_callable(begun, messages, error) if begun is not None else False
        if conversation.page != messages[0].from_aor or conversation.state == "closed":
            return False  # The other side has begun meanwhile, as the page-mode side; or it has failed already.
        return await self._in_conversation(conversation, messages)

    async def _still_waiting(self, messages: Sequence[PagerMessage]) -> list[PagerMessage]:
        found = await self._rows.find_many([message.message_id for message in messages])
        rows = {row_id: row for row_id, row in found.items() if row.state is State.ACCEPTED}
        return [each for each in messages if each.message_id in rows and rows[each.message_id].expires > self._rows.now]

    async def _by_page(self, messages: list[PagerMessage], destination: Destination) -> bool:
        succession = self._lanes.succession(messages[0].conversation)
        for message in messages:
            before = succession.before(message.from_aor, message.message_id)
            attempt = await self._to_devices.send(message, destination.bindings, after=before)
            succession.sent(message.from_aor, attempt)
        return True

    async def _wait(self, messages: list[PagerMessage]) -> bool:
        kept: list[PagerMessage] = []
        refused: list[PagerMessage] = []
        for message in messages:
            (kept if self._may_wait(message) else refused).append(message)
        await self._refuse(refused, 480, "Temporarily Unavailable")
        if not kept:
            return True
        await self._tell_waiting(kept)
        self._setup.wake(kept[0].to_aor)
        return False

    def _may_wait(self, message: PagerMessage) -> bool:
        if message.reason in _FOR_SESSIONS and not self._setup.keeps_for_absent:
            return False
        return not self._to_devices.is_passing(message)

    async def _refuse(self, messages: Sequence[PagerMessage], status: int, reason: str) -> bool:
        await asyncio.gather(
            *(self._rows.settle(each.message_id, State.FAILED, status=status, reason=reason) for each in messages)
        )
        return True


def _are_notices_to_a_number(messages: Sequence[PagerMessage]) -> bool:
    """Tell whether all of them are notices of ours to a telephone number, from which MESSAGEs came."""
    if not is_number(messages[0].to_aor):
        return False
    return not any(each.request_uri or each.reason == PagerReason.PAGER_REASON_SESSION_MODE for each in messages)


def _next_hop(row: LedgerRow) -> str:
    """Return the id of the row that a message which is being tried has been handed on as."""
    return attempt_id(row.id, row.attempt) if row.owner == PAGE else keyed_id(row.owner, row.id)


def _session_of(conversation: Conversation | None) -> str:
    """Return the session of a conversation; empty: it has none."""
    return conversation.session_id if conversation is not None and conversation.state != "closed" else ""


def _holds_up(row: LedgerRow, conversation: Conversation | None) -> bool:
    """Tell whether a message may come back from a session that is not the conversation's any more."""
    if row.owner in ("", PAGE):
        return False
    return conversation is None or conversation.session_id != row.owner or conversation.state == "closed"
