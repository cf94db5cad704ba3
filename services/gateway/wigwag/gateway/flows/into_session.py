"""Messages of the page-mode side into the session of their conversation."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from wigwag.api.events.v1.pager_pb2 import PagerMessage
from wigwag.api.ua.v1 import ua_pb2
from wigwag.bus.consuming import is_temporary
from wigwag.database.ledger import LedgerRow, State
from wigwag.errors import ConflictError, InvalidRequestError, NotFoundError, ServiceError
from wigwag.gateway.config import GatewaySettings
from wigwag.gateway.content import Accepts, to_session
from wigwag.gateway.conversations.book import Book, Session, SessionGoneError
from wigwag.gateway.kinds import Content, RefusedError, composing_lifetime, read
from wigwag.gateway.ports import Agents, Handed
from wigwag.gateway.rows import Rows
from wigwag.protocols.imdn import message_id_of
from wigwag.runtime.names import GATEWAY_FORWARD, LEDGER_ID
from wigwag.runtime.recent import Recent
from wigwag.runtime.tracing import Tracing
from wigwag.runtime.ua_messages import keyed_id
from wigwag.store.conversations import Conversation

from .decoding import page_message
from .notifications import Notifications

_UNSUPPORTED: Final = 415
_UNAVAILABLE: Final = 480
_FAULT: Final = 500
_MOST_FAULTS: Final = 10
"""Attempts after which a message fails at which ua fails without a reason; its pauses are minutes by then."""
_REMEMBERED: Final = 20_000


class SessionOverError(ServiceError):
    """The session of the conversation is over."""


class IntoSession:
    """Hands messages to ua.

    Args:
        rows: Of the ledger.
        book: Conversations.
        agents: Sends.
        settings: Of the gateway.
        notifications: Remembers what notifications may refer to.
        tracing: Goes on with the traces of messages.
    """

    def __init__(
        self,
        rows: Rows,
        book: Book,
        agents: Agents,
        settings: GatewaySettings,
        *,
        notifications: Notifications,
        tracing: Tracing,
    ) -> None:
        self._rows = rows
        self._book = book
        self._agents = agents
        self._settings = settings
        self._notifications = notifications
        self._tracing = tracing
        self._acknowledged = Recent(_REMEMBERED)

    def is_acknowledged(self, handed_on: str) -> bool:
        """Tell whether ua has acknowledged a message, by its id there, to this pod, as far as that is remembered."""
        return handed_on in self._acknowledged

    async def send(self, conversation: Conversation, messages: Sequence[PagerMessage]) -> bool:
        """Send messages in order; returns False when the session is not open yet, and they wait.

        Raises:
            SessionOverError: It is over; those that were not sent wait.
            WigwagError: Some may have been handed over: the same again is the same.
        """
        try:
            session = await self._book.talk(conversation)
        except SessionGoneError as error:
            raise SessionOverError(str(error)) from error
        if session is None:
            return False
        made = await self._made(session, messages)
        expiries = {message.message_id: message.expires_at.ToMicroseconds() / 1e6 for message, _ in made}
        claimed = await self._rows.claim(expiries.items(), session.session_id, conversation.generation)
        ours = [(message, outbound) for message, outbound in made if message.message_id in claimed]
        with self._traced(ours):
            handed = await self._agents.send([outbound for _, outbound in ours])
        await self._look_at(session, [message for message, _ in ours], handed)
        return True

    async def _made(
        self, session: Session, messages: Sequence[PagerMessage]
    ) -> list[tuple[PagerMessage, ua_pb2.OutboundMessage]]:
        """Return messages as the session's peer takes them; those that he does not take have failed."""
        made, refused = [], []
        for message in messages:
            try:
                check_is_current(message, self._rows.now)
                made.append((message, self._outbound(session, message)))
            except RefusedError as error:
                refused.append(
                    self._rows.settle(message.message_id, State.FAILED, status=error.status, reason=error.reason)
                )
        if refused:
            await asyncio.gather(*refused)
        return made

    def _outbound(self, session: Session, message: PagerMessage) -> ua_pb2.OutboundMessage:
        peer = Accepts(tuple(session.accept_types), tuple(session.accept_wrapped_types), session.max_size)
        page = page_message(message)
        content = to_session(page, peer, self._settings)
        if page.content.message is not None:
            known_by = message_id_of(page.content.message) or ""
            self._notifications.sent(message.from_aor, message.to_aor, known_by, message.message_id)
        outbound = ua_pb2.OutboundMessage(
            session_id=session.session_id,
            content_type=content.content_type,
            body=content.body,
            idempotency_key=message.message_id,
            reference=message.message_id,
        )
        outbound.expires_at.CopyFrom(message.expires_at)
        if page.content.is_composing:
            outbound.expires_at.FromMicroseconds(round(1e6 * use_of(message, page.content)))
        return outbound

    @contextmanager
    def _traced(self, messages: Sequence[tuple[PagerMessage, ua_pb2.OutboundMessage]]) -> Iterator[None]:
        """Go on with the traces of those that have one, until ua has them."""
        with ExitStack() as spans:
            for message, outbound in messages:
                if message.traceparent:
                    span = self._tracing.begin(GATEWAY_FORWARD, message.traceparent, {LEDGER_ID: message.message_id})
                    outbound.traceparent = spans.enter_context(span).traceparent
            yield

    async def _look_at(self, session: Session, messages: Sequence[PagerMessage], handed: Sequence[Handed]) -> None:
        """Take note of what was refused; what failed for another reason is handed over again."""
        over, problem = False, None
        for message, each in zip(messages, handed, strict=True):
            match each.error:
                case None if each.duplicate and await self._was_never_sent(each.message_id):
                    await self._give_back(session, message.message_id)
                    over = True
                case None:
                    self._acknowledged.add(each.message_id)
                case ConflictError() | NotFoundError() if await self._is_there(session, message.message_id):
                    # As it was made before, by other settings or for what the peer took then: it is on its way.
                    self._acknowledged.add(keyed_id(session.session_id, message.message_id))
                case ConflictError() | NotFoundError():
                    await self._give_back(session, message.message_id)
                    over = True
                case InvalidRequestError() as error:
                    await self._rows.settle(message.message_id, State.FAILED, status=_UNSUPPORTED, reason=str(error))
                case error:
                    problem = error
                    if not (is_temporary(error) or await self._is_there(session, message.message_id)):
                        await self._failed_there(session, message.message_id)
        if problem is not None:
            raise problem
        if over:
            raise SessionOverError(f"the session {session.session_id} is over")

    async def _was_never_sent(self, handed_on: str) -> bool:
        """Tell whether what was handed over before has ended with its session: that was told, and is not told again."""
        row = await self._rows.find(handed_on)
        return row is not None and was_never_sent(row)

    async def _is_there(self, session: Session, row_id: str) -> bool:
        """Tell whether ua has, or had, a message in a session: then its outcome will be told."""
        row = await self._rows.find(keyed_id(session.session_id, row_id))
        return row is not None and not was_never_sent(row)

    async def _failed_there(self, session: Session, row_id: str) -> None:
        """Let a message wait at which ua has failed; it must not hold up those behind it for ever.

        When it was tried again in vain its record is dead: the sweep finds what nobody has claimed.
        """
        row = await self._rows.find(row_id)
        if row is not None and row.attempt >= _MOST_FAULTS:
            await self._rows.settle(row_id, State.FAILED, status=_FAULT, reason="Server Internal Error")
        else:
            await self._give_back(session, row_id)

    async def _give_back(self, session: Session, row_id: str) -> None:
        row = await self._rows.find(row_id)
        if row is not None and row.owner == session.session_id:
            await self._rows.give_back(row)


def was_never_sent(row: LedgerRow) -> bool:
    """Tell whether ua says that the session was over before a message was sent; attempts by MESSAGE have a status."""
    return row.state is State.FAILED and not row.status


def check_is_current(message: PagerMessage, now: float) -> None:
    """Refuse what says that somebody writes when he does no more (RFC 3994 section 3.3).

    Raises:
        RefusedError: It is that.
    """
    content = read(message.content_type, message.body)
    if content.is_composing and use_of(message, content) < now:
        raise RefusedError(_UNAVAILABLE, "nobody writes any more")


def use_of(message: PagerMessage, content: Content) -> float:
    """Return until when it is of use that somebody writes, in seconds since 1970."""
    expires: float = message.expires_at.ToMicroseconds() / 1e6
    return min(expires, message.received_at.ToMicroseconds() / 1e6 + composing_lifetime(content))
