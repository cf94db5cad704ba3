"""An MSRP endpoint over a real TCP connection: the engine of ``wigwag.protocols.msrp`` with asyncio around it."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from tests.support.waiting import until
from wigwag.protocols.msrp import (
    Authenticated,
    AuthenticationFailed,
    Connection,
    ConnectionLimits,
    DataReceived,
    Event,
    MessageReceived,
    MsrpUri,
    Path,
    RelayAuthentication,
    Session,
)

WAIT = 10.0
"""Seconds until a test gives up waiting for the other end."""
_READ = 65_536

Kind = TypeVar("Kind", bound=Event)


class AuthError(Exception):
    """A relay refused."""


class MsrpClient:
    """One endpoint, connected to a relay.

    Its URI names the address that its connection really comes from: some relays find connections by address only.

    Args:
        reader: From the relay.
        writer: To the relay.
        relay: The relay's URI, To-Path of AUTH.
        limits: How it writes.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, relay: MsrpUri, limits: ConnectionLimits
    ) -> None:
        host, port = writer.get_extra_info("sockname")[:2]
        self.uri = MsrpUri.parse(f"msrp://{host}:{port}/{secrets.token_hex(8)};tcp")
        self.relay = relay
        self.use_path: Path = ()
        self.events: list[Event] = []
        self._loop = asyncio.get_running_loop()
        self._reader = reader
        self._writer = writer
        self.connection = Connection(secrets.token_bytes, self._loop.time(), limits=limits)

    @property
    def path(self) -> Path:
        """What this endpoint tells its peer: ``a=path`` (RFC 4976 section 5.1)."""
        return (*reversed(self.use_path), self.uri)

    async def authenticate(self, username: str, password: str, *relays: MsrpUri) -> None:
        """AUTH at the relay, then through what was granted so far at each of ``relays`` (RFC 4976 section 5.1).

        Raises:
            AuthError: A relay refused, or did not answer.
        """
        for relay in relays or (self.relay,):
            seen = len(self.events)
            machine = RelayAuthentication(
                username, password, (*self.use_path, relay), self.uri, random=secrets.token_bytes
            )
            self.connection.authenticate(machine, self._loop.time())
            await self._flush()
            outcome = await self.event(Authenticated, AuthenticationFailed, since=seen)
            if isinstance(outcome, AuthenticationFailed):
                raise AuthError(f"{relay}: {outcome.status} {outcome.reason}")
            assert isinstance(outcome, Authenticated)
            self.use_path = self._extended(outcome.use_path)

    def _extended(self, granted: Path) -> Path:
        """Put what was granted behind what we have: there are relays that name only themselves in Use-Path."""
        known = [uri.key for uri in self.use_path]
        if [uri.key for uri in granted[: len(known)]] == known:
            return granted
        return (*self.use_path, *granted)

    async def open_session(self, peer_path: Path, *, passive: bool) -> Session:
        """Begin a session with a peer; the one that is not ``passive`` sends first (RFC 4975 section 5.4)."""
        session = Session(local_uri=self.uri, remote_path=(*self.use_path, *peer_path), passive=passive)
        self.connection.add_session(session)
        await self._flush()
        return session

    async def send(self, session: Session, body: bytes, *, success_report: bool = False) -> str:
        """Send a text; returns its Message-ID."""
        message_id = self.connection.send_message(session, "text/plain", body, success_report=success_report)
        await self._flush()
        return message_id

    async def write(self, frame: bytes) -> None:
        """Write a frame that the engine knows nothing of."""
        self._writer.write(frame)
        await self._writer.drain()

    async def event(self, *kinds: type[Kind], since: int = 0, message_id: str | None = None) -> Kind:
        """Wait for an event of one of the kinds; ``message_id`` narrows it down.

        Raises:
            AssertionError: It did not come within ``WAIT`` seconds; the text says what did.
        """

        def found() -> Kind | None:
            for event in self.events[since:]:
                if isinstance(event, kinds) and message_id in (None, getattr(event, "message_id", None)):
                    return event
            return None

        try:
            await until(found, WAIT)
        except AssertionError as error:
            names = [type(event).__name__ for event in self.events]
            raise AssertionError(f"no {' or '.join(kind.__name__ for kind in kinds)} among {names}") from error
        event = found()
        assert event is not None
        return event

    async def received(self, message_id: str) -> bytes:
        """Wait for a message that is small enough to be handed over whole."""
        return (await self.event(MessageReceived, message_id=message_id)).body

    def octets(self, message_id: str) -> bytes:
        """Return what has come of a large message, its pieces where they belong."""
        pieces = [event for event in self.events if isinstance(event, DataReceived) and event.message_id == message_id]
        whole = bytearray(max((piece.offset + len(piece.data) for piece in pieces), default=0))
        for piece in pieces:
            whole[piece.offset : piece.offset + len(piece.data)] = piece.data
        return bytes(whole)

    async def run(self) -> None:
        """Read until the relay closes the connection."""
        while data := await self._reader.read(_READ):
            self.events += self.connection.receive_data(data, self._loop.time())
            await self._flush()

    async def _flush(self) -> None:
        while frames := self.connection.data_to_send(self._loop.time()):
            self._writer.writelines(frames)
            await self._writer.drain()
        self.events += self.connection.handle_timeout(self._loop.time())


@asynccontextmanager
async def connected(relay: str, limits: ConnectionLimits | None = None) -> AsyncIterator[MsrpClient]:
    """Connect an endpoint to a relay until the block ends."""
    uri = MsrpUri.parse(relay)
    reader, writer = await asyncio.open_connection(uri.host, uri.port)
    client = MsrpClient(reader, writer, uri, limits or ConnectionLimits())
    reading = asyncio.create_task(client.run())
    try:
        yield client
    finally:
        reading.cancel()
        writer.transport.abort()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await reading
        with contextlib.suppress(OSError):
            await writer.wait_closed()
