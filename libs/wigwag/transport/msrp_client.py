"""An MSRP client on a real connection: the asyncio shell around the endpoint's engine (RFC 4975, RFC 4976 section 5).

Theory of operation. `MsrpClient` is a channel's receiver. Every byte goes to the engine, ``Connection``. After each
thing that happens the shell writes what the engine has, as long as the channel takes it, and sets one timer. What the
engine reports is handed to one callback, in order, from the event loop's thread; only the end of an AUTH goes to the
one who waits for it.
"""

import asyncio
import math
import ssl
from collections.abc import Callable

from wigwag.errors import NotFoundError, RemoteProtocolError, WigwagError
from wigwag.protocols.msrp import (
    BodySource,
    ByteRange,
    Connection,
    ConnectionGivenUp,
    ConnectionLimits,
    Event,
    FailureReport,
    MsrpUri,
    Path,
    Session,
    SessionTable,
    Status,
)
from wigwag.protocols.msrp.authentication import Authenticated, AuthenticationFailed, RelayAuthentication
from wigwag.transport.channel import Channel
from wigwag.transport.connector import Connector

DEFAULT_PORT = 2855
CLIENT_LIMITS = ConnectionLimits(first_frame_timeout=math.inf)
"""Who asked for the connection knows whom it goes to: a peer that has nothing to say for an hour may stay."""


class AuthenticationError(WigwagError):
    """The relay did not let us in.

    Args:
        reason: Why, fit for a person.
        status: The relay's status code; 408 when there was no answer.
    """

    def __init__(self, reason: str, *, status: int) -> None:
        super().__init__(reason)
        self.status = status


