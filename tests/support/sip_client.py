"""A SIP client over real sockets that registers with digest, for scenarios."""

import asyncio
import itertools
import socket
from typing import Self

from wigwag.protocols.sip import KeepAlive, Request, Response, SipError, StreamFramer, parse_datagram
from wigwag.protocols.sip.digest import Account, DigestClient

_serials = itertools.count(1)


class LiveSipClient:
    """One user over one TCP connection; ``async with`` connects.

    Args:
        port: The edge's port on loopback.
        user: ``user@domain``.
        password: His password.
    """

    def __init__(self, port: int, user: str, password: str) -> None:
        self._port = port
        self.aor = f"sip:{user}"
        self.domain = user.rpartition("@")[2]
        account = Account(user.partition("@")[0], password)
        self._digest = DigestClient(lambda realm: account, lambda octets: b"c" * octets)
        self._framer = StreamFramer(65_536)
        self._came: list[Request | Response] = []
        self._branches = itertools.count(1)
        self._name = f"live{next(_serials)}"
        self._cseq = 0
        self.contact = ""

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        host, port = self._writer.get_extra_info("sockname")
        self.contact = f"sip:{self._name}@{host}:{port};transport=tcp"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def move(self, port: int) -> None:
        """Connect anew, to another pod."""
        self._writer.close()
        self._port = port
        self._framer = StreamFramer(65_536)
        self._came.clear()
        await self.__aenter__()

    async def close(self) -> None:
        """End the connection."""
        self._writer.close()

    def request(self, method: str, uri: str, to: str, fields: "list[tuple[str, str]]", body: bytes = b"") -> Request:
        """Make a request."""
        self._cseq += 1
        head = [
            ("Via", f"SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK{self._name}-{next(self._branches)};rport"),
            ("Max-Forwards", "70"),
            ("From", f"<{self.aor}>;tag={self._name}"),
            ("To", f"<{to}>"),
            ("Call-ID", self._name),
            ("CSeq", f"{self._cseq} {method}"),
        ]
        return Request.create(method, uri, [*head, *fields], body)

    async def register(self, expires: int = 600) -> Response:
        """Register; returns the final response."""
        fields = [
            ("Contact", f'<{self.contact}>;+sip.instance="<urn:x:{self._name}>";reg-id=1'),
            ("Expires", str(expires)),
            ("Supported", "path, outbound"),
            ("User-Agent", "scenario"),
        ]
        return await self.exchange(self.request("REGISTER", f"sip:{self.domain}", self.aor, fields))

    async def message(self, to: str, text: str) -> Response:
        """Send a MESSAGE; returns its final response."""
        fields = [("Content-Type", "text/plain")]
        return await self.exchange(self.request("MESSAGE", to, to, fields, text.encode()))

    async def exchange(self, request: Request) -> Response:
        """Send a request, with credentials if they are asked for; returns the final response."""
        self.send(request)
        response = await self.response()
        if response.status in (401, 407):
            again = request.copy()
            assert self._digest.exchange().answer(response), response.start_line
            self._digest.sign(again)
            self._cseq += 1
            again.set("CSeq", f"{self._cseq} {request.method}")
            via = request.via
            via.parameters["branch"] = f"{via.branch}a"
            again.replace_item("via", str(via))
            self.send(again)
            response = await self.response()
        return response

    def send(self, message: Request | Response) -> None:
        """Send one message."""
        self._writer.write(bytes(message))

    async def response(self) -> Response:
        """Return the next final response."""
        while True:
            message = await self.received()
            if isinstance(message, Response) and message.status >= 200:
                return message

    async def received(self, seconds: float = 10.0) -> Request | Response:
        """Return the next message."""
        async with asyncio.timeout(seconds):
            while not self._came:
                data = await self._reader.read(65_536)
                assert data, "the edge has closed the connection"
                for message in self._framer.receive_data(data):
                    assert not isinstance(message, SipError), message.reason
                    if not isinstance(message, KeepAlive):
                        self._came.append(message)
        return self._came.pop(0)


class DatagramSipClient(LiveSipClient):
    """The same over UDP, without a flow of its own (RFC 5626)."""

    async def __aenter__(self) -> Self:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", 0))
        self.contact = f"sip:{self._name}@127.0.0.1:{self._socket.getsockname()[1]}"
        return self

    async def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    async def register(self, expires: int = 600) -> Response:
        """Register; returns the final response."""
        fields = [("Contact", f"<{self.contact}>"), ("Expires", str(expires))]
        return await self.exchange(self.request("REGISTER", f"sip:{self.domain}", self.aor, fields))

    def request(self, method: str, uri: str, to: str, fields: "list[tuple[str, str]]", body: bytes = b"") -> Request:
        """Make a request."""
        made = super().request(method, uri, to, fields, body)
        made.replace_item("via", str(made.via).replace("SIP/2.0/TCP", "SIP/2.0/UDP"))
        return made

    def send(self, message: Request | Response) -> None:
        """Send one message."""
        self._socket.sendto(bytes(message), ("127.0.0.1", self._port))

    async def received(self, seconds: float = 10.0) -> Request | Response:
        """Return the next message."""
        async with asyncio.timeout(seconds):
            return parse_datagram(await asyncio.get_running_loop().sock_recv(self._socket, 65_536))
