"""Messages are accepted by the owner of their session, whichever pod an application came to.

Theory of operation. The order of a session's messages is that of its owner's queue, so nobody else accepts any: two
messages of which one was acknowledged before the other was handed in would else meet in an order that nobody knows.
What comes to another pod is handed to the owner before it is durable, and what he answers is the answer. While nobody
is reached who owns the session (its pod was killed, say) it waits for the next owner, some seconds at most; then the
caller is told to try again, and nothing was accepted. Each message that is handed over has an idempotency key, for it
may have been accepted although the answer was lost: it is handed over again under the same one.

All that gathers for a pod while calls to it are under way is the next call.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from wigwag.api.ua.v1 import owner_pb2, ua_pb2
from wigwag.errors import NotFoundError, OverloadedError, WigwagError
from wigwag.runtime.error_table import grpc_status, named_error
from wigwag.runtime.grpc_tracing import UNDECIDED, current_span, using
from wigwag.runtime.tracing import Span
from wigwag.ua.config import ApplicationSettings
from wigwag.ua.ports import Outcome
from wigwag.ua.sessions.ports import Sessions
from wigwag.ua.sessions.record import SessionRecord

PATIENCE: Final = 6.0
"""Seconds for which messages wait for an owner: longer than a lost pod is usually noticed and taken over from."""
_RETRY: Final = 0.2
_LATER: Final = 1.0
"""Seconds between the first two looks for an owner, and the last: a lost pod may leave thousands of sessions to those
who have to take them over meanwhile."""
_ANSWERED_IN: Final = 5.0
"""Seconds that a pod has for one call: one that hangs must not keep others from it for ever."""
_LOOK: Final = 1.0
"""Seconds until the owner that has not answered is looked up again: another pod may have taken over."""
_CALLS: Final = 4
"""To one pod at once."""
_MOST_KNOWN: Final = 20_000
"""Sessions of others of which is remembered who has accepted last."""
_BATCH_OCTETS: Final = 1_048_576
"""Of one call, unless a single group is larger."""

AcceptHere = Callable[
    [SessionRecord, ApplicationSettings, Sequence[ua_pb2.OutboundMessage]], Coroutine[Any, Any, Sequence[Outcome]]
]
AcceptThere = Callable[[str, owner_pb2.AcceptBatch], Awaitable[owner_pb2.AcceptResponse]]
"""Calls ``UaPodService.Accept`` of a pod; ServiceError: it did not answer, or refused."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """A group on its way to the owner."""

    group: owner_pb2.AcceptGroup
    size: int
    done: "asyncio.Future[owner_pb2.AcceptedGroup]"


@dataclass(slots=True)
class _Lane:
    """What goes to one pod."""

    waiting: deque[_Waiting] = field(default_factory=deque)
    calls: int = 0


class Forwarding:
    """Has messages accepted where their session is.

    Args:
        sessions: Who owns what.
        here: Accepts messages of sessions of this pod.
        there: Has another pod do it.
        spawn: Runs work in the background.
        patience: Seconds for which messages wait for an owner.
    """

    def __init__(
        self,
        sessions: Sessions,
        here: AcceptHere,
        there: AcceptThere,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        patience: float = PATIENCE,
    ) -> None:
        self.counters = {"forwarded": 0, "for_others": 0}
        self._sessions = sessions
        self._here = here
        self._there = there
        self._spawn = spawn
        self._patience = patience
        self._lanes: dict[str, _Lane] = {}
        self._accepted_by: dict[str, str] = {}
        """Who is asked first, by session: it is he who knows whether he is the owner."""

    async def accept(
        self, record: SessionRecord, application: ApplicationSettings, messages: Sequence[ua_pb2.OutboundMessage]
    ) -> Sequence[Outcome]:
        """Accept messages of one session, in order; returns when each is durable or refused.

        Raises:
            OverloadedError: Too much waits, or the session's owner is not reached.
            StoreError: It is not known who owns the session.
            DatabaseError: They may or may not be there: sending again under the same keys tells.
        """
        if record.state == "ended" or self._sessions.owned(record.id) is not None:
            return await self._here(record, application, messages)
        group = _group_of(record.id, messages)
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + self._patience, _RETRY
        while True:
            outcomes = await self._try(record, application, group)
            if outcomes is not None:
                return [_as_asked(outcome, message) for outcome, message in zip(outcomes, messages, strict=True)]
            if loop.time() >= until:
                raise OverloadedError("the session's owner is not reached at this moment; try again")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LATER)

    async def _try(
        self, record: SessionRecord, application: ApplicationSettings, group: owner_pb2.AcceptGroup
    ) -> Sequence[Outcome] | None:
        """Have messages accepted by the owner that there is now; None: nobody is, or he is not reached."""
        session_id = record.id
        pod = self._accepted_by.pop(session_id, "")
        if self._sessions.owned(session_id) is not None:
            pod = self._sessions.pod
        elif not pod:
            pod = await self._owner(session_id)
        if pod and pod != self._sessions.pod:
            accepted = await self._at(pod, group)
            if accepted is None:
                return None
            self._remember(session_id, pod)
            return [_outcome(each) for each in accepted.outcomes]
        own = await self._sessions.take_over(session_id)
        if own is None:
            record = await self._sessions.find(session_id)
            if record.state != "ended":
                return None
        return await self._here(own.record if own is not None else record, application, list(group.messages))

    def _remember(self, session_id: str, pod: str) -> None:
        if len(self._accepted_by) >= _MOST_KNOWN:
            self._accepted_by.clear()
        self._accepted_by[session_id] = pod

    async def _owner(self, session_id: str) -> str:
        try:
            return await self._sessions.owner_of(session_id)
        except NotFoundError:
            return ""

    # To another pod

    async def _at(self, pod: str, group: owner_pb2.AcceptGroup) -> owner_pb2.AcceptedGroup | None:
        """Have a pod accept messages; None: it is not the owner, or can't be asked."""
        done: asyncio.Future[owner_pb2.AcceptedGroup] = asyncio.get_running_loop().create_future()
        lane = self._lanes.setdefault(pod, _Lane())
        lane.waiting.append(_Waiting(group, group.ByteSize(), done))
        if lane.calls < _CALLS:
            lane.calls += 1
            self._spawn(self._work(pod, lane))
        try:
            while not (await asyncio.wait([done], timeout=_LOOK))[0]:
                if await self._owner(group.session_id) != pod:
                    return None
            accepted = done.result()
        except WigwagError:
            return None
        finally:
            done.cancel()
        if not accepted.owned or len(accepted.outcomes) != len(group.messages):
            return None
        self.counters["forwarded"] += len(group.messages)
        return accepted

    async def _work(self, pod: str, lane: _Lane) -> None:
        # What comes in this turn of the loop goes together.
        await asyncio.sleep(0)
        try:
            while batch := _next(lane.waiting):
                await self._call(pod, batch)
        finally:
            lane.calls -= 1
            if not lane.calls and not lane.waiting:
                self._lanes.pop(pod, None)

    async def _call(self, pod: str, batch: Sequence[_Waiting]) -> None:
        try:
            async with asyncio.timeout(_ANSWERED_IN):
                response = await self._there(pod, owner_pb2.AcceptBatch(groups=[each.group for each in batch]))
        except (WigwagError, TimeoutError) as error:
            _fail(batch, error if isinstance(error, WigwagError) else OverloadedError("the owner does not answer"))
            return
        except BaseException:
            _fail(batch, OverloadedError("the pod is about to end"))
            raise
        for each, accepted in zip(batch, response.groups, strict=False):
            if not each.done.done():
                each.done.set_result(accepted)
        _fail(batch, OverloadedError("the owner has not answered all"))

    # For another pod

    async def serve(self, batch: owner_pb2.AcceptBatch) -> owner_pb2.AcceptResponse:
        """Accept what came to another pod (``UaPodService.Accept``)."""
        groups = await asyncio.gather(*map(self._serve_group, batch.groups))
        return owner_pb2.AcceptResponse(groups=groups)

    async def _serve_group(self, group: owner_pb2.AcceptGroup) -> owner_pb2.AcceptedGroup:
        own = self._sessions.owned(group.session_id) or await self._taken_over(group.session_id)
        if own is None:
            return owner_pb2.AcceptedGroup(owned=False)
        self.counters["for_others"] += len(group.messages)
        messages = list(group.messages)
        span = Span(None, group.traceparent) if group.HasField("traceparent") else UNDECIDED
        try:
            with using(span):
                outcomes: Sequence[Outcome] = await self._here(own.record, own.application, messages)
        except WigwagError as error:
            outcomes = [Outcome(error=error) for _ in messages]
        return owner_pb2.AcceptedGroup(owned=True, outcomes=map(_told, outcomes))

    async def _taken_over(self, session_id: str) -> Any:
        try:
            return await self._sessions.take_over(session_id)
        except WigwagError:
            return None


