"""What is asked of the owner of a session: here, or at the pod that it is."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from wigwag.api.ua.v1 import owner_pb2, ua_pb2
from wigwag.database.ledger import Ledger, LedgerRow, State
from wigwag.errors import ConflictError, InvalidRequestError, NotFoundError, OverloadedError
from wigwag.runtime.ua_messages import fields_of

from .config import UaSettings
from .messages.settling import checked_outcome, same_outcome
from .sessions.life import SessionLife
from .sessions.ownership import Ownership
from .sessions.pod_sessions import PodSessions
from .sessions.ports import FileSide, FinalState, MessageSide
from .sessions.record import SessionRecord
from .sessions.starting import wish_for

_DEFAULT_REJECTION: Final = 603


class Elsewhere(Protocol):
    """The other pods."""

    async def control(self, pod: str, request: owner_pb2.ControlRequest) -> None:
        """Have the owner of a session do something; its errors are raised here."""


class AtOwner:
    """Does what has to be done at the owner of a session.

    Args:
        settings: Of the user agent.
        sessions: Those of this pod.
        life: What becomes of them.
        ownership: Takes sessions over.
        ledger: Where messages are.
        messages: Sends and receives them.
        files: Likewise, files.
        elsewhere: The other pods.
    """

    def __init__(
        self,
        settings: UaSettings,
        *,
        sessions: PodSessions,
        life: SessionLife,
        ownership: Ownership,
        ledger: Ledger,
        messages: MessageSide,
        files: FileSide,
        elsewhere: Elsewhere,
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._life = life
        self._ownership = ownership
        self._ledger = ledger
        self._messages = messages
        self._files = files
        self._elsewhere = elsewhere

    async def ask(self, record: SessionRecord, request: owner_pb2.ControlRequest) -> None:
        """Have the owner of a session do something; a session that has none is taken over.

        Raises:
            ConflictError: It is over, or has no owner at this moment.
        """
        if record.state == "ended":
            raise ConflictError("the session is over")
        if self._sessions.owned(record.id) is not None:
            await self.control(request)
            return
        pod = await self._sessions.owner_of(record.id)
        own = await self._ownership.take_over(record.id) if not pod or pod == self._sessions.pod else None
        if own is not None:
            await self.control(request)
        elif pod and pod != self._sessions.pod:
            await self._elsewhere.control(pod, request)
        else:
            raise ConflictError("the session has no owner at this moment")

    async def control(self, request: owner_pb2.ControlRequest) -> None:
        """Do what another pod was asked, in a session of this pod.

        Raises:
            ConflictError: The session is not this pod's.
        """
        which = request.WhichOneof("call")
        if which is None:
            raise InvalidRequestError("call: missing")
        session_id = await self._session_of(request)
        if self._sessions.owned(session_id) is None and await self._ownership.take_over(session_id) is None:
            raise ConflictError(f"session {session_id} is not owned here")
        await self._controls[which](self, request)

    async def _session_of(self, request: owner_pb2.ControlRequest) -> str:
        asked: Any = getattr(request, request.WhichOneof("call") or "")
        if not isinstance(asked, ua_pb2.MarkDisplayedRequest | ua_pb2.SettleMessageRequest):
            return str(asked.session_id)
        row = await self._ledger.find(asked.message_id)
        return fields_of(row.headers).session_id if row is not None else ""

    async def settle(self, row: LedgerRow, outcome: FinalState, request: ua_pb2.SettleMessageRequest) -> LedgerRow:
        """Give a message its outcome at the owner of its session, or here if the session is over.

        Raises:
            ConflictError: It has another outcome.
            OverloadedError: It is not known whether its sender was told: asking again helps.
        """
        session_id = fields_of(row.headers).session_id
        if self._sessions.owned(session_id) is not None or await self._is_over(session_id):
            return await self._settled_here(row, outcome)
        return await self._settled_elsewhere(row, outcome, request)

    async def _settled_here(self, row: LedgerRow, outcome: FinalState) -> LedgerRow:
        session_id = fields_of(row.headers).session_id
        # Whoever asks may go: what is written down has to be told all the same.
        settled = await asyncio.shield(asyncio.ensure_future(self._messages.settle(row, outcome)))
        if self._sessions.owned(session_id) is None and not await self._is_over(session_id):
            raise OverloadedError("the session went to another pod meanwhile, which has to tell the sender")
        return settled

    async def _is_over(self, session_id: str) -> bool:
        """Tell whether nobody is there to be told: a session is forgotten before its messages are."""
        try:
            return (await self._sessions.find(session_id)).state == "ended"
        except NotFoundError:
            return await self._ownership.store_is_complete()

    async def _settled_elsewhere(
        self, row: LedgerRow, outcome: FinalState, request: ua_pb2.SettleMessageRequest
    ) -> LedgerRow:
        session_id = fields_of(row.headers).session_id
        try:
            record = await self._sessions.find(session_id)
            await self.ask(record, owner_pb2.ControlRequest(settle_message=request))
        except (ConflictError, NotFoundError) as error:
            if await self._is_over(session_id):
                return await self._settled_here(row, outcome)
            problem = str(error)
        else:
            problem = ""
        found = await self._ledger.find(row.id)
        if found is not None and found.state is not State.ACCEPTED:
            row = same_outcome(found, outcome.state)
            if not problem:
                return row
        # Whatever the row says, its sender may not have been told: asking again helps.
        raise OverloadedError(problem or "the message was not settled")

    # One of each kind

    async def _do_answer(self, request: owner_pb2.ControlRequest) -> None:
        asked = request.answer_session
        own = self._sessions.owned(asked.session_id)
        assert own is not None
        types = tuple(asked.accept_types)
        wish = wish_for(own.application, self._settings, types) if types else None
        self._life.calls.answer(asked.session_id, wish, dict(asked.labels))

    async def _do_reject(self, request: owner_pb2.ControlRequest) -> None:
        asked = request.reject_session
        status = asked.sip_status or _DEFAULT_REJECTION
        self._life.calls.reject(asked.session_id, status, asked.sip_reason or "Decline")

    async def _do_end(self, request: owner_pb2.ControlRequest) -> None:
        self._life.end(request.end_session.session_id)

    async def _do_hold(self, request: owner_pb2.ControlRequest) -> None:
        self._life.hold(request.hold_session.session_id, on=request.hold_session.hold)

    async def _do_compose(self, request: owner_pb2.ControlRequest) -> None:
        asked = request.set_composing
        own = self._sessions.owned(asked.session_id)
        assert own is not None
        self._messages.set_composing(own, active=asked.active, content_type=asked.content_type)

    async def _do_display(self, request: owner_pb2.ControlRequest) -> None:
        row = await self._ledger.find(request.mark_displayed.message_id)
        if row is not None:
            await self._messages.mark_displayed(row)

    async def _do_settle(self, request: owner_pb2.ControlRequest) -> None:
        row = await self._ledger.find(request.settle_message.message_id)
        if row is not None:
            await self._settled_here(row, checked_outcome(request.settle_message))

    async def _do_answer_file(self, request: owner_pb2.ControlRequest) -> None:
        asked = request.answer_file
        own = self._sessions.owned(asked.session_id)
        assert own is not None
        self._life.calls.answer(asked.session_id, await self._files.wish_to_answer(own, asked.ledger_id), {})

    async def _do_take_over(self, request: owner_pb2.ControlRequest) -> None:
        """Nothing more: it is ours by now."""

    _controls: Final[dict[str, "Callable[[AtOwner, owner_pb2.ControlRequest], Awaitable[None]]"]] = {
        "answer_session": _do_answer,
        "reject_session": _do_reject,
        "end_session": _do_end,
        "hold_session": _do_hold,
        "set_composing": _do_compose,
        "mark_displayed": _do_display,
        "settle_message": _do_settle,
        "take_over": _do_take_over,
        "answer_file": _do_answer_file,
    }
