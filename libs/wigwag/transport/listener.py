"""Listening for connections: accepting, limits, handshake deadlines, and going on when descriptors run out.

Theory of operation. The listening socket is watched by the loop; each wake-up accepts up to 64 connections. A plain
one is a stream at once; TLS and WebSocket handshakes run under a deadline and count as open connections meanwhile. When
the process has no descriptor left, accepting rests and is tried again by a timer: connections that stand are not
affected, and those that wait stay in the kernel's queue.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from wigwag.transport.admission import Admission
from wigwag.transport.channel import Address, Application, Channel, ChannelKind, Receiver, reason_of
from wigwag.transport.client_hello import await_server_name
from wigwag.transport.errors import ListenError
from wigwag.transport.profiles import ProfileTable, TcpProfile, apply_to_socket
from wigwag.transport.streams import TlsStart, prepare_socket, start_stream
from wigwag.transport.tls import ServerTls
from wigwag.transport.websocket import WebSocketChannel, WebSocketRules

logger = logging.getLogger(__name__)

ListenerKind = Literal["tcp", "tls", "ws", "wss", "peer"]

ACCEPTS_PER_WAKE_UP = 64
RETRY_ACCEPT_AFTER = 0.5
"""Seconds that accepting rests when the process has no descriptor or memory left."""

PING_PHASES = 8
"""Pings are spread over this many moments of the interval, so that thousands of clients don't make one long pause."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_CHANNEL_KINDS: dict[ListenerKind, ChannelKind] = {"tcp": "tcp", "tls": "tls", "ws": "ws", "wss": "wss", "peer": "tls"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerOptions:
    """How one address is listened on."""

    name: str
    kind: ListenerKind
    host: str = "127.0.0.1"
    """Numeric address, IPv4 or IPv6."""
    port: int = 0
    """0 lets the system choose."""
    certificates: tuple[tuple[str, str], ...] = ()
    """Pairs of PEM files (chain, key) for ``tls``, ``wss``, ``peer``; the first serves when SNI matches none."""
    client_ca: str | None = None
    """Authorities of client certificates; ``peer`` only."""
    ask_certificate: bool = False
    """Whether clients are asked for a certificate that the receiver judges (``peer_certificate``)."""
    origins: tuple[str, ...] = ()
    """Origins that a browser may come from; empty: any."""
    application: Application = "msrp"
    """What the connections carry."""
    subprotocol: str = "msrp"
    """WebSocket subprotocol, without which the handshake is refused (RFC 7977 section 4.1, RFC 7118 section 4.1)."""
    text_frames: bool = False
    """Whether WebSocket messages that are UTF-8 leave as text, and only others as binary (RFC 7118 section 4.2)."""
    whole_messages: bool = False
    """Whether each read of a WebSocket receiver is one whole message, fragmented or not (RFC 7118 section 5)."""
    handshake_timeout: float = 10.0
    """Seconds that TLS and WebSocket handshakes may take, each."""
    close_timeout: float = 5.0
    """Seconds that unsent data may take to leave when a connection is closed."""
    ping_interval: float = 30.0
    """Seconds between WebSocket pings; a client that answers none of two is cut."""
    max_websocket_message: int = 1_048_576
    """Largest WebSocket message in bytes; more is closed with 1009."""
    backlog: int = 4096
    reuse_port: bool = False
    """Whether several processes listen on the port."""