def _group_of(session_id: str, messages: Sequence[ua_pb2.OutboundMessage]) -> owner_pb2.AcceptGroup:
    group = owner_pb2.AcceptGroup(session_id=session_id, messages=messages)
    for message in group.messages:
        if not message.idempotency_key:
            message.idempotency_key = secrets.token_hex(16)
    span = current_span()
    if span is not UNDECIDED:
        group.traceparent = span.traceparent
    return group


def _next(waiting: deque[_Waiting]) -> list[_Waiting]:
    """Take what goes in one call, but for what nobody waits for any more."""
    batch: list[_Waiting] = []
    octets = 0
    while waiting and (not batch or octets + waiting[0].size <= _BATCH_OCTETS):
        each = waiting.popleft()
        if not each.done.done():
            octets += each.size
            batch.append(each)
    return batch


def _fail(batch: Sequence[_Waiting], error: WigwagError) -> None:
    for each in batch:
        if not each.done.done():
            each.done.set_exception(error)
            each.done.exception()  # whoever waited may have gone


def _told(outcome: Outcome) -> owner_pb2.AcceptOutcome:
    error = outcome.error
    if error is None:
        return owner_pb2.AcceptOutcome(
            message_id=outcome.message_id, duplicate=outcome.duplicate, state=_state(outcome.state)
        )
    if not isinstance(error, WigwagError):
        return owner_pb2.AcceptOutcome(status="INTERNAL", error="an internal error; the log has details")
    return owner_pb2.AcceptOutcome(status=grpc_status(error), error=str(error))


def _state(number: int) -> Any:
    # The generated code takes any number; its type is an enumeration's.
    return number


def _outcome(told: owner_pb2.AcceptOutcome) -> Outcome:
    if told.status:
        return Outcome(error=named_error(told.status, told.error))
    return Outcome(message_id=told.message_id, duplicate=told.duplicate, state=told.state)


def _as_asked(outcome: Outcome, message: ua_pb2.OutboundMessage) -> Outcome:
    """Return what a caller is told: of a message without a key he has sent no other."""
    if message.idempotency_key or not outcome.duplicate:
        return outcome
    return Outcome(message_id=outcome.message_id, state=outcome.state)
