"""Calls that come: offered to their application, answered or turned away."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, cast

import structlog

from wigwag.errors import ConflictError, StoreError, WigwagError
from wigwag.protocols.sdp import FileTransfer
from wigwag.store import FencedError, MissingError
from wigwag.ua.applications.registry import Applications
from wigwag.ua.config import ApplicationSettings, UaSettings
from wigwag.ua.endpoint.model import CallReceived, Cause, MediaWish
from wigwag.ua.endpoint.session import ChatSession
from wigwag.ua.endpoint.states import State

from .offering import is_asked_for, offered_record
from .owned import Owned, wish_text
from .pod_sessions import PodSessions
from .record import SessionRecord
from .starting import file_wish, wish_for
from .telling import SessionTelling

_NOTED_IN: Final = 1.0
"""Seconds for which the answer to a call waits for the store."""

logger = structlog.get_logger("wigwag.ua")


class IncomingCalls:
    """Decides about calls that come.

    Args:
        settings: Of the user agent.
        sessions: Of this pod.
        applications: Whom they are for.
        telling: Tells the applications.
        wall: Seconds since 1970, by the store's clock.
        resumable: Finds the part of a file that a peer offers to go on with (``Messages.resumable``).
        spawn: Runs work in the background.

    Attributes:
        offered: How many were offered.
    """

    def __init__(
        self,
        settings: UaSettings,
        *,
        sessions: PodSessions,
        applications: Applications,
        telling: SessionTelling,
        wall: Callable[[], float],
        resumable: Callable[[SessionRecord, FileTransfer], Awaitable[str | None]],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.offered = 0
        self._settings = settings
        self._sessions = sessions
        self._applications = applications
        self._telling = telling
        self._wall = wall
        self._resumable = resumable
        self._spawn = spawn

    # What comes

    def called(self, call: CallReceived) -> None:
        """Decide about a call that came."""
        self._spawn(self._decide(call))

    async def _decide(self, call: CallReceived) -> None:
        chat = cast(ChatSession, call.session)
        application = self._applications.called(call.to_uri, call.fields)
        try:
            if application is None:
                chat.reject(404, "Not Found")
                return
            if application.answer == "reject" or (call.pulled and application.file_requests == "reject"):
                chat.reject(application.reject_status, "Rejected")
                return
            self._sessions.admit()
            await self._offer(call, chat, application)
        except WigwagError as error:
            logger.info("a call is refused", session=chat.id, reason=str(error))
            if chat.state is State.OFFERED:
                chat.reject(503, "Service Unavailable")

    async def _offer(self, call: CallReceived, chat: ChatSession, application: ApplicationSettings) -> None:
        record = offered_record(call, application, self._wall())
        if call.file is not None:
            resumes = await self._resumable(record, call.file)
            if resumes is None:
                chat.reject(488, "Not Acceptable Here")
                return
            record = record.changed(resumes=resumes)
        own = await self._begin(record, chat, application)
        if own is None:
            return
        own.transfer = call.file
        self.offered += 1
        self._telling.changed(record)
        if call.file is not None:
            self._telling.file_offered(record, call.file)
        if not record.answer_by:
            self.answer(chat.id, None, {})
            return
        chat.ring()
        own.timer = asyncio.get_running_loop().call_later(application.answer_timeout, self._not_answered, own, call)

    async def _begin(self, record: SessionRecord, chat: ChatSession, application: ApplicationSettings) -> Owned | None:
        """Write the session of a call down; None: the caller has given up meanwhile."""
        created = await self._sessions.create(record)
        if chat.state is not State.OFFERED:
            await self._sessions.take_back(record, created, Cause.CANCELLED)
            return None
        if self._sessions.draining:
            await self._sessions.take_back(record, created, Cause.POD_LOST)
            self._sessions.check_staying()
        chat.token = created.token
        return self._sessions.take(record, created.token, chat, application)

    def _not_answered(self, own: Owned, call: CallReceived) -> None:
        if own.chat.state is not State.OFFERED:
            return
        if own.application.fallback == "answer" and not is_asked_for(call):
            self.answer(own.record.id, None, {})
        else:
            own.chat.reject(own.application.reject_status, "No Answer")

    # What applications say

    def answer(self, session_id: str, wish: MediaWish | None, labels: Mapping[str, str]) -> SessionRecord:
        """Take a session that was offered.

        Raises:
            NotFoundError: It is not one of this pod.
            ConflictError: It is not offered (any more).
        """
        own = self._sessions.of_ours(session_id)
        if own.record.state != "offered" or own.chat.state is not State.OFFERED:
            raise ConflictError("the session is not offered")
        if own.transfer is not None and own.record.file_direction == "inbound":
            wish = file_wish(own.application, own.transfer)
        elif own.record.file and (wish is None or wish.file is None):
            raise ConflictError("a file is asked for: the answer is one (SendFile), or a rejection")
        wish = wish or wish_for(own.application, self._settings)
        if own.timer is not None:
            own.timer.cancel()
        own.chat.accept(wish)
        own.transfer = wish.file if own.record.file_direction == "outbound" else own.transfer
        own.change(labels={**own.record.labels, **labels}, wish=wish_text(wish), answer_by=0.0)
        return own.record

    def reject(self, session_id: str, status: int, reason: str) -> None:
        """Turn a session away that was offered; errors as ``answer``."""
        own = self._sessions.of_ours(session_id)
        if own.record.state != "offered":
            raise ConflictError("the session is not offered")
        own.chat.reject(status, reason)

    # Before the 200

    async def note_answer(self, chat: ChatSession, dialog: str) -> None:
        """Write down the dialog of a call before the 200 leaves: after a kill nobody else could end it."""
        own = self._sessions.owned(chat.id)
        if own is None or own.chat is not chat:
            return
        own.record = own.record.changed(answering=dialog)
        try:
            async with asyncio.timeout(_NOTED_IN):
                await own.written()
        except (StoreError, MissingError, TimeoutError) as error:
            # It is better to answer than to be sure.
            logger.info("a call is answered that is not written down yet", session=chat.id, reason=str(error))
            own.change()
        except FencedError:
            self._sessions.on_lost(own)
