"""Sets sessions up, and says what becomes of messages when that fails (docs/gateway.md)."""

import asyncio
import enum
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from wigwag.api.events.v1.pager_pb2 import PagerMessage
from wigwag.api.ua.v1 import session_pb2
from wigwag.database.ledger import LedgerRow
from wigwag.errors import OverloadedError, ServiceError
from wigwag.gateway.config import GatewaySettings
from wigwag.gateway.statuses import setup_of
from wigwag.store.conversations import Conversation

from .book import Book

logger = structlog.get_logger("wigwag.gateway")

_RETRY_AT_ONCE: Final = frozenset((session_pb2.END_CAUSE_POD_LOST,))
TOO_MANY: Final = "Temporarily Unavailable: too many conversations"
"""What is told of it: how many the other has is his own business."""
_OTHER_WAY: Final = frozenset((session_pb2.END_CAUSE_NO_COMMON_TYPE,))


class Remedy(enum.Enum):
    """What is done with messages whose session could not be had."""

    WAIT = "wait"
    """They are tried again when their recipient registers, or after a pause."""
    AT_ONCE = "at once"
    """They are tried again now."""
    BY_PAGE = "by page"
    """They are tried by MESSAGE if he has a device that takes it, else they fail."""
    FAIL = "fail"


class TooManyConversationsError(ServiceError):
    """One of both parties has as many conversations as he may have."""


class Setup:
    """Begins conversations from the page-mode side.

    Args:
        book: Conversations.
        settings: Of the gateway.
        wall: Seconds since 1970.
        wake_up: Tells an absent user's push service of a message; None: nobody is told.
        spawn: Runs a coroutine beside.
    """

    def __init__(
        self,
        book: Book,
        settings: GatewaySettings,
        *,
        wall: Callable[[], float],
        wake_up: Callable[[str], Awaitable[None]] | None,
        spawn: Callable[[Awaitable[None]], "asyncio.Task[None]"],
    ) -> None:
        self._book = book
        self._settings = settings.setup
        self._wall = wall
        self._wake_up = wake_up
        self._spawn = spawn

    async def begin(self, key: str, before: Conversation | None, message: PagerMessage) -> Conversation:
        """Begin the next generation of a conversation, and call; whoever was first has begun it.

        Raises:
            TooManyConversationsError: One of both parties has as many as he may have.
        """
        wanted = Conversation(
            key=key,
            page=message.from_aor,
            session=message.to_aor,
            started_by="page",
            failures=before.failures if before is not None else 0,
        )
        try:
            conversation, ours = await self._book.begin(wanted, after=before.generation if before is not None else 0)
        except OverloadedError as error:
            logger.info("a conversation was not begun", reason=str(error))
            raise TooManyConversationsError(TOO_MANY) from error
        if ours and before is not None:
            await self._book.replaced(before)
        if conversation.page == message.from_aor and not conversation.session_id:
            conversation = await self.call(conversation, message)
        return conversation

    async def call(self, conversation: Conversation, message: PagerMessage) -> Conversation:
        """Make the call that a conversation of this generation stands for; the same again if it is made already."""
        return await self._book.call(conversation, message.to_aor, message.request_uri)

    def rests(self, row: LedgerRow) -> bool:
        """Tell whether it is too early to try a message again that reached nobody."""
        return row.attempt > 0 and self._is_within(row.updated, self._pause(row.attempt))

    def is_resting(self, conversation: Conversation) -> bool:
        """Tell whether it is too early to try a conversation again that could not be set up."""
        return conversation.failures > 0 and self._is_within(conversation.closed_at, self._pause(conversation.failures))

    def _is_within(self, since: float, pause: float) -> bool:
        """Tell whether a pause is not over; what began long after now did so by a clock that was set back since."""
        return since - pause < self._wall() < since + pause

    def pause_left(self, conversation: Conversation) -> float:
        """Return in how many seconds a conversation that could not be set up may be tried again; negative: long ago."""
        return conversation.closed_at + self._pause(conversation.failures) - self._wall()

    def _pause(self, tries: int) -> float:
        doubled: float = self._settings.pause * 2 ** min(max(tries - 1, 0), 30)
        return min(doubled, self._settings.longest_pause)

    def remedy(self, session: session_pb2.Session, failures: int) -> Remedy:
        """Return what becomes of the messages of a session that was never open.

        Args:
            session: As it ended.
            failures: How many in a row have ended so, this one included.
        """
        if session.end_cause in _RETRY_AT_ONCE:
            return Remedy.AT_ONCE  # It is no fault of his.
        if session.end_cause in _OTHER_WAY:
            return Remedy.BY_PAGE
        policy = self._policy(session)
        if policy == "store" or (policy == "retry" and failures < self._settings.retries):
            return Remedy.WAIT
        return Remedy.FAIL

    def _policy(self, session: session_pb2.Session) -> str:
        policy: str = getattr(self._settings, setup_of(session.end_cause, session.sip_status))
        return policy

    @property
    def keeps_for_absent(self) -> bool:
        """Whether messages wait for a session with somebody who is not registered."""
        return self._settings.absent != "fail"

    def wake(self, recipient: str) -> None:
        """Tell an absent user's push service that something waits for him."""
        if self._wake_up is not None:
            self._spawn(self._wake_up(recipient))
