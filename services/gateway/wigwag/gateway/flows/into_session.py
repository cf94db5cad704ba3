"""Messages of the page-mode side into the session of their conversation."""

import asyncio
from collections.abc import Sequence
from datetime import UTC

from wigwag.api.events.v1.pager_pb2 import PagerMessage
from wigwag.api.ua.v1 import ua_pb2
from wigwag.database.ledger import State
from wigwag.errors import ConflictError, InvalidRequestError, NotFoundError, ServiceError
from wigwag.gateway.config import GatewaySettings
from wigwag.gateway.content import Accepts, to_session
from wigwag.gateway.conversations.book import Book, Session
from wigwag.gateway.kinds import RefusedError, read
from wigwag.gateway.ports import Agents, Handed
from wigwag.gateway.rows import Rows
from wigwag.gateway.wrapping import PageMessage
from wigwag.store.conversations import Conversation

_UNSUPPORTED = 415


class SessionOverError(ServiceError):
    """The session of the conversation is over."""


class IntoSession:
    """Hands messages to ua.

    Args:
        rows: Of the ledger.
        book: Conversations.
        agents: Sends.
        settings: Of the gateway.
    """

    def __init__(self, rows: Rows, book: Book, agents: Agents, settings: GatewaySettings) -> None:
        self._rows = rows
        self._book = book
        self._agents = agents
        self._settings = settings

    async def send(self, conversation: Conversation, messages: Sequence[PagerMessage]) -> bool:
        """Send messages in order; returns False when the session is not open yet, and they wait.

        Raises:
            SessionOverError: It is over; those that were not sent wait.
            WigwagError: Some may have been handed over: the same again is the same.
        """
        session = await self._book.talk(conversation)
        if session is None:
            return False
        made = await self._made(session, messages)
        expiries = {message.message_id: message.expires_at.ToMicroseconds() / 1e6 for message, _ in made}
        claimed = await self._rows.claim(expiries.items(), session.session_id, conversation.generation)
        ours = [(message, outbound) for message, outbound in made if message.message_id in claimed]
        handed = await self._agents.send([outbound for _, outbound in ours])
        await self._look_at(session, [message.message_id for message, _ in ours], handed)
        return True

    async def _made(
        self, session: Session, messages: Sequence[PagerMessage]
    ) -> list[tuple[PagerMessage, ua_pb2.OutboundMessage]]:
        """Return messages as the session's peer takes them; those that he does not take have failed."""
        made, refused = [], []
        for message in messages:
            try:
                made.append((message, self._outbound(session, message)))
            except RefusedError as error:
                refused.append(
                    self._rows.settle(message.message_id, State.FAILED, status=error.status, reason=error.reason)
                )
        await asyncio.gather(*refused)
        return made

    def _outbound(self, session: Session, message: PagerMessage) -> ua_pb2.OutboundMessage:
        peer = Accepts(tuple(session.accept_types), tuple(session.accept_wrapped_types), session.max_size)
        content = to_session(page_message(message), peer, self._settings)
        outbound = ua_pb2.OutboundMessage(
            session_id=session.session_id,
            content_type=content.content_type,
            body=content.body,
            idempotency_key=message.message_id,
            reference=message.message_id,
        )
        outbound.expires_at.CopyFrom(message.expires_at)
        return outbound

    async def _look_at(self, session: Session, ids: Sequence[str], handed: Sequence[Handed]) -> None:
        """Take note of what was refused; what failed for another reason is handed over again."""
        over, problem = False, None
        for row_id, each in zip(ids, handed, strict=True):
            match each.error:
                case None:
                    pass
                case ConflictError() | NotFoundError():
                    over = True
                    await self._rows.give_back(row_id)
                case InvalidRequestError() as error:
                    await self._rows.settle(row_id, State.FAILED, status=_UNSUPPORTED, reason=str(error))
                case error:
                    problem = error
        if problem is not None:
            raise problem
        if over:
            raise SessionOverError(f"the session {session.session_id} is over")


def page_message(message: PagerMessage) -> PageMessage:
    """Return a message as its content is looked at."""
    return PageMessage(
        content=read(message.content_type, message.body),
        sender=message.from_aor,
        recipient=message.to_aor,
        headers=tuple((header.name, header.value) for header in message.headers),
        received_at=message.received_at.ToDatetime(UTC),
        call_id=message.call_id,
    )
