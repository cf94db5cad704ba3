"""UDP listeners: datagrams in and out at as little cost as a socket allows.

Theory of operation. A wake-up reads up to 64 datagrams (``per_wake_up``) with ``recvfrom`` and hands each to one
callback, so that a flood leaves room for the loop's other work. Where the system can do it, new requests of SIP have a
socket of their own on the same port (``datagram_split``), of which fewer are read at a time: what is under way goes
first, and the kernel drops what there is no time for. A datagram is sent at once; when the kernel has no room it waits
in a bounded queue, and beyond that it is dropped and counted, as any network may drop it.

What the network says about datagrams of ours (ICMP) comes from the socket's error queue, with the address it is about.
The loop watches an epoll set that holds the socket instead of the socket itself: uvloop stops watching a descriptor for
good once that descriptor reports an error, and the first unreachable peer would silence the listener.
"""

import asyncio
import contextlib
import errno
import select
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from wigwag.protocols import stun
from wigwag.transport.channel import Address
from wigwag.transport.datagram_split import second_socket
from wigwag.transport.errors import ListenError
from wigwag.transport.icmp import plain_address, report_errors, reports

DATAGRAMS_PER_WAKE_UP = 64
REQUESTS_PER_WAKE_UP = 16
"""New requests taken at once: what is under way is looked at after so many."""
LARGEST_DATAGRAM = 65_535
"""Bytes; nothing larger comes over IPv4 or IPv6 without jumbograms."""

_SO_MEMINFO = 55
_MEMINFO_DROPS = 8
_STALE_ERRORS = 3
"""How often a send is tried again that reports an error about an earlier datagram."""
_FIRST_LETTER = 0x40
_KEEP_ALIVE = b"\r\n\0"
"""Octets that keep-alives of NAT bindings consist of besides STUN: CRLF, and zeros from old phones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatagramOptions:
    """How one address is listened on."""

    name: str
    host: str = "127.0.0.1"
    """Numeric address, IPv4 or IPv6. Answers leave from it; with 0.0.0.0 the system's routes choose."""
    port: int = 0
    """0 lets the system choose."""
    receive_buffer: int = 4_194_304
    """Bytes of datagrams that may wait in the kernel; as much of it as the system allows is taken."""
    send_queue: int = 1_048_576
    """Bytes of datagrams that may wait here while the kernel has no room; more is dropped."""
    reuse_port: bool = False
    """Whether several processes listen on the port; the kernel gives a peer's address and port to one of them."""
    split: bool = True
    """Whether new requests get a queue of their own in the kernel; not with ``reuse_port``, nor where it can't."""


