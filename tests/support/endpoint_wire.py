"""One connection of a recording endpoint: bytes in, whole frames out."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from wigwag.errors import RemoteProtocolError
from wigwag.protocols.msrp import (
    BodyReceived,
    FrameEnded,
    FrameEvent,
    FrameParser,
    HeadReceived,
    RequestHead,
    ResponseHead,
)


@dataclass(frozen=True, slots=True)
class WholeFrame:
    """One request or response."""

    head: RequestHead | ResponseHead
    body: bytes
    flag: str


class Wire(asyncio.Protocol):
    """The protocol of one connection.

    Args:
        on_frame: Told each frame.
    """

    def __init__(self, on_frame: Callable[[WholeFrame], None]) -> None:
        self._on_frame: Callable[[WholeFrame], None] | None = on_frame
        self._parser = FrameParser()
        self._head: RequestHead | ResponseHead | None = None
        self._body: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Why the connection is over, once it is; not set when we end it ourselves."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(f"{type(exc).__name__}: {exc}" if exc is not None else "closed by the relay")

    def data_received(self, data: bytes) -> None:
        position = 0
        try:
            while position < len(data) and self._on_frame is not None:
                events, position = self._parser.feed(data, position)
                for event in events:
                    self._take(event)
        except RemoteProtocolError as error:
            raise AssertionError(f"the relay wrote what can't be read: {error.reason}") from error

    def _take(self, event: FrameEvent) -> None:
        match event:
            case HeadReceived(head=head):
                self._head, self._body = head, []
            case BodyReceived(data=data):
                self._body.append(data)
            case FrameEnded(flag=flag):
                if self._head is not None and self._on_frame is not None:
                    self._on_frame(WholeFrame(self._head, b"".join(self._body), flag))
            case _:
                raise AssertionError(f"the relay wrote {event}")

    def write(self, data: bytes) -> None:
        """Write; what can't leave waits here, until the connection is lost."""
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(data)

    def abort(self) -> None:
        """End the connection at once; nothing more is told."""
        self._on_frame = None
        if self._transport is not None:
            self._transport.abort()

    def leave_half_open(self) -> None:
        """Read nothing more and say nothing, as a client does whose network is gone."""
        self._on_frame = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    async def close(self) -> None:
        """Close in good order after what is still to be written."""
        self._on_frame = None
        if self._transport is not None:
            self._transport.close()
            await self.lost
