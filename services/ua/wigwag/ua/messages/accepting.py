"""Messages of applications become durable: only then are they answered."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from msgspec import structs

from wigwag.api.ua.v1 import message_pb2, ua_pb2
from wigwag.database.ledger import MAX_BODY, Ledger, LedgerRow, NewMessage, Refusal, Verdict
from wigwag.errors import ConflictError, InvalidRequestError, OverloadedError, WigwagError
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.names import MESSAGE_ID
from wigwag.runtime.tracing import SILENT, Span
from wigwag.runtime.ua_messages import (
    OUTBOUND,
    SERVICE,
    STATES,
    SessionFields,
    conversation_of,
    headers_of,
    names_of,
    reports_text,
    same_headers,
)
from wigwag.ua.config import ApplicationSettings, UaLimits
from wigwag.ua.lookups import Lookups
from wigwag.ua.ports import Outcome
from wigwag.ua.sessions.ports import Sessions
from wigwag.ua.sessions.record import SessionRecord

from .checking import check, message_id_of
from .delivery import Delivery
from .flow import Flow, Outgoing, Stage
from .inbox import BLOB_SPARE
from .spans import Spans
from .staging import Blobs
from .uncertain import Uncertain
from .wrapping import check_wrapping

_LONGEST_ADDRESS: Final = 255
_BROUGHT_IN: Final = 3.0
"""Seconds that the next owner of a session has to take what was accepted when it was ours; then it is not
acknowledged."""
_ROWS_AT_ONCE: Final = 50
"""Messages that are read from the ledger in one go to compare them with what came again under their keys."""
_ACCEPTED: Final = message_pb2.DELIVERY_STATE_ACCEPTED


@dataclass(slots=True, eq=False)
class _New:
    """A message between its check and its outcome."""

    index: int
    message: NewMessage
    fields: SessionFields
    outgoing: Outgoing | None = None
    """Its place in the queue; None: this pod does not send it, or it is there already."""
    future: "asyncio.Future[Verdict] | None" = None
    uncertain: bool = False
    """Whether it came before, and nobody knows what became of it then."""
    span: Span = SILENT


class Outbound:
    """Accepts messages.

    Args:
        sessions: Whose they are.
        ledger: Makes them durable.
        blobs: Likewise, large bodies.
        delivery: Sends those of sessions of this pod.
        limits: What a message, and a session, may take.
        wall: Seconds since 1970, by the store's clock.
        spans: Of those that are traced.
        hand_over: Told session and id of each message that another pod has to send after all.
        bring: Returns once the owners have messages (session and id) that were accepted here.
    """

    def __init__(
        self,
        sessions: Sessions,
        ledger: Ledger,
        blobs: Blobs,
        delivery: Delivery,
        *,
        limits: UaLimits,
        wall: Callable[[], float],
        spans: Spans,
        hand_over: Callable[[str, str], None],
        bring: Callable[[Sequence[tuple[str, str]]], Awaitable[None]],
    ) -> None:
        self.uncertain = Uncertain(sessions, ledger, delivery, self._committed)
        self.counters = {"accepted": 0, "duplicates": 0, "refused": 0}
        self._sessions = sessions
        self._ledger = ledger
        self._rows = Lookups(ledger.find_many, most=_ROWS_AT_ONCE)
        self._blobs = blobs
        self._delivery = delivery
        self._limits = limits
        self._wall = wall
        self._spans = spans
        self._hand_over = hand_over
        self._bring = bring

    async def accept(
        self, record: SessionRecord, application: ApplicationSettings, messages: Sequence[ua_pb2.OutboundMessage]
    ) -> list[Outcome]:
        """Accept messages of one session of this pod, in order (``MessageSide.accept``); of one that is over none."""
        own = self._sessions.owned(record.id)
        outcomes: list[Outcome] = [Outcome()] * len(messages)
        if own is None:
            if record.state != "ended":
                raise OverloadedError("the session went to another pod; try again")
            self._checked(record, application, messages, outcomes, None)
            return outcomes
        record, flow = own.record, self._delivery.flow(own)
        if flow.waiting + len(messages) > self._limits.unsent:
            raise OverloadedError(f"{flow.waiting} messages of the session wait already")
        large = any(len(message.body) > MAX_BODY for message in messages)
        if large or flow.lock.locked():
            good = self._checked(record, application, messages, outcomes, None)
            work = self._accept_large(record.id, flow, messages, good, outcomes)
        else:
            good = self._checked(record, application, messages, outcomes, flow)
            self._submit(flow, good)
            work = self._await(record.id, flow, good, outcomes)
        # A caller who goes in the middle must not leave us in doubt about what was committed.
        await asyncio.shield(asyncio.ensure_future(work))
        return outcomes

    async def _accept_large(
        self,
        session_id: str,
        flow: Flow,
        messages: Sequence[ua_pb2.OutboundMessage],
        good: list[_New],
        outcomes: list[Outcome],
    ) -> None:
        async with flow.lock:
            good = await self._without_bodies(messages, good, outcomes)
            try:
                self._submit(flow, good)
            except WigwagError as error:
                for new in good:
                    outcomes[new.index] = Outcome(error=error)
                return
        await self._await(session_id, flow, good, outcomes)

    # Checks

    def _checked(
        self,
        record: SessionRecord,
        application: ApplicationSettings,
        messages: Sequence[ua_pb2.OutboundMessage],
        outcomes: list[Outcome],
        flow: Flow | None,
    ) -> list[_New]:
        now = self._wall()
        ahead = self._delivery.claims_ahead(flow) if flow is not None else 0
        claim = (self._sessions.pod, flow.own.token) if flow is not None else None
        good: list[_New] = []
        for index, message in enumerate(messages):
            try:
                new = self._new(index, record, application, message, now, claim if len(good) < ahead else None)
            except WigwagError as error:
                self.counters["refused"] += 1
                outcomes[index] = Outcome(error=error)
            else:
                good.append(new)
        return good

    def _new(
        self,
        index: int,
        record: SessionRecord,
        application: ApplicationSettings,
        message: ua_pb2.OutboundMessage,
        now: float,
        claim: tuple[str, int] | None,
    ) -> _New:
        check(message, record, self._limits.message_bytes)
        body = message.body
        fields = SessionFields(
            session_id=record.id,
            application=record.application,
            notifications=names_of(message.notifications) if message.HasField("notifications") else frozenset(),
            cpim=tuple((header.name, header.value) for header in message.cpim_headers),
            size=len(body) if len(body) > MAX_BODY else None,
            reports=reports_text(message.reports) if message.HasField("reports") else "",
            reference=message.reference,
        )
        if fields.cpim:
            check_wrapping(record, fields, message.content_type)
        span = self._spans.accepting(len(body), message.traceparent)
        if span.traceparent:
            fields = replace(fields, traceparent=span.traceparent)
        new = NewMessage(
            id=message_id_of(record.id, message.idempotency_key),
            conversation=conversation_of(record.id),
            service=SERVICE,
            direction=OUTBOUND,
            sender=record.local_uri[:_LONGEST_ADDRESS],
            recipient=record.remote_uri[:_LONGEST_ADDRESS],
            content_type=message.content_type,
            headers=headers_of(fields),
            body=body if len(body) <= MAX_BODY else None,
            expires=_expires(message, application, now),
            claim=claim,
            publish=claim is None or record.application != GATEWAY,
        )
        span.set(MESSAGE_ID, new.id)
        return _New(index, new, fields, span=span)

    # Bodies

    async def _without_bodies(
        self, messages: Sequence[ua_pb2.OutboundMessage], good: list[_New], outcomes: list[Outcome]
    ) -> list[_New]:
        """Write large bodies to the blob store; return the messages that are to go into the ledger."""
        kept = []
        for new in good:
            body = messages[new.index].body
            try:
                if len(body) > MAX_BODY and not await self._is_known(messages[new.index], new, outcomes):
                    new.message = structs.replace(new.message, blob=await self._written(body, new.message.expires))
                if not outcomes[new.index].message_id:
                    kept.append(new)
            except WigwagError as error:
                outcomes[new.index] = Outcome(error=error)
        return kept

    async def _is_known(self, message: ua_pb2.OutboundMessage, new: _New, outcomes: list[Outcome]) -> bool:
        """Tell whether a message with a key was accepted before: then its body is not written again."""
        row = await self._ledger.find(new.message.id) if message.idempotency_key else None
        if row is None:
            return False
        outcomes[new.index] = await self._duplicate(new.message, message.body, row)
        # A pod that was killed may have accepted it after we had read the ledger.
        self._delivery.take([row])
        return True

    async def _written(self, body: bytes, expires: float) -> str:
        writer = await self._blobs.create()
        await writer.append(body)
        return (await writer.commit(expires=expires + BLOB_SPARE)).id

    # The ledger

    def _submit(self, flow: Flow, good: list[_New]) -> None:
        """Hand messages to the ledger, and take their places in the queue, in one step: the order is that of both."""
        self._queue(flow, good)
        try:
            futures = self._ledger.accept([new.message for new in good])
        except WigwagError as error:
            for new in good:
                new.span.end(error=str(error))
                self._still_uncertain(flow, new)
                if new.outgoing is not None:
                    flow.forget(new.outgoing)
            raise
        for new, future in zip(good, futures, strict=True):
            new.future = future

    def _queue(self, flow: Flow, good: list[_New]) -> None:
        now = self._wall()
        for new in good:
            message = new.message
            if message.id in flow.known:
                new.uncertain = self.uncertain.came_again(message.id)
                continue
            new.outgoing = Outgoing(
                id=message.id,
                content_type=message.content_type,
                body=message.body,
                blob=message.blob,
                fields=new.fields,
                accepted=now,
                expires=message.expires,
                stage=Stage.PENDING,
                claimed=now if message.claim is not None else 0.0,
                attempt=0 if message.claim is None else 1,
            )
            flow.add(new.outgoing)

    async def _await(self, session_id: str, flow: Flow, good: list[_New], outcomes: list[Outcome]) -> None:
        duplicates: list[_New] = []
        for new in good:
            assert new.future is not None
            try:
                verdict = await new.future
            except WigwagError as error:
                new.span.end(error=str(error))
                outcomes[new.index] = Outcome(error=error)
                self._not_committed(flow, new, error)
                continue
            finally:
                self._still_uncertain(flow, new)
            new.span.end()
            if verdict.refusal is Refusal.DUPLICATE:
                duplicates.append(new)
                continue
            outcomes[new.index] = Outcome(message_id=verdict.id, state=_ACCEPTED)
            self._committed(flow, new.outgoing)
        if good:
            self._sessions.active(session_id)
        if duplicates:
            await self._answer_duplicates(flow, duplicates, outcomes)
        await self._make_sure(session_id, flow, outcomes)

    def _committed(self, flow: Flow, outgoing: Outgoing | None) -> None:
        self.counters["accepted"] += 1
        if outgoing is None:
            return
        if flow.over:
            self._delivery.outcomes.never_sent(flow, outgoing)
        elif outgoing.stage is not Stage.PENDING or not self._delivery.is_ours(flow):
            self._homeless(flow, outgoing)
        else:
            outgoing.stage = Stage.WAITING
            self._delivery.pump_soon(flow)

    async def _make_sure(self, session_id: str, flow: Flow, outcomes: list[Outcome]) -> None:
        """Acknowledge only what was durable while the session was ours: then the next owner finds it in the ledger.

        What was not, for this process has slept or been cut off, he may have looked for too early. He has to have it
        before it is acknowledged, because he may be sent the next one directly.
        """
        accepted = [index for index, outcome in enumerate(outcomes) if outcome.state == _ACCEPTED]
        if not accepted:
            return
        await self._sessions.confirm()
        if flow.over or self._delivery.is_ours(flow):
            return
        try:
            async with asyncio.timeout(_BROUGHT_IN):
                await self._bring([(session_id, outcomes[index].message_id) for index in accepted])
        except (WigwagError, TimeoutError):
            error = OverloadedError("the session went to another pod, which is not reached: try again, under the key")
            for index in accepted:
                outcomes[index] = Outcome(error=error)

    def _homeless(self, flow: Flow, outgoing: Outgoing) -> None:
        """Pass on a message whose session went to another pod while it was being written."""
        if outgoing.claimed:
            self._delivery.give_back(flow, outgoing)
        self._hand_over(flow.own.record.id, outgoing.id)

    def _not_committed(self, flow: Flow, new: _New, error: WigwagError) -> None:
        self.counters["refused"] += 1
        if new.outgoing is None:
            return
        if isinstance(error, ConflictError):
            flow.forget(new.outgoing)
            self._delivery.pump_soon(flow)
        else:
            self.uncertain.add(flow, new.outgoing)

    def _still_uncertain(self, flow: Flow, new: _New) -> None:
        outgoing = flow.known.get(new.message.id) if new.uncertain else None
        if outgoing is not None:
            self.uncertain.add(flow, outgoing)

    # Duplicates

    async def _answer_duplicates(self, flow: Flow, duplicates: list[_New], outcomes: list[Outcome]) -> None:
        try:
            found = await asyncio.gather(*(self._rows.find(new.message.id) for new in duplicates))
        except WigwagError as error:
            for new in duplicates:
                outcomes[new.index] = Outcome(error=error)
                if new.outgoing is not None:
                    self.uncertain.add(flow, new.outgoing)
            return
        for new, row in zip(duplicates, found, strict=True):
            self.counters["duplicates"] += 1
            if new.outgoing is not None and new.outgoing.stage is Stage.PENDING:
                self._delivery.found(flow, new.outgoing, row)
            if row is None:
                outcomes[new.index] = Outcome(error=OverloadedError("the message is being purged; try again"))
                continue
            outcomes[new.index] = await self._duplicate(new.message, new.message.body or b"", row)
        self._delivery.take([row for row in found if row is not None])

    async def _duplicate(self, message: NewMessage, body: bytes, row: LedgerRow) -> Outcome:
        same = row.conversation == message.conversation and row.content_type == message.content_type
        same = same and same_headers(row.headers, message.headers)
        if row.blob is None:
            same = same and row.body == body
        elif same:
            blob = message.blob
            found = (await self._blobs.info(row.blob)).sha256
            mine = (await self._blobs.info(blob)).sha256 if blob is not None else hashlib.sha256(body).hexdigest()
            same = found == mine
        if not same:
            return Outcome(error=ConflictError("idempotency_key: it stands for another message"))
        return Outcome(message_id=row.id, duplicate=True, state=STATES[row.state])


def _expires(message: ua_pb2.OutboundMessage, application: ApplicationSettings, now: float) -> float:
    if not message.HasField("expires_at"):
        return now + application.message_expires
    expires = message.expires_at.seconds + message.expires_at.nanos / 1e9
    if expires <= now:
        raise InvalidRequestError("expires_at: has passed")
    return min(expires, now + 366 * 86_400.0)