class MsrpClient:
    """One connection to a relay or a peer, and the sessions on it.

    Args:
        random: Returns so many unpredictable bytes.
        on_event: Told what happens: messages, pieces of them, reports, failures. Must not block.
        limits: Bounds and timeouts of the engine; None: ``CLIENT_LIMITS``.
        sessions: The endpoint's sessions, when its connections share them; None: a table of its own.
        on_closed: Told why the connection is over.
    """

    def __init__(
        self,
        *,
        random: Callable[[int], bytes],
        on_event: Callable[[Event], None],
        limits: ConnectionLimits | None = None,
        sessions: SessionTable | None = None,
        on_closed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._random = random
        self._on_event = on_event
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._engine = Connection(random, self._loop.time(), sessions, limits=limits or CLIENT_LIMITS)
        self._channel: Channel | None = None
        self._grant: asyncio.Future[Authenticated | AuthenticationFailed] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._may_send = True
        self._reading = True
        self._flushing = False
        self._closed: asyncio.Future[str] = self._loop.create_future()

    @property
    def engine(self) -> Connection:
        """What its sessions are bound to."""
        return self._engine

    def peer_certificate(self) -> bytes | None:
        """The certificate that the other side has shown, in DER; None: it has shown none, or this is no TLS."""
        return self._channel.peer_certificate() if self._channel is not None else None

    # -- for the user ------------------------------------------------------------------------------------------------

    async def connect(
        self,
        connector: Connector,
        uri: MsrpUri,
        *,
        server_name: str | None = None,
        allow_private: bool = False,
        tls: ssl.SSLContext | None = None,
        check: Callable[[bytes], str | None] | None = None,
    ) -> None:
        """Connect to a relay's or a peer's URI.

        Args:
            connector: Opens the connection; its TLS context says whom to trust.
            uri: Its scheme says whether TLS is spoken, its transport whether over WebSocket (``ws``).
            server_name: Name in the peer's certificate; None: the URI's host.
            allow_private: Lets the connection go to loopback and private addresses.
            tls: In place of the connector's context.
            check: Says why a certificate in DER is not the peer's, in place of its names.

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
            websocket=uri.transport in ("ws", "wss"),
            tls=tls,
            check=check,
        )

    async def authenticate(
        self,
        relay: MsrpUri,
        local_uri: MsrpUri,
        username: str,
        password: str,
        *,
        expires: int | None = None,
        fields: tuple[tuple[str, str], ...] = (),
    ) -> Authenticated:
        """Get a URI at the relay, or extend the grant before it ends (RFC 4976 section 5.1).

        Args:
            relay: The relay's own URI.
            local_uri: The URI that others reach this client by, behind the relay.
            username: The user's name at the relay.
            password: His password.
            expires: Seconds to ask for; None leaves it to the relay.
            fields: More header fields.

        Raises:
            AuthenticationError: The relay refuses, does not answer within 30 s, or the connection is lost.
            ConflictError: An AUTH is under way.
        """
        if self._channel is None:
            raise AuthenticationError("there is no connection to the relay", status=408)
        machine = RelayAuthentication(
            username, password, (relay,), local_uri, expires=expires, fields=fields, random=self._random
        )
        self._engine.authenticate(machine, self._loop.time())
        self._grant = self._loop.create_future()
        self._flush()
        outcome = await self._grant
        if isinstance(outcome, AuthenticationFailed):
            raise AuthenticationError(outcome.reason, status=outcome.status)
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
        self.take_session(session)
        return session

    def take_session(self, session: Session) -> None:
        """Carry a session over this connection, or expect it when it is passive.

        Raises:
            ConflictError: Its URI is in use.
        """
        self._engine.add_session(session)
        self._flush()

    def activate_session(self, session: Session) -> None:
        """Send first in a passive session whose peer has sent nothing yet."""
        self._engine.activate_session(session)
        self._flush()

    def end_session(self, session: Session) -> None:
        """End a session, as signalling says; what becomes of its messages is told."""
        self._run(lambda engine: engine.end_session(session))

    def accept_message(self, session: Session, message_id: str) -> bool:
        """Answer 200 to a message of a session with ``deferred_acceptance``; False: there is nobody to be told."""
        told = self._engine.accept_message(session, message_id)
        self._flush_soon()
        return told

    def refuse_message(self, session: Session, message_id: str, status: int, comment: str | None = None) -> None:
        """Refuse a message (see ``Connection.refuse_message``); what nobody waits for any more is left alone."""
        try:
            self._run(lambda engine: engine.refuse_message(session, message_id, status, comment))
        except NotFoundError:
            return

    def send_report(
        self, session: Session, message_id: str, to_path: Path, byte_range: ByteRange | None, status: Status
    ) -> None:
        """Send a REPORT on a message that came (see ``Connection.send_report``).

        Raises:
            LocalProtocolError: The comment would break the grammar.
        """
        self._engine.send_report(session, message_id, to_path, byte_range, status)
        self._flush_soon()

    def abort_message(self, session: Session, message_id: str) -> None:
        """Send nothing more of a message.

        Raises:
            NotFoundError: Its end is known already.
        """
        self._engine.abort_message(session, message_id)
        self._flush()

    def hold_reading(self, *, on: bool) -> None:
        """Read no more from the peer for now: the application has enough to do; or read again."""
        now = self._loop.time()
        (self._engine.pause_reading if on else self._engine.resume_reading)(now)
        self._flush()

    def send_message(
        self,
        session: Session,
        content_type: str,
        body: bytes | BodySource,
        *,
        total: int | None = None,
        success_report: bool = False,
        failure_report: FailureReport = FailureReport.YES,
        message_id: str | None = None,
        fields: tuple[tuple[str, str], ...] = (),
    ) -> str:
        """Begin to send a message; returns its Message-ID, under which events tell what becomes of it.

        Args:
            session: A session of this connection.
            content_type: Media type.
            body: The body, or a file that is read piece by piece as the connection takes it.
            total: Length of a body that is read from a file, if known.
            success_report: Ask the receiver to report arrival.
            failure_report: Which failures to be told of.
            message_id: 4 to 32 characters; None: a fresh one.
            fields: More header fields.

        Raises:
            ConflictError: The session has failed or ended, or the Message-ID is on its way.
        """
        message_id = self._engine.send_message(
            session,
            content_type,
            body,
            total=total,
            success_report=success_report,
            failure_report=failure_report,
            message_id=message_id,
            fields=fields,
        )
        self._flush_soon()
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
        self._set_timer(self._engine.next_timeout())

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
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
        for event in self._engine.connection_lost():
            self._hand_over(event)
        if not self._closed.done():
            self._closed.set_result(reason)
        self._on_closed(reason)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _run(self, work: Callable[[Connection], list[Event]]) -> None:
        try:
            events = work(self._engine)
        except RemoteProtocolError as error:
            self._abort(error.reason)
            return
        for event in events:
            self._hand_over(event)
        self._flush()
        given_up = next((event for event in events if isinstance(event, ConnectionGivenUp)), None)
        if given_up is not None and self._channel is not None:
            self._channel.close(given_up.reason)

    def _hand_over(self, event: Event) -> None:
        if not isinstance(event, Authenticated | AuthenticationFailed):
            self._on_event(event)
        elif not self._grant.done():
            self._grant.set_result(event)

    def _flush_soon(self) -> None:
        """Flush once in this turn of the loop, however many messages it has."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write what the engine has as long as the channel takes it, then set timer and reading."""
        self._flushing = False
        engine = self._engine
        if self._channel is None:
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

    def _abort(self, reason: str) -> None:
        if self._channel is not None:
            self._channel.abort(reason)
