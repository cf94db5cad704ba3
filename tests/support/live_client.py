"""An MSRP client of our own making for whole flows: real sockets, and every byte in the test's hands."""

import asyncio
import contextlib
import hashlib
import itertools
import os
import ssl
from dataclasses import dataclass, field
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.support.msrp import request_frame, send_frame
from tests.support.waiting import until
from wigwag.protocols.msrp import (
    BodyReceived,
    FailureReport,
    FrameEnded,
    FrameParser,
    HeadReceived,
    MsrpUri,
    RequestHead,
    ResponseHead,
)
from wigwag.protocols.msrp.authentication import Authenticated, RelayAuthentication

PATIENCE = 20.0
"""Seconds until something that has to happen counts as not happening."""
KEPT_BODY = 65_536
"""Bytes of a message's body that are kept beside its hash."""
_READ = 262_144
_numbers = itertools.count(1)


class Wire(Protocol):
    """A connection that carries MSRP frames."""

    async def send(self, data: bytes) -> None:
        """Write, waiting for room."""

    async def receive(self) -> bytes:
        """Return what comes next; nothing at the end."""

    async def close(self) -> None:
        """End it."""


class StreamWire:
    """TCP or TLS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self) -> bytes:
        try:
            return await self._reader.read(_READ)
        except OSError:
            return b""

    async def close(self) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class WebSocketWire:
    """One frame, one message (RFC 7977 section 4.2)."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, data: bytes) -> None:
        try:
            await self._connection.send(data)
        except ConnectionClosed as error:
            raise ConnectionResetError(str(error)) from error

    async def receive(self) -> bytes:
        try:
            return await self._connection.recv(decode=False)
        except ConnectionClosed:
            return b""

    async def close(self) -> None:
        await self._connection.close()


async def open_wire(kind: str, host: str, port: int, tls: ssl.SSLContext | None, name: str | None = None) -> Wire:
    """Connect to a listener of that kind; ``name`` is the one that its certificate has to carry."""
    if kind in ("ws", "wss"):
        connection = await connect(
            f"{kind}://{host}:{port}/",
            subprotocols=[Subprotocol("msrp")],
            ssl=tls if kind == "wss" else None,
            server_hostname=name if kind == "wss" else None,
            compression=None,
            proxy=None,
        )
        return WebSocketWire(connection)
    secure = kind in ("tls", "peer")
    reader, writer = await asyncio.open_connection(
        host, port, ssl=tls if secure else None, server_hostname=name if secure else None, limit=_READ
    )
    return StreamWire(reader, writer)


@dataclass
class Received:
    """A message as it comes, chunk after chunk; of a large one only the hash is kept."""

    head: RequestHead
    octets: int = 0
    hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    body: bytes = b""
    flags: str = ""

    def take(self, data: bytes) -> None:
        self.octets += len(data)
        self.hash.update(data)
        if self.octets <= KEPT_BODY:
            self.body += data


