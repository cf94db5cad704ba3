"""A SIP user over real sockets, who registers, sends and answers MESSAGEs."""

import contextlib
import itertools
import secrets
import socket
import threading
from types import TracebackType
from typing import Self

from wigwag.protocols.sip import Request, Response, StreamFramer, parse_datagram
from wigwag.protocols.sip.digest import Account, DigestClient

PATIENCE = 5.0
"""Seconds for one answer."""


class Phone:
    """One user; what it is asked while nobody waits for an answer is answered 200 by ``answering``.

    Args:
        user: His name.
        domain: His domain.
        password: His password.
        edge: Address and port of the edge.
        kind: ``udp`` or ``tcp``.
        host: Where it calls from.
    """

    def __init__(
        self,
        user: str,
        domain: str,
        password: str,
        edge: tuple[str, int],
        *,
        kind: str = "udp",
        host: str = "127.0.0.1",
    ) -> None:
        self.user = user
        self.aor = f"sip:{user}@{domain}"
        self.received: list[Request] = []
        self._domain = domain
        self._kind = kind
        self._edge = edge
        self._framer = StreamFramer()
        self._digest = DigestClient(lambda _: Account(user, password), secrets.token_bytes)
        self._cseq = itertools.count(1)
        kind_of_socket = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
        self.socket = socket.socket(socket.AF_INET, kind_of_socket)
        self.socket.bind((host, 0))
        self.socket.connect(edge)
        self.socket.settimeout(PATIENCE)
        self._answering: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        if self._answering is not None:
            self._answering.join(PATIENCE)

    @property
    def address(self) -> tuple[str, int]:
        """Where it calls from."""
        host, port = self.socket.getsockname()
        return str(host), int(port)

    def request(self, method: str, uri: str, fields: tuple[tuple[str, str], ...] = (), body: bytes = b"") -> Request:
        """Make a request."""
        host, port = self.address
        head = [
            ("Via", f"SIP/2.0/{self._kind.upper()} {host}:{port};branch=z9hG4bK{secrets.token_hex(8)};rport"),
            ("Max-Forwards", "70"),
            ("From", f"<{self.aor}>;tag={secrets.token_hex(4)}"),
            ("To", f"<{self.aor if method == 'REGISTER' else uri}>"),
            ("Call-ID", secrets.token_hex(8)),
            ("CSeq", f"{next(self._cseq)} {method}"),
            *fields,
        ]
        return Request.create(method, uri, head, body)

    def exchange(self, request: Request, *, credentials: bool = True) -> Response:
        """Send a request and return its final response; it is repeated once with credentials."""
        self._digest.sign(request)
        self.socket.send(bytes(request))
        response = self._response()
        if credentials and response.status in (401, 407):
            assert self._digest.exchange().answer(response), response.start_line
            self._digest.sign(request)
            request.set("CSeq", f"{next(self._cseq)} {request.method}")
            via = request.via
            via.parameters["branch"] = f"z9hG4bK{secrets.token_hex(8)}"
            request.replace_item("via", str(via))
            self.socket.send(bytes(request))
            response = self._response()
        return response

    def register(self) -> Response:
        """Register for ten minutes, in place of all that was registered."""
        everything = (("Contact", "*"), ("Expires", "0"))
        self.exchange(self.request("REGISTER", f"sip:{self._domain}", everything))
        host, port = self.address
        contact = f"<sip:{self.user}@{host}:{port};transport={self._kind}>"
        return self.exchange(
            self.request("REGISTER", f"sip:{self._domain}", (("Contact", contact), ("Expires", "600")))
        )

    def message(self, user: str, text: str) -> Response:
        """Send a MESSAGE."""
        fields = (("Content-Type", "text/plain"),)
        return self.exchange(self.request("MESSAGE", f"sip:{user}@{self._domain}", fields, text.encode()))

    def answer(self) -> None:
        """Answer everything from now on, in a thread of its own."""
        self._answering = threading.Thread(target=self._answer, daemon=True)
        self._answering.start()

    def _answer(self) -> None:
        self.socket.settimeout(None)
        while True:
            try:
                messages = self._read()
            except (OSError, EOFError):
                return
            for message in messages:
                if isinstance(message, Request) and message.method != "ACK":
                    self.received.append(message)
                    self.socket.send(bytes(Response.to_request(message, 200, "OK", to_tag="phone")))

    def _response(self) -> Response:
        while True:
            for message in self._read():
                if isinstance(message, Response) and message.status >= 200:
                    return message

    def _read(self) -> list[object]:
        data = self.socket.recv(65_535)
        if not data:
            raise EOFError("the edge has closed the connection")
        return [parse_datagram(data)] if self._kind == "udp" else list(self._framer.receive_data(data))
