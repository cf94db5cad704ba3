"""Tells senders what became of their messages, and that the other side has left (RFC 5438, docs/gateway.md).

Theory of operation. A notice is a message like any other: a row of the ledger in the same conversation, from the one
to whom the message went, kept until its reader is there. Its id is made of the message's and of what it says, so that
it is written once, however often this is gone through.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from wigwag.api.events.v1 import message_pb2
from wigwag.api.events.v1.pager_pb2 import PagerMessage
from wigwag.api.ua.v1.message_pb2 import DeliveryState, Message
from wigwag.database.ledger import FINAL, Ledger, LedgerRow, NewMessage, State
from wigwag.errors import NotFoundError
from wigwag.gateway.config import GatewaySettings
from wigwag.gateway.content import Accepts
from wigwag.gateway.conversations.book import CONVERSATION, GENERATION, Book, Session
from wigwag.gateway.kinds import bare, read
from wigwag.gateway.metrics import Counters
from wigwag.gateway.notices import Notice, left_notice, notice_of, notification_of
from wigwag.gateway.rows import PAGE, Rows
from wigwag.gateway.wrapping import PageMessage, uri_of
from wigwag.protocols.cpim import CPIM_TYPE
from wigwag.protocols.sip import SipError
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.conversations import AddressTooLongError, canonical_address, conversation_key
from wigwag.runtime.pager_events import INBOUND, message_of

from .decoding import page_message
from .parts import PartsOfRows

EXPIRES: Final = 3 * 86_400.0
"""Seconds for which a notice waits for its reader."""
_GOOD: Final = frozenset((message_pb2.MESSAGE_STATE_DELIVERED, message_pb2.MESSAGE_STATE_DISPLAYED))
_GOOD_STATES: Final = (State.DELIVERED, State.DISPLAYED)
_WAITS: Final = (DeliveryState.DELIVERY_STATE_UNSPECIFIED, DeliveryState.DELIVERY_STATE_ACCEPTED)
_OPEN: Final = frozenset((message_pb2.MESSAGE_STATE_UNSPECIFIED, message_pb2.MESSAGE_STATE_ACCEPTED))


class Telling:
    """Writes notices.

    Args:
        ledger: Where they are written.
        rows: What they are about.
        book: Sessions.
        parts: How messages of sessions were sent.
        settings: Of the gateway.
        counters: Counts notices.
    """

    def __init__(
        self,
        ledger: Ledger,
        rows: Rows,
        book: Book,
        *,
        parts: PartsOfRows,
        settings: GatewaySettings,
        counters: Counters | None = None,
    ) -> None:
        self._ledger = ledger
        self._rows = rows
        self._book = book
        self._parts_of = parts
        self._settings = settings
        self._counters = counters or Counters()

    async def state_changed(self, change: message_pb2.MessageStateChanged) -> None:
        """Tell the sender if he is to be told of this state."""
        if change.state in _OPEN or (change.state in _GOOD and change.content_type != CPIM_TYPE):
            return  # He who asks for nothing hears nothing of success.
        row = await self._rows.find(change.ledger_id)
        if row is None or row.service != GATEWAY or row.direction != INBOUND or row.state not in FINAL:
            return
        message = message_of(row)
        if _was_answered_with_it(message.answered_by.ToMicroseconds() / 1e6, row):
            return
        found = notice_of(
            page_message(message),
            row.state,
            row_id=row.id,
            settings=self._settings,
            now=self._now,
            status=row.status or 0,
            is_answered=await self._is_answered(row),
        )
        await self._write_if(found, row.conversation, sender=row.recipient, reader=row.sender)

    async def session_message_changed(self, message: Message) -> None:
        """Give the sender of a message in a session the notification that he asked for; his REPORT is told already."""
        if message.state in _WAITS or bare(message.content_type) != CPIM_TYPE:
            return
        row = await self._rows.find(message.message_id)
        if row is None or row.state not in FINAL:
            return
        try:
            asked = _as_page_message(row)
        except (SipError, AddressTooLongError):
            return
        found = notification_of(
            asked,
            row.state,
            row_id=row.id,
            now=self._now,
            is_answered=row.state in _GOOD_STATES and not await self._parts_of.is_unwrapped(row),
        )
        key = conversation_key(asked.recipient, asked.sender, GATEWAY)
        await self._write_if(found, key, sender=asked.recipient, reader=asked.sender)

    async def page_messages_wait(self, messages: Iterable[PagerMessage]) -> None:
        """Tell those senders who asked for it that their MESSAGEs wait for the recipient (RFC 5438 section 7.2.1)."""
        for message in messages:
            if bare(message.content_type) == CPIM_TYPE:
                found = notice_of(
                    page_message(message),
                    State.ACCEPTED,
                    row_id=message.message_id,
                    settings=self._settings,
                    now=self._now,
                )
                await self._write_if(found, message.conversation, sender=message.to_aor, reader=message.from_aor)

    async def session_messages_wait(self, rows: Iterable[LedgerRow]) -> None:
        """Tell the same to senders of messages in sessions.

        Args:
            rows: Of messages whose parties' addresses can be read.
        """
        for row in rows:
            if bare(row.content_type) == CPIM_TYPE:
                asked = _as_page_message(row)
                found = notification_of(asked, State.ACCEPTED, row_id=row.id, now=self._now)
                key = conversation_key(asked.recipient, asked.sender, GATEWAY)
                await self._write_if(found, key, sender=asked.recipient, reader=asked.sender)

    async def departed(self, session: Session) -> None:
        """Tell the page-mode side, once, that the other one has left the session."""
        if self._settings.notices != "text" or not self._settings.end_notice:
            return
        try:
            sender, reader = canonical_address(session.remote_uri), canonical_address(session.local_uri)
        except (SipError, AddressTooLongError):
            return
        key, generation = session.labels.get(CONVERSATION, ""), session.labels.get(GENERATION, "")
        found = left_notice(key, int(generation) if generation.isdecimal() else 0, page=reader, session=sender)
        await self._write(found, key, sender=sender, reader=reader)

    async def _is_answered(self, row: LedgerRow) -> bool:
        """Tell whether the receiver himself says that he got a message: he saw what the sender asked for."""
        if row.owner in ("", PAGE):
            return row.state in _GOOD_STATES
        try:
            session = await self._book.session(row.owner)
        except NotFoundError:
            return False
        return bool(session.accept_types) and Accepts(tuple(session.accept_types)).bare(CPIM_TYPE)

    @property
    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._rows.now, UTC)

    async def _write_if(self, found: Notice | None, conversation: str, *, sender: str, reader: str) -> None:
        if found is not None:
            await self._write(found, conversation, sender=sender, reader=reader)

    async def _write(self, found: Notice, conversation: str, *, sender: str, reader: str) -> None:
        verdict = await self._ledger.accept_one(
            NewMessage(
                id=found.message_id,
                conversation=conversation,
                service=GATEWAY,
                direction=INBOUND,
                sender=sender,
                recipient=reader,
                expires=self._rows.now + EXPIRES,
                content_type=found.content_type,
                headers=found.headers,
                body=found.body,
            )
        )
        self._counters.notices += verdict.done


def _as_page_message(row: LedgerRow) -> PageMessage:
    """Return what came in a session as notices are made of it.

    Raises:
        SipError: Somebody's address can't be read.
        AddressTooLongError: Likewise.
    """
    return PageMessage(
        content=read(row.content_type, row.body or b""),
        sender=canonical_address(uri_of(row.sender)),
        recipient=canonical_address(uri_of(row.recipient)),
        received_at=datetime.fromtimestamp(row.created, UTC),
    )


def _was_answered_with_it(answered_by: float, row: LedgerRow) -> bool:
    """Tell whether the sender's MESSAGE itself was answered with what became of it."""
    return row.settled is not None and row.settled < answered_by and row.state is not State.UNCONFIRMED