class LiveClient:
    """One connection to a relay, and the session that was AUTHed on it.

    Args:
        wire: The connection.
        uri: The client's own URI.
    """

    def __init__(self, wire: Wire, uri: str) -> None:
        self.wire = wire
        self.uri = uri
        self.use_path = ""
        self.received: dict[str, Received] = {}
        """SENDs by Message-ID."""
        self.responses: dict[str, ResponseHead] = {}
        """Responses by transaction identifier."""
        self.reports: list[RequestHead] = []
        self.closed = False
        self.answering = True
        """Whether SENDs are answered 200."""
        self._incoming: RequestHead | ResponseHead | None = None
        self.reading = asyncio.ensure_future(self._read())
        """Ends with the connection."""

    # Reading

    async def _read(self) -> None:
        parser = FrameParser()
        while data := await self.wire.receive():
            position, answers = 0, b""
            while position < len(data):
                events, position = parser.feed(data, position)
                for event in events:
                    answers += self._take(event)
            if answers:
                with contextlib.suppress(OSError):
                    await self.wire.send(answers)
        self.closed = True

    def _take(self, event: object) -> bytes:
        match event:
            case HeadReceived(head=head):
                self._incoming = head
                if isinstance(head, RequestHead) and head.method == "SEND":
                    self.received.setdefault(head.message_id or "", Received(head))
            case BodyReceived(data=data) if isinstance(self._incoming, RequestHead):
                self.received[self._incoming.message_id or ""].take(data)
            case FrameEnded(flag=flag):
                return self._end(flag)
            case _:
                raise AssertionError(f"the relay wrote {event}")
        return b""

    def _end(self, flag: str) -> bytes:
        head, self._incoming = self._incoming, None
        if isinstance(head, ResponseHead):
            self.responses[head.transaction_id] = head
        elif head is not None and head.method == "REPORT":
            self.reports.append(head)
        elif head is not None:
            self.received[head.message_id or ""].flags += flag
            if self.answering and head.failure_report is not FailureReport.NO:
                return response_to(head)
        return b""

    # Writing

    async def write(self, data: bytes) -> None:
        """Write bytes as they are."""
        await self.wire.send(data)

    async def answered(self, transaction_id: str) -> ResponseHead:
        """Wait for a response."""
        await until(lambda: transaction_id in self.responses or self.closed, PATIENCE)
        assert transaction_id in self.responses, f"{self.uri}: closed before the response"
        return self.responses[transaction_id]

    async def authenticate(self, relay_uri: str, username: str, password: str) -> "LiveClient":
        """AUTH, and fail unless the relay grants a URI."""
        assert await self.auth(relay_uri, username, password) == 200
        return self

    async def auth(self, relay_uri: str, username: str, password: str) -> int:
        """AUTH to the end; returns the last status, 0 when the relay closed instead of answering."""
        machine = RelayAuthentication(
            username, password, (MsrpUri.parse(relay_uri),), MsrpUri.parse(self.uri), random=os.urandom
        )
        request = machine.start()
        while True:
            transaction_id = machine.transaction_id
            with contextlib.suppress(OSError):
                await self.write(request)
            await until(lambda: transaction_id in self.responses or self.closed, PATIENCE)  # noqa: B023
            if transaction_id not in self.responses:
                return 0
            outcome = machine.receive(self.responses[transaction_id])
            if isinstance(outcome, bytes):
                request = outcome
                continue
            if isinstance(outcome, Authenticated):
                self.use_path = " ".join(map(str, outcome.use_path))
                return 200
            return outcome.status

    def path_to(self, other: "LiveClient") -> str:
        """To-Path of what this client sends to another client of the same relay."""
        return f"{self.use_path} {other.path}"

    @property
    def path(self) -> str:
        """The path by which others reach this client."""
        return f"{self.use_path} {self.uri}"

    async def send(self, to_path: str, body: bytes | None = b"hello", **how: object) -> tuple[str, int]:
        """SEND one message in one chunk; returns its Message-ID and the status of the answer."""
        number = next(_numbers)
        message_id = str(how.pop("message_id", f"message{number}"))
        frame = send_frame(
            body, tid=f"tid{number}x", message_id=message_id, to_path=to_path, from_path=self.uri,
            **how,  # type: ignore[arg-type]
        )  # fmt: skip
        await self.write(frame)
        return message_id, (await self.answered(f"tid{number}x")).status_code

    async def refused(self, to_path: str) -> int:
        """SEND what can't be forwarded; returns why, as the answer or else a REPORT says."""
        message_id, status = await self.send(to_path)
        return status if status != 200 else status_of(await self.report(message_id))

    async def request(self, method: str, to_path: str, headers: tuple[str, ...] = ()) -> str:
        """Write a request without a body; returns its transaction identifier."""
        transaction_id = f"tid{next(_numbers)}x"
        await self.write(request_frame(method, transaction_id, headers, to_path=to_path, from_path=self.uri))
        return transaction_id

    async def message(self, message_id: str) -> Received:
        """Wait for a complete message."""
        await until(lambda: message_id in self.received and self.received[message_id].flags.endswith("$"), PATIENCE)
        return self.received[message_id]

    async def report(self, message_id: str) -> RequestHead:
        """Wait for a REPORT about a message."""

        def found() -> RequestHead | None:
            return next((report for report in self.reports if report.message_id == message_id), None)

        await until(found, PATIENCE)
        report = found()
        assert report is not None
        return report

    async def until_closed(self) -> None:
        """Wait until the relay has closed the connection."""
        await until(lambda: self.closed, PATIENCE)

    async def close(self) -> None:
        """End the connection."""
        await self.wire.close()
        self.reading.cancel()
        await asyncio.gather(self.reading, return_exceptions=True)


def response_to(head: RequestHead, status: str = "200 OK") -> bytes:
    """Return the response of a receiver, to the previous hop."""
    tid = head.transaction_id
    return (
        f"MSRP {tid} {status}\r\nTo-Path: {head.from_path[0]}\r\nFrom-Path: {head.to_path[0]}\r\n-------{tid}$\r\n"
    ).encode()


def status_of(report: RequestHead) -> int:
    """Return the MSRP status that a REPORT carries."""
    assert report.status is not None
    return report.status.code