class Listener:
    """One listening address and the connections that came in through it.

    Args:
        options: Where and how.
        factory: Makes the receiver of each connection.
        admission: Limits on open connections, shared by the listeners of a process.
        profiles: Returns the TCP profiles that hold now; asked for each connection.

    Attributes:
        channels: The open connections by id, handshakes done.
        accepted: Connections accepted, those refused at once included.
        accept_pauses: How often accepting rested for lack of descriptors or memory.
        handshake_failures: TLS and WebSocket handshakes that failed.
        handshake_timeouts: Those among them that took too long.
        slow_sends: Writes that took longer than their profile's ``send_threshold``.
        ping_timeouts: WebSocket clients cut because they answered no ping.
    """

    def __init__(
        self,
        options: ListenerOptions,
        factory: Callable[[], Receiver],
        *,
        admission: Admission | None = None,
        profiles: Callable[[], ProfileTable] | None = None,
    ) -> None:
        self.options = options
        self.name = options.name
        self.close_timeout = options.close_timeout
        self.channels: dict[int, Channel] = {}
        self.accepted = 0
        self.accept_pauses = 0
        self.handshake_failures = 0
        self.handshake_timeouts = 0
        self.slow_sends = 0
        self.ping_timeouts = 0
        self.tls: ServerTls | None = None
        self._factory = factory
        self._admission = admission or Admission()
        self._profiles = profiles
        self._kind = _CHANNEL_KINDS[options.kind]
        self._websocket: WebSocketRules | None = None
        if options.kind in ("ws", "wss"):
            self._websocket = WebSocketRules(
                subprotocol=options.subprotocol,
                origins=options.origins,
                largest_message=options.max_websocket_message,
                handshake_timeout=options.handshake_timeout,
                text_frames=options.text_frames,
                whole_messages=options.whole_messages,
            )
        self._ping_phase = 0
        self._ping_timer: asyncio.TimerHandle | None = None
        self._socket: socket.socket | None = None
        self._resume_timer: asyncio.TimerHandle | None = None
        self._handshakes: set[asyncio.Task[None]] = set()
        self._all_closed = asyncio.Event()

    # -- for the user ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Load the certificates, bind and accept.

        Raises:
            ListenError: The address cannot be bound.
            CertificateError: A certificate, key or authority file cannot be used.
        """
        if self.options.kind in ("tls", "wss", "peer"):
            self.tls = ServerTls(
                self.options.certificates, client_ca=self.options.client_ca, ask=self.options.ask_certificate
            )
        self._socket = _bind(self.options)
        # The port that the system chose stays ours to bind again.
        self.options = replace(self.options, port=self._socket.getsockname()[1])
        self._watch()
        if self._websocket is not None:
            self._schedule_pings()

    @property
    def address(self) -> Address:
        """Where it listens, with the port that the system chose."""
        if self._socket is None:
            return self.options.host, self.options.port
        host, port = self._socket.getsockname()[:2]
        return host, port

    @property
    def handshaking(self) -> int:
        """Connections whose handshakes are under way."""
        return len(self._handshakes)

    def stop_accepting(self) -> None:
        """Close the listening socket; open connections and handshakes go on."""
        if self._resume_timer is not None:
            self._resume_timer.cancel()
            self._resume_timer = None
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def accept_again(self) -> None:
        """Listen again, on the same address, after `stop_accepting`.

        Raises:
            ListenError: The address has been taken meanwhile.
        """
        if self._socket is None:
            self._socket = _bind(self.options)
            self._watch()

    async def close(self, reason: str = "shutting down") -> None:
        """Stop accepting, close every connection (unsent data has ``close_timeout``), and wait until all are gone."""
        self.stop_accepting()
        for task in tuple(self._handshakes):
            task.cancel()
        await asyncio.gather(*self._handshakes, return_exceptions=True)
        for channel in tuple(self.channels.values()):
            channel.close(reason)
        while self.channels:
            self._all_closed.clear()
            await self._all_closed.wait()
        if self._ping_timer is not None:
            self._ping_timer.cancel()

    # -- for its channels (ChannelOwner) -----------------------------------------------------------------------------

    def channel_opened(self, channel: Channel) -> None:
        """Handshakes are done."""
        self.channels[channel.id] = channel

    def channel_closed(self, channel: Channel) -> None:
        """The connection is over."""
        self.channels.pop(channel.id, None)
        self._admission.release(channel.remote[0])
        if not self.channels:
            self._all_closed.set()

    def send_was_slow(self, channel: Channel, microseconds: int) -> None:
        """A write took longer than the profile wants."""
        self.slow_sends += 1
        logger.info("%s: a write to %s took %d us", self.name, channel.remote, microseconds)

    def handshake_failed(self, channel: Channel, reason: str, *, too_slow: bool) -> None:
        """A WebSocket's opening handshake came to nothing."""
        self.handshake_failures += 1
        self.handshake_timeouts += too_slow
        logger.info("%s: WebSocket handshake with %s failed: %s", self.name, channel.remote, reason)

    # -- accepting ---------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        self._resume_timer = None
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._accept_ready)

    def _accept_ready(self) -> None:
        listening = self._socket
        for _ in range(ACCEPTS_PER_WAKE_UP):
            if listening is None:
                return
            try:
                sock, address = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._rest(error)
                    return
                continue  # This one was gone before it was accepted.
            self.accepted += 1
            self._welcome(sock, address[:2])

    def _rest(self, error: OSError) -> None:
        self.accept_pauses += 1
        logger.warning("%s: accepting rests for %.1f s: %s", self.name, RETRY_ACCEPT_AFTER, error.strerror)
        loop = asyncio.get_running_loop()
        if self._socket is not None:
            loop.remove_reader(self._socket)
        self._resume_timer = loop.call_later(RETRY_ACCEPT_AFTER, self._watch)

    def _welcome(self, sock: socket.socket, remote: Address) -> None:
        refusal = self._admission.admit(remote[0])
        if refusal is not None:
            sock.close()
            logger.info("%s: %s refused: %s", self.name, remote, refusal)
            return
        task = asyncio.get_running_loop().create_task(self._start(sock, remote))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _start(self, sock: socket.socket, remote: Address) -> None:
        channel: Channel | None = None
        try:
            channel = self._channel(sock, remote)
            if self.tls is None:
                await start_stream(sock, channel, None)
            else:
                async with asyncio.timeout(self.options.handshake_timeout):
                    await self._start_tls(sock, channel, self.tls)
        except (OSError, ValueError) as error:
            self._count_failure(remote, error)
        finally:
            if channel is None or not channel.was_made:
                sock.close()
                self._admission.release(remote[0])

    def _channel(self, sock: socket.socket, remote: Address) -> Channel:
        sock.setblocking(False)
        local: Address = sock.getsockname()[:2]
        profile = self._profile(remote, local)
        if profile is not None:
            apply_to_socket(sock, profile)
        receiver = self._factory()
        if self._websocket is not None:
            return WebSocketChannel(
                receiver,
                self,
                self._websocket,
                kind=self._kind,
                listener=self.name,
                remote=remote,
                local=local,
                profile=profile,
                application=self.options.application,
            )
        return Channel(
            receiver,
            self,
            kind=self._kind,
            listener=self.name,
            remote=remote,
            local=local,
            profile=profile,
            application=self.options.application,
        )

    def _profile(self, remote: Address, local: Address) -> TcpProfile | None:
        if self._profiles is None:
            return None
        return self._profiles().match(self._kind, remote, local, self.options.application)

    async def _start_tls(self, sock: socket.socket, channel: Channel, tls: ServerTls) -> None:
        name = await await_server_name(sock) if tls.needs_server_name else None
        start = TlsStart(
            context=tls.context(name),
            server_side=True,
            handshake_timeout=self.options.handshake_timeout,
            shutdown_timeout=self.options.close_timeout,
        )
        await start_stream(sock, channel, start)

    def _count_failure(self, remote: Address, error: Exception) -> None:
        self.handshake_failures += 1
        if isinstance(error, TimeoutError | ConnectionAbortedError):
            self.handshake_timeouts += 1
        logger.info("%s: handshake with %s failed: %s", self.name, remote, reason_of(error))

    # -- WebSocket pings ---------------------------------------------------------------------------------------------

    def _schedule_pings(self) -> None:
        delay = self.options.ping_interval / PING_PHASES
        self._ping_timer = asyncio.get_running_loop().call_later(delay, self._ping_some)

    def _ping_some(self) -> None:
        self._ping_phase = (self._ping_phase + 1) % PING_PHASES
        for channel in [channel for channel in self.channels.values() if channel.id % PING_PHASES == self._ping_phase]:
            if isinstance(channel, WebSocketChannel) and not channel.ping():
                self.ping_timeouts += 1
                channel.abort("no answer to a ping")
        if self._socket is not None or self.channels:
            self._schedule_pings()


def _bind(options: ListenerOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        prepare_socket(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if options.reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # An IPv4 client shall never look like ::ffff:192.0.2.1: rules about addresses would miss it.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((options.host, options.port))
        sock.listen(options.backlog)
    except OSError as error:
        sock.close()
        raise ListenError(f"{options.name}: cannot listen on {options.host} port {options.port}: {error}") from error
    return sock
