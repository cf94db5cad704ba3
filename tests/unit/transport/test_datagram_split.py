"""New requests and what is under way come through queues of their own (Linux)."""

import socket
import sys
from contextlib import closing

import pytest

from tests.support.waiting import until
from wigwag.transport.channel import Address
from wigwag.transport.datagram_split import second_socket
from wigwag.transport.datagrams import DatagramListener, DatagramOptions
from wigwag.transport.errors import ListenError

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can part datagrams")

UNDER_WAY = (b"SIP/2.0 200 OK", b"ACK sip:a", b"BYE sip:a", b"PRACK sip:a", b"UPDATE sip:a", b"INFO sip:a")
NEW = (b"MESSAGE sip:a", b"INVITE sip:a", b"CANCEL sip:a", b"REGISTER sip:a", b"SIPX", b"OPTIONS sip:a")
KEEP_ALIVES = (b"\r\n\r\n", b"\0\0\0\0", b"\0\1\0\0", b"S", b"")


def bound(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(5)
    sock.bind((host, 0))
    return sock


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_kernel_gives_the_second_socket_new_requests_and_the_first_all_else(host: str) -> None:
    with closing(bound(host)) as first, closing(bound(host)) as client:
        second = second_socket(first)
        assert second is not None
        with closing(second):
            second.settimeout(5)
            for data in (*UNDER_WAY, *KEEP_ALIVES, *NEW):
                client.sendto(data, first.getsockname()[:2])
            assert [first.recv(100) for _ in (*UNDER_WAY, *KEEP_ALIVES)] == [*UNDER_WAY, *KEEP_ALIVES]
            assert [second.recv(100) for _ in NEW] == [*NEW]


async def test_a_listener_takes_both_and_counts_what_the_kernel_drops_of_new_requests() -> None:
    came: list[bytes] = []

    def receive(data: bytes, remote: Address, listener: DatagramListener) -> None:
        came.append(data)

    listener = DatagramListener(DatagramOptions(name="udp", receive_buffer=8192), receive)
    await listener.start()
    try:
        with closing(bound("127.0.0.1")) as client:
            for _ in range(200):
                client.sendto(b"MESSAGE sip:a" + b"x" * 1000, listener.address)
            client.sendto(b"SIP/2.0 200 OK", listener.address)
            await until(lambda: b"SIP/2.0 200 OK" in came)
            assert 0 < listener.requests_dropped() < 200
            assert listener.kernel_drops() == listener.requests_dropped()
            await until(lambda: len(came) == 201 - listener.requests_dropped())
    finally:
        listener.close()


async def test_a_port_that_is_parted_is_still_refused_to_others() -> None:
    first = DatagramListener(DatagramOptions(name="udp"), lambda data, remote, listener: None)
    await first.start()
    second = DatagramListener(DatagramOptions(name="other", port=first.address[1]), lambda data, remote, listener: None)
    try:
        with pytest.raises(ListenError, match="in use"):
            await second.start()
    finally:
        first.close()
