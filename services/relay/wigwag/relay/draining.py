"""Draining: no new work, what is open ends, clients are sent to other pods at a pace (DESIGN.md section 7, promise 5).

States: *serving*; *draining* from the moment it is asked for until every connection is closed and every message has its
outcome, or the time is over; *drained* then. It can be called off at any moment, and asked for again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import TYPE_CHECKING

from .cluster.remote import Remote
from .destination import Holding

if TYPE_CHECKING:
    from .hop import Hop
    from .service import Relay
    from .sessions import Session

ANSWERS_AWAITED = 2.0
"""Seconds that a client has to answer what it was sent last, before its connection is closed."""
QUIET = 0.1
"""Seconds without a read after which a client does not seem to be in the middle of sending."""
HELD_AWAITED = 5.0
"""Seconds for which a client stays when what it sent is still held for a receiver who is away, being drained perhaps:
what it sends next, over another pod, would overtake that."""
STEP = 0.05


class DrainState(Enum):
    """See the module's text."""

    SERVING = "serving"
    DRAINING = "draining"
    DRAINED = "drained"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainView:
    """How far a drain is."""

    state: str
    connections: int
    sessions: int
    open_chunks: int
    transactions: int


class Drain:
    """Drains one relay.

    Args:
        relay: The relay.
        pace: Connections closed per second.
        seed: Chooses their order.
        pause: Waits so many seconds.
    """

    def __init__(
        self,
        relay: "Relay",
        *,
        pace: int,
        seed: int = 0,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = DrainState.SERVING
        self._relay = relay
        self._pace = pace
        self._random = Random(seed or None)  # noqa: S311 - an order, not a secret
        self._pause = pause
        self._clock = clock
        self._retiring: set[asyncio.Task[None]] = set()

    def view(self) -> DrainView:
        """Return how far it is."""
        relay = self._relay
        return DrainView(
            state=self.state.value,
            connections=len(relay.hops),
            sessions=sum(1 for session in relay.sessions if not session.destination.holds),
            open_chunks=sum(1 for hop in relay.hops.values() if hop.incoming is not None),
            transactions=self._open_transactions(),
        )

    async def run(self, grace: float) -> None:
        """Drain within ``grace`` seconds; cancelling it calls it off."""
        self.state = DrainState.DRAINING
        self._relay.draining = True
        deadline = self._clock() + grace
        try:
            await self._until(lambda: not self._busy(), self._clock() + grace / 2)
            await self._send_away(deadline)
            await self._until(lambda: not self._open_transactions() and not self._held(), deadline)
            self._give_up()
            self.state = DrainState.DRAINED
        except asyncio.CancelledError:
            self.call_off()
            raise

    def call_off(self) -> None:
        """Serve again; connections that are being closed already are closed."""
        self._relay.draining = False
        self.state = DrainState.SERVING

    def _busy(self) -> bool:
        return any(hop.incoming or hop.outgoing for hop in self._relay.hops.values())

    async def _until(self, condition: Callable[[], bool], deadline: float) -> None:
        while not condition() and self._clock() < deadline:
            await self._pause(STEP)

    async def _send_away(self, deadline: float) -> None:
        """Close connections at the pace, or faster when the time would not do; clients first, in random order."""
        hops = list(self._relay.hops.values())
        self._random.shuffle(hops)
        hops.sort(key=lambda hop: hop.channel.listener is None)
        left = max(STEP, deadline - self._clock() - HELD_AWAITED)
        pace = max(float(self._pace), len(hops) / left)
        began = self._clock()
        for number, hop in enumerate(hops):
            while self._clock() - began < number / pace:
                await self._pause(STEP)
            task = asyncio.create_task(self._retire(hop, deadline))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        if self._retiring:
            await asyncio.wait(self._retiring)

    async def _retire(self, hop: "Hop", deadline: float) -> None:
        """Send nothing more to a client, let it answer what it was sent, and close its connection."""
        if hop.closed:
            return
        self._relay.lifecycle.send_away(hop, self._relay.now())
        self._relay.flush()
        now = self._clock()
        answered, delivered = min(deadline, now + ANSWERS_AWAITED), min(deadline, now + HELD_AWAITED)
        await self._until(lambda: self._is_quiet(hop), answered)
        await self._until(lambda: not _holds_for(hop), delivered)
        hop.close("draining")
        self._relay.flush()

    def _is_quiet(self, hop: "Hop") -> bool:
        """Tell whether the hop has answered everything and seems to be sending nothing."""
        idle = self._relay.now() - hop.last_activity >= QUIET
        return not hop.transactions and hop.incoming is None and idle

    def _remotes(self) -> list[Remote]:
        cluster = self._relay.cluster
        return cluster.links.remotes() if cluster is not None else []

    def _open_transactions(self) -> int:
        destinations = [*self._relay.hops.values(), *self._remotes()]
        return sum(len(destination.transactions) for destination in destinations)

    def _held(self) -> bool:
        return any(isinstance(found := session.destination, Holding) and found.outgoing for session in self._sessions())

    def _sessions(self) -> "list[Session]":
        cluster = self._relay.cluster
        return [*self._relay.sessions, *(cluster.elsewhere.sessions() if cluster is not None else ())]

    def _give_up(self) -> None:
        """Report what nobody took in time."""
        for session in self._sessions():
            if isinstance(session.destination, Holding):
                for transaction in session.destination.give_up():
                    self._relay.reports.timed_out(transaction, "this pod ends")
        self._relay.flush()


def _holds_for(hop: "Hop") -> bool:
    """Tell whether something that came from the hop waits for its receiver's return."""
    destinations = {route.leads_to() for route in hop.routes_from.values()}
    return any(destination.holds and destination.outgoing for destination in destinations)
