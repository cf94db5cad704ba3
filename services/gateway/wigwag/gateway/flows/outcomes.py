"""What became of messages: copied from the row of the last hop to the row of the first one."""

from collections.abc import Sequence
from typing import Final

from wigwag.api.events.v1.pager_pb2 import PagerOutcome, PagerResult
from wigwag.api.ua.v1 import message_pb2
from wigwag.database.ledger import LedgerRow, State
from wigwag.errors import ConflictError, NotFoundError
from wigwag.gateway.config import GatewaySettings
from wigwag.gateway.conversations.book import CONVERSATION, Book
from wigwag.gateway.kinds import RefusedError
from wigwag.gateway.lanes import Lanes
from wigwag.gateway.ports import Agents
from wigwag.gateway.rows import PAGE, Rows
from wigwag.gateway.splitting import part_ids, whole, whole_id
from wigwag.gateway.statuses import answer_of, report_of
from wigwag.runtime.pager_events import BEHIND as BEHIND_ANOTHER
from wigwag.runtime.pager_events import NO_PAGE_MODE, NOBODY_THERE, NOT_SENT, UNSUPPORTED_TYPE, attempt_id
from wigwag.runtime.ua_messages import SERVICE as UA
from wigwag.runtime.ua_messages import STATES

from .parts import PartsOfRows, parts_of_row
from .reading import BEHIND, NO_CPIM, NO_PAGE, OPENED, OTHERWISE, SESSION_OVER
from .waking import Waking

_BY_DELIVERY: Final = {value: state for state, value in STATES.items()}
_BY_OUTCOME: Final = {
    PagerOutcome.PAGER_OUTCOME_DELIVERED: State.DELIVERED,
    PagerOutcome.PAGER_OUTCOME_FAILED: State.FAILED,
    PagerOutcome.PAGER_OUTCOME_UNCONFIRMED: State.UNCONFIRMED,
    PagerOutcome.PAGER_OUTCOME_EXPIRED: State.EXPIRED,
}
_AT_ONCE: Final = 20
"""Attempts up to which a message that was behind another one follows it without a pause of its own."""
_ENDED_BY_TIME: Final = (message_pb2.DELIVERY_STATE_EXPIRED, message_pb2.DELIVERY_STATE_UNCONFIRMED)


