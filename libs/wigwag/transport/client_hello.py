"""The server name in a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3), read without taking it.

The certificate is chosen before TLS begins: OpenSSL's own callback needs Python's ssl objects, which the fast TLS
transport does not have, and it would not take a context's ``verify_mode`` over.
"""

import asyncio
import socket

LARGEST_HELLO = 16_384
"""Bytes looked at; a client that sends more before its hello is complete gets the first certificate."""

_HANDSHAKE_RECORD = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_HOST_NAME = 0


class _IncompleteError(Exception):
    """The hello goes on in bytes that have not come yet."""


class _Fields:
    """Reads length-prefixed fields of a byte string."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __bool__(self) -> bool:
        return self._position < len(self._data)

    def take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._data):
            raise _IncompleteError
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def take_rest(self) -> bytes:
        return self.take(len(self._data) - self._position)

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, length_size: int) -> "_Fields":
        return _Fields(self.take(self.number(length_size)))


def server_name(data: bytes) -> tuple[bool, str | None]:
    """The name that a client asks for.

    Args:
        data: What the client has sent so far.

    Returns:
        Whether that is enough to tell, and the name, None when there is none. What is no ClientHello counts as
        enough: the handshake will refuse it.
    """
    try:
        hello = _handshake_bytes(data)
    except _IncompleteError:
        return False, None
    if hello is None:
        return True, None
    try:
        return True, _name_in(hello)
    except (_IncompleteError, UnicodeDecodeError):
        return True, None


async def await_server_name(sock: socket.socket) -> str | None:
    """Wait for the ClientHello on a fresh non-blocking socket and return the name in it; the bytes stay in the socket.

    Raises:
        OSError: The connection was closed or reset.
    """
    loop = asyncio.get_running_loop()
    try:
        while True:
            await _readable(loop, sock)
            data = sock.recv(LARGEST_HELLO, socket.MSG_PEEK)
            if not data:
                raise ConnectionResetError("closed before the handshake")
            complete, name = server_name(data)
            if complete or len(data) >= LARGEST_HELLO:
                return name
            # Peeked bytes stay readable; only more of them shall wake us up.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(data) + 1)
    finally:
        if sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


async def _readable(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(sock, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_reader(sock)


def _wake(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


def _handshake_bytes(data: bytes) -> _Fields | None:
    """The ClientHello's body, put together from as many records as it takes; None when it is none."""
    records = _Fields(data)
    handshake = b""
    while True:
        if records.number(1) != _HANDSHAKE_RECORD:
            return None
        records.take(2)
        handshake += records.vector(2).take_rest()
        if len(handshake) >= 4:
            if handshake[0] != _CLIENT_HELLO:
                return None
            size = int.from_bytes(handshake[1:4], "big")
            if len(handshake) >= 4 + size:
                return _Fields(handshake[4 : 4 + size])


def _name_in(hello: _Fields) -> str | None:
    hello.take(2 + 32)  # legacy_version, random
    hello.vector(1)  # legacy_session_id
    hello.vector(2)  # cipher_suites
    hello.vector(1)  # legacy_compression_methods
    if not hello:
        return None
    extensions = hello.vector(2)
    while extensions:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind != _SERVER_NAME:
            continue
        names = content.vector(2)
        while names:
            name_kind, name = names.number(1), names.vector(2)
            if name_kind == _HOST_NAME:
                return name.take_rest().decode("ascii")
    return None
