"""One client of a recording endpoint: stays connected to some pod, and comes back to another one under its URI."""

import asyncio
import os
import random
import secrets
from typing import Any, Literal

from tests.support.endpoint_messages import Messages, Standing
from tests.support.endpoint_newcomer import Newcomer
from tests.support.endpoint_plan import Plan
from tests.support.endpoint_wire import WholeFrame, Wire
from tests.support.endpoint_world import World
from wigwag.protocols.msrp import Authenticated, MsrpUri, RelayAuthentication, ResponseHead
from wigwag.runtime.recording import Closed, ConnectionName, Lost, Opened

AUTH_TIMEOUT = 5.0
"""Seconds for connecting and AUTH."""
LONGEST_JITTER = 5.0
REFRESH_AFTER = 0.8
"""Part of the granted time after which the client AUTHs again."""
REFRESH_AGAIN = 30.0
"""Seconds until a refresh is tried again."""
TRANSACTION_TIMEOUT = 30.0
"""Seconds in which a SEND has to be answered (RFC 4975 section 7.1.1)."""
COME_OVER = 30.0
"""Seconds for connecting and AUTH while another connection stands, and again for the relay to end that one."""
_FOREVER = 1e9
_OK = 200


class EndpointClient:
    """A client of the relay.

    Args:
        name: Its name.
        peer: Its peer's name.
        plan: What its process does.
        world: Shared by all clients of the process.
    """

    def __init__(self, name: str, peer: str, plan: Plan, world: World) -> None:
        self.name = name
        self._peer = peer
        self._plan = plan
        self._world = world
        self.messages = Messages(name, peer, plan, world)
        self.standing: Standing | None = None
        self._uri = self._fresh_uri()
        self._connections = 0
        self._failures = 0
        self._left: list[Wire] = []
        self._address: tuple[str, int] = ("", 0)
        self._wire: Wire | None = None
        self._machine: RelayAuthentication | None = None
        self._outcome: asyncio.Future[str] | None = None
        self._called_over = asyncio.Event()

    def _fresh_uri(self) -> str:
        scheme = "msrps" if self._plan.relay.ca_file else "msrp"
        return f"{scheme}://{self.name}.invalid:2855/{secrets.token_hex(10)};tcp"

    # Staying connected

    async def stay_connected(self) -> None:
        """Connect, and connect again elsewhere whenever the connection is lost, until cancelled."""
        while True:
            spread = min(self._plan.jitter * 2**self._failures, LONGEST_JITTER)
            await asyncio.sleep(random.uniform(0, spread))
            await self._world.pace.turn()
            wire = await self._connect()
            if wire is None:
                self._failures += 1
                continue
            self._failures = 0
            await self._use(wire)

    async def _use(self, wire: Wire) -> None:
        """Stay on the connection, or on one that the client comes over to, until it is lost."""
        while await _comes_first(self._called_over, wire.lost):
            wire = await self._come_over(wire)
            self._called_over.clear()
        self._end("peer", wire.lost.result())

    async def _come_over(self, former: Wire) -> Wire:
        """AUTH elsewhere while the former connection stands; use the new one once the relay has ended the former."""
        await _comes_first(self.messages.settled, former.lost)
        newcomer = Newcomer(self._plan.relay, self._uri, self._other_address())
        try:
            grant = await newcomer.join(self._world, COME_OVER)
        except (OSError, TimeoutError) as error:
            self._world.note(f"{self.name} comes over to {newcomer.address[1]}: {error!r}")
            newcomer.abort()
            return former
        await asyncio.wait({former.lost}, timeout=COME_OVER)
        assert former.lost.done(), f"{self.name} has come over, and its former connection was not ended"
        self._end("left", "has come over")
        assert newcomer.wire is not None
        self._wire, self._machine, self._address = newcomer.wire, newcomer.machine, newcomer.address
        self._stand(newcomer.wire, " ".join(map(str, grant.use_path)), grant.expires)
        newcomer.hand_over(self._take)
        return newcomer.wire

    def _other_address(self) -> tuple[str, int]:
        others = [address for address in self._plan.relay.addresses if address != self._address]
        return random.choice(others or self._plan.relay.addresses)

    async def _connect(self) -> Wire | None:
        """Open a connection and AUTH on it; None when that failed."""
        if self._plan.foreign and self._connections:
            self._uri = self._fresh_uri()
        self._address = self._other_address()
        self._wire = None
        try:
            async with asyncio.timeout(AUTH_TIMEOUT):
                self._wire = await self._world.open(self._address, self._take)
                await self._join(self._wire)
        except (OSError, TimeoutError) as error:
            self._world.note(f"{self.name} at {self._address[1]}: {error!r}")
            if self.standing is not None:
                self._end("left", "granted too late")
            if self._wire is not None:
                self._wire.abort()
            return None
        return self._wire

    async def _join(self, wire: Wire) -> None:
        """AUTH until the connection stands.

        Raises:
            OSError: The relay refused, or closed the connection.
        """
        if self._plan.bare:
            self._stand(wire, "", _FOREVER)
            return
        self._outcome = asyncio.get_running_loop().create_future()
        self._authenticate(wire)
        await asyncio.wait({self._outcome, wire.lost}, return_when=asyncio.FIRST_COMPLETED)
        refusal = self._outcome.result() if self._outcome.done() else str(wire.lost.result())
        if self.standing is None:
            raise ConnectionAbortedError(f"AUTH: {refusal}")

    def _authenticate(self, wire: Wire) -> None:
        relay = self._plan.relay
        uris = (MsrpUri.parse(relay.uri),), MsrpUri.parse(self._uri)
        self._machine = RelayAuthentication(relay.username, relay.password, *uris, random=os.urandom)
        wire.write(self._machine.start())

    def _stand(self, wire: Wire, use_path: str, expires: float) -> None:
        self._connections += 1
        name = ConnectionName(f"{self._plan.name}/{self.name}#{self._connections}")
        path = f"{use_path} {self._uri}".strip()
        address = f"{self._address[0]}:{self._address[1]}"
        self._world.record(Opened, client=self.name, connection=name, address=address, uri=self._uri, path=path)
        refresh_at = self._world.now() + REFRESH_AFTER * expires
        self.standing = Standing(name, wire, self._uri, use_path, refresh_at)
        if not self._plan.bare:
            self._world.signalling.announce(self.name, path)

    def _end(self, cause: Literal["peer", "gave up", "left"], reason: str) -> None:
        if self.standing is not None:
            name, self.standing = self.standing.name, None
            self.messages.give_up()
            self._world.record(Lost, connection=name, cause=cause, reason=reason)

    def move(self, *, half_open: bool = False, gently: bool = False) -> None:
        """Leave the connection and go to another pod.

        Args:
            half_open: Whether the relay is not told.
            gently: Whether the client is at the other pod before it leaves, and answers until then.
        """
        if self.standing is None:
            return
        if gently:
            self._called_over.set()
            return
        wire = self.standing.wire
        self._end("left", "moves")
        if half_open:
            wire.leave_half_open()
            self._left.append(wire)
        else:
            wire.abort()
        if not wire.lost.done():
            wire.lost.set_result("left")

    def check(self, now: float) -> None:
        """Give the connection up if an answer is overdue; AUTH again before the grant ends."""
        if self.standing is None:
            return
        oldest = next(iter(self.messages.unanswered.values()), None)
        if oldest is not None and now - oldest.since > self._plan.answer_timeout:
            wire = self.standing.wire
            # Before the RFC's 30 s it is impatience of ours, not a debt of the relay's.
            due = self._plan.answer_timeout >= TRANSACTION_TIMEOUT
            self._end("gave up" if due else "left", f"{oldest.message_id} was not answered")
            wire.abort()
        elif now > self.standing.refresh_at:
            self.standing.refresh_at = now + REFRESH_AGAIN
            self._authenticate(self.standing.wire)

    async def close(self) -> None:
        """Close the connection in good order."""
        for wire in self._left:
            wire.abort()
        if self.standing is not None:
            standing, self.standing = self.standing, None
            self._world.record(Closed, connection=standing.name)
            await standing.wire.close()

    # Messages

    @property
    def is_ready(self) -> bool:
        """Whether it is connected and knows its peer's path."""
        stays = self.standing is not None and not self._called_over.is_set()
        return stays and self._peer in self._world.signalling.paths

    def send(self) -> bool:
        """Send a message; False when that can't be done now."""
        if self.standing is None or self._called_over.is_set():
            return False
        return self.messages.send(self.standing)

    def _take(self, frame: WholeFrame) -> None:
        head = frame.head
        if isinstance(head, ResponseHead) and self._machine and head.transaction_id == self._machine.transaction_id:
            self._take_grant(self._machine, head)
        elif self.standing is None:
            raise AssertionError(f"{self.name}: {head} came before the answer to AUTH")
        elif isinstance(head, ResponseHead):
            self.messages.take_response(head, self.standing)
            if self._plan.bare and head.status_code == _OK and not self.standing.known:
                # Its first valid request binds it to this connection; before, nobody could reach it.
                self.standing.known = True
                self._world.signalling.announce(self.name, self._uri)
        else:
            self.messages.take_request(frame, head, self.standing)

    def _take_grant(self, machine: RelayAuthentication, head: ResponseHead) -> None:
        """Go on with AUTH. What was kept for a resumed session may follow in the same read."""
        outcome = machine.receive(head)
        wire = self.standing.wire if self.standing is not None else self._wire
        assert wire is not None
        if isinstance(outcome, bytes):
            wire.write(outcome)
        elif not isinstance(outcome, Authenticated):
            self._world.note(f"{self.name}: AUTH: {outcome.status} {outcome.reason}")
            self._answer_auth(f"{outcome.status} {outcome.reason}")
        elif self.standing is not None:
            self.standing.refresh_at = self._world.now() + REFRESH_AFTER * outcome.expires
        else:
            self._stand(wire, " ".join(map(str, outcome.use_path)), outcome.expires)
            self._answer_auth("granted")

    def _answer_auth(self, outcome: str) -> None:
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_result(outcome)


async def _comes_first(event: asyncio.Event, other: asyncio.Future[str]) -> bool:
    """Wait for either; returns whether ``other`` is still to come."""
    waiting = asyncio.ensure_future(event.wait())
    awaited: set[asyncio.Future[Any]] = {waiting, other}
    try:
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    return not other.done()
