"""WebSocket connections (RFC 6455), one MSRP or SIP message per WebSocket message (RFC 7977, RFC 7118).

Theory of operation. The bytes run through websockets' sans-IO ``ServerProtocol``; this shell answers the opening
handshake, passes payloads on as they come (a fragmented message piece by piece, so that only one frame is ever held
back; or whole, where the rules say so), and ends the connection in an orderly way. What we send needs no engine: a
server's frames are a header and the payload. Received frames may be text or binary: the type carries no meaning
(RFC 7977 section 4.2, RFC 7118 section 4.2).

After a close frame of ours, input is discarded until the peer closes: closing with unread input would make the kernel
send RST, and the peer might never see why.
"""

import asyncio
import codecs
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN, Event
from websockets.protocol import Protocol as Engine
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from wigwag.transport.channel import Address, Application, Channel, ChannelKind, ChannelOwner, Receiver

if TYPE_CHECKING:
    from wigwag.transport.profiles import TcpProfile

engine_logger = logging.getLogger("wigwag.transport.websocket.engine")
engine_logger.setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketRules:
    """What a listener asks of its WebSocket clients."""

    subprotocol: str = "msrp"
    """The one spoken; a handshake that does not offer it is refused with 400 (RFC 7977 section 4.1)."""
    origins: tuple[str, ...] = ()
    """Origins a browser may come from, others get 403; empty: any. A client that sends none is no browser."""
    largest_message: int = 1_048_576
    """Bytes; more closes the connection with 1009."""
    handshake_timeout: float = 10.0
    """Seconds for the opening handshake."""
    text_frames: bool = False
    """Whether messages that are UTF-8 leave as text and only others as binary (RFC 7118 section 4.2)."""
    whole_messages: bool = False
    """Whether a fragmented message is put together before it is delivered; ``largest_message`` bounds it."""

    def engine(self) -> ServerProtocol:
        """A new engine that follows these rules; it offers no compression."""
        origins = [Origin(origin) for origin in self.origins]
        return ServerProtocol(
            origins=[*origins, None] if origins else None,
            subprotocols=[Subprotocol(self.subprotocol)],
            max_size=self.largest_message,
            logger=engine_logger,
        )


class WebSocketOwner(ChannelOwner, Protocol):
    """The listener of a WebSocket channel."""

    def handshake_failed(self, channel: Channel, reason: str, *, too_slow: bool) -> None:
        """The opening handshake was refused, cut off or too slow."""


