"""UDP: what comes is handed on, keep-alives are answered, errors are told, and nothing stops the listener."""

import asyncio
import errno
import itertools
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing

import pytest

from tests.support.waiting import until
from wigwag.transport.channel import Address
from wigwag.transport.datagrams import DATAGRAMS_PER_WAKE_UP, DatagramListener, DatagramOptions
from wigwag.transport.errors import ListenError

LOOPBACKS = ["127.0.0.1", "::1"]
BINDING_REQUEST = bytes.fromhex("000100002112a442") + b"transaction."


class World:
    """A listener that remembers, and what it was told."""

    def __init__(self, **options: object) -> None:
        self.datagrams: list[tuple[bytes, Address]] = []
        self.failures: list[tuple[Address, int | None]] = []
        self.act: Callable[[bytes, Address], None] = lambda data, remote: None
        self.listener = DatagramListener(
            DatagramOptions(**{"name": "u", **options}),  # type: ignore[arg-type]
            self.receive,
            failed=lambda remote, error: self.failures.append((remote, error.errno)),
        )

    def receive(self, data: bytes, remote: Address, listener: DatagramListener) -> None:
        assert listener is self.listener
        self.datagrams.append((data, remote))
        self.act(data, remote)

    @property
    def payloads(self) -> list[bytes]:
        return [data for data, _ in self.datagrams]


@asynccontextmanager
async def listening(**options: object) -> AsyncIterator[World]:
    reports: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    world = World(**options)
    await world.listener.start()
    try:
        yield world
    finally:
        world.listener.close()
    assert reports == []


def client(host: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    sock.setblocking(False)
    return sock


def unused(host: str = "127.0.0.1") -> Address:
    with closing(client(host)) as sock:
        address: Address = sock.getsockname()[:2]
        return address


async def answer(sock: socket.socket) -> bytes:
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 65_536), 5)


@pytest.mark.parametrize("host", LOOPBACKS)
async def test_a_datagram_comes_whole_with_its_sender_and_is_answered(host: str) -> None:
    async with listening(host=host) as world:
        world.act = lambda data, remote: world.listener.send(b"A" + data, remote)
        with closing(client(host)) as sock:
            sock.sendto(b"OPTIONS", world.listener.address)
            assert await answer(sock) == b"AOPTIONS"
            assert world.datagrams == [(b"OPTIONS", sock.getsockname()[:2])]
        it = world.listener
        assert (it.received, it.received_bytes, it.sent, it.sent_bytes, it.dropped) == (1, 7, 1, 8, 0)


async def test_the_largest_datagram_is_not_cut() -> None:
    async with listening() as world:
        with closing(client()) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            sock.sendto(b"M" * 65_507, world.listener.address)
            await until(lambda: world.payloads == [b"M" * 65_507])


async def test_one_wake_up_takes_a_bounded_number_and_the_rest_follows_in_order() -> None:
    async with listening() as world:
        with closing(client()) as sock:
            for number in range(3 * DATAGRAMS_PER_WAKE_UP):
                sock.sendto(b"SIP/%d" % number, world.listener.address)
        seen: list[int] = []

        def look() -> None:
            seen.append(len(world.datagrams))
            asyncio.get_running_loop().call_soon(look)

        look()
        await until(lambda: len(world.datagrams) == 3 * DATAGRAMS_PER_WAKE_UP)
        assert max(later - sooner for sooner, later in itertools.pairwise(seen)) <= DATAGRAMS_PER_WAKE_UP
        assert world.payloads == [b"SIP/%d" % number for number in range(3 * DATAGRAMS_PER_WAKE_UP)]


@pytest.mark.parametrize("host", LOOPBACKS)
async def test_a_stun_binding_request_is_answered_with_the_address_it_came_from(host: str) -> None:
    async with listening(host=host) as world:
        with closing(client(host)) as sock:
            sock.sendto(BINDING_REQUEST, world.listener.address)
            response = await answer(sock)
            port = int.from_bytes(response[26:28], "big") ^ 0x2112
            assert (response[:2], response[8:20], port) == (b"\x01\x01", b"transaction.", sock.getsockname()[1])
        assert world.datagrams == []
        assert world.listener.keep_alives == 1


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\0\0\0\0", b"\r\n"])
async def test_empty_keep_alives_are_counted_and_not_handed_on(data: bytes) -> None:
    async with listening() as world:
        with closing(client()) as sock:
            sock.sendto(data, world.listener.address)
            sock.sendto(b"\r\nOPTIONS", world.listener.address)
            await until(lambda: world.datagrams)
        assert world.payloads == [b"\r\nOPTIONS"]
        assert world.listener.keep_alives == 1


@pytest.mark.parametrize("host", LOOPBACKS)
async def test_a_port_nobody_listens_on_is_told_and_the_listener_goes_on(host: str) -> None:
    async with listening(host=host) as world:
        dead = unused(host)
        for _ in range(3):
            world.listener.send(b"MESSAGE", dead)
            await until(lambda: world.failures)
            assert world.failures.pop() == (dead, errno.ECONNREFUSED)
        with closing(client(host)) as sock:
            sock.sendto(b"OPTIONS", world.listener.address)
            await until(lambda: world.payloads == [b"OPTIONS"])


