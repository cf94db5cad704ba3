"""A connection that AUTHs while another one still carries its client's messages."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

from tests.support.endpoint_plan import Relay
from tests.support.endpoint_wire import WholeFrame, Wire
from tests.support.endpoint_world import World
from wigwag.protocols.msrp import Authenticated, MsrpUri, RelayAuthentication, ResponseHead


class Newcomer:
    """What comes over it is kept until the client uses it.

    Args:
        relay: The relay.
        uri: The client's URI, under which it is known already.
        address: Where it connects to.
    """

    def __init__(self, relay: Relay, uri: str, address: tuple[str, int]) -> None:
        self.address = address
        paths = (MsrpUri.parse(relay.uri),), MsrpUri.parse(uri)
        self.machine = RelayAuthentication(relay.username, relay.password, *paths, random=os.urandom)
        self.wire: Wire | None = None
        self._grant: asyncio.Future[Authenticated] = asyncio.get_running_loop().create_future()
        self._kept: list[WholeFrame] = []
        self._take: Callable[[WholeFrame], None] = self._begin

    async def join(self, world: World, seconds: float) -> Authenticated:
        """Connect and AUTH.

        Raises:
            OSError: The relay refused, or there is no connection.
            TimeoutError: It took too long.
        """
        async with asyncio.timeout(seconds):
            self.wire = await world.open(self.address, self.take)
            self.wire.write(self.machine.start())
            awaited: set[asyncio.Future[Any]] = {self._grant, self.wire.lost}
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        if not self._grant.done():
            raise ConnectionAbortedError(f"AUTH: {self.wire.lost.result()}")
        return self._grant.result()

    def take(self, frame: WholeFrame) -> None:
        """Take a frame."""
        self._take(frame)

    def _begin(self, frame: WholeFrame) -> None:
        head = frame.head
        assert isinstance(head, ResponseHead), f"{head} came before the answer to AUTH"
        outcome = self.machine.receive(head)
        if isinstance(outcome, bytes):
            assert self.wire is not None
            self.wire.write(outcome)
        elif isinstance(outcome, Authenticated):
            self._take = self._kept.append
            self._grant.set_result(outcome)
        else:
            self._grant.set_exception(ConnectionAbortedError(f"AUTH: {outcome.status} {outcome.reason}"))

    def hand_over(self, take: Callable[[WholeFrame], None]) -> None:
        """Let the client take what has come and what comes."""
        self._take = take
        for frame in self._kept:
            take(frame)

    def abort(self) -> None:
        """End it."""
        if self.wire is not None:
            self.wire.abort()
