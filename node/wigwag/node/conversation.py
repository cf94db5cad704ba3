"""Two participants of the demo: what each sent, received and was told, checked octet by octet."""

import asyncio
import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

from wigwag.errors import WigwagError
from wigwag.protocols.msrp import (
    ConnectionGivenUp,
    DataReceived,
    DeliveryFailed,
    DeliverySucceeded,
    DeliveryUnconfirmed,
    Event,
    MessageAborted,
    MessageCompleted,
    MessageReceived,
    MessageStarted,
    MsrpUri,
    Path,
    Session,
    SessionFailed,
)
from wigwag.transport.connector import Connector
from wigwag.transport.msrp_client import AuthenticationError, MsrpClient

Item = TypeVar("Item")

PATIENCE = 30.0
"""Seconds without any progress after which the demo has failed."""
_PIECE = 1_048_576


class DemoFailedError(WigwagError):
    """Something was not as it has to be; the text says what differs."""


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A whole message: its text, or for one that came in pieces its length and hash."""

    content_type: str
    octets: int
    sha256: str


class Participant:
    """One client with one session.

    Args:
        name: The user's name.
        random: Returns so many unpredictable bytes.
        on_progress: Told how many octets of a large message have come.
    """

    def __init__(
        self, name: str, *, random: Callable[[int], bytes], on_progress: Callable[[int], None] = lambda octets: None
    ) -> None:
        self.name = name
        self.path: Path = ()
        self._use_path: Path = ()
        self._random = random
        self._on_progress = on_progress
        self._client = MsrpClient(random=random, on_event=self._on_event)
        self._session: Session | None = None
        self._received: asyncio.Queue[ReceivedMessage] = asyncio.Queue()
        self._reports: asyncio.Queue[DeliverySucceeded] = asyncio.Queue()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._large: _LargeMessage | None = None
        self._last_progress = 0.0

    async def join(self, connector: Connector, relay: MsrpUri, password: str) -> None:
        """Connect to the relay and AUTH; ``path`` is what a peer sends to afterwards.

        Raises:
            ConnectError: No connection.
            DemoFailedError: The relay refused.
        """
        await self._client.connect(connector, relay, allow_private=True)
        # The host of an endpoint behind a relay is reached by nobody (RFC 4976 section 5.1).
        local = MsrpUri.parse(f"msrps://{self.name}.invalid:2855/{self._random(10).hex()};tcp")
        try:
            granted = await self._client.authenticate(relay, local, self.name, password)
        except AuthenticationError as error:
            raise DemoFailedError(f"{self.name} was not let in: {error} ({error.status})") from error
        # Use-Path is in the order of our To-Path; a peer goes through the same relays from the other end.
        self.path = (*reversed(granted.use_path), local)
        self._use_path = granted.use_path

    def talk_to(self, other: "Participant", *, passive: bool) -> None:
        """Begin the session, as two clients do once they have exchanged their paths by SDP."""
        self._session = self._client.open_session(self.path[-1], (*self._use_path, *other.path), passive=passive)

    def send_text(self, text: str) -> None:
        """Send a text and ask for a success report."""
        self._client.send_message(self._opened(), "text/plain", text.encode(), success_report=True)

    def send_file(self, file: BinaryIO, octets: int) -> None:
        """Send a file, read piece by piece, and ask for a success report."""
        self._client.send_message(self._opened(), "application/octet-stream", file, total=octets, success_report=True)

    async def received(self) -> ReceivedMessage:
        """Return the next message.

        Raises:
            DemoFailedError: Nothing moves any more, or the session failed.
        """
        return await self._next(self._received, "a message")

    async def reported(self, octets: int) -> None:
        """Wait until a success report covers the message sent.

        Raises:
            DemoFailedError: It covers something else, or does not come.
        """
        report = await self._next(self._reports, "a success report")
        if report.total != octets:
            raise DemoFailedError(f"{self.name}: the success report covers {report.total} octets of {octets}")

    async def leave(self) -> None:
        """Close the connection."""
        if not self._failure.done() or self._failure.exception() is None:
            self._failure.cancel()
        await self._client.close()

    def _opened(self) -> Session:
        if self._session is None:
            raise DemoFailedError(f"{self.name} has no session")
        return self._session

    async def _next(self, queue: "asyncio.Queue[Item]", what: str) -> Item:
        """Return the queue's next item unless the session fails or nothing happens for too long."""
        loop = asyncio.get_running_loop()
        self._last_progress = loop.time()
        getting = asyncio.ensure_future(queue.get())
        try:
            while not getting.done():
                patience = self._last_progress + PATIENCE - loop.time()
                if patience <= 0:
                    raise DemoFailedError(f"{self.name}: {what} did not come; nothing moved for {PATIENCE:g} s")
                await asyncio.wait((getting, self._failure), timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if self._failure.done():
                    self._failure.result()
            return getting.result()
        finally:
            getting.cancel()

    def _on_event(self, event: Event) -> None:
        self._last_progress = asyncio.get_running_loop().time()
        match event:
            case MessageReceived():
                digest = hashlib.sha256(event.body).hexdigest()
                self._received.put_nowait(ReceivedMessage(event.content_type, len(event.body), digest))
            case MessageStarted():
                self._large = _LargeMessage(event.content_type)
            case DataReceived():
                if self._large is not None:
                    self._on_progress(self._large.write(event.offset, event.data))
            case MessageCompleted():
                if self._large is not None:
                    self._received.put_nowait(self._large.finished(event.total))
                    self._large = None
            case DeliverySucceeded():
                self._reports.put_nowait(event)
            case DeliveryFailed() | DeliveryUnconfirmed() | SessionFailed() | MessageAborted() | ConnectionGivenUp():
                self._fail(str(event))
            case _:
                pass

    def _fail(self, reason: str) -> None:
        if not self._failure.done():
            self._failure.set_exception(DemoFailedError(f"{self.name}: {reason}"))


class _LargeMessage:
    """A message that comes in pieces, kept in a file without a name."""

    def __init__(self, content_type: str) -> None:
        self._content_type = content_type
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed in finished()
        self._octets = 0

    def write(self, offset: int, data: bytes) -> int:
        """Take a piece; return how many octets have come, whatever their place."""
        self._file.seek(offset)
        self._file.write(data)
        self._octets += len(data)
        return self._octets

    def finished(self, total: int) -> ReceivedMessage:
        """Return what came, cut at ``total`` octets."""
        digest = hashlib.sha256()
        with self._file as file:
            file.truncate(total)
            octets = file.seek(0, 2)
            file.seek(0)
            while piece := file.read(_PIECE):
                digest.update(piece)
        return ReceivedMessage(self._content_type, octets, digest.hexdigest())
