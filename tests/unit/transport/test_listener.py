"""Listeners: accepting, limits, deadlines, running out of descriptors, options that accepted sockets inherit."""

import asyncio
import os
import socket
import subprocess
import sys
import textwrap

import pytest

from tests.support.certificates import Authority
from tests.support.streams import Endpoints, Recorder, client_tls, echo
from tests.support.waiting import until
from wigwag.transport.admission import Admission
from wigwag.transport.errors import ListenError
from wigwag.transport.listener import Listener, ListenerOptions
from wigwag.transport.profiles import DEFAULT_KEEP_ALIVE, ProfileTable


def plain(**options: object) -> ListenerOptions:
    return ListenerOptions(**{"name": "l", "kind": "tcp", **options})  # type: ignore[arg-type]


async def test_a_port_in_use_is_named(endpoints: Endpoints) -> None:
    first = await endpoints.listen(plain())
    with pytest.raises(ListenError, match=f"other: cannot listen on 127.0.0.1 port {first.address[1]}"):
        await Listener(plain(name="other", port=first.address[1]), Recorder).start()


async def test_an_address_that_is_not_ours_is_named(endpoints: Endpoints) -> None:
    with pytest.raises(ListenError, match=r"192\.0\.2\.1"):
        await Listener(plain(host="192.0.2.1"), Recorder).start()


