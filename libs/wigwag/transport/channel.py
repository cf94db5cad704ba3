"""A connection as the rest of the program sees it: messages out, bytes in, back-pressure both ways.

Theory of operation. A `Channel` is the asyncio protocol of one stream (plain or TLS) and hands every read straight to
its `Receiver`. It adds what the loops do differently or not at all: the same write limits everywhere, a close that
ends even when the peer does not read, pausing that works from the first moment, and a reason when it is over.
From a transport's read it is one call to the receiver.

The class is both kinds of asyncio protocol. uvloop's plain transport takes ``data_received``; asyncio and aiofastnet
take ``get_buffer`` and read into one buffer per loop. They would otherwise allocate 256 KiB for each read, which costs
them four times the rest.

The receiver hears ``connected`` once, then data and back-pressure, then ``disconnected`` once, and nothing after that.
"""

import asyncio
import itertools
import ssl
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, cast

if TYPE_CHECKING:
    from wigwag.transport.profiles import TcpProfile

ChannelKind = Literal["tcp", "tls", "ws", "wss"]
Application = Literal["msrp", "sip"]
"""What a connection carries; TCP profiles may tell them apart."""
Address = tuple[str, int]

PAUSE_ABOVE = 65_536
"""Unsent bytes above which the receiver is asked to pause sending."""
RESUME_AT = 16_384
"""Unsent bytes at or below which it may go on."""

LINGER = 1.0
"""Seconds that the peer has to end its side after we have ended ours."""
READ_SIZE = 262_144
"""Most bytes of one read."""

_ids = itertools.count(1)
_buffers: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, memoryview]" = weakref.WeakKeyDictionary()


class Receiver(Protocol):
    """What a channel tells its user; all calls come from the event loop's thread and must not block."""

    def connected(self, channel: "Channel") -> None:
        """The connection stands, with TLS and WebSocket handshakes done."""

    def data_received(self, data: bytes) -> None:
        """Bytes came, cut anywhere; on WebSocket at most one message, or a fragment of one."""

    def pause_sending(self) -> None:
        """More than 64 KiB wait to be sent; called from within `Channel.send` too."""

    def resume_sending(self) -> None:
        """16 KiB or less wait to be sent."""

    def disconnected(self, reason: str) -> None:
        """The connection is over; ``reason`` is fit for a log line. What was unsent is lost."""


class ChannelOwner(Protocol):
    """Who made a channel and keeps account of it: a listener or the connector."""

    close_timeout: float
    """Seconds that unsent data may take to leave after `Channel.close`."""

    def channel_opened(self, channel: "Channel") -> None:
        """The channel's handshakes are done."""

    def channel_closed(self, channel: "Channel") -> None:
        """The channel is over; called once for each channel that got a transport, opened or not."""

    def send_was_slow(self, channel: "Channel", microseconds: int) -> None:
        """One write took longer than the profile's ``send_threshold``."""


