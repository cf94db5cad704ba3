"""Messages of applications on their way: in order within a session, each with one truthful outcome.

Theory of operation. A row of the ledger is claimed with the session's fencing token before any of its octets can leave:
from then on it is in doubt, and whoever finds it after a kill sends it again under the same Message-ID, or calls it
unconfirmed. What the endpoint says of it becomes the row's state by compare-and-set. ``failed`` is said only of what
was refused or provably never sent, by us and by every owner before us.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

import structlog

from wigwag.database.ledger import (
    Claim,
    LedgerRow,
    Refusal,
    Release,
    State,
    Verdict,
)
from wigwag.errors import ConflictError, NotFoundError, ProtocolError, WigwagError
from wigwag.runtime.ua_messages import OUTBOUND
from wigwag.ua.endpoint.model import Settled, Settlement
from wigwag.ua.sessions.ports import OwnedSession, Sessions

from .backlog import Backlog
from .checking import unacceptable
from .edits import Edits
from .flow import Flow, Outgoing, Stage
from .outcomes import Outcomes
from .overdue import Overdue
from .spans import Spans
from .staging import Blobs, stage
from .wire import octets_of, wire_of

_RETRY: Final = 0.5


_STATES: Final = {
    Settlement.DELIVERED: State.DELIVERED,
    Settlement.FAILED: State.FAILED,
    Settlement.UNCONFIRMED: State.UNCONFIRMED,
}

logger = structlog.get_logger("wigwag.ua")


class Delivery:
    """What the sessions of this pod have to send.

    Args:
        sessions: Sends.
        backlog: Reads what waits in a session.
        edits: Writes what becomes of them.
        blobs: Large bodies.
        in_flight: Messages of a session that are on their way at once.
        wall: Seconds since 1970, by the store's clock.
        spans: Of messages that are traced.
        spawn: Runs work in the background.

    Attributes:
        outcomes: What becomes of messages.
        on_sent: Told the session of each message that was sent.
        on_rows: Told the rows without an outcome of a session that was opened.
        on_homeless: Told session and id of each message without an outcome of a session that is another pod's by now.
    """

    def __init__(
        self,
        sessions: Sessions,
        backlog: Backlog,
        edits: Edits,
        blobs: Blobs,
        *,
        in_flight: int,
        wall: Callable[[], float],
        spans: Spans,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.outcomes = Outcomes(edits)
        self._overdue = Overdue(edits, self.outcomes)
        self.on_sent: Callable[[OwnedSession], None] = lambda own: None
        self.on_rows: Callable[[OwnedSession, list[LedgerRow]], None] = lambda own, rows: None
        self.counters = dict.fromkeys(("sent", "resent"), 0)
        self.on_homeless: Callable[[str, str], None] = lambda session_id, message_id: None
        self._sessions = sessions
        self._backlog = backlog
        self._edits = edits
        self._blobs = blobs
        self._in_flight = in_flight
        self._wall = wall
        self._spans = spans
        self._spawn = spawn
        self._flows: dict[str, Flow] = {}
        self._to_pump: dict[str, Flow] = {}

    @property
    def flying(self) -> int:
        """Messages on their way."""
        return sum(flow.flying for flow in self._flows.values())

    def flows(self) -> list[Flow]:
        """Return what all sessions of this pod have to send."""
        return list(self._flows.values())

    def flow(self, own: OwnedSession) -> Flow:
        """Return what a session of this pod has to send."""
        found = self._flows.get(own.record.id)
        if found is None or found.own is not own:
            if found is not None:
                self._drop(found)
            found = self._flows[own.record.id] = Flow(own)
        return found

    def is_ours(self, flow: Flow) -> bool:
        """Tell whether the session is this pod's still."""
        return self._sessions.owned(flow.own.record.id) is flow.own

    def claims_ahead(self, flow: Flow) -> int:
        """Return how many of the next messages may be claimed as they are accepted: nothing unclaimed is before them.

        A few in-flights are claimed ahead, since an edit for each costs more than a doubt that ends with the sending.
        """
        own = flow.own
        if not flow.loaded or flow.over or flow.unclaimed or own.record.state != "open" or own.chat.held:
            return 0
        return max(0, 4 * self._in_flight - flow.flying - len(flow.queue))

    # Sending

    def pump_soon(self, flow: Flow) -> None:
        """Send what may be sent, once in this turn of the loop."""
        if not self._to_pump:
            asyncio.get_running_loop().call_soon(self._pump_all)
        self._to_pump[flow.own.record.id] = flow

    def _pump_all(self) -> None:
        flows, self._to_pump = self._to_pump, {}
        for flow in flows.values():
            self.pump(flow)

    def pump(self, flow: Flow) -> None:
        """Send what may be sent now, in order."""
        own = flow.own
        if not flow.loaded or flow.over or own.record.state != "open" or own.chat.held or not self.is_ours(flow):
            return
        self._send_first(flow, self._wall())
        if flow.unclaimed > flow.claiming:
            self._claim(flow)

    def _send_first(self, flow: Flow, now: float) -> None:
        """Send the first of the queue that are claimed."""
        while flow.queue and flow.flying < self._in_flight:
            message = flow.queue[0]
            if message.stage is Stage.GONE:
                flow.queue.popleft()
            elif message.stage is not Stage.WAITING:
                return
            elif message.expires <= now:
                flow.queue.popleft()
                self.outcomes.expired(flow, message)
            elif self._lacks_body(flow, message) or not message.claimed or not self._send(flow, message):
                return

    def _claim(self, flow: Flow) -> None:
        """Claim the next ones, as many as may be on their way at once; they keep their places until they are sent."""
        room = self._in_flight - flow.flying
        for message in flow.queue:
            if room <= 0:
                return
            if message.stage in (Stage.GONE, Stage.CLAIMING):
                continue
            if message.stage is not Stage.WAITING or self._lacks_body(flow, message):
                return
            room -= 1
            if not message.claimed:
                message.stage = Stage.CLAIMING
                flow.flying += 1
                flow.claiming += 1
                self._begin_journey(message)
                claim = Claim(id=message.id, owner=self._sessions.pod, token=flow.own.token)
                self._edits.put(claim, partial(self._claimed, flow, message))

    def _lacks_body(self, flow: Flow, message: Outgoing) -> bool:
        """Have a large body fetched that is not here yet."""
        if message.blob is None or message.staged is not None:
            return False
        message.stage = Stage.STAGING
        self._spawn(self._stage(flow, message, message.blob))
        return True

    def _begin_journey(self, message: Outgoing) -> None:
        if message.fields.traceparent and message.journey is None:
            message.journey = self._spans.journey(message.fields.traceparent, message.id)

    def _claimed(self, flow: Flow, message: Outgoing, verdict: Verdict) -> None:
        flow.claiming -= 1
        flow.unclaimed -= 1
        flow.flying -= 1
        if not verdict.done:
            # It has an outcome, its time has run out (the sweep ends it), or a newer owner has it.
            if verdict.refusal is Refusal.TRANSITION:
                self.outcomes.recent.add(message.id)
            _left(message)
            flow.forget(message)
        else:
            message.claimed, message.attempt, message.stage = self._wall(), verdict.attempt, Stage.WAITING
            if flow.over:
                self.outcomes.never_sent(flow, message)
            elif not self.is_ours(flow):
                self.give_back(flow, message)
                self.on_homeless(flow.own.record.id, message.id)
        self.pump_soon(flow)

    def give_back(self, flow: Flow, message: Outgoing) -> None:
        """Take our claim back from a message that was not sent by us."""
        _left(message)
        flow.forget(message)
        self._edits.put(Release(id=message.id, token=flow.own.token, attempt=message.attempt))

    def _send(self, flow: Flow, message: Outgoing) -> bool:
        """Send the first of the queue; False: nothing can be sent at this moment."""
        record = flow.own.record
        flow.queue.popleft()
        problem = unacceptable(record, message.content_type, message.size, headers=bool(message.fields.cpim))
        if problem is not None:
            self.outcomes.give(flow, message, State.FAILED, *problem)
            return True
        # Behind those that were sent before: the order of ``known`` is that of sending.
        flow.known.pop(message.id, None)
        flow.known[message.id] = message
        message.stage = Stage.SENT
        flow.flying += 1
        self._begin_journey(message)
        try:
            self._sessions.send(record.id, wire_of(record, message))
        except ConflictError:
            # The session is over, which we are about to hear.
            return self._put_back(flow, message)
        except ProtocolError as error:
            flow.flying -= 1
            self.outcomes.give(flow, message, State.FAILED, 0, str(error))
            return True
        self.counters["sent"] += 1
        self.on_sent(flow.own)
        return True

    def _put_back(self, flow: Flow, message: Outgoing) -> bool:
        flow.flying -= 1
        message.stage = Stage.WAITING
        flow.queue.appendleft(message)
        return False

    async def _stage(self, flow: Flow, message: Outgoing, blob: str) -> None:
        try:
            staged = await stage(self._blobs, blob, *octets_of(flow.own, message.id))
        except NotFoundError as error:
            if message.stage is Stage.STAGING:
                self.outcomes.give(flow, message, State.FAILED, 0, str(error))
        except WigwagError:
            await asyncio.sleep(_RETRY)
            if message.stage is Stage.STAGING:
                message.stage = Stage.WAITING
        else:
            if message.stage is not Stage.STAGING:
                staged.close()
                return
            message.stage, message.staged = Stage.WAITING, staged
        self.pump_soon(flow)

    # Outcomes

    def reports(self, session_id: str, message_id: str) -> str:
        """Return which reports on a message are to be told (``SessionFields.reports``); empty: it is not said."""
        flow = self._flows.get(session_id)
        message = flow.known.get(message_id) if flow is not None else None
        return message.fields.reports if message is not None else ""

    def settled(self, event: Settled) -> None:
        """Take what the endpoint says of a message; others than those of the ledger are passed over."""
        flow = self._flows.get(event.session.id)
        message = flow.known.get(event.message_id) if flow is not None else None
        if flow is None or message is None or message.stage is not Stage.SENT:
            return
        flow.flying -= 1
        if message.journey is not None:
            problem = "" if event.settlement is Settlement.DELIVERED else event.reason or event.settlement.value
            message.journey.settled(event.status, problem)
        self.outcomes.give(flow, message, _STATES[event.settlement], event.status, event.reason)
        self.pump_soon(flow)

        # Else the ledger's sweep ends it: expired, or unconfirmed.

    # Time

    def tick(self) -> None:
        """Do what time has come for; to be called every second or so."""
        now = self._wall()
        for flow in list(self._flows.values()):
            if not self.is_ours(flow):
                if not flow.over or not flow.known:
                    self._drop(flow)
                continue
            if flow.known:
                self._overdue.look_at(flow, now)
                self.pump(flow)

    # The session's life

    def opened(self, own: OwnedSession) -> None:
        """Send what waits in a session that was opened or taken over; reads the ledger in the background."""
        flow = self.flow(own)
        self._spawn(self._load(flow))

    async def _load(self, flow: Flow) -> None:
        rows = await self._backlog.of(flow.own.record.id, lambda: self.is_ours(flow))
        if rows is None:
            return
        fresh = [Outgoing.of(row) for row in rows if row.direction == OUTBOUND and row.id not in flow.known]
        fresh = [message for message in fresh if message.id not in self.outcomes.recent]
        self.on_rows(flow.own, rows)
        if flow.over:
            # It ended meanwhile, and all that waits gets its outcome from there.
            return
        self.counters["resent"] += sum(message.doubted for message in fresh)
        flow.load(fresh, [row.id for row in rows])
        self.pump(flow)

    def take(self, rows: list[LedgerRow]) -> None:
        """Queue rows that other pods accepted for sessions of this one, or that were given up at their acceptance."""
        for row in rows:
            message = Outgoing.of(row)
            own = self._sessions.owned(message.fields.session_id)
            if own is None or row.state is not State.ACCEPTED or row.direction != OUTBOUND:
                continue
            flow = self.flow(own)
            if row.id in flow.known or row.id in self.outcomes.recent:
                continue
            flow.add(message)
            self.pump_soon(flow)

    def found(self, flow: Flow, message: Outgoing, row: LedgerRow | None) -> None:
        """Send what was handed in once more from where it stands in the queue, as the ledger has it; others are behind.

        Args:
            flow: Whose.
            message: It, as it was handed in this time.
            row: It; None: it is gone.
        """
        waits = row is not None and row.state is State.ACCEPTED and row.id not in self.outcomes.recent
        if row is not None and waits and self.is_ours(flow) and not flow.over:
            flow.replace(message, Outgoing.of(row))
        else:
            flow.forget(message)
        self.pump_soon(flow)

    def knows(self, session_id: str, message_id: str) -> bool:
        """Tell whether a message is under way here in a session of this pod, or was not long ago."""
        flow = self._flows.get(session_id)
        return message_id in self.outcomes.recent or (
            flow is not None and message_id in flow.known and self.is_ours(flow)
        )

    def ended(self, own: OwnedSession, reason: str) -> None:
        """Settle what waits: the session is over. Outcomes of what was on its way came before."""
        flow = self.flow(own)
        flow.over = f"the session is over: {reason}"
        queue, flow.queue = list(flow.queue), type(flow.queue)()
        for message in queue:
            if message.stage in (Stage.WAITING, Stage.STAGING):
                self.outcomes.never_sent(flow, message)
        self._spawn(self._end(flow))

    async def _end(self, flow: Flow) -> None:
        rows = await self._backlog.of(flow.own.record.id, lambda: True)
        for row in rows or []:
            if row.direction == OUTBOUND and row.id not in flow.known and row.id not in self.outcomes.recent:
                self.outcomes.end_row(row, flow.over, flow.own.token)
        if self._flows.get(flow.own.record.id) is flow and not flow.known:
            del self._flows[flow.own.record.id]

    def close(self) -> None:
        """Give back what is held; the messages are in the ledger."""
        for flow in list(self._flows.values()):
            self._drop(flow)

    def _drop(self, flow: Flow) -> None:
        """Forget a session that is another pod's by now: it may have read the ledger before our last rows."""
        if self._flows.get(flow.own.record.id) is flow:
            del self._flows[flow.own.record.id]
        for message in list(flow.known.values()):
            self._leave(flow, message)
        flow.queue.clear()

    def _leave(self, flow: Flow, message: Outgoing) -> None:
        """Pass a message on; one that is being claimed, or written, is passed on by whoever hears of that."""
        if message.stage is Stage.CLAIMING:
            return
        _left(message)
        is_written = message.stage is not Stage.PENDING
        if is_written and message.stage is not Stage.SENT and message.claimed:
            self.give_back(flow, message)
        else:
            flow.forget(message)
        if is_written and not flow.over:
            self.on_homeless(flow.own.record.id, message.id)


def _left(message: Outgoing) -> None:
    """End the trace of a message here: another pod goes on with it, or the ledger has ended it."""
    if message.journey is not None:
        message.journey.over("left to another owner")