async def test_ipv6_addresses_are_pairs_too(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(plain(host="::1"), lambda: Recorder(echo))
    reader, writer = await endpoints.client(listener)
    writer.write(b"six")
    assert await reader.readexactly(3) == b"six"
    channel = (await endpoints.receiver()).channel
    assert channel.remote == writer.get_extra_info("sockname")[:2]
    assert channel.local == listener.address


async def test_accepted_sockets_inherit_what_every_connection_needs(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(plain())
    await endpoints.client(listener)
    sock = (await endpoints.receiver()).channel.transport_info("socket")
    options = [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY),
        (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
    ]
    values = [sock.getsockopt(*option) for option in options]  # type: ignore[attr-defined]
    assert values == [1, 65_536, *(int(value) for value in DEFAULT_KEEP_ALIVE)]


async def test_more_connections_than_one_address_may_have_are_closed_and_counted(endpoints: Endpoints) -> None:
    admission = Admission(per_address=2)
    listener = await endpoints.listen(plain(), admission=admission)
    first, _ = await endpoints.client(listener), await endpoints.client(listener)
    third, _ = await endpoints.client(listener)
    assert await third.read() == b""
    assert (admission.refused_per_address, admission.open) == (1, 2)
    first[1].close()
    await until(lambda: admission.open == 1)
    await endpoints.client(listener)
    await endpoints.receiver(3)
    assert admission.refused_per_address == 1


async def test_the_total_holds_over_all_listeners(endpoints: Endpoints) -> None:
    admission = Admission(connections=1)
    first = await endpoints.listen(plain(), admission=admission)
    second = await endpoints.listen(plain(name="m"), admission=admission)
    await endpoints.client(first)
    await endpoints.receiver()
    reader, _ = await endpoints.client(second)
    assert await reader.read() == b""
    assert (admission.refused_total, second.accepted) == (1, 1)


async def test_a_silent_client_is_cut_at_the_tls_handshake_deadline(endpoints: Endpoints, authority: Authority) -> None:
    certificates = (authority.issue("relay.test"),)
    admission = Admission()
    options = ListenerOptions(name="l", kind="tls", certificates=certificates, handshake_timeout=0.1)
    listener = await endpoints.listen(options, admission=admission)
    reader, _ = await endpoints.client(listener)
    await until(lambda: admission.open == 1 or listener.handshake_timeouts == 1)
    assert await reader.read() == b""
    await until(lambda: admission.open == 0)
    assert (listener.handshake_failures, listener.handshake_timeouts) == (1, 1)
    assert endpoints.accepted[0].reasons == []


async def test_a_handshake_sent_byte_by_byte_is_cut_at_the_same_deadline(
    endpoints: Endpoints, authority: Authority
) -> None:
    certificates = (authority.issue("relay.test"), authority.issue("other.test"))
    options = ListenerOptions(name="l", kind="tls", certificates=certificates, handshake_timeout=0.2)
    listener = await endpoints.listen(options)
    _, writer = await endpoints.client(listener)
    for byte in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(400):
        writer.write(bytes([byte]))
        await asyncio.sleep(0.001)
        if listener.handshake_timeouts:
            break
    await until(lambda: listener.handshake_timeouts == 1)


async def test_what_is_no_tls_is_refused_at_once(endpoints: Endpoints, authority: Authority) -> None:
    certificates = (authority.issue("relay.test"), authority.issue("other.test"))
    options = ListenerOptions(name="l", kind="tls", certificates=certificates)
    listener = await endpoints.listen(options)
    reader, writer = await endpoints.client(listener)
    writer.write(b"MSRP a786hjs2 AUTH\r\n")
    await reader.read()
    await until(lambda: listener.handshake_failures == 1)
    assert listener.handshake_timeouts == 0


async def test_a_client_that_connects_and_leaves_is_no_error(endpoints: Endpoints, authority: Authority) -> None:
    certificates = (authority.issue("relay.test"), authority.issue("other.test"))
    admission = Admission()
    for kind in ("tcp", "tls", "ws", "wss"):
        options = ListenerOptions(name=kind, kind=kind, certificates=certificates)
        listener = await endpoints.listen(options, admission=admission)
        (await endpoints.raw(listener)).close()
        await until(lambda listener=listener: listener.accepted == 1)  # type: ignore[misc]
    await until(lambda: admission.open == 0)


async def test_closing_a_listener_ends_connections_and_handshakes(endpoints: Endpoints, authority: Authority) -> None:
    options = ListenerOptions(name="l", kind="tls", certificates=(authority.issue("relay.test"),))
    listener = await endpoints.listen(options)
    silent, _ = await endpoints.client(listener)
    await until(lambda: listener.handshaking == 1)
    reader, _ = await endpoints.client(listener, client_tls(authority), "relay.test")
    receiver = await endpoints.receiver(2)
    await listener.close("going down")
    assert receiver.reasons == ["going down"]
    assert await reader.read() == b""
    assert await silent.read() == b""
    with pytest.raises(OSError, match=r"."):
        await endpoints.client(listener)


async def test_stop_accepting_leaves_connections_alone(endpoints: Endpoints) -> None:
    listener = await endpoints.listen(plain(), lambda: Recorder(echo))
    reader, writer = await endpoints.client(listener)
    await endpoints.receiver()
    listener.stop_accepting()
    writer.write(b"still here")
    assert await reader.readexactly(10) == b"still here"


async def test_a_slow_send_is_counted_when_the_profile_asks(endpoints: Endpoints) -> None:
    table = ProfileTable([{"id": 1, "send_threshold": 1}])
    listener = await endpoints.listen(plain(), lambda: Recorder(echo), profiles=lambda: table)
    reader, writer = await endpoints.client(listener)
    writer.write(b"x")
    assert await reader.readexactly(1) == b"x"
    receiver = await endpoints.receiver()
    while not listener.slow_sends:
        # A system call takes longer than a microsecond, nearly always.
        receiver.channel.send([b"x" * 10_000])
        await asyncio.sleep(0)
    assert receiver.channel.profile is table.profiles[0]


def test_running_out_of_descriptors_pauses_accepting_and_breaks_nothing() -> None:
    program = """
        import asyncio, os, resource, socket
        from wigwag.transport import listener as module
        from wigwag.transport.listener import Listener, ListenerOptions

        module.RETRY_ACCEPT_AFTER = 0.05
        reports = []

        class Echo:
            def connected(self, channel): self.channel = channel
            def data_received(self, data): self.channel.send([data])
            def pause_sending(self): pass
            def resume_sending(self): pass
            def disconnected(self, reason): pass

        async def ask(sock):
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(sock, b"?")
            return await asyncio.wait_for(loop.sock_recv(sock, 1), 10)

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: reports.append(context))
            listener = Listener(ListenerOptions(name="l", kind="tcp"), Echo)
            await listener.start()
            clients = []
            for _ in range(30):
                sock = socket.socket()
                sock.setblocking(False)
                clients.append(sock)
            used = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
            resource.setrlimit(resource.RLIMIT_NOFILE, (used + 10, used + 10))
            for sock in clients:
                await loop.sock_connect(sock, listener.address)
            while not listener.accept_pauses:
                await asyncio.sleep(0.01)
            established = len(listener.channels)
            assert 0 < established < 30, established
            assert await ask(clients[0]) == b"?"
            for sock in clients[1:20]:
                sock.close()
            assert await ask(clients[25]) == b"?"
            assert await ask(clients[0]) == b"?"
            assert reports == [], reports
            print("ok", listener.accept_pauses > 0)
            os._exit(0)

        LOOP.run(main())
    """
    for loop in ("asyncio", "uvloop"):
        if loop == "uvloop":
            pytest.importorskip("uvloop")
        source = f"import {loop} as LOOP\n" + textwrap.dedent(program).replace(
            "os._exit", "sys.stdout.flush(); os._exit"
        )
        result = subprocess.run(
            [sys.executable, "-c", "import sys\n" + source], capture_output=True, text=True, timeout=60, check=False
        )
        assert result.stdout == "ok True\n", result.stderr


def test_an_idle_plain_channel_takes_less_than_4_kib_of_python_memory() -> None:
    program = """
        import asyncio, socket, tracemalloc, sys, os
        from wigwag.transport.listener import Listener, ListenerOptions

        class Quiet:
            __slots__ = ()
            def connected(self, channel): pass
            def data_received(self, data): pass
            def pause_sending(self): pass
            def resume_sending(self): pass
            def disconnected(self, reason): pass

        async def main():
            loop = asyncio.get_running_loop()
            listener = Listener(ListenerOptions(name="l", kind="tcp"), Quiet)
            await listener.start()
            clients = [socket.socket() for _ in range(200)]
            for sock in clients[:100]:
                sock.setblocking(False)
                await loop.sock_connect(sock, listener.address)
            while len(listener.channels) < 100:
                await asyncio.sleep(0.01)
            tracemalloc.start()
            for sock in clients[100:]:
                sock.setblocking(False)
                await loop.sock_connect(sock, listener.address)
            while len(listener.channels) < 200:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            print(tracemalloc.get_traced_memory()[0] // 100)
            sys.stdout.flush()
            os._exit(0)

        LOOP.run(main())
    """
    loop = "uvloop" if _has_uvloop() else "asyncio"
    result = subprocess.run(
        [sys.executable, "-c", f"import {loop} as LOOP\n{textwrap.dedent(program)}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert int(result.stdout or "1000000") < 4096, result.stdout + result.stderr


def _has_uvloop() -> bool:
    try:
        import uvloop  # noqa: F401
    except ImportError:
        return False
    return os.name == "posix"
