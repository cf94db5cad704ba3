"""The page-mode users of ``bench.gateway``: one connection to the edge, over which MESSAGEs of all of them go."""

import asyncio
import re
from collections.abc import Callable
from itertools import count
from typing import Final, Self

from bench.ua_peer import URI

_HEAD: Final = (
    "MESSAGE {to} SIP/2.0\r\n"
    "Via: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK{number}\r\n"
    "Max-Forwards: 70\r\n"
    "From: <{sender}>;tag={number}\r\n"
    "To: <{to}>\r\n"
    "P-Asserted-Identity: <{sender}>\r\n"
    "Call-ID: {number}@bench.invalid\r\n"
    "CSeq: 1 MESSAGE\r\n"
    "Content-Type: text/plain\r\n"
    "Content-Length: {length}\r\n\r\n"
)
_STATUS: Final = re.compile(rb"SIP/2\.0 (\d+) ([^\r]*)\r\n")
_ACCEPTED: Final = 202


class PageUsers:
    """``async with`` connects; the edge takes the machine for a neighbour and believes who sends.

    Args:
        port: Of the edge, plain TCP.

    Attributes:
        on_refused: Told what a MESSAGE was answered that was not taken.
    """

    def __init__(self, port: int) -> None:
        self.on_refused: Callable[[str], None] = lambda answer: None
        self.answered = 0
        self._port = port
        self._numbers = count(1)
        self._rest = b""

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()

    def send(self, sender: int, body: bytes) -> None:
        """Send a MESSAGE of one of them."""
        head = _HEAD.format(to=URI, sender=f"sip:page{sender}@localhost", number=next(self._numbers), length=len(body))
        self._writer.write(head.encode() + body)

    async def _read(self) -> None:
        while data := await self._reader.read(262_144):
            *whole, self._rest = (self._rest + data).split(b"\r\n\r\n")
            for head in whole:
                found = _STATUS.match(head.lstrip())
                if found is None or int(found[1]) < 200:
                    continue
                self.answered += 1
                if int(found[1]) != _ACCEPTED:
                    self.on_refused(f"{found[1].decode()} {found[2].decode()}")
        self.on_refused("the edge has closed the connection")