class WebSocketChannel(Channel):
    """A channel whose messages travel as WebSocket messages (kinds ``ws`` and ``wss``)."""

    __slots__ = (
        "_answered_ping",
        "_assembled",
        "_choked",
        "_deadline",
        "_decoder",
        "_engine",
        "_events",
        "_rules",
        "_server",
        "_told",
        "_ws_owner",
    )

    def __init__(
        self,
        receiver: Receiver,
        owner: WebSocketOwner,
        rules: WebSocketRules,
        *,
        kind: ChannelKind,
        listener: str | None,
        remote: Address,
        local: Address,
        profile: "TcpProfile | None" = None,
        application: Application = "msrp",
    ) -> None:
        super().__init__(
            receiver,
            owner,
            kind=kind,
            listener=listener,
            remote=remote,
            local=local,
            profile=profile,
            application=application,
        )
        self._ws_owner = owner
        self._rules = rules
        self._server = rules.engine()
        self._engine: Engine = self._server
        self._events: deque[Event] = deque()
        self._decoder: codecs.IncrementalDecoder | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._choked = False
        self._answered_ping = True
        self._assembled = bytearray()
        self._told = False
        self._receive = self._feed

    # -- for the user ------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether what is sent now has a chance to arrive."""
        return super().is_open and self._engine.state is OPEN

    def send(self, frames: Sequence[bytes]) -> None:
        """Send protocol messages, each as one WebSocket message; binary unless the rules ask for text."""
        if self._engine.state is OPEN:
            may_be_text = self._rules.text_frames
            parts: list[bytes] = []
            for frame in frames:
                opcode = Opcode.TEXT if may_be_text and is_utf8(frame) else Opcode.BINARY
                parts += (_header(opcode, len(frame)), frame)
            super().send((b"".join(parts),))

    def resume_reading(self) -> None:
        """Read again after `pause_reading`; first what had been read already."""
        super().resume_reading()
        if self._events and not self._paused:
            asyncio.get_running_loop().call_soon(self._process)

    def close(self, reason: str = "closed here") -> None:
        """Send what is unsent and a close frame, wait for the peer's, close; cut after ``close_timeout``."""
        if self._transport is None or self._ending:
            return
        if self._engine.state is OPEN and not self._ended:
            self._engine.send_close(CloseCode.NORMAL_CLOSURE)
            self._linger(reason)
        else:
            super().close(reason)

    def ping(self) -> bool:
        """Send a ping; False when the one before was not answered and nothing else came (RFC 6455 section 5.5.2).

        A connection whose reading is paused is not judged: its pong may wait in the kernel.
        """
        if self._engine.state is not OPEN or self._ending or self._paused:
            return True
        if not self._answered_ping:
            return False
        self._answered_ping = False
        self._engine.send_ping(b"")
        self._flush()
        return True

    # -- for the transport -------------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """Too much is unsent (asyncio.BaseProtocol)."""
        self._choked = True
        super().pause_writing()

    def resume_writing(self) -> None:
        """Enough has been sent (asyncio.BaseProtocol)."""
        self._choked = False
        super().resume_writing()

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._rules.handshake_timeout, self._too_late)

    def _input(self) -> Callable[[bytes], None]:
        return self._feed

    def _finish(self, reason: str) -> None:
        self._owner.channel_closed(self)
        if self._deadline is not None:
            self._fail_handshake(reason)
        else:
            self._tell(reason)

    # -- opening handshake -------------------------------------------------------------------------------------------

    def _too_late(self) -> None:
        self._fail_handshake("the opening handshake took too long", too_slow=True)
        self.abort("the opening handshake took too long")

    def _fail_handshake(self, reason: str, *, too_slow: bool = False) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            self._told = True
            self._ws_owner.handshake_failed(self, reason, too_slow=too_slow)

    def _handshake(self, event: Request | Response) -> None:
        assert isinstance(event, Request)
        engine = self._server
        if self._events or engine.eof_sent:
            # Frames right behind the request: the client did not wait for the answer (RFC 6455 section 4.1).
            self._fail_handshake("frames before the handshake was answered")
            self.abort("frames before the handshake was answered")
            return
        engine.send_response(engine.accept(event))
        if engine.state is not OPEN:
            self._fail_handshake(str(engine.handshake_exc))
            return
        self._open_now()

    def _open_now(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._flush()
        super()._begin()

    # -- messages ----------------------------------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        self._answered_ping = True
        self._engine.receive_data(data)
        self._events += self._engine.events_received()
        if self._engine.handshake_exc is not None:
            self._fail_handshake(str(self._engine.handshake_exc))
        elif self._engine.state is OPEN:
            self._flush()
        self._process()

    def _process(self) -> None:
        events = self._events
        while events and not self._paused and not self._ending:
            event = events.popleft()
            if isinstance(event, Request | Response):
                self._handshake(event)
            elif isinstance(event, Frame):
                self._deliver(event)
        if not events or self._engine.state is OPEN:
            self._flush()

    def _deliver(self, frame: Frame) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        data = bytes(frame.data)
        if frame.opcode is Opcode.TEXT:
            self._decoder = codecs.getincrementaldecoder("utf-8")()
        if self._decoder is not None:
            try:
                self._decoder.decode(data, frame.fin)
            except UnicodeDecodeError:
                self._engine.fail(CloseCode.INVALID_DATA, "text is not UTF-8")
                self._events.clear()
                return
            if frame.fin:
                self._decoder = None
        if self._rules.whole_messages and (self._assembled or not frame.fin):
            self._assembled += data
            if not frame.fin:
                return
            data = bytes(self._assembled)
            self._assembled.clear()
        if data:
            self._receiver.data_received(data)

    # -- closing -----------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Write what the engine wants written: handshake answers, pongs, close frames."""
        engine = self._engine
        writes = engine.data_to_send()
        if self._transport is None or not writes or self._ending:
            return
        if self._choked and engine.state is OPEN:
            # Only pings and pongs can be lost here: a flood of pings must not fill the memory of who answers.
            return
        self._write(writes)
        if engine.eof_sent or engine.state is not OPEN:
            sent = engine.close_sent
            self._linger("closed by the peer" if engine.close_rcvd or sent is None else f"{sent.code} {sent.reason}")

    def _linger(self, reason: str) -> None:
        """Discard input until the peer closes, at most for ``close_timeout``; the user is told right away."""
        transport = self._transport
        if transport is None or self._ending:
            return
        self._write(self._engine.data_to_send())
        self._ending = True
        self._reason = self._reason or reason
        self._receive = self._discard
        self._events.clear()
        self._start_abort_timer(transport, self._owner.close_timeout)
        if self._paused:
            transport.resume_reading()
        if self._engine.eof_sent:
            self._end(transport)
        self._tell_soon(reason)

    def _end(self, transport: asyncio.Transport) -> None:
        """End our side; TLS reads on by itself until the peer ends too, plain TCP is half closed to that end."""
        if self._engine.close_rcvd is None and transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()

    def _discard(self, data: bytes) -> None:
        """Wait for the peer's close frame, or for its FIN."""
        if self._engine.eof_sent:
            return
        self._engine.receive_data(data)
        self._engine.events_received()
        if self._engine.close_rcvd is not None and self._transport is not None:
            self._transport.close()

    def _write(self, writes: list[bytes]) -> None:
        data = b"".join(writes)
        if data and self._transport is not None:
            self.bytes_sent += len(data)
            self._transport.write(data)

    def _tell_soon(self, reason: str) -> None:
        asyncio.get_running_loop().call_soon(self._tell, reason)

    def _tell(self, reason: str) -> None:
        if not self._told:
            self._told = True
            self._receiver.disconnected(reason)


def is_utf8(data: bytes) -> bool:
    """Whether ``data`` may travel as text."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _header(opcode: Opcode, size: int) -> bytes:
    """FIN, opcode, no mask, and the payload's length (RFC 6455 section 5.2)."""
    first = 0x80 | opcode
    if size < 126:
        return bytes((first, size))
    if size < 65_536:
        return bytes((first, 126)) + size.to_bytes(2, "big")
    return bytes((first, 127)) + size.to_bytes(8, "big")
