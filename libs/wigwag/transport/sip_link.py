"""A SIP client's way to its server, opened again whenever it is lost (RFC 3261 section 18, RFC 3263, RFC 5626).

Theory of operation. The link has one flow to the server, and over UDP a connection beside it for what is too large for
a datagram. It drives the user agent: what comes goes in, and one timer wakes it. Once started it looks after itself:
when the flow is lost, or the registrar refuses for the moment, it waits a while, opens a flow to the server's next
address and registers there; until the registrar refuses for good.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from wigwag.errors import WigwagError
from wigwag.protocols.sip import Request, Response, SipError
from wigwag.protocols.sip.user_agent import (
    BackOff,
    Flow,
    Registered,
    RegistrationEvent,
    RegistrationFailed,
    UserAgent,
    fits_datagram,
)
from wigwag.transport.connector import Connector
from wigwag.transport.errors import ConnectError, ConnectFailure, TransportError
from wigwag.transport.sip_client_options import RegistrationError, SipClientOptions, UnansweredError
from wigwag.transport.sip_flow_keeper import KeptFlow
from wigwag.transport.sip_flows import open_flow
from wigwag.transport.sip_servers import SipLocation

FAREWELL: Final = 4.0
"""Seconds for the registrar to answer at the end."""

Locate = Callable[[], Awaitable[Sequence[SipLocation]]]


class SipLink:
    """The way of one user agent to its server.

    Args:
        agent: Driven from here; what it tells of its registration has to come to ``registration_changed``.
        locate: Returns where the server is, the best address first; asked anew before each attempt.
        connector: Opens connections; its TLS context says whom to trust.
        random: Returns so many unpredictable bytes.
        on_lost: Told when the flow is gone, before another is opened.
        on_change: Told True when the server is reached, and registered with if that is wanted; False when that is over.
        options: How to behave.
    """

    def __init__(
        self,
        agent: UserAgent,
        *,
        locate: Locate,
        connector: Connector,
        random: Callable[[int], bytes],
        on_lost: Callable[[], None],
        on_change: Callable[[bool], None],
        options: SipClientOptions,
    ) -> None:
        self._agent = agent
        self._locate = locate
        self._connector = connector
        self._random = random
        self._on_lost = on_lost
        self._on_change = on_change
        self._register = options.register
        self._loop = asyncio.get_running_loop()
        self._back_off = BackOff(options.first_wait, options.longest_wait, random)
        self._retry_after = 0.0
        self._location: SipLocation | None = None
        self._others = 0
        """Addresses of the server besides the one in use."""
        self._skipped = 0
        self._main: KeptFlow | None = None
        self._large: KeptFlow | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._answered: asyncio.Future[None] = self._loop.create_future()
        self._widening = asyncio.Lock()
        self._up = asyncio.Event()
        self._down = asyncio.Event()
        self._supervisor: asyncio.Task[None] | None = None

    # -- for the user ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Reach the server and register there, at the first of its addresses that lets us.

        Raises:
            RegistrationError: The registrar refuses.
            TransportError: There is no way to the server.
        """
        await self._connect()
        self._supervisor = asyncio.create_task(self._supervise())

    async def wait_lost(self) -> None:
        """Wait until there is no hope any more of getting the registration back.

        Raises:
            RegistrationError: The registrar refuses for good.
        """
        if self._supervisor is not None:
            await asyncio.shield(self._supervisor)

    async def close(self) -> None:
        """Unregister if the registrar answers within 4 seconds, and close what is open."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError, WigwagError):
                await self._supervisor
        self._answered = self._loop.create_future()
        if self._main is not None and self._agent.registration.stop(self._loop.time()):
            self.wake()
            with contextlib.suppress(TimeoutError, RegistrationError):
                await asyncio.wait_for(self._answered, FAREWELL)
        self._close_flows("closed here")
        if self._timer is not None:
            self._timer.cancel()

    @property
    def flow(self) -> Flow | None:
        """The flow to the server; None: there is none at this moment."""
        return self._main.flow if self._main is not None else None

    async def flow_for(self, message: Request) -> Flow:
        """Wait for the server to be there; return the flow that a message goes over (RFC 3261 section 18.1.1).

        Raises:
            RegistrationError: The registrar refuses for good.
            TransportError: There is no connection for a message that is too large for UDP.
            UnansweredError: The server was lost meanwhile.
        """
        await self._wait_up()
        main, location = self._main, self._location
        if main is None or location is None:
            raise UnansweredError("the connection was lost")
        if main.flow.wire.reliable or fits_datagram(message):
            return main.flow
        async with self._widening:
            if self._large is None:
                opened = await open_flow(location.over_tcp(), self, self._connector, self._random)
                opened.flow.routes[:] = main.flow.routes
                self._large = KeptFlow(opened, self._random)
            return self._large.flow

    def leave_location(self) -> bool:
        """Go to the server's next address, if there is one (RFC 3263 section 4.3)."""
        if self._others < 1:
            return False
        self._skipped += 1
        self._close_flows("the server is overloaded")
        self._down.set()
        return True

    def wake(self) -> None:
        """Look at the agent's timers again: it was asked to do something."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._agent.next_timeout()
        if due is not None:
            self._timer = self._loop.call_at(due, self._on_timer)

    def registration_changed(self, event: RegistrationEvent) -> None:
        """Hear from the agent what became of its registration."""
        if isinstance(event, RegistrationFailed):
            self._retry_after = float(event.retry_after or 0)
            self._down.set()
            if not self._answered.done():
                self._answered.set_exception(RegistrationError(event))
            return
        if isinstance(event, Registered) and (event.outbound or event.flow_timer) and self._main is not None:
            self._main.promised(event.flow_timer)
        if not self._answered.done():
            self._answered.set_result(None)

    # -- for flows (FlowUser) ----------------------------------------------------------------------------------------

    def message_received(self, flow: Flow, message: Request | Response) -> None:
        """A message came."""
        self._agent.receive(message, flow, self._loop.time())
        self.wake()

    def broken_received(self, flow: Flow, error: SipError) -> None:
        """Something came that is no message."""
        self._agent.refuse(error, flow)

    def something_received(self, flow: Flow) -> None:
        """The server lives."""
        for each in (self._main, self._large):
            if each is not None and each.flow is flow:
                each.heard()

    def flow_lost(self, flow: Flow, reason: str) -> None:
        """A flow is over."""
        if self._large is not None and flow is self._large.flow:
            self._large = None
        elif self._main is not None and flow is self._main.flow:
            self._close_flows(reason)
            self._down.set()
        self._agent.flow_lost(flow, reason, self._loop.time())
        self.wake()

    # -- getting there -----------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        """Open a flow and register over it, trying the server's addresses one after the other."""
        locations = await self._locate()
        self._others = len(locations) - 1
        error: WigwagError = ConnectError(ConnectFailure.NO_ADDRESS, "the server has no address")
        for _ in range(len(locations)):
            self._location = locations[self._skipped % len(locations)]
            try:
                await self._enter(self._location)
            except (TransportError, RegistrationError) as failure:
                self._close_flows(str(failure))
                if isinstance(failure, RegistrationError) and failure.failure.is_final:
                    raise
                self._skipped += 1
                error = failure
            else:
                self._back_off.succeeded()
                self._up.set()
                self._on_change(True)
                return
        raise error

    async def _enter(self, location: SipLocation) -> None:
        self._down.clear()
        opened = await open_flow(location, self, self._connector, self._random)
        self._main = KeptFlow(opened, self._random)
        if self._register:
            self._answered = self._loop.create_future()
            self._agent.registration.start(opened.flow, self._loop.time())
            self.wake()
            await self._answered
        if self._main is None:
            raise ConnectError(ConnectFailure.REFUSED, f"{location.server_name}: the connection was lost at once")

    async def _supervise(self) -> None:
        """Get the flow and the registration back whenever they are lost."""
        while True:
            await self._down.wait()
            self._close_flows("given up")
            while self._main is None:
                await asyncio.sleep(self._back_off.next_wait(self._retry_after))
                self._retry_after = 0.0
                try:
                    await self._connect()
                except (TransportError, RegistrationError) as error:
                    if isinstance(error, RegistrationError) and error.failure.is_final:
                        raise

    def _close_flows(self, reason: str) -> None:
        flows, self._main, self._large = (self._main, self._large), None, None
        if self._up.is_set():
            self._up.clear()
            self._on_change(False)
        for each in flows:
            if each is not None:
                each.close(reason)
        # A server's nonces are bound to the connection that they came over.
        self._on_lost()

    async def _wait_up(self) -> None:
        """Wait for a flow; raise what the supervisor gave up for."""
        if self._up.is_set():
            return
        if self._supervisor is None:
            raise UnansweredError("the client is not started")
        waiting = asyncio.create_task(self._up.wait())
        try:
            await asyncio.wait((waiting, self._supervisor), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._supervisor.done():
            self._supervisor.result()

    def _on_timer(self) -> None:
        self._timer = None
        self._agent.handle_timeout(self._loop.time())
        self.wake()
