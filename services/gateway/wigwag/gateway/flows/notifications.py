"""What devices say of messages by IMDN, for the rows of these messages (RFC 5438).

Theory of operation. A notification is passed on like any other message; besides, it is news of the message that it
refers to. That message is sought in what this pod remembers of those it has sent, among those which wait for their
outcome, and, when it was displayed, among the last that its recipient has got: by its imdn.Message-ID, and only between
the same two parties the other way round.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from wigwag.api.events.v1.pager_pb2 import PagerMessage
from wigwag.api.ua.v1 import message_pb2
from wigwag.database.ledger import LedgerRow, State
from wigwag.errors import ConflictError, NotFoundError
from wigwag.gateway.conversations.book import CONVERSATION, Session
from wigwag.gateway.kinds import Content, News, bare, news_of, read
from wigwag.gateway.ports import Agents
from wigwag.gateway.rows import PAGE, Rows
from wigwag.gateway.statuses import answer_of, report_of
from wigwag.protocols.cpim import CPIM_TYPE
from wigwag.protocols.imdn import IMDN_TYPE, message_id_of
from wigwag.protocols.sip import SipError
from wigwag.runtime.conversations import AddressTooLongError, canonical_address
from wigwag.runtime.pager_events import INBOUND as PAGER_INBOUND
from wigwag.runtime.ua_messages import INBOUND as SESSION_INBOUND
from wigwag.runtime.ua_messages import SERVICE as UA
from wigwag.runtime.ua_messages import conversation_of

from .decoding import page_message

_REMEMBERED: Final = 20_000
_LONGEST_ID: Final = 256
_TYPES: Final = (CPIM_TYPE, IMDN_TYPE)
_REFUSED: Final = "the recipient's device says that it failed"


class Notifications:
    """Takes news from notifications.

    Args:
        rows: What they are about.
        agents: Tells the session-mode side.
    """

    def __init__(self, rows: Rows, agents: Agents) -> None:
        self._rows = rows
        self._agents = agents
        self._sent: OrderedDict[tuple[str, str, str], str] = OrderedDict()
        """Sender, recipient and imdn.Message-ID -> id of the row."""

    def sent(self, sender: str, recipient: str, message_id: str, row_id: str) -> None:
        """Remember a message that a notification may refer to; addresses are canonical.

        One whose imdn.Message-ID is longer than any that is meant to be one is sought in the ledger only.
        """
        if 0 < len(message_id) <= _LONGEST_ID:
            key = (sender, recipient, message_id)
            self._sent[key] = row_id
            self._sent.move_to_end(key)
            if len(self._sent) > _REMEMBERED:
                self._sent.popitem(last=False)

    async def by_page(self, message: PagerMessage, session_id: str) -> None:
        """Take what the page-mode side says of a message that came in a session.

        Args:
            message: A MESSAGE, of whichever type.
            session_id: The session that the conversation has or had; empty: that is not known.
        """
        if not message.request_uri:
            return  # The gateway's own: it says what is known.
        news = _news(page_message(message).content)
        if news is None or news.state is None:
            return
        sender, recipient = message.to_aor, message.from_aor
        row_id = self._sent.get((sender, recipient, news.message_id)) or ""
        if not row_id:
            rows = await self._rows.waiting(conversation_of(session_id), SESSION_INBOUND) if session_id else []
            row_id = _found(rows, news, sender) or _found(await self._rows.waiting_for(recipient), news, sender)
        if row_id:
            await self._settle_there(row_id, news.state)
        else:
            await self._displayed(news, sender, recipient)

    async def by_session(self, session: Session, row: LedgerRow) -> None:
        """Take what the session-mode side says of a MESSAGE.

        Args:
            session: Where it says so.
            row: What came in it, of whichever type.
        """
        news = _news(read(row.content_type, row.body or b""))
        if news is None or news.state is None:
            return
        sender, recipient = _address(session.local_uri), _address(session.remote_uri)
        row_id = self._sent.get((sender, recipient, news.message_id)) or ""
        if not row_id:
            rows = await self._rows.waiting(session.labels.get(CONVERSATION, ""), PAGER_INBOUND)
            row_id = _found(rows, news, sender)
        if row_id:
            answer = answer_of(news.state, 0, _REFUSED)
            await self._rows.settle(row_id, news.state, status=answer.status, reason=answer.reason)
        else:
            await self._displayed(news, sender, recipient)

    async def _displayed(self, news: News, sender: str, recipient: str) -> None:
        """Take note of what was delivered long ago, or sent by a pod that is gone."""
        if news.state is not State.DISPLAYED:
            return
        async for row in self._rows.delivered_to(recipient):
            if _is_about(news, row, sender):
                await self._rows.settle(row.id, State.DISPLAYED)
                return

    async def _settle_there(self, row_id: str, state: State) -> None:
        report = report_of(state, 0, _REFUSED if state is State.FAILED else "")
        is_failed = state is State.FAILED
        told = message_pb2.DELIVERY_STATE_FAILED if is_failed else message_pb2.DELIVERY_STATE_DELIVERED
        try:
            await self._agents.settle(row_id, told, status=report.status, reason=report.comment if is_failed else "")
        except (ConflictError, NotFoundError):
            return  # It has another outcome.
        if state is State.DISPLAYED:
            await self._rows.settle(row_id, State.DISPLAYED)


def _news(content: Content) -> News | None:
    return news_of(content) if content.media_type in _TYPES else None


def _found(rows: Iterable[LedgerRow], news: News, sender: str) -> str:
    """Return the id of the row that news is about, of those that are being tried; empty: none of these."""
    return next((row.id for row in rows if _is_about(news, row, sender)), "")


def _is_about(news: News, row: LedgerRow, sender: str) -> bool:
    if not row.owner or not _is_passed(row) or bare(row.content_type) != CPIM_TYPE or _address(row.sender) != sender:
        return False
    message = read(row.content_type, row.body or b"").message
    return message is not None and message_id_of(message) == news.message_id


def _is_passed(row: LedgerRow) -> bool:
    return row.direction == PAGER_INBOUND or (row.service == UA and row.owner == PAGE)


def _address(uri: str) -> str:
    try:
        return canonical_address(uri)
    except (SipError, AddressTooLongError):
        return uri