async def test_an_error_about_one_datagram_loses_no_other() -> None:
    async with listening() as world:
        dead = unused()
        with closing(client()) as sock:
            for number in range(20):
                world.listener.send(b"to the dead", dead)
                world.listener.send(b"%d" % number, sock.getsockname())
            assert [await answer(sock) for _ in range(20)] == [b"%d" % number for number in range(20)]
        await until(lambda: world.failures)
        assert set(world.failures) == {(dead, errno.ECONNREFUSED)}
        assert world.listener.sent == 40


async def test_too_large_a_datagram_is_told_later_and_not_sent() -> None:
    async with listening() as world:
        remote = unused()
        world.listener.send(b"M" * 65_508, remote)
        assert world.failures == []
        await until(lambda: world.failures == [(remote, errno.EMSGSIZE)])
        assert (world.listener.sent, world.listener.errors) == (0, 1)


async def test_a_receiver_that_fails_loses_only_its_own_datagram() -> None:
    reports: list[object] = []
    async with listening() as world:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context["exception"]))

        def fail(data: bytes, remote: Address) -> None:
            if data == b"BAD":
                raise BlockingIOError("a defect of the receiver's own")

        world.act = fail
        with closing(client()) as sock:
            for data in (b"A", b"BAD", b"B"):
                sock.sendto(data, world.listener.address)
        await until(lambda: world.payloads == [b"A", b"BAD", b"B"])
        assert len(reports) == 1
        assert world.listener.received == 3


class Kernel:
    """A ``sendto`` that has room only when the test says so."""

    def __init__(self, listener: DatagramListener) -> None:
        self.room = 0
        self._sendto = listener._sendto
        listener._sendto = self

    def __call__(self, data: bytes, remote: Address) -> int:
        if not self.room:
            raise BlockingIOError
        self.room -= 1
        return self._sendto(data, remote)


async def test_without_room_in_the_kernel_datagrams_wait_in_order_and_the_surplus_is_dropped() -> None:
    async with listening(send_queue=10) as world:
        kernel = Kernel(world.listener)
        with closing(client()) as sock:
            for data in (b"1111", b"2222", b"3333", b"44"):
                world.listener.send(data, sock.getsockname())
            assert (world.listener.unsent(), world.listener.dropped, world.listener.sent) == (10, 1, 0)
            kernel.room = 2
            assert [await answer(sock) for _ in range(2)] == [b"1111", b"2222"]
            world.listener.send(b"55", sock.getsockname())
            kernel.room = 9
            assert [await answer(sock) for _ in range(2)] == [b"44", b"55"]
        assert (world.listener.unsent(), world.listener.dropped, world.listener.sent) == (0, 1, 4)


async def test_closing_tries_once_more_what_waits() -> None:
    async with listening() as world:
        kernel = Kernel(world.listener)
        with closing(client()) as sock:
            world.listener.send(b"1", sock.getsockname())
            world.listener.send(b"2", sock.getsockname())
            kernel.room = 1
            world.listener.close()
            assert await answer(sock) == b"1"
        assert (world.listener.sent, world.listener.dropped, world.listener.is_open) == (1, 1, False)
        world.listener.send(b"3", ("127.0.0.1", 9))
        world.listener.close()


async def test_a_receiver_may_close_the_listener() -> None:
    async with listening() as world:
        world.act = lambda data, remote: world.listener.close()
        with closing(client()) as sock:
            sock.sendto(b"A", world.listener.address)
            sock.sendto(b"B", world.listener.address)
        await until(lambda: not world.listener.is_open)
        assert world.payloads == [b"A"]


async def test_several_listeners_share_a_port() -> None:
    async with (
        listening(reuse_port=True) as first,
        listening(reuse_port=True, port=first.listener.address[1]) as second,
    ):
        socks = [client() for _ in range(64)]
        for sock in socks:
            sock.sendto(b"OPTIONS", first.listener.address)
        await until(lambda: len(first.datagrams) + len(second.datagrams) == 64)
        assert first.datagrams
        assert second.datagrams
        for sock in socks:
            sock.close()


async def test_an_address_that_is_taken_cannot_be_listened_on() -> None:
    async with listening() as world:
        with pytest.raises(ListenError, match="cannot listen on"):
            await World(port=world.listener.address[1]).listener.start()


async def test_what_the_kernel_dropped_is_known() -> None:
    async with listening(receive_buffer=4096) as world:
        assert world.listener.kernel_drops() == 0
        with closing(client()) as sock:
            for _ in range(100):
                sock.sendto(b"M" * 1000, world.listener.address)
        await until(lambda: world.datagrams)
        assert world.listener.kernel_drops() == 100 - len(world.datagrams)
    assert world.listener.kernel_drops() == 0


async def test_the_receive_buffer_holds_a_burst() -> None:
    async with listening() as world:
        with closing(client()) as sock:
            for _ in range(1000):
                sock.sendto(b"M" * 500, world.listener.address)
        await until(lambda: len(world.datagrams) == 1000)
