"""From the pod that accepted a message to the one that owns its session by now.

Theory of operation. Messages are accepted by the owner (``forwarding``); here is what is left when he loses the session
in that very moment. It is durable; session and id go to the next owner over one stream per pod, and he reads the row
from the ledger. What the ledger puts on the topic ``wigwag.sessions.outbound`` is the backstop: whoever consumes a
record passes it on the same way, and commits it only once the owner has taken it, or has it already, or the message has
an outcome.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from typing import Any, Final

import structlog

from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.api.ua.v1 import owner_pb2
from wigwag.bus import Record, UnprocessableError
from wigwag.database.ledger import Ledger
from wigwag.errors import NotFoundError, OverloadedError, WigwagError
from wigwag.runtime.rpc import BatchedStream, BatchLimits
from wigwag.runtime.rpc.types import StreamStreamCall
from wigwag.ua.sessions.ports import Sessions

from .delivery import Delivery

GROUP: Final = "ua"
"""Consumer group of all ua pods."""
_ACKNOWLEDGED_IN: Final = 10.0
"""Seconds that another pod has."""
_MOST_WAITING: Final = 50_000
_RETRY: Final = 1.0

OpenCall = Callable[[AsyncIterator[owner_pb2.DeliverRequest]], StreamStreamCall]
Item = tuple[str, str]
"""Session and id of a message."""
Pairs = list[tuple[Item, "asyncio.Future[None] | None"]]
"""With whom to tell when it is there."""

logger = structlog.get_logger("wigwag.ua")


class HandOver:
    """Brings messages to the owners of their sessions; ``run`` does the work.

    Args:
        sessions: Who owns what.
        ledger: Where messages are.
        delivery: Sends those of this pod.
        open_call: Returns what opens ``UaPodService.Deliver`` at a pod; OverloadedError: it is not reached.
        spawn: Runs work in the background.
    """

    def __init__(
        self,
        sessions: Sessions,
        ledger: Ledger,
        delivery: Delivery,
        *,
        open_call: Callable[[str], OpenCall],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.counters = {"handed_over": 0, "taken": 0}
        self._sessions = sessions
        self._ledger = ledger
        self._delivery = delivery
        self._open_call = open_call
        self._spawn = spawn
        self._waiting: Pairs = []
        self._filled = asyncio.Event()
        self._links: dict[str, BatchedStream[Item]] = {}

    async def close(self) -> None:
        """End the streams."""
        links, self._links = self._links, {}
        for link in links.values():
            await link.__aexit__(None, None, None)

    def put(self, session_id: str, message_id: str) -> None:
        """Bring a message to its owner soon; if it can't be, the bus does."""
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.append(((session_id, message_id), None))
            self._filled.set()

    async def bring(self, items: Iterable[Item]) -> None:
        """Return once the owners of the sessions have these messages, or they have an outcome.

        Raises:
            WigwagError: At least one could not be brought there now.
        """
        futures = []
        for session_id, message_id in items:
            if not self._delivery.knows(session_id, message_id):
                future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.append(((session_id, message_id), future))
                futures.append(future)
        if not futures:
            return
        self._filled.set()
        for result in await asyncio.gather(*futures, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def consume(self, record: Record) -> None:
        """Handle a record of ``wigwag.sessions.outbound``.

        Raises:
            UnprocessableError: It can't be read.
            OverloadedError: Its owner does not take it now.
        """
        try:
            outbound = Envelope.FromString(record.value).session_outbound
        except Exception as error:
            raise UnprocessableError(f"not an envelope: {error}") from error
        if not outbound.session_id or not outbound.ledger_id:
            raise UnprocessableError("no message of a session")
        try:
            await self.bring([(outbound.session_id, outbound.ledger_id)])
        except WigwagError as error:
            raise OverloadedError(f"the owner does not take it: {error}") from error

    async def serve(
        self, requests: AsyncIterator[owner_pb2.DeliverRequest]
    ) -> AsyncIterator[owner_pb2.DeliverResponse]:
        """Take what other pods bring (``UaPodService.Deliver``); what is another's by now is brought there first."""
        async for request in requests:
            try:
                await self.bring((item.session_id, item.ledger_id) for item in request.items)
            except WigwagError as error:
                # The stream ends, and is opened again: what was not acknowledged comes again.
                logger.info("messages of another pod are not taken yet", reason=str(error))
                return
            self.counters["taken"] += len(request.items)
            yield owner_pb2.DeliverResponse(acknowledged=request.first + len(request.items) - 1)

    # Inside

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            waiting, self._waiting = self._waiting, []
            by_session: dict[str, Pairs] = {}
            for pair in waiting:
                by_session.setdefault(pair[0][0], []).append(pair)
            owners = await asyncio.gather(*map(self._owner, by_session), return_exceptions=True)
            by_pod: dict[str, Pairs] = {}
            for pairs, owner in zip(by_session.values(), owners, strict=True):
                if isinstance(owner, BaseException):
                    self._failed(pairs, owner)
                else:
                    by_pod.setdefault(owner, []).extend(pairs)
            for pod, pairs in by_pod.items():
                self._spawn(self._bring_to(pod, pairs))

    def _failed(self, pairs: Pairs, error: BaseException) -> None:
        """Tell those who wait; what nobody waits for is tried again."""
        _resolve(pairs, error)
        loop = asyncio.get_running_loop()
        for (session_id, message_id), future in pairs:
            if future is None:
                loop.call_later(_RETRY, self.put, session_id, message_id)

    async def _owner(self, session_id: str) -> str:
        """Return the pod that owns a session, this one if nobody did; empty: it is over.

        Raises:
            WigwagError: Nobody owns it at this moment.
        """
        if self._sessions.owned(session_id) is not None:
            return self._sessions.pod
        pod = await self._sessions.owner_of(session_id)
        if pod and pod != self._sessions.pod:
            return pod
        if await self._sessions.take_over(session_id) is not None:
            return self._sessions.pod
        try:
            record = await self._sessions.find(session_id)
        except NotFoundError:
            return ""
        if record.state == "ended":
            return ""
        raise OverloadedError("the session has no owner at this moment")

    async def _bring_to(self, pod: str, pairs: Pairs) -> None:
        try:
            if not pod or pod == self._sessions.pod:
                await self._take([item for item, _ in pairs], over=not pod)
            else:
                await self._pass_on(pod, pairs)
        except WigwagError as error:
            await self._end_link(pod)
            self._failed(pairs, error)
        except TimeoutError:
            await self._end_link(pod)
            self._failed(pairs, OverloadedError(f"pod {pod} does not answer"))
        else:
            _resolve(pairs, None)

    async def _take(self, items: Sequence[Item], *, over: bool) -> None:
        wanted = [message_id for session_id, message_id in items if not self._delivery.knows(session_id, message_id)]
        rows = await self._ledger.find_many(wanted) if wanted else {}
        if over:
            for row in rows.values():
                self._delivery.outcomes.end_row(row, "the session is over")
        else:
            self._delivery.take(sorted(rows.values(), key=lambda row: row.position))
            await self._make_sure(items)

    async def _make_sure(self, items: Sequence[Item]) -> None:
        """Raise OverloadedError unless the sessions are this pod's still: else nobody who sends has the messages."""
        await self._sessions.confirm()
        if any(self._sessions.owned(session_id) is None for session_id, _ in items):
            raise OverloadedError("a session was lost meanwhile")

    async def _pass_on(self, pod: str, pairs: Pairs) -> None:
        async with asyncio.timeout(_ACKNOWLEDGED_IN):
            link = await self._link(pod)
            number = 0
            for item, _ in pairs:
                number = await link.send(item)
            self.counters["handed_over"] += len(pairs)
            if any(future is not None for _, future in pairs):
                await link.acknowledged(number)

    async def _link(self, pod: str) -> BatchedStream[Item]:
        link = self._links.get(pod)
        if link is None:
            link = self._links[pod] = BatchedStream(
                self._open_call(pod),
                frame=_frame,
                acknowledged=lambda response: int(response.acknowledged),
                size=lambda item: len(item[0]) + len(item[1]) + 8,
                limits=BatchLimits(batch_items=256),
            )
            await link.__aenter__()
        return link

    async def _end_link(self, pod: str) -> None:
        link = self._links.pop(pod, None)
        if link is not None:
            await link.__aexit__(None, None, None)


def _frame(first: int, items: Sequence[Item]) -> owner_pb2.DeliverRequest:
    return owner_pb2.DeliverRequest(
        first=first,
        items=[owner_pb2.DeliverItem(session_id=session_id, ledger_id=ledger_id) for session_id, ledger_id in items],
    )


def _resolve(pairs: Pairs, error: BaseException | None) -> None:
    for _, future in pairs:
        if future is None or future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
