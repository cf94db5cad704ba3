"""The proxy that scenarios break connections with does what it is told, in each direction."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest

from tests.support.tcp_proxy import NO_FAULTS, Faults, TcpProxy, tcp_proxy
from tests.support.waiting import until

PATIENCE = 5.0
SHORT = 0.15
"""Seconds in which what is not to come would have come."""


@dataclass
class Target:
    """A server that keeps what it gets and writes what the test says."""

    port: int = 0
    received: bytes = b""
    ended: str = ""
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while data := await reader.read(65_536):
                self.received += data
            self.ended = "end"
        except OSError:
            self.ended = "reset"


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    target = Target()
    server = await asyncio.start_server(target.accepted, "127.0.0.1", 0)
    target.port = server.sockets[0].getsockname()[1]
    yield target
    server.close()
    for writer in target.writers:
        writer.transport.abort()


@pytest.fixture
def proxy(target: Target) -> Iterator[TcpProxy]:
    with tcp_proxy(("127.0.0.1", target.port)) as proxy:
        yield proxy


@dataclass
class Client:
    """A connection through the proxy."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def gets(self, data: bytes) -> None:
        assert await asyncio.wait_for(self.reader.readexactly(len(data)), PATIENCE) == data

    async def gets_nothing(self) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(self.reader.read(1), SHORT)


@pytest.fixture
async def client(proxy: TcpProxy, target: Target) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(*proxy.address)
    await until(lambda: target.writers, PATIENCE)
    yield Client(reader, writer)
    writer.transport.abort()


async def test_without_faults_bytes_and_the_end_pass(client: Client, target: Target) -> None:
    client.writer.write(b"there")
    target.writers[0].write(b"back")
    await client.gets(b"back")
    client.writer.write_eof()
    await until(lambda: target.ended == "end", PATIENCE)
    assert target.received == b"there"


async def test_a_delay_holds_one_direction_only(client: Client, proxy: TcpProxy, target: Target) -> None:
    proxy.set(Faults(delay=0.2), downstream=False)
    started = time.monotonic()
    client.writer.write(b"there")
    target.writers[0].write(b"back")
    await client.gets(b"back")
    assert target.received == b""
    await until(lambda: target.received == b"there", PATIENCE)
    assert time.monotonic() - started >= 0.2


async def test_a_blackhole_tells_nobody_and_loses_nothing(client: Client, proxy: TcpProxy, target: Target) -> None:
    proxy.set(Faults(blackhole=True), upstream=False)
    client.writer.write(b"there")
    target.writers[0].write(b"back")
    await until(lambda: target.received == b"there", PATIENCE)
    await client.gets_nothing()
    proxy.set(NO_FAULTS)
    await client.gets(b"back")


async def test_the_end_does_not_get_through_a_blackhole(client: Client, proxy: TcpProxy, target: Target) -> None:
    proxy.set(Faults(blackhole=True))
    target.writers[0].transport.abort()
    client.writer.write(b"there")
    await client.gets_nothing()
    proxy.heal()
    with pytest.raises((asyncio.IncompleteReadError, OSError)):
        await client.gets(b"back")


async def test_new_connections_vanish_in_a_blackhole_too(client: Client, proxy: TcpProxy, target: Target) -> None:
    proxy.set(Faults(blackhole=True))
    _, writer = await asyncio.open_connection(*proxy.address)
    writer.write(b"there")
    await client.gets_nothing()
    assert target.received == b""
    proxy.heal()
    await until(lambda: target.received == b"there", PATIENCE)
    writer.transport.abort()


async def test_a_cut_resets_both_sides_and_refuses_until_healed(
    client: Client, proxy: TcpProxy, target: Target
) -> None:
    proxy.cut(refuse=True)
    with pytest.raises(OSError):
        await client.gets(b"x")
    await until(lambda: target.ended == "reset", PATIENCE)
    with pytest.raises((asyncio.IncompleteReadError, OSError)):
        await Client(*await asyncio.open_connection(*proxy.address)).gets(b"x")
    assert len(target.writers) == 1
    proxy.heal()
    _, writer = await asyncio.open_connection(*proxy.address)
    await until(lambda: len(target.writers) == 2, PATIENCE)
    writer.transport.abort()


async def test_a_rate_is_kept(client: Client, proxy: TcpProxy, target: Target) -> None:
    proxy.set(Faults(bytes_per_second=1_000_000))
    started = time.monotonic()
    client.writer.write(bytes(300_000))
    await until(lambda: len(target.received) == 300_000, PATIENCE)
    assert time.monotonic() - started >= 0.25