class DatagramListener:
    """One UDP socket.

    Args:
        options: Where and how.
        receive: Gets each datagram, the sender's address, and this listener. Addresses are numeric; link-local ones
            of IPv6 end in ``%`` and the interface's number, which `send` understands.
        failed: Told that a datagram to an address cannot arrive, with what the network or the kernel said
            (ECONNREFUSED: nobody listens there; EMSGSIZE: too large); never from within `send`. Networks may lie
            and may be silent.

    Attributes:
        received: Datagrams received, keep-alives included.
        received_bytes: Their payload.
        sent: Datagrams handed to the kernel.
        sent_bytes: Their payload.
        dropped: Datagrams not sent for lack of room.
        errors: Errors told to ``failed``.
        per_wake_up: Datagrams taken at once at most; may be changed at any time.
        keep_alives: STUN requests, CRLF and empty datagrams among those received.
    """

    def __init__(
        self,
        options: DatagramOptions,
        receive: "Callable[[bytes, Address, DatagramListener], None]",
        *,
        failed: Callable[[Address, OSError], None] | None = None,
    ) -> None:
        self.options = options
        self.name = options.name
        self.received = 0
        self.received_bytes = 0
        self.sent = 0
        self.sent_bytes = 0
        self.dropped = 0
        self.errors = 0
        self.keep_alives = 0
        self.per_wake_up = DATAGRAMS_PER_WAKE_UP
        self._receive = receive
        self._failed = failed
        self._socket: socket.socket | None = None
        self._requests: socket.socket | None = None
        """Gets the new requests; None: there is one socket for all."""
        self._sendto: Callable[[bytes, Address], int]
        self._wide = False
        self._watched: dict[socket.socket, select.epoll] = {}
        self._queue: deque[tuple[bytes, Address]] = deque()
        self._queued = 0

    # -- for the user ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bind and receive.

        Raises:
            ListenError: The address cannot be bound.
        """
        self._socket = _bind(self.options)
        self._sendto = self._socket.sendto
        # The port that the system chose stays ours to bind again.
        self.options = replace(self.options, port=self._socket.getsockname()[1])
        self._wide = self._socket.family == socket.AF_INET6
        self._watch(self._socket, self._ready)
        if self.options.split and not self.options.reuse_port:
            self._requests = second_socket(self._socket)
        if self._requests is not None:
            self._requests.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.options.receive_buffer)
            self._watch(self._requests, self._requests_ready)

    def _watch(self, sock: socket.socket, ready: Callable[[], None]) -> None:
        watched: select.epoll | socket.socket = sock
        if report_errors(sock):
            watched = self._watched[sock] = select.epoll()
            watched.register(sock, select.EPOLLIN)
        asyncio.get_running_loop().add_reader(watched, ready)

    @property
    def address(self) -> Address:
        """Where it listens, with the port that the system chose."""
        return self.options.host, self.options.port

    @property
    def is_open(self) -> bool:
        """Whether datagrams can come and go."""
        return self._socket is not None

    def receive_by(self, receive: "Callable[[bytes, Address, DatagramListener], None]") -> None:
        """Give what comes from now on to somebody else."""
        self._receive = receive

    def send(self, data: bytes, remote: Address) -> None:
        """Send a datagram.

        Never blocks and never fails; on a closed listener it does nothing. Like the network it promises nothing.

        Args:
            data: The payload.
            remote: A numeric address and a port. (A name would be looked up, and the loop stand still meanwhile.)
        """
        if self._socket is None:
            return
        if self._queue:
            self._enqueue(data, remote)
            return
        try:
            self._sendto(data, remote)
        except BlockingIOError:
            self._enqueue(data, remote)
        except OSError as error:
            self._send_again(data, remote, error)
        else:
            self.sent += 1
            self.sent_bytes += len(data)

    def unsent(self) -> int:
        """Bytes that wait for room in the kernel."""
        return self._queued

    def kernel_drops(self) -> int:
        """Datagrams that the kernel dropped because its receive buffer was full; 0 where it does not say."""
        return _memory(self._socket)[_MEMINFO_DROPS] + self.requests_dropped()

    def requests_dropped(self) -> int:
        """New requests among those; 0 where they have no queue of their own."""
        return _memory(self._requests)[_MEMINFO_DROPS]

    def receive_queue(self) -> tuple[int, int]:
        """Bytes of kernel memory that datagrams wait in, and how many there may be; 0, 0 where it does not say.

        New requests that have a queue of their own don't count: they keep nobody else waiting.
        """
        memory = _memory(self._socket)
        return memory[0], memory[1]

    def close(self) -> None:
        """Stop; what waits for room is tried once more and then lost."""
        sock, self._socket = self._socket, None
        if sock is None:
            return
        loop = asyncio.get_running_loop()
        requests, self._requests = self._requests, None
        if requests is not None:
            self._unwatch(requests)
            requests.close()
        self._unwatch(sock)
        if self._queue:
            loop.remove_writer(sock)
            self._flush()
            self.dropped += len(self._queue)
            self._queue.clear()
            self._queued = 0
        sock.close()

    def _unwatch(self, sock: socket.socket) -> None:
        watched = self._watched.pop(sock, None)
        asyncio.get_running_loop().remove_reader(watched or sock)
        if watched is not None:
            watched.close()

    # -- receiving ---------------------------------------------------------------------------------------------------

    def _ready(self) -> None:
        if self._socket is not None:
            self._take(self._socket, self.per_wake_up)

    def _requests_ready(self) -> None:
        if self._requests is not None:
            self._take(self._requests, REQUESTS_PER_WAKE_UP)

    def _take(self, sock: socket.socket, most: int) -> None:
        """Take in what is there, in one loop without calls of our own: they would cost as much as the reading."""
        receive, wide = self._receive, self._wide
        received = octets = 0
        try:
            while received < most and self._socket is not None:
                try:
                    data, remote = sock.recvfrom(LARGEST_DATAGRAM)
                except OSError as error:
                    if not received or not isinstance(error, BlockingIOError):
                        self._read_errors(sock)
                    return
                received += 1
                octets += len(data)
                if wide:
                    remote = plain_address(remote)
                # No SIP message begins below "@"; everything that keeps bindings alive does.
                if data and data[0] >= _FIRST_LETTER:
                    receive(data, remote, self)
                else:
                    self._odd(data, remote)
        finally:
            self.received += received
            self.received_bytes += octets

    def _odd(self, data: bytes, remote: Address) -> None:
        """A keep-alive, or nonsense that the user shall see."""
        if stun.is_stun(data):
            self.keep_alives += 1
            answer = stun.binding_response(data, *remote)
            if answer is not None:
                self.send(answer, remote)
        elif not data.strip(_KEEP_ALIVE):
            self.keep_alives += 1
        else:
            self._receive(data, remote, self)

    # -- sending -----------------------------------------------------------------------------------------------------

    def _send_again(self, data: bytes, remote: Address, error: OSError) -> None:
        """Send after an error that may have been about an earlier datagram: the kernel tells it to who comes next."""
        for _ in range(_STALE_ERRORS):
            if self._socket is None:
                return
            self._read_errors(self._socket)
            try:
                self._sendto(data, remote)
            except BlockingIOError:
                self._enqueue(data, remote)
                return
            except OSError as other:
                error = other
            else:
                self.sent += 1
                self.sent_bytes += len(data)
                return
        if error.errno == errno.ENOBUFS:
            self.dropped += 1
        else:
            self._tell(remote, error)

    def _enqueue(self, data: bytes, remote: Address) -> None:
        if self._queued + len(data) > self.options.send_queue:
            self.dropped += 1
            return
        if not self._queue and self._socket is not None:
            asyncio.get_running_loop().add_writer(self._socket, self._writable)
        self._queue.append((data, remote))
        self._queued += len(data)

    def _writable(self) -> None:
        self._flush()
        if self._socket is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_writer(self._socket)
        if self._queue:
            # Anew each time: uvloop stops watching a descriptor that reports an error.
            loop.add_writer(self._socket, self._writable)

    def _flush(self) -> None:
        queue = self._queue
        for _ in range(min(len(queue), DATAGRAMS_PER_WAKE_UP)):
            data, remote = queue[0]
            try:
                self._sendto(data, remote)
            except BlockingIOError:
                return
            except OSError as error:
                self._tell(remote, error)
            else:
                self.sent += 1
                self.sent_bytes += len(data)
            queue.popleft()
            self._queued -= len(data)

    # -- errors ------------------------------------------------------------------------------------------------------

    def _read_errors(self, sock: socket.socket) -> None:
        for remote, error in reports(sock):
            self._tell(remote, error)

    def _tell(self, remote: Address, error: OSError) -> None:
        self.errors += 1
        if self._failed is not None:
            asyncio.get_running_loop().call_soon(self._failed, remote, error)


def _memory(sock: socket.socket | None) -> tuple[int, ...]:
    """Return what the kernel tells of a socket's memory, by Linux's SK_MEMINFO numbers."""
    size = 4 * (_MEMINFO_DROPS + 1)
    if sock is not None:
        with contextlib.suppress(OSError):
            info = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, size)
            if len(info) == size:
                return struct.unpack(f"={_MEMINFO_DROPS + 1}I", info)
    return (0,) * (_MEMINFO_DROPS + 1)


def _bind(options: DatagramOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options.receive_buffer)
        if options.reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # An IPv4 client shall never look like ::ffff:192.0.2.1: rules about addresses would miss it.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((options.host, options.port))
    except OSError as error:
        sock.close()
        raise ListenError(f"{options.name}: cannot listen on {options.host} port {options.port}: {error}") from error
    return sock
