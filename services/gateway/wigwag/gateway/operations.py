"""What operators do with conversations and messages: the use cases behind gRPC, REST and MI."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from wigwag.api.gateway.v1 import gateway_pb2
from wigwag.api.ua.v1 import message_pb2
from wigwag.database import ArchivedMessage, MessageFilter
from wigwag.database.ledger import Claim, Ledger, LedgerRow, State
from wigwag.errors import ConflictError, InvalidRequestError, NotFoundError
from wigwag.protocols.sip import SipError
from wigwag.runtime.conversations import AddressTooLongError, canonical_address
from wigwag.runtime.message_history import SESSION, History, is_of_gateway, same_address
from wigwag.runtime.pager_events import attempt_id
from wigwag.runtime.ua_messages import SERVICE as UA
from wigwag.runtime.ua_messages import keyed_id
from wigwag.store.conversations import MOST_LISTED, Conversation, Conversations

from .api.watching import Watching
from .conversations.book import Book
from .ports import Agents
from .presenting import CONVERSATION_STATES, conversation_message, hop_message, message_message
from .rows import GRACE, Rows
from .splitting import part_ids

DEFAULT_PAGE: Final = 100
LARGEST_PAGE: Final = 1_000
_OPERATOR: Final = "operator"
"""Owner of a row that is about to be ended."""
REMOVED: Final = "Removed by an Operator"
_SIP_FAILED: Final = 480
_MSRP_FAILED: Final = 403
_ENDED: Final = "ended by an operator"
_MOST_ATTEMPTS: Final = 20
"""Attempts of a message that are shown: the last ones."""
_MOST_PARTS: Final = 99
_LONGEST_KEY: Final = 512
_LOOK: Final = 1_000
_FAILED: Final = message_pb2.DELIVERY_STATE_FAILED


class Operations:
    """The use cases; each raises ``InvalidRequestError`` that names the field, ``NotFoundError``, or what is away.

    Args:
        store: Conversations.
        book: Notes what is closed.
        agents: Ends sessions, tells senders.
        ledger: What is under way.
        rows: Edits of it.
        history: What ledger and archive say.
        watching: Events.
    """

    def __init__(
        self,
        store: Conversations,
        book: Book,
        agents: Agents,
        *,
        ledger: Ledger,
        rows: Rows,
        history: History,
        watching: Watching,
    ) -> None:
        self._store = store
        self._book = book
        self._agents = agents
        self._ledger = ledger
        self._rows = rows
        self._history = history
        self._watching = watching

    # Conversations

    async def list_conversations(
        self, request: gateway_pb2.ListConversationsRequest
    ) -> gateway_pb2.ListConversationsResponse:
        """Return a page of conversations that are not closed."""
        size = page_size(request.page_size)
        address = _address(request.address) if request.address else ""
        if request.state not in (0, *CONVERSATION_STATES.values()):
            raise InvalidRequestError("state: unknown")
        found = await self._store.list_conversations(address, after=_key_of(request.page_token), limit=size)
        shown = [each for each in found if request.state in (0, CONVERSATION_STATES[each.state])]
        return gateway_pb2.ListConversationsResponse(
            conversations=map(conversation_message, shown),
            next_page_token=_token_of(found[-1].key) if len(found) == size else "",
        )

    async def conversations(self) -> list[Conversation]:
        """Return all conversations that are not closed."""
        found: list[Conversation] = []
        while True:
            after = found[-1].key if found else ""
            page = await self._store.list_conversations(after=after, limit=MOST_LISTED)
            found += page
            if len(page) < MOST_LISTED:
                return found

    async def get_conversation(
        self, request: gateway_pb2.GetConversationRequest
    ) -> gateway_pb2.GetConversationResponse:
        """Return a conversation, closed or not."""
        conversation = await self._conversation(request.key)
        backlog = await self._ledger.backlog(conversation=conversation.key, most=_LOOK)
        return gateway_pb2.GetConversationResponse(
            conversation=conversation_message(conversation), waiting=backlog.messages
        )

    async def end_conversation(
        self, request: gateway_pb2.EndConversationRequest
    ) -> gateway_pb2.EndConversationResponse:
        """Hang up."""
        conversation = await self._conversation(request.key)
        if conversation.state != "closed":
            if conversation.session_id:
                await self._agents.end(conversation.session_id)
            conversation = await self._book.closed(conversation, _ENDED)
        return gateway_pb2.EndConversationResponse(conversation=conversation_message(conversation))

    async def _conversation(self, key: str) -> Conversation:
        _check_key("key", key)
        found = (await self._store.find_conversations([key])).get(key)
        if found is None:
            raise NotFoundError("there is no such conversation")
        return found

    # Messages

    async def list_messages(self, request: gateway_pb2.ListMessagesRequest) -> gateway_pb2.ListMessagesResponse:
        """Return a page of messages."""
        if request.conversation:
            _check_key("conversation", request.conversation)
        wanted = MessageFilter(
            conversation=request.conversation,
            address=_address(request.address) if request.address else "",
            since=_seconds(request.since) if request.HasField("since") else None,
            before=_seconds(request.before) if request.HasField("before") else None,
        )
        after, size = _position_of(request.page_token), page_size(request.page_size)
        page = await self._history.search(wanted, after=after, limit=size)
        return gateway_pb2.ListMessagesResponse(
            messages=map(message_message, page.messages),
            next_page_token="" if page.next is None else str(page.next),
        )

    async def get_message(self, request: gateway_pb2.GetMessageRequest) -> gateway_pb2.GetMessageResponse:
        """Return a message and where it is."""
        if not request.message_id:
            raise InvalidRequestError("message_id: missing")
        message, row = await self._history.find(request.message_id)
        if message is None:
            raise NotFoundError("there is no such message")
        found = gateway_pb2.GetMessageResponse(message=message_message(message), body=message.body or b"")
        if row is not None:
            found.hops.extend(map(hop_message, await self._hops(message, row)))
            found.pod = await self._pod(message, row)
        return found

    async def _hops(self, message: ArchivedMessage, row: LedgerRow) -> list[LedgerRow]:
        """Return the row that a message came as, and those that it was sent on as."""
        first = max(1, row.attempt - _MOST_ATTEMPTS + 1)
        attempts = range(first, row.attempt + 1)
        ids = [attempt_id(row.id, attempt) for attempt in attempts]
        if message.way == SESSION:
            ids.append(keyed_id(row.owner, row.id))
        elif message.origin == SESSION and attempts:
            ids += [attempt_id(part, row.attempt) for part in part_ids(row.id, _MOST_PARTS)]
        found = await self._ledger.find_many(ids)
        return [row, *sorted(found.values(), key=lambda each: each.position)]

    async def _pod(self, message: ArchivedMessage, row: LedgerRow) -> str:
        session_id = row.owner if message.way == SESSION else row.conversation.removeprefix("session:")
        if message.way != SESSION and message.origin != SESSION:
            return ""
        try:
            return (await self._agents.session(session_id)).pod
        except NotFoundError:
            return ""

    # Users

    async def purge_user(self, request: gateway_pb2.PurgeUserRequest) -> gateway_pb2.PurgeUserResponse:
        """Remove the bodies of all that a user has sent and received."""
        address = _address(request.address)
        ended = await self.end_waiting(address)
        forgotten = await self._history.forget(address)
        return gateway_pb2.PurgeUserResponse(removed=forgotten.removed, ended=ended, left=forgotten.left)

    async def end_waiting(self, address: str) -> int:
        """Let a user's messages fail that wait and that nobody is trying; return how many there were."""
        ended = after = 0
        while True:
            page = await self._ledger.undelivered(after=after, limit=_LOOK)
            theirs = [row for row in page if _waits(row) and address in map(same_address, (row.sender, row.recipient))]
            ended += sum(await asyncio.gather(*map(self._end, theirs)))
            if len(page) < _LOOK:
                return ended
            after = page[-1].position

    async def _end(self, row: LedgerRow) -> bool:
        claim = Claim(id=row.id, owner=_OPERATOR, token=row.token + 1, until=row.expires + GRACE)
        verdict = await self._ledger.apply_one(claim)
        if not verdict.done or verdict.attempt != row.attempt + 1:
            return False  # Somebody has begun to try it since it was read.
        if row.service != UA:
            return await self._rows.settle(row.id, State.FAILED, status=_SIP_FAILED, reason=REMOVED)
        try:
            await self._agents.settle(row.id, _FAILED, status=_MSRP_FAILED, reason=REMOVED)
        except (ConflictError, NotFoundError):
            return False  # It has another outcome meanwhile.
        return True

    # Events

    def watch(self, request: gateway_pb2.WatchRequest) -> AsyncIterator[gateway_pb2.WatchResponse]:
        """Yield events from a resume token on."""
        return self._watching.watch(request)


