"""A TCP proxy that misbehaves on demand: delays, throttles, swallows or cuts, each direction by itself.

It runs in a thread with an event loop of its own, so that a scenario that waits does not hold it up.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

HOST = "127.0.0.1"
_READ = 65_536
_MOST_IN_TRANSIT = 1_048_576
"""Bytes that a direction holds while they are delayed; beyond, it does not read."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What happens to bytes in one direction."""

    delay: float = 0.0
    """Seconds that each byte is under way."""
    bytes_per_second: float | None = None
    """None: as fast as it goes."""
    blackhole: bool = False
    """Nothing gets through and nobody is told; what comes meanwhile is passed on afterwards, as TCP would."""


NO_FAULTS = Faults()


@dataclass(slots=True)
class Direction:
    """Faults of one direction, of all connections alike."""

    faults: Faults = NO_FAULTS
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def set(self, faults: Faults) -> None:
        """Let other faults hold from now on."""
        self.faults = faults
        self.changed.set()
        self.changed = asyncio.Event()


class TcpProxy:
    """Passes connections on to one address.

    Args:
        target: ``(host, port)`` that it connects to.
        port: Where it listens; 0 lets the system choose.
    """

    def __init__(self, target: tuple[str, int], port: int = 0) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._upstream, self._downstream = Direction(), Direction()
        self._refusing = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = port
        self.accepted = 0
        """Connections so far."""
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return HOST, self.port

    # From the scenario's thread

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        self._do(self._listen())

    def stop(self) -> None:
        """Cut everything and end."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def set(self, faults: Faults, *, upstream: bool = True, downstream: bool = True) -> None:
        """Let faults hold for all connections, those that stand and those to come.

        Args:
            faults: What happens from now on; ``NO_FAULTS``: all is well again.
            upstream: Whether for what goes to the target.
            downstream: Whether for what comes from it.
        """
        directions = [self._upstream] * upstream + [self._downstream] * downstream
        self._do(self._set(directions, faults))

    def cut(self, *, refuse: bool = False) -> None:
        """Reset all connections.

        Args:
            refuse: Whether connections to come are reset as well, until ``heal``.
        """
        self._do(self._cut(refuse))

    def heal(self) -> None:
        """Let everything through again."""
        self._do(self._heal())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10.0)

    # In the proxy's thread

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accepted, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        await self._cut(refuse=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _set(self, directions: list[Direction], faults: Faults) -> None:
        for direction in directions:
            direction.set(faults)

    async def _cut(self, refuse: bool) -> None:
        self._refusing = refuse
        for writer in list(self._writers):
            _reset(writer)

    async def _heal(self) -> None:
        self._refusing = False
        await self._set([self._upstream, self._downstream], NO_FAULTS)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        try:
            if self._refusing:
                return
            # A server's callback must not end as cancelled: asyncio would complain.
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._relay(reader, writer)
        finally:
            self._writers.discard(writer)
            _reset(writer)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._writers.add(far_writer)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass(reader, far_writer, self._upstream))
                group.create_task(_pass(far_reader, writer, self._downstream))
        except* OSError:
            pass
        finally:
            self._writers.discard(far_writer)
            _reset(far_writer)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction) -> None:
    """Pass one direction on until its end, which is passed on too, as late as the bytes before it."""
    transit = _Transit()
    async with asyncio.TaskGroup() as group:
        group.create_task(_read(reader, transit))
        group.create_task(_deliver(transit, writer, direction))


class _Transit:
    """Bytes under way, with the time they came; no bytes: the end; None: a reset."""

    def __init__(self) -> None:
        self.pieces: deque[tuple[float, bytes | None]] = deque()
        self.octets = 0
        self.changed = asyncio.Condition()

    async def put(self, data: bytes | None) -> None:
        """Take up what came, once there is room for more."""
        async with self.changed:
            self.pieces.append((asyncio.get_running_loop().time(), data))
            self.octets += len(data or b"")
            self.changed.notify_all()
            await self.changed.wait_for(lambda: self.octets < _MOST_IN_TRANSIT)

    async def first(self) -> tuple[float, bytes | None]:
        """Return the oldest piece, once there is one."""
        async with self.changed:
            await self.changed.wait_for(lambda: bool(self.pieces))
            return self.pieces[0]

    async def drop_first(self) -> None:
        """Make room."""
        async with self.changed:
            self.octets -= len(self.pieces.popleft()[1] or b"")
            self.changed.notify_all()


async def _read(reader: asyncio.StreamReader, transit: _Transit) -> None:
    data: bytes | None = b"beginning"
    while data:
        try:
            data = await reader.read(_READ)
        except OSError:
            data = None
        await transit.put(data)


async def _deliver(transit: _Transit, writer: asyncio.StreamWriter, direction: Direction) -> None:
    while True:
        came, data = await transit.first()
        await _let_through(came, len(data or b""), direction)
        # Where this direction can't be written any more, the other one tells, unless it is a blackhole.
        with contextlib.suppress(OSError):
            if data is None:
                _reset(writer)
            elif not data:
                writer.write_eof()
            else:
                writer.write(data)
                await writer.drain()
        if not data:
            return
        await transit.drop_first()


async def _let_through(came: float, octets: int, direction: Direction) -> None:
    """Wait as long as the direction's faults say, whatever they become meanwhile."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while True:
        faults, changed = direction.faults, direction.changed
        if faults.blackhole:
            await changed.wait()
            continue
        due = came + faults.delay
        if faults.bytes_per_second is not None:
            due = max(due, started + octets / faults.bytes_per_second)
        if due <= loop.time():
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(changed.wait(), due - loop.time())


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()


@contextmanager
def tcp_proxy(target: tuple[str, int], port: int = 0) -> Iterator[TcpProxy]:
    """Run a proxy until the block ends."""
    proxy = TcpProxy(target, port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
