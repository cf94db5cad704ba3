"""Sessions of the gateway as they come, open and end (docs/gateway.md, "Conversation")."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from wigwag.api.events.v1.gateway_pb2 import GatewaySetupFailed
from wigwag.api.events.v1.pager_pb2 import PagerMessage, PagerReason
from wigwag.api.ua.v1 import session_pb2
from wigwag.database.ledger import LedgerRow, State
from wigwag.errors import ConflictError, NotFoundError, OverloadedError, StoreError
from wigwag.gateway.conversations.book import CONVERSATION, Book, Session, labels_of
from wigwag.gateway.conversations.setup import TOO_MANY, Remedy, Setup
from wigwag.gateway.destinations import Destinations, Way
from wigwag.gateway.ports import Agents
from wigwag.gateway.rows import Rows
from wigwag.gateway.statuses import answer_of_end
from wigwag.protocols.sip import SipError
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.conversations import AddressTooLongError, canonical_address, conversation_key
from wigwag.runtime.pager_events import INBOUND, message_of
from wigwag.store.conversations import Conversation

from .reading import OPENED
from .to_devices import ToDevices
from .waking import Waking

_BY_PEER: Final = frozenset(
    (session_pb2.END_CAUSE_ENDED_BY_PEER, session_pb2.END_CAUSE_PEER_LOST, session_pb2.END_CAUSE_MEDIA_FAILED)
)
_INBOUND: Final = session_pb2.SESSION_DIRECTION_INBOUND

logger = structlog.get_logger("wigwag.gateway")


class SessionChanges:
    """Follows sessions.

    Args:
        rows: Of the ledger.
        book: Conversations.
        destinations: Whether a user who is called is there.
        agents: Answers, rejects and ends.
        setup: What becomes of messages when there is no session.
        waking: Sends what waited.
        to_devices: Sends by MESSAGE what no session could be had for.
        tell_failure: Tells those who watch that a session could not be set up, and which.
        tell_end: Tells the page-mode side that the other has left.
        tell_waiting: Is told of MESSAGEs that wait because there is no session.
    """

    def __init__(
        self,
        rows: Rows,
        book: Book,
        destinations: Destinations,
        *,
        agents: Agents,
        setup: Setup,
        waking: Waking,
        to_devices: ToDevices,
        tell_failure: Callable[[GatewaySetupFailed, str], Awaitable[None]],
        tell_end: Callable[[Session], Awaitable[None]],
        tell_waiting: Callable[[Sequence[PagerMessage]], Awaitable[None]],
    ) -> None:
        self._rows = rows
        self._book = book
        self._destinations = destinations
        self._agents = agents
        self._setup = setup
        self._waking = waking
        self._to_devices = to_devices
        self._tell_failure = tell_failure
        self._tell_end = tell_end
        self._tell_waiting = tell_waiting

    async def changed(self, session: Session) -> None:
        """Take another state of a session."""
        match session.state:
            case session_pb2.SESSION_STATE_OFFERED:
                await self._offered(session)
            case session_pb2.SESSION_STATE_OPEN:
                await self._opened(session)
            case session_pb2.SESSION_STATE_ENDED:
                await self._ended(session)

    # A session-mode user calls

    async def _offered(self, session: Session) -> None:
        if await self._book.present(session.session_id) != session_pb2.SESSION_STATE_OFFERED:
            return  # The record came late or twice: it would take the place of a session that is newer.
        try:
            page, peer = canonical_address(session.local_uri), canonical_address(session.remote_uri)
        except (SipError, AddressTooLongError):
            await self._reject(session, 404, "Not Found")
            return
        destination = await self._destinations.of(page, PagerReason.PAGER_REASON_UNSPECIFIED)
        if destination.way is Way.NOWHERE:
            await self._reject(session, 404, "Not Found")
            return
        try:
            conversation = await self._newest(page, peer, session)
        except OverloadedError as error:
            logger.info("a conversation was not begun", reason=str(error))
            await self._reject(session, 480, TOO_MANY)
            return
        if conversation.session_id != session.session_id:
            await self._reject(session, 486, "Busy Here: another session has just begun")
            return
        try:
            await self._agents.answer(session.session_id, labels_of(conversation))
        except (ConflictError, NotFoundError) as error:
            # Answered already by whoever handled this before, or the caller has gone.
            state = await self._book.present(session.session_id)
            if state == session_pb2.SESSION_STATE_ENDED:
                await self._book.closed(conversation, str(error))
            elif state == session_pb2.SESSION_STATE_OFFERED:
                raise StoreError(f"the session {session.session_id} can't be answered now") from error

    async def _newest(self, page: str, peer: str, session: Session) -> Conversation:
        """Return the conversation with this session in it; the one that it had is ended."""
        key = conversation_key(page, peer, GATEWAY)
        before = await self._book.find(key)
        if before is not None and before.session_id == session.session_id:
            return before
        wanted = Conversation(
            key=key,
            page=page,
            session=peer,
            session_id=session.session_id,
            started_by="session",
        )
        conversation, ours = await self._book.begin(wanted, after=before.generation if before is not None else 0)
        if ours and before is not None:
            await self._book.replaced(before)
        return conversation

    async def _reject(self, session: Session, status: int, reason: str) -> None:
        try:
            await self._agents.reject(session.session_id, status, reason)
        except (ConflictError, NotFoundError):
            return  # The caller has gone.

    # Open, over

    async def _opened(self, session: Session) -> None:
        conversation = await self._book.opened(session)
        if conversation is None:
            await self._agents.end(session.session_id)  # A later generation has taken its place.
        else:
            await self._waking.conversation(conversation.key, OPENED)

    async def _ended(self, session: Session) -> None:
        was_open = session.HasField("opened_at")
        failed = not was_open and session.direction != _INBOUND
        is_lost = session.end_cause == session_pb2.END_CAUSE_POD_LOST
        conversation = await self._book.ended(session, session.sip_reason, failed=failed and not is_lost)
        if conversation is None:
            # It went on with another session: what waits there may have waited for what was in this one.
            await self._waking.conversation(session.labels.get(CONVERSATION, ""))
            return
        if failed:
            await self._failed(conversation, session)
        elif not was_open:
            await self._waking.conversation(conversation.key)  # It had taken the place of one that was being called.
        elif session.end_cause in _BY_PEER:
            await self._tell_end(session)

    async def _failed(self, conversation: Conversation, session: Session) -> None:
        rows = [
            row
            for row in await self._rows.waiting(conversation.key, INBOUND)
            if not row.owner and row.sender == conversation.page
        ]
        remedy = self._setup.remedy(session, conversation.failures)
        await self._tell_failure(
            GatewaySetupFailed(
                key=conversation.key,
                from_uri=session.local_uri,
                to_uri=session.remote_uri,
                request_uri=session.remote_uri,
                code=session.sip_status,
                reason=session.sip_reason,
                message_ids=[row.id for row in rows],
                remedy=remedy.value,
            ),
            session.session_id,
        )
        await self._apply(remedy, conversation, session, rows)

    async def _apply(
        self, remedy: Remedy, conversation: Conversation, session: Session, rows: Sequence[LedgerRow]
    ) -> None:
        if remedy is Remedy.AT_ONCE:
            await self._waking.conversation(conversation.key)
            return
        if remedy is Remedy.BY_PAGE:
            destination = await self._destinations.of(conversation.session, PagerReason.PAGER_REASON_ABSENT)
            if destination.way is Way.PAGE:
                # What has been tried is not tried again: devices that took it neither way would be asked for ever.
                last = ""
                for row in (row for row in rows if not row.attempt):
                    last = await self._to_devices.send(message_of(row), destination.bindings, after=last)
                rows = [row for row in rows if row.attempt]
        if remedy is Remedy.WAIT:
            self._waking.after_pause(conversation.key, self._setup.pause_left(conversation))
            await self._tell_waiting([message_of(row) for row in rows])
        else:
            answer = answer_of_end(session.end_cause, session.sip_status, session.sip_reason)
            for row in rows:
                await self._rows.settle(
                    row.id,
                    State.FAILED,
                    status=answer.status,
                    reason=answer.reason,
                    token=max(row.token, conversation.generation),
                )
            await self._book.try_again(conversation)