def page_size(asked: int) -> int:
    """Return the size of a page; InvalidRequestError."""
    if asked < 0:
        raise InvalidRequestError("page_size: negative")
    return min(asked or DEFAULT_PAGE, LARGEST_PAGE)


def _waits(row: LedgerRow) -> bool:
    return is_of_gateway(row) and row.owner in ("", _OPERATOR) and row.state is State.ACCEPTED


def _address(uri: str) -> str:
    try:
        return canonical_address(uri)
    except (SipError, AddressTooLongError) as error:
        raise InvalidRequestError(f"address: {error}") from error


def _check_key(field: str, key: str) -> None:
    if not key or len(key) > _LONGEST_KEY or not key.isprintable():
        raise InvalidRequestError(f"{field}: 1 to {_LONGEST_KEY} printable characters")


def _seconds(moment: Timestamp) -> float:
    return moment.seconds + moment.nanos / 1e9


def _token_of(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _key_of(token: str) -> str:
    try:
        key = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error) as error:
        raise InvalidRequestError("page_token: not one of this list") from error
    if key:
        _check_key("page_token", key)
    return key


def _position_of(token: str) -> int:
    if not token:
        return 0
    if not token.isascii() or not token.isdigit() or len(token) > 18:
        raise InvalidRequestError("page_token: not one of this list")
    return int(token)
