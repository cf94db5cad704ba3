"""Connections of peers that may be faster than their answer: they wait until we know whom they are from.

A peer that answers our offer with a=setup:active connects at once, and his first SEND may be here before his answer,
which goes through proxies. Its From-Path can't be checked then; to answer 481 would end the session (RFC 4975 section
7.3). So nothing is read of a connection whose first request is for a session that waits for its answer.
"""

import re
from collections.abc import Callable
from typing import Final

from wigwag.errors import RemoteProtocolError
from wigwag.protocols.msrp import ConnectionLimits, Event, MsrpUri, SessionTable
from wigwag.protocols.msrp.uri import UriKey
from wigwag.transport.channel import Channel
from wigwag.transport.msrp_client import MsrpClient

# Only one URI: a request that is for somebody further on is no endpoint's.
_TO_PATH = re.compile(rb"MSRP [^\r\n ]{1,32} [A-Z]{1,16}\r\nTo-Path: ([^\r\n ]{1,500})\r\n")
_LONGEST_BEGINNING: Final = 640
"""Octets within which the first To-Path ends, or is none of ours."""


class Entrance:
    """Which sessions wait for the peer's answer, and which connections therefore wait."""

    def __init__(self) -> None:
        self._expected: dict[UriKey, list[Visitor]] = {}

    def expect(self, uri: MsrpUri) -> None:
        """Let connections for this session wait from now on."""
        self._expected.setdefault(uri.key, [])

    def admit(self, uri: MsrpUri) -> None:
        """Let them in: the session is there, or will not be."""
        for visitor in self._expected.pop(uri.key, ()):
            visitor.enter()

    def waits(self, to_path: bytes, visitor: "Visitor") -> bool:
        """Tell whether a connection has to wait; if so ``Visitor.enter`` is called in time."""
        try:
            waiting = self._expected.get(MsrpUri.parse(to_path.decode("ascii", "replace")).key)
        except RemoteProtocolError:
            return False
        if waiting is None:
            return False
        waiting.append(visitor)
        return True


class Visitor(MsrpClient):
    """A connection that a peer opened.

    Args:
        entrance: Says whether it has to wait.
        random: As for ``MsrpClient``, like those that follow.
        on_event: Told what happens.
        limits: Bounds.
        sessions: Of all connections.
        on_closed: Told why it is over.
    """

    def __init__(
        self,
        entrance: Entrance,
        *,
        random: Callable[[int], bytes],
        on_event: Callable[[Event], None],
        limits: ConnectionLimits,
        sessions: SessionTable,
        on_closed: Callable[[str], None],
    ) -> None:
        super().__init__(random=random, on_event=on_event, limits=limits, sessions=sessions, on_closed=on_closed)
        self._entrance = entrance
        self._beginning: bytearray | None = bytearray()
        self._stream: Channel | None = None

    def connected(self, channel: Channel) -> None:
        """The connection stands."""
        self._stream = channel
        super().connected(channel)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._beginning is None:
            super().data_received(data)
            return
        self._beginning += data
        found = _TO_PATH.match(self._beginning)
        if found is None and len(self._beginning) < _LONGEST_BEGINNING and b"\r\n\r\n" not in self._beginning:
            return
        if found is not None and self._stream is not None and self._entrance.waits(found[1], self):
            self._stream.pause_reading()
            return
        self.enter()

    def enter(self) -> None:
        """Take what has come, and what comes."""
        beginning, self._beginning = self._beginning, None
        if self._stream is not None:
            self._stream.resume_reading()
        if beginning:
            super().data_received(bytes(beginning))

    def disconnected(self, reason: str) -> None:
        """The connection is over."""
        self._stream = None
        super().disconnected(reason)