class Outcomes:
    """Copies outcomes.

    Args:
        rows: Of the ledger.
        lanes: Keep the order.
        book: Sessions and their conversations.
        agents: Tells the session-mode side.
        waking: Has what waits again tried again.
        parts: How messages are sent.
        settings: Of the gateway.
    """

    def __init__(
        self,
        rows: Rows,
        lanes: Lanes,
        book: Book,
        *,
        agents: Agents,
        waking: Waking,
        parts: PartsOfRows,
        settings: GatewaySettings,
    ) -> None:
        self._rows = rows
        self._lanes = lanes
        self._book = book
        self._parts_of = parts
        self._agents = agents
        self._waking = waking
        self._settings = settings

    # In sessions

    async def of_session_messages(self, messages: Sequence[message_pb2.Message]) -> None:
        """Take what ua says of messages that were handed to it."""
        settled: list[tuple[str, State, int, str]] = []
        for message in messages:
            state = _BY_DELIVERY.get(message.state)
            if not message.reference or state is None or state is State.ACCEPTED:
                continue
            if state is State.FAILED and not message.status:
                # What waits again is held up by those before it that have no outcome.
                await self._rows.settle_many(settled)
                settled = []
                await self._was_not_sent(message)
                continue
            answer = answer_of(state, message.status, message.reason)
            settled.append((message.reference, state, answer.status, answer.reason))
        await self._rows.settle_many(settled)
        for session_id in {message.session_id for message in messages if self._book.is_over(message.session_id)}:
            await self._let_pass(session_id)

    async def _was_not_sent(self, message: message_pb2.Message) -> None:
        """The session was over before it could be sent."""
        row = await self._rows.find(message.reference)
        if row is not None and row.owner in ("", message.session_id):
            await self._waits_again(row, OTHERWISE if row.attempt > 1 else SESSION_OVER)

    async def _let_pass(self, session_id: str) -> None:
        """What waits in a conversation may have waited for the outcome of what was in an earlier session of it."""
        try:
            key = (await self._book.session(session_id)).labels.get(CONVERSATION, "")
        except NotFoundError:
            return
        if key:
            await self._waking.conversation(key)

    async def of_session_message_that_came(self, message: message_pb2.Message) -> None:
        """Tell the sender of a message whose time has run out: nobody else has."""
        if message.state in _ENDED_BY_TIME and not message.status:
            await self._tell(message.message_id, message.state, 0, message.reason)

    async def _waits_again(self, row: LedgerRow, why: bytes = OTHERWISE) -> None:
        """An attempt had no effect: whoever keeps the order of the conversation has to know that something waits."""
        if row.state is not State.ACCEPTED:
            return
        self._lanes.disturb(row.conversation)
        await self._rows.give_back(row)
        await self._waking.wake(row, why)

    # By MESSAGE

    async def of_attempt(self, result: PagerResult) -> None:
        """Take what the edge says of an attempt."""
        row_id, number = whole_id(result.message_id)
        row = await self._rows.find(row_id)
        if row is None and number:
            row = await self._rows.find(result.message_id)
        if row is None or row.attempt != result.attempt:
            return
        if row.state is not State.ACCEPTED:
            await self._tell_again(row)
            return
        if number and row.id == row_id:
            await self._of_parts(row)
        else:
            await self._of_whole(row, result)
        if row.service != UA:
            await self._let_into_session(row.conversation)

    async def _let_into_session(self, key: str) -> None:
        """What went by MESSAGE goes into a session when it reached nobody; others may have waited for its outcome."""
        conversation = await self._book.find(key)
        if conversation is not None and conversation.state == "open":
            await self._waking.conversation(key, OPENED)

    async def _of_whole(self, row: LedgerRow, result: PagerResult) -> None:
        if result.outcome == PagerOutcome.PAGER_OUTCOME_ACCEPTED:
            if self._settings.accepted_is_delivered:
                await self._settle(row, State.DELIVERED, result.status, result.reason)
            return  # Else an IMDN is waited for, until it expires.
        state = _BY_OUTCOME.get(result.outcome)
        if state is State.FAILED and not result.sent and result.status in NOBODY_THERE:
            await self._waits_again(row, _why(row, result.reason))
        elif state is State.FAILED and not result.sent and result.status == NO_PAGE_MODE and row.service != UA:
            await self._waits_again(row, NO_PAGE)
        elif state is State.FAILED and result.status == UNSUPPORTED_TYPE and await self._may_be_unwrapped(row):
            await self._waits_again(row, NO_CPIM)
        elif state is not None:
            await self._settle(row, state, result.status, result.reason)

    async def _may_be_unwrapped(self, row: LedgerRow) -> bool:
        """Tell whether a message that came in a session was sent as message/cpim, and can be sent without."""
        if row.service != UA or row.owner != PAGE or await self._parts_of.is_unwrapped(row):
            return False
        page, session = row.recipient, row.sender
        try:
            wrapped = parts_of_row(row, page=page, session=session, settings=self._settings)
            return parts_of_row(row, page=page, session=session, settings=self._settings, cpim=False) != wrapped
        except RefusedError:
            return False

    async def _of_parts(self, row: LedgerRow) -> None:
        """Settle a message that was cut, once all its parts have their outcome."""
        count = await self._parts_of.count(row)
        parts = await self._parts(row, count)
        state = whole([part.state for part in parts])
        if len(parts) < count or state is None:
            return
        if all(_reached_nobody(part) for part in parts):
            await self._waits_again(row, _why(row, parts[0].reason.removeprefix(NOT_SENT)))
            return
        status, reason = next(((part.status or 0, part.reason) for part in parts if part.state is state), (0, ""))
        await self._settle(row, state, status, reason)

    async def _parts(self, row: LedgerRow, count: int) -> Sequence[LedgerRow]:
        ids = [attempt_id(part, row.attempt) for part in part_ids(row.id, count)]
        found = await self._rows.find_many(ids)
        return [found[part] for part in ids if part in found]

    async def _settle(self, row: LedgerRow, state: State, status: int, reason: str) -> None:
        if row.service != UA:
            await self._rows.settle(row.id, state, status=status, reason=reason)
            return
        report = report_of(state, status, reason)
        await self._tell(row.id, STATES[state], report.status, report.comment)

    async def _tell_again(self, row: LedgerRow) -> None:
        """Tell the session-mode side what its message has come to: whoever wrote it down may be gone without a word."""
        if row.service == UA:
            state = State.DELIVERED if row.state is State.DISPLAYED else row.state
            await self._tell(row.id, STATES[state], row.status or 0, row.reason)

    async def _tell(self, row_id: str, state: "message_pb2.DeliveryState", status: int, reason: str) -> None:
        try:
            await self._agents.settle(row_id, state, status=status, reason=reason)
        except (ConflictError, NotFoundError):
            return  # It has another outcome: its time had run out.


def _reached_nobody(part: LedgerRow) -> bool:
    return part.state is State.FAILED and part.reason.startswith(NOT_SENT) and part.status in NOBODY_THERE


def _why(row: LedgerRow, reason: str) -> bytes:
    """Return why a message that reached nobody waits: for its recipient, or for one before it."""
    return BEHIND if reason == BEHIND_ANOTHER and row.attempt <= _AT_ONCE else OTHERWISE
