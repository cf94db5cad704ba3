"""An MSRP client on real sockets that builds every frame by hand and so can send malformed ones.

Deliberately simple and independent of the engine: what it accepts and sends is written out here.
"""

import asyncio
import contextlib
import hashlib
import itertools
import re
import ssl
from dataclasses import dataclass
from typing import Literal, Self

DEADLINE = 5.0
"""Seconds within which the other side has to do what is expected of it."""

_CNONCE = "5f1c0de5"
_numbers = itertools.count(1)


class ClosedByPeerError(Exception):
    """The connection ended where a frame was expected; ``rest`` holds the bytes that came last."""

    def __init__(self, rest: bytes) -> None:
        super().__init__(f"closed by the peer after {rest!r}")
        self.rest = rest


class AuthRefusedError(Exception):
    """AUTH was answered with something else than 200; ``frame`` is the answer."""

    def __init__(self, frame: "Frame") -> None:
        super().__init__(f"AUTH was answered {frame.status} {frame.comment}")
        self.frame = frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame as it came: a request has a ``method``, a response a ``status``."""

    transaction_id: str
    method: str | None
    status: int | None
    comment: str
    fields: tuple[tuple[str, str], ...]
    body: bytes | None
    """None when the frame has no body at all, as against an empty one."""
    flag: str
    raw: bytes

    def get(self, name: str) -> str | None:
        """Return the first value of a header field."""
        return next(iter(self.get_all(name)), None)

    def get_all(self, name: str) -> list[str]:
        """Return all values of a header field, in order."""
        return [value for field, value in self.fields if field.lower() == name.lower()]

    @property
    def to_path(self) -> list[str]:
        """The URIs of To-Path."""
        return (self.get("To-Path") or "").split()

    @property
    def from_path(self) -> list[str]:
        """The URIs of From-Path."""
        return (self.get("From-Path") or "").split()


def frame(
    start: str,
    *,
    to_path: str,
    from_path: str,
    fields: tuple[str, ...] = (),
    body: bytes | None = None,
    flag: str = "$",
) -> bytes:
    """Build a frame.

    Args:
        start: What follows ``MSRP`` in the start line: ``abcd SEND`` or ``abcd 200 OK``.
        to_path: Value of To-Path.
        from_path: Value of From-Path.
        fields: Header lines without line ends; for a body the last has to be Content-Type.
        body: Octets after the empty line; None: neither empty line nor body.
        flag: Continuation flag.
    """
    lines = [f"MSRP {start}", f"To-Path: {to_path}", f"From-Path: {from_path}", *fields, ""]
    head = "\r\n".join(lines).encode()
    content = b"" if body is None else b"\r\n" + body + b"\r\n"
    return head + content + f"-------{start.split()[0]}{flag}\r\n".encode()


def next_transaction_id() -> str:
    """Return an identifier that this process has not used."""
    return f"raw{next(_numbers):06d}"


class RawClient:
    """One connection to a relay or an endpoint; an asynchronous context manager.

    Args:
        reader: From the peer.
        writer: To the peer.
        tls: Whether the connection is encrypted, for the client's own URI.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, tls: bool) -> None:
        self._reader = reader
        self._writer = writer
        host, port = writer.get_extra_info("sockname")[:2]
        self.uri = f"{'msrps' if tls else 'msrp'}://{host}:{port}/c{next(_numbers)};tcp"
        self.use_path: list[str] = []
        """What AUTH granted, in the order of To-Path: the relay next to this client first."""
        self._buffer = b""

    @classmethod
    async def connect(cls, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> Self:
        """Connect to an IPv4 address; encrypted when there is a ``tls`` context."""
        async with asyncio.timeout(DEADLINE):
            reader, writer = await asyncio.open_connection(host, port, ssl=tls)
        return cls(reader, writer, tls=tls is not None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection."""
        self._writer.close()
        with contextlib.suppress(OSError):  # what the peer did to it no longer matters
            await self._writer.wait_closed()

    @property
    def sdp_path(self) -> list[str]:
        """What an SDP ``a=path`` of this client would hold: how others reach it."""
        return [*reversed(self.use_path), self.uri]

    # Sending

    async def send_raw(self, data: bytes) -> None:
        """Write bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def send_chunk(
        self,
        body: bytes | None,
        *,
        to_path: list[str],
        message_id: str | None = None,
        byte_range: str | None = None,
        fields: tuple[str, ...] = (),
        content_type: str = "text/plain",
        flag: str = "$",
        transaction_id: str | None = None,
    ) -> str:
        """Write one SEND and return its transaction id.

        Args:
            body: Octets, or None for a SEND without body.
            to_path: Path of the receiver, as it would stand in its SDP; ``use_path`` is put before it.
            message_id: None makes one.
            byte_range: None: all of the body, with its length as total.
            fields: More header lines, such as ``Success-Report: yes``.
            content_type: Of the body.
            flag: Continuation flag.
            transaction_id: None makes one.
        """
        transaction_id = transaction_id or next_transaction_id()
        length = len(body or b"")
        lines = (
            f"Message-ID: {message_id or 'm' + transaction_id}",
            f"Byte-Range: {byte_range or f'1-{length}/{length}'}",
            *fields,
            *((f"Content-Type: {content_type}",) if body is not None else ()),
        )
        path = " ".join([*self.use_path, *to_path])
        data = frame(f"{transaction_id} SEND", to_path=path, from_path=self.uri, fields=lines, body=body, flag=flag)
        await self.send_raw(data)
        return transaction_id

    async def respond(self, request: Frame, status: str = "200 OK") -> None:
        """Answer a request (RFC 4975 section 7.2): to the first URI of its From-Path."""
        start = f"{request.transaction_id} {status}"
        await self.send_raw(frame(start, to_path=request.from_path[0], from_path=request.to_path[0]))

    # Receiving

    async def read_frame(self, timeout: float = DEADLINE) -> Frame:
        """Return the next frame.

        Raises:
            ClosedByPeerError: The connection ended before it was complete.
            TimeoutError: It was not complete within ``timeout`` seconds.
        """
        async with asyncio.timeout(timeout):
            while (parsed := take_frame(self._buffer)) is None:
                data = await self._reader.read(65536)
                if not data:
                    raise ClosedByPeerError(self._buffer)
                self._buffer += data
        self._buffer = self._buffer[len(parsed.raw) :]
        return parsed

    async def read_request(self, method: str = "SEND", timeout: float = DEADLINE) -> Frame:
        """Return the next frame, which has to be a request of that method."""
        received = await self.read_frame(timeout)
        assert received.method == method, received.raw
        return received

    async def read_response(self, transaction_id: str, timeout: float = DEADLINE) -> Frame:
        """Return the next frame, which has to be the response to that transaction."""
        received = await self.read_frame(timeout)
        assert received.method is None, received.raw
        assert received.transaction_id == transaction_id, received.raw
        return received

    # AUTH (RFC 4976 section 5.1)

    async def auth(
        self,
        relay: str,
        username: str,
        password: str,
        *,
        algorithm: Literal["MD5", "SHA-256"] = "MD5",
        uri: str | None = None,
        fields: tuple[str, ...] = (),
    ) -> Frame:
        """Authenticate at a relay, through those in ``use_path``; adds what was granted to ``use_path``.

        Args:
            relay: URI of the relay.
            username: User name.
            password: Password.
            algorithm: The challenge to answer, of those offered.
            uri: Value of ``uri=`` in Authorization; None leaves it out.
            fields: More header lines, such as ``Expires: 60``.

        Raises:
            AuthRefusedError: The answer to the credentials was not 200.
        """
        challenged = await self.request_auth(relay, fields=fields)
        if challenged.status != 401:
            raise AuthRefusedError(challenged)
        line = authorization(challenged, relay, username, password, algorithm=algorithm, uri=uri)
        answered = await self.request_auth(relay, fields=(*fields, line))
        if answered.status != 200:
            raise AuthRefusedError(answered)
        granted = (answered.get("Use-Path") or "").split()
        # RFC 4976 section 5.1 wants the whole path in Use-Path; Kamailio names itself only.
        self.use_path = granted if len(granted) > len(self.use_path) else [*self.use_path, granted[-1]]
        return answered

    async def request_auth(self, relay: str, *, fields: tuple[str, ...] = ()) -> Frame:
        """Send one AUTH through the relays in ``use_path`` and return the response."""
        transaction_id = next_transaction_id()
        path = " ".join([*self.use_path, relay])
        await self.send_raw(frame(f"{transaction_id} AUTH", to_path=path, from_path=self.uri, fields=fields))
        return await self.read_response(transaction_id)


def take_frame(data: bytes) -> Frame | None:
    """Return the frame at the beginning of ``data``, or None when it is not complete.

    Raises:
        AssertionError: What stands there is no MSRP.
    """
    if b"\r\n" not in data:
        return None
    start = re.match(rb"MSRP ([\w.+%=-]+) (?:(\d{3})(?: ([^\r]*))?|([A-Z]+))\r\n", data)
    assert start is not None, data[:200]
    end = re.compile(rb"\r\n-------" + re.escape(start[1]) + rb"([$+#])\r\n").search(data)
    if end is None:
        return None
    head, separator, body = data[start.end() : end.start()].partition(b"\r\n\r\n")
    fields = tuple(
        (name, value.strip()) for name, _, value in (line.partition(":") for line in head.decode().split("\r\n"))
    )
    return Frame(
        transaction_id=start[1].decode(),
        method=start[4].decode() if start[4] else None,
        status=int(start[2]) if start[2] else None,
        comment=(start[3] or b"").decode(),
        fields=fields,
        body=body if separator else None,
        flag=end[1].decode(),
        raw=data[: end.end()],
    )


def authorization(
    challenged: Frame,
    relay: str,
    username: str,
    password: str,
    *,
    algorithm: Literal["MD5", "SHA-256"] = "MD5",
    uri: str | None = None,
    nonce_count: str = "00000001",
) -> str:
    """Return the Authorization line that answers a 401 (RFC 4976 section 9.1; ``relay``: the rightmost To-Path URI)."""
    challenge = _challenge(challenged, algorithm)
    digest = hashlib.sha256 if algorithm == "SHA-256" else hashlib.md5

    def hexadecimal(text: str) -> str:
        return digest(text.encode()).hexdigest()

    secret = hexadecimal(f"{username}:{challenge['realm']}:{password}")
    request = hexadecimal(f"AUTH:{relay}")
    response = hexadecimal(f"{secret}:{challenge['nonce']}:{nonce_count}:{_CNONCE}:auth:{request}")
    quoted: dict[str, str] = {name: challenge[name] for name in ("realm", "nonce", "opaque") if name in challenge}
    if uri is not None:
        quoted["uri"] = uri
    parameters = [f'username="{username}"', *(f'{name}="{value}"' for name, value in quoted.items())]
    parameters += [f"qop=auth, nc={nonce_count}", f'cnonce="{_CNONCE}", response="{response}"']
    if "algorithm" in challenge:
        parameters.append(f"algorithm={algorithm}")
    return f"Authorization: Digest {', '.join(parameters)}"


def _challenge(challenged: Frame, algorithm: str) -> dict[str, str]:
    """Return the parameters of the WWW-Authenticate with that algorithm; one that names none means MD5."""
    for value in challenged.get_all("WWW-Authenticate"):
        parameters = {
            name.lower(): quoted or bare for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', value)
        }
        if parameters.get("algorithm", "MD5").upper() == algorithm:
            return parameters
    raise AssertionError(f"no challenge for {algorithm} in {challenged.raw!r}")
