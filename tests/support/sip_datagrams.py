"""A SIP peer over a real UDP socket, without any state of its own."""

import itertools
import secrets
import socket
import time
from collections.abc import Callable
from typing import Self

from wigwag.protocols.sip import Request, Response, parse_datagram

_branches = itertools.count(1)
T1 = 0.25
"""Seconds until a request is sent again."""


class DatagramPeer:
    """Sends requests from a port of its own until they are answered, and answers what comes.

    Args:
        server: Whom it talks to.
        aor: Who it is.
    """

    def __init__(self, server: tuple[str, int], aor: str) -> None:
        self.server = server
        self.aor = aor
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._socket.getsockname()
        self.source = server
        """Where the last message came from."""
        self.tag = secrets.token_hex(4)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._socket.close()

    def request(
        self, method: str, uri: str, fields: "list[tuple[str, str]]", body: bytes = b"", to: str = ""
    ) -> Request:
        """Make a request, each with a Call-ID of its own."""
        host, port = self.address
        number = next(_branches)
        head = [
            ("Via", f"SIP/2.0/UDP {host}:{port};branch=z9hG4bK{self.tag}{number};rport"),
            ("Max-Forwards", "70"),
            ("From", f"<{self.aor}>;tag={self.tag}"),
            ("To", f"<{to or uri}>"),
            ("Call-ID", f"{self.tag}-{number}"),
            ("CSeq", f"1 {method}"),
        ]
        return Request.create(method, uri, [*head, *fields], body)

    def send(self, message: Request | Response) -> None:
        """Send one datagram."""
        self._socket.sendto(bytes(message), self.server)

    def receive(self, seconds: float) -> "Request | Response | None":
        """Return what comes within so many seconds."""
        self._socket.settimeout(max(seconds, 0.001))
        try:
            data, self.source = self._socket.recvfrom(65_536)
            return parse_datagram(data)
        except (TimeoutError, ConnectionRefusedError):
            return None

    def final(self, request: Request, *, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> Response:
        """Send a request until it has its final response; ``meanwhile`` is called once, after it was sent first.

        Raises:
            AssertionError: It was not answered in time.
        """
        deadline = time.monotonic() + seconds
        self.send(request)
        meanwhile()
        again = time.monotonic()
        while time.monotonic() < deadline:
            if time.monotonic() >= again:
                self.send(request)
                again = time.monotonic() + T1
            came = self.receive(again - time.monotonic())
            if isinstance(came, Response) and came.call_id == request.call_id and came.status >= 200:
                return came
        raise AssertionError(f"no answer within {seconds} s: {request.start_line}")

    def register(self, seconds: float = 20.0) -> None:
        """Register this port for an hour."""
        host, port = self.address
        domain = self.aor.partition("@")[2]
        fields = [("Contact", f"<sip:device@{host}:{port}>"), ("Expires", "3600")]
        response = self.final(self.request("REGISTER", f"sip:{domain}", fields, to=self.aor), seconds=seconds)
        assert response.status == 200, response.start_line

    def incoming(self, seconds: float) -> Request:
        """Return the next request.

        Raises:
            AssertionError: None came in time.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            came = self.receive(deadline - time.monotonic())
            if isinstance(came, Request):
                return came
        raise AssertionError(f"no request within {seconds} s")

    def answer(self, request: Request, status: int = 200, reason: str = "OK") -> None:
        """Answer the request that came last."""
        self._socket.sendto(bytes(Response.to_request(request, status, reason, to_tag=self.tag)), self.source)
