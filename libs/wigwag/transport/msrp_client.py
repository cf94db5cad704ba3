"""An MSRP client on a real connection: the asyncio shell around the endpoint's engine (RFC 4975, RFC 4976 section 5).

Theory of operation. `MsrpClient` is a channel's receiver. First, if there is a relay, one AUTH is played; until it is
over every response goes to ``RelayAuthentication``. From then on every byte goes to the engine, ``Connection``. After
each thing that happens the shell writes what the engine has, as long as the channel takes it, and sets one timer. What
the engine reports is handed to one callback, in order, from the event loop's thread.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace

from wigwag.errors import ConflictError, RemoteProtocolError, WigwagError
from wigwag.protocols.msrp import (
    BodySource,
    Connection,
    ConnectionGivenUp,
    ConnectionLimits,
    Event,
    FailureReport,
    FrameEnded,
    FrameParser,
    HeadReceived,
    MsrpUri,
    Path,
    ResponseHead,
    Session,
)
from wigwag.protocols.msrp.authentication import Authenticated, AuthenticationFailed, RelayAuthentication
from wigwag.transport.channel import Channel
from wigwag.transport.connector import Connector

AUTH_TIMEOUT = 30.0
"""Seconds that a relay may take for a whole AUTH."""
DEFAULT_PORT = 2855


class AuthenticationError(WigwagError):
    """The relay did not let us in.

    Args:
        reason: Why, fit for a person.
        status: The relay's status code; None when there was no answer.
    """

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class MsrpClient:
    """One connection to a relay or a peer, and the sessions on it.

    Args:
        random: Returns so many unpredictable bytes.
        on_event: Told what happens: messages, pieces of them, reports, failures. Must not block.
        limits: Bounds and timeouts of the engine.
    """

    def __init__(
        self,
        *,
        random: Callable[[int], bytes],
        on_event: Callable[[Event], None],
        limits: ConnectionLimits | None = None,
    ) -> None:
        self._random = random
        self._on_event = on_event
        self._limits = limits or ConnectionLimits()
        self._loop = asyncio.get_running_loop()
        self._channel: Channel | None = None
        self._engine: Connection | None = None
        self._authentication: _OpenAuthentication | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._may_send = True
        self._reading = True
        self._closed: asyncio.Future[str] = self._loop.create_future()

    # -- for the user ------------------------------------------------------------------------------------------------

    async def connect(
        self, connector: Connector, uri: MsrpUri, *, server_name: str | None = None, allow_private: bool = False
    ) -> None:
        """Connect to a relay's or a peer's URI.

        Args:
            connector: Opens the connection; its TLS context says whom to trust.
            uri: Its scheme says whether TLS is spoken.
            server_name: Name in the peer's certificate; None: the URI's host.
            allow_private: Lets the connection go to loopback and private addresses.

        Raises:
            ConnectError: No connection.
        """
        await connector.connect(
            uri.host,
            uri.port or DEFAULT_PORT,
            secure=uri.scheme == "msrps",
            receiver=self,
            server_name=server_name,
            allow_private=allow_private,
        )

    async def authenticate(
        self, relay: MsrpUri, local_uri: MsrpUri, username: str, password: str, *, expires: int | None = None
    ) -> Authenticated:
        """Get a URI at the relay (RFC 4976 section 5.1); comes before the first session.

        Args:
            relay: The relay's own URI.
            local_uri: The URI that others reach this client by, behind the relay.
            username: The user's name at the relay.
            password: His password.
            expires: Seconds to ask for; None leaves it to the relay.

        Raises:
            AuthenticationError: The relay refuses, does not answer within 30 s, or the connection is lost.
        """
        if self._engine is not None or self._authentication is not None:
            raise ConflictError("AUTH comes once, before the first session")
        machine = RelayAuthentication(username, password, (relay,), local_uri, expires=expires, random=self._random)
        self._authentication = _OpenAuthentication(machine, self._loop.create_future())
        self._send([machine.start()])
        try:
            async with asyncio.timeout(AUTH_TIMEOUT):
                outcome = await self._authentication.outcome
        except TimeoutError:
            raise AuthenticationError(f"the relay did not answer within {AUTH_TIMEOUT:g} s") from None
        finally:
            self._authentication = None
        if isinstance(outcome, AuthenticationFailed):
            raise AuthenticationError(f"the relay answered {outcome.status}: {outcome.reason}", status=outcome.status)
        return outcome

    def open_session(self, local_uri: MsrpUri, remote_path: Path, *, passive: bool = False) -> Session:
        """Begin a session over this connection.

        Args:
            local_uri: Our URI.
            remote_path: Our relays' URIs, then the peer's path.
            passive: Whether the peer sends first; he has to reach us over this connection.

        Raises:
            ConflictError: The URI is in use.
        """
        session = Session(local_uri=local_uri, remote_path=remote_path, passive=passive)
        self._running_engine().add_session(session)
        self._flush()
        return session

    def send_message(
        self,
        session: Session,
        content_type: str,
        body: bytes | BodySource,
        *,
        total: int | None = None,
        success_report: bool = False,
        failure_report: FailureReport = FailureReport.YES,
    ) -> str:
        """Begin to send a message; returns its Message-ID, under which events tell what becomes of it.

        Args:
            session: A session of this connection.
            content_type: Media type.
            body: The body, or a file that is read piece by piece as the connection takes it.
            total: Length of a body that is read from a file, if known.
            success_report: Ask the receiver to report arrival.
            failure_report: Which failures to be told of.

        Raises:
            ConflictError: The session has failed or ended.
        """
        message_id = self._running_engine().send_message(
            session,
            content_type,
            body,
            total=total,
            success_report=success_report,
            failure_report=failure_report,
        )
        self._flush()
        return message_id

    async def close(self, reason: str = "closed here") -> None:
        """Close the connection after what is still to be written; sessions on it end."""
        if self._channel is not None:
            self._channel.close(reason)
            await asyncio.shield(self._closed)

    async def wait_closed(self) -> str:
        """Return why the connection is over, once it is."""
        return await asyncio.shield(self._closed)

    # -- for the channel (Receiver) ----------------------------------------------------------------------------------

    def connected(self, channel: Channel) -> None:
        """The connection stands."""
        self._channel = channel

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._authentication is not None and not self._authentication.outcome.done():
            data = self._authenticating(self._authentication, data)
        if data:
            self._run(lambda engine: engine.receive_data(data, self._loop.time()))

    def pause_sending(self) -> None:
        """The channel takes nothing more for now."""
        self._may_send = False

    def resume_sending(self) -> None:
        """The channel takes more."""
        self._may_send = True
        self._flush()

    def disconnected(self, reason: str) -> None:
        """The connection is over."""
        self._channel = None
        if self._timer is not None:
            self._timer.cancel()
        if self._authentication is not None and not self._authentication.outcome.done():
            self._authentication.outcome.set_exception(AuthenticationError(f"connection lost during AUTH: {reason}"))
        if self._engine is not None:
            for event in self._engine.connection_lost():
                self._on_event(event)
        if not self._closed.done():
            self._closed.set_result(reason)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _authenticating(self, authentication: "_OpenAuthentication", data: bytes) -> bytes:
        """Give the AUTH its responses; returns what is left once it is over."""
        try:
            answers, rest = authentication.receive(data)
        except RemoteProtocolError as error:
            self._abort(f"relay broke the protocol during AUTH: {error.reason}")
            return b""
        self._send(answers)
        return rest

    def _running_engine(self) -> Connection:
        if self._engine is None:
            limits = self._limits
            # A relay may have nothing to say for hours; it has answered the AUTH, so it is there.
            limits = replace(limits, first_frame_timeout=math.inf)
            self._engine = Connection(self._random, self._loop.time(), limits=limits)
        return self._engine

    def _run(self, work: Callable[[Connection], list[Event]]) -> None:
        try:
            events = work(self._running_engine())
        except RemoteProtocolError as error:
            self._abort(error.reason)
            return
        for event in events:
            self._on_event(event)
        self._flush()
        given_up = next((event for event in events if isinstance(event, ConnectionGivenUp)), None)
        if given_up is not None and self._channel is not None:
            self._channel.close(given_up.reason)

    def _flush(self) -> None:
        """Write what the engine has as long as the channel takes it, then set timer and reading."""
        engine = self._engine
        if engine is None or self._channel is None:
            return
        while self._may_send and (frames := engine.data_to_send(self._loop.time())):
            self._channel.send(frames)
        if engine.congested == self._reading:
            self._reading = not engine.congested
            (self._channel.resume_reading if self._reading else self._channel.pause_reading)()
        self._set_timer(engine.next_timeout())

    def _set_timer(self, deadline: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if deadline is not None and math.isfinite(deadline):
            self._timer = self._loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._run(lambda engine: engine.handle_timeout(self._loop.time()))

    def _send(self, frames: list[bytes]) -> None:
        if self._channel is not None and frames:
            self._channel.send(frames)

    def _abort(self, reason: str) -> None:
        if self._channel is not None:
            self._channel.abort(reason)


class _OpenAuthentication:
    """An AUTH that waits for responses."""

    def __init__(
        self, machine: RelayAuthentication, outcome: "asyncio.Future[Authenticated | AuthenticationFailed]"
    ) -> None:
        self.outcome = outcome
        self._machine = machine
        self._parser = FrameParser()
        self._head: ResponseHead | None = None

    def receive(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Take bytes; return what to answer and, once the AUTH is over, the bytes after it.

        Raises:
            RemoteProtocolError: The peer broke the protocol.
        """
        answers: list[bytes] = []
        position = 0
        while position < len(data) and not self.outcome.done():
            events, position = self._parser.feed(data, position)
            for event in events:
                if isinstance(event, HeadReceived):
                    self._head = event.head if isinstance(event.head, ResponseHead) else None
                elif isinstance(event, FrameEnded) and self._head is not None:
                    answers += self._respond(self._head)
        return answers, data[position:]

    def _respond(self, head: ResponseHead) -> list[bytes]:
        if head.transaction_id != self._machine.transaction_id:
            return []
        outcome = self._machine.receive(head)
        if isinstance(outcome, bytes):
            return [outcome]
        self.outcome.set_result(outcome)
        return []
