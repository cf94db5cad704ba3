"""A registrar and stateless proxy of a hundred lines, to be broken by tests in one way at a time.

Independent of our SIP stack: what it understands is written out here, and the load generator sends no more than that.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

HOST = "127.0.0.1"
REALM = "wigwag.example"
PASSWORD = "secret"
NONCE = "n1"
Reply = Callable[[bytes], None]
"""Sends bytes to one client."""

_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


class SmallProxy:
    """Registers users and passes their MESSAGEs on.

    Args:
        algorithms: Of the challenges that REGISTER is answered with, in order; none: nobody is challenged.
    """

    def __init__(self, *algorithms: str) -> None:
        self._algorithms = algorithms
        self._forwarded: dict[str, Reply] = {}
        self.bindings: dict[str, Reply] = {}
        self.requests: list[bytes] = []
        self.responses: list[bytes] = []
        self.nonce_counts: list[str] = []

    def take(self, data: bytes, reply: Reply) -> None:
        """Take one whole message that came from a client."""
        if data.startswith(b"SIP/2.0 "):
            self.responses.append(data)
            self._pass_back(data)
        elif data.startswith(b"REGISTER "):
            self._register(data, reply)
        else:
            self.requests.append(data)
            self.relay(data, user_of(data), reply)

    def relay(self, request: bytes, user: str, reply: Reply) -> None:
        """Do what is done with a MESSAGE: what a broken proxy does otherwise."""
        self.deliver(request, user, reply)

    def deliver(self, request: bytes, user: str, reply: Reply, *, branch: str = "a") -> None:
        """Send a MESSAGE to the user, with a branch that is made of the request's and ``branch``."""
        name = f"z9hG4bKp{field(request, 'Via').rpartition('=')[2]}{branch}"
        self._forwarded[name] = reply
        start, rest = request.split(b"\r\n", 1)
        via = f"Via: SIP/2.0/UDP {HOST}:5060;rport;branch={name}\r\n"
        self.bindings[user](start + b"\r\n" + via.encode() + rest)

    def _pass_back(self, response: bytes) -> None:
        branch = re.search(rb"branch=([^;\r]+)", response)
        assert branch
        head, _, rest = response.partition(b"\r\n")
        self._forwarded[branch[1].decode()](head + b"\r\n" + rest.split(b"\r\n", 1)[1])

    def _register(self, request: bytes, reply: Reply) -> None:
        if self._algorithms and not self._is_authentic(request):
            reply(answer(request, "401 Unauthorized", *(challenge(name) for name in self._algorithms)))
            return
        user = user_of(field(request, "To").encode())
        if field(request, "Expires") == "0":
            self.bindings.pop(user, None)
            reply(answer(request, "200 OK"))
            return
        self.bindings[user] = reply
        reply(answer(request, "200 OK", *self.listed(request)))

    def listed(self, request: bytes) -> list[str]:
        """Return the header fields of the 200 that list the bindings."""
        return [f"Contact: {field(request, 'Contact')};expires=3600"]

    def _is_authentic(self, request: bytes) -> bool:
        credentials = field(request, "Authorization")
        if not credentials:
            return False
        given = dict(re.findall(r'(\w+)="?([^",]*)"?', credentials))
        self.nonce_counts.append(given["nc"])
        wanted = digest_response(given, "REGISTER")
        return (given["response"], given["nonce"], given["qop"]) == (wanted, NONCE, "auth")


class SmallServer:
    """One listening port of a proxy, ``data`` cut into pieces of so many bytes when it goes over TCP."""

    def __init__(self, proxy: SmallProxy, piece: int = 65536) -> None:
        self._proxy = proxy
        self._piece = piece

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one TCP connection."""
        data = b""
        while received := await reader.read(65536):
            data += received
            while (whole := message_length(data)) and len(data) >= whole:
                self._proxy.take(data[:whole], lambda text: self._write(writer, text))
                data = data[whole:]
            await writer.drain()
        writer.close()

    def _write(self, writer: asyncio.StreamWriter, text: bytes) -> None:
        for start in range(0, len(text), self._piece):
            writer.write(text[start : start + self._piece])


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, proxy: SmallProxy) -> None:
        self._proxy = proxy

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # it is one
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple[str | object, int]) -> None:
        self._proxy.take(data, lambda text: self._transport.sendto(text, address))


@asynccontextmanager
async def serving_udp(proxy: SmallProxy) -> AsyncIterator[int]:
    """Serve on a free UDP port, which is yielded."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(proxy), local_addr=(HOST, 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


@asynccontextmanager
async def serving_tcp(proxy: SmallProxy, piece: int = 65536) -> AsyncIterator[int]:
    """Serve on a free TCP port, which is yielded."""
    server = await asyncio.start_server(SmallServer(proxy, piece).serve, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def field(message: bytes, name: str) -> str:
    """Return the first value of a header field, or nothing."""
    found = re.search(rf"\r\n{name}: ([^\r]*)\r\n", message.decode())
    return found[1] if found else ""


def user_of(text: bytes) -> str:
    """Return the user of the first SIP URI."""
    found = re.search(rb"sip:([^@]+)@", text)
    assert found
    return found[1].decode()


def message_length(data: bytes) -> int | None:
    """Return how long the first message of a stream is; None while its head is not whole."""
    head, end, _ = data.partition(b"\r\n\r\n")
    if not end:
        return None
    return len(head) + 4 + int(field(head + end, "Content-Length"))


def answer(request: bytes, status: str, *fields: str) -> bytes:
    """Return a response to a request."""
    copied = [f"{name}: {field(request, name)}" for name in ("Via", "From", "To", "Call-ID", "CSeq")]
    return "\r\n".join([f"SIP/2.0 {status}", *copied, *fields, "Content-Length: 0", "", ""]).encode()


def challenge(algorithm: str) -> str:
    """Return a header field that asks for credentials."""
    return f'WWW-Authenticate: Digest realm="{REALM}", nonce="{NONCE}", algorithm={algorithm}, qop="auth"'


def digest_response(given: dict[str, str], method: str) -> str:
    """Return the response that credentials have to contain (RFC 7616 section 3.4.1)."""

    def hashed(*parts: str) -> str:
        return _HASHES[given["algorithm"]](":".join(parts).encode()).hexdigest()

    secret = hashed(given["username"], REALM, PASSWORD)
    return hashed(secret, NONCE, given["nc"], given["cnonce"], "auth", hashed(method, given["uri"]))
