"""SIP's part of a drain (DESIGN.md section 7, promise 5): clients leave, nothing that is under way is lost.

Theory of operation. Connections are closed in random order at a pace, so that the other pods are not stormed. Each is
served until its turn has come; then it gets nothing new (503 with Retry-After), what is open on it ends, and it is
closed. UDP clients can't be told to go: they are served to the end. At the very end new datagrams go unanswered, what
is open gets its answer, INVITEs that ring are called off, and the socket closes; a retransmission of what went
unanswered finds another pod.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .edge import Edge
    from .flows.flow import StreamFlow

STEP: Final = 0.05
"""Seconds between two looks at what is open."""
ANSWERS_AWAITED: Final = 2.0
"""Seconds that answers on a connection, and at the end all others, are waited for."""


class SipDrain:
    """Drains one edge.

    Args:
        edge: The edge.
        pace: Connections closed per second.
        pause: Waits so many seconds.
        clock: Seconds, monotonic.
        seed: Chooses the order; 0: chance does.
    """

    def __init__(
        self,
        edge: "Edge",
        *,
        pace: int,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        seed: int = 0,
    ) -> None:
        self.is_running = False
        """Whether connections are being sent away right now."""
        self._edge = edge
        self._pace = pace
        self._pause = pause
        self._clock = clock
        self._random = Random(seed or None)  # noqa: S311 - an order, not a secret

    @property
    def open_transactions(self) -> int:
        """Requests that have no final answer yet."""
        return sum(not server.final_sent for server in self._edge.transactions.servers.values())

    async def run(self, grace: float) -> None:
        """Send the connections away within ``grace`` seconds; cancelling it calls it off."""
        self._edge.shedding.drain(draining=True)
        self.is_running = True
        deadline = self._clock() + grace
        try:
            await self._send_away(deadline)
        except asyncio.CancelledError:
            self.call_off()
            raise
        finally:
            self.is_running = False

    def call_off(self) -> None:
        """Serve again; connections that are closed already are closed."""
        for flow in self._edge.streams.values():
            flow.is_leaving = False
        self._edge.shedding.drain(draining=False)

    async def finish(self) -> None:
        """Take nothing more at all, and end what is open: the sockets close after this."""
        edge = self._edge
        edge.shedding.drain(draining=True, mute=True)
        await self._until(lambda: not self.open_transactions, ANSWERS_AWAITED)
        # First they are called off, then those that did not answer that in time are given up.
        for _ in range(2):
            for forwarding in list(edge.proxy.invites):
                forwarding.ringing_too_long(edge.now())
            await self._until(lambda: not edge.proxy.invites, 10 * STEP)

    def _is_busy(self, flow: "StreamFlow") -> bool:
        return self._edge.transactions.waits_for(flow)

    async def _send_away(self, deadline: float) -> None:
        """Close connections at the pace, or faster when the time would not do."""
        flows = list(self._edge.streams.values())
        self._random.shuffle(flows)
        left = max(STEP, deadline - self._clock() - ANSWERS_AWAITED)
        pace = max(float(self._pace), len(flows) / left)
        began = self._clock()
        async with asyncio.TaskGroup() as retiring:
            for number, flow in enumerate(flows):
                while self._clock() - began < number / pace:
                    await self._pause(STEP)
                retiring.create_task(self._retire(flow, deadline))

    async def _retire(self, flow: "StreamFlow", deadline: float) -> None:
        flow.is_leaving = True
        await self._until(lambda: not self._is_busy(flow), min(ANSWERS_AWAITED, deadline - self._clock()))
        flow.close("draining")

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = self._clock() + seconds
        while not condition() and self._clock() < deadline:
            await self._pause(STEP)