class Channel(asyncio.Protocol, asyncio.BufferedProtocol):
    """One stream connection: plain TCP or TLS (`wigwag.transport.websocket` has the other two kinds).

    Args:
        receiver: Gets the bytes.
        owner: Is told when the channel opens and closes.
        kind: How the peer is connected.
        listener: Name of the listener that accepted it; None for an outgoing connection.
        remote: The peer's address and port.
        local: Our address and port.
        profile: The TCP profile that matched, or None.
        application: What the connection carries.
    """

    __slots__ = (
        "__weakref__",
        "_abort_timer",
        "_buffer",
        "_ended",
        "_ending",
        "_holds",
        "_joins",
        "_kept",
        "_made",
        "_owner",
        "_paused",
        "_reason",
        "_receive",
        "_receiver",
        "_send_threshold",
        "_starting",
        "_transport",
        "application",
        "bytes_received",
        "bytes_sent",
        "certificate_names",
        "id",
        "kind",
        "listener",
        "local",
        "opened_at",
        "profile",
        "refusal",
        "remote",
        "verify",
    )

    def __init__(
        self,
        receiver: Receiver,
        owner: ChannelOwner,
        *,
        kind: ChannelKind,
        listener: str | None,
        remote: Address,
        local: Address,
        profile: "TcpProfile | None" = None,
        application: Application = "msrp",
    ) -> None:
        self.id = next(_ids)
        self.kind: ChannelKind = kind
        self.listener = listener
        self.remote = remote
        self.local = local
        self.profile = profile
        self.application: Application = application
        self.certificate_names: tuple[str, ...] = ()
        self.verify: Callable[[object], str | None] | None = None
        """Looks at the peer's certificate before the receiver hears of the connection; returns why it won't do."""
        self.refusal: str | None = None
        """What ``verify`` found; the receiver never hears of such a connection."""
        self.opened_at = 0.0
        self.bytes_received = 0
        self.bytes_sent = 0
        self._receiver = receiver
        self._receive: Callable[[bytes], None] = receiver.data_received
        self._owner = owner
        self._buffer = _read_buffer()
        self._transport: asyncio.Transport | None = None
        self._abort_timer: asyncio.TimerHandle | None = None
        self._reason: str | None = None
        self._send_threshold = profile.send_threshold if profile is not None else 0
        # A TLS record per message would cost more than the copy that joins them.
        self._joins = kind in ("tls", "wss")
        self._holds = 0
        self._kept = b""
        self._made = False
        self._starting = True
        self._paused = False
        self._ended = False
        self._ending = False

    # -- for the user ------------------------------------------------------------------------------------------------

    @property
    def was_made(self) -> bool:
        """Whether a transport took the socket over; from then on its owner hears ``channel_closed`` once."""
        return self._made

    @property
    def is_open(self) -> bool:
        """Whether what is sent now has a chance to arrive."""
        return self._transport is not None and not self._ending

    def send(self, frames: Sequence[bytes]) -> None:
        """Send protocol messages in order, each entry a whole one or (not on WebSocket) a piece of one.

        Never blocks and never fails; on a closed channel it does nothing. The receiver's ``pause_sending`` may be
        called before this returns.
        """
        transport = self._transport
        if transport is None or self._ending:
            return
        if self._send_threshold:
            self._send_timed(frames)
        elif len(frames) == 1:
            self.bytes_sent += len(frames[0])
            transport.write(frames[0])
        elif self._joins:
            data = b"".join(frames)
            self.bytes_sent += len(data)
            transport.write(data)
        else:
            self.bytes_sent += sum(map(len, frames))
            transport.writelines(frames)

    def unsent(self) -> int:
        """Bytes accepted but not yet handed to the kernel."""
        transport = self._transport
        if transport is None:
            return 0
        # aiofastnet's TLS leaves its ciphertext out of get_write_buffer_size().
        size = getattr(transport, "get_local_write_buffer_size", transport.get_write_buffer_size)
        return cast(int, size())

    def pause_reading(self) -> None:
        """Stop reading; nothing is delivered until `resume_reading`, also when called from within ``connected``."""
        if self._paused or self._transport is None or self._ending:
            return
        self._paused = True
        if self._starting:
            # uvloop forgets a pause made in connection_made, aiofastnet loses what came with the handshake's end:
            # take the first read and pause then.
            self._receive = self._keep
        else:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again after `pause_reading`."""
        if not self._paused:
            return
        self._paused = False
        if self._transport is None or self._ending:
            return
        if self._kept:
            asyncio.get_running_loop().call_soon(self._deliver_kept)
        else:
            self._receive = self._input()
        self._transport.resume_reading()

    def hold(self) -> None:
        """An answer is under way: keep the sending side open if the peer ends its own; pair with `release`.

        Only plain TCP can be half closed; elsewhere the peer's end is the end.
        """
        self._holds += 1

    def release(self) -> None:
        """The answer that `hold` announced has been sent."""
        self._holds -= 1
        if self._ended and self._holds == 0:
            self.close("closed by the peer")

    def close(self, reason: str = "closed here") -> None:
        """Send what is unsent, end our side, discard what still comes until the peer ends its own, then close.

        The peer has a second for that, and ``close_timeout`` to read what is unsent; then the connection is cut.
        Without the wait, input that nobody reads would make the kernel reset the connection, and the peer might
        lose what it was sent last. ``disconnected`` follows with this reason, never from within this call.
        """
        transport = self._transport
        if transport is None or self._ending:
            return
        patience = self._owner.close_timeout if self.unsent() else min(LINGER, self._owner.close_timeout)
        self._start_abort_timer(transport, patience)
        self._ending = True
        if self._reason is None:
            self._reason = reason
        if self._ended or not transport.can_write_eof():
            transport.close()  # TLS lingers by itself.
            return
        self._receive = self._ignore
        if self._paused:
            transport.resume_reading()
        transport.write_eof()

    def abort(self, reason: str = "aborted here") -> None:
        """Close at once; what is unsent is lost. ``disconnected`` follows, never from within this call."""
        transport = self._transport
        if transport is None:
            return
        if self._reason is None:
            self._reason = reason
        self._ending = True
        transport.abort()

    def apply_profile(self, profile: "TcpProfile | None") -> None:
        """Let another profile hold from now on; socket options are `profiles.apply_to_socket`'s business."""
        self.profile = profile
        self._send_threshold = profile.send_threshold if profile is not None else 0

    def transport_info(self, name: str) -> object:
        """The transport's ``get_extra_info``: ``socket``, ``cipher``, ...; None when closed or unknown."""
        return None if self._transport is None else self._transport.get_extra_info(name)

    def peer_certificate(self) -> bytes | None:
        """The certificate that the other side has shown, in DER; None: it has shown none, or this is no TLS."""
        # Event loops have classes of their own here.
        ask = getattr(self.transport_info("ssl_object"), "getpeercert", None)
        certificate: bytes | None = ask(True) if ask is not None else None
        return certificate or None

    # -- for the transport -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport stands (asyncio.BaseProtocol)."""
        self._made = True
        self._transport = stream = cast(asyncio.Transport, transport)
        stream.set_write_buffer_limits(high=PAUSE_ABOVE, low=RESUME_AT)
        if self._joins:
            self.certificate_names = names_in_certificate(stream.get_extra_info("peercert"))
        if self.verify is not None:
            self.refusal = self.verify(stream.get_extra_info("peercert"))
        try:
            if self.refusal is not None:
                self.abort(self.refusal)
            else:
                self._begin()
        except BaseException:
            stream.abort()
            raise
        finally:
            self._starting = False

    def data_received(self, data: bytes) -> None:
        """A read (asyncio.Protocol)."""
        self.bytes_received += len(data)
        self._receive(data)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read to (asyncio.BufferedProtocol)."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """A read into the buffer (asyncio.BufferedProtocol)."""
        self.bytes_received += nbytes
        self._receive(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> bool:
        """The peer ended its side: all is over unless an answer is under way (asyncio.Protocol)."""
        self._ended = True
        if self._holds == 0 or self._joins or self._ending or self._transport is None:
            return False
        self._start_abort_timer(self._transport, self._owner.close_timeout)
        return True

    def pause_writing(self) -> None:
        """Too much is unsent (asyncio.BaseProtocol)."""
        self._receiver.pause_sending()

    def resume_writing(self) -> None:
        """Enough has been sent (asyncio.BaseProtocol)."""
        if not self._ending:
            self._receiver.resume_sending()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The transport is gone (asyncio.BaseProtocol)."""
        if self._abort_timer is not None:
            self._abort_timer.cancel()
            self._abort_timer = None
        self._transport = None
        if self.refusal is not None:
            self._owner.channel_closed(self)
        else:
            self._finish(self._reason or reason_of(exc))

    # -- inside ------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self.opened_at = asyncio.get_running_loop().time()
        self._owner.channel_opened(self)
        self._receiver.connected(self)

    def _finish(self, reason: str) -> None:
        self._owner.channel_closed(self)
        self._receiver.disconnected(reason)

    def _send_timed(self, frames: Sequence[bytes]) -> None:
        threshold, self._send_threshold = self._send_threshold, 0
        started = time.perf_counter_ns()
        self.send(frames)
        microseconds = (time.perf_counter_ns() - started) // 1000
        self._send_threshold = threshold
        if microseconds >= threshold:
            self._owner.send_was_slow(self, microseconds)

    def _input(self) -> Callable[[bytes], None]:
        """What takes the bytes of a read."""
        return self._receiver.data_received

    def _keep(self, data: bytes) -> None:
        self._kept += data
        if self._paused and self._transport is not None and not self._ending:
            self._transport.pause_reading()

    def _deliver_kept(self) -> None:
        if self._paused or not self._kept or self._ending:
            return
        self._receive = self._input()
        data, self._kept = self._kept, b""
        self._receive(data)

    def _ignore(self, data: bytes) -> None:
        """Discard input; nobody answers it any more."""

    def _start_abort_timer(self, transport: asyncio.Transport, patience: float) -> None:
        if self._abort_timer is None:
            self._abort_timer = asyncio.get_running_loop().call_later(patience, transport.abort)


def _read_buffer() -> memoryview:
    loop = asyncio.get_running_loop()
    buffer = _buffers.get(loop)
    if buffer is None:
        buffer = _buffers[loop] = memoryview(bytearray(READ_SIZE))
    return buffer


def names_in_certificate(certificate: object) -> tuple[str, ...]:
    """The dNSNames of a verified certificate as `ssl.SSLSocket.getpeercert` returns it, in lower case."""
    if not isinstance(certificate, dict):
        return ()
    names = cast("tuple[tuple[str, str], ...]", certificate.get("subjectAltName", ()))
    return tuple(value.lower() for kind, value in names if kind == "DNS")


def reason_of(error: BaseException | None) -> str:
    """Why a connection was lost, in words for a log line."""
    if error is None:
        return "closed by the peer"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "reset by the peer"
    if isinstance(error, ssl.SSLError):
        return f"TLS error: {error.reason or error}"
    if isinstance(error, TimeoutError):
        return "the peer stopped answering"
    return str(error) or type(error).__name__
