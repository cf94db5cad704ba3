"""Which reports of the network count as errors (RFC 3261 section 18.4)."""

import errno
import socket
import struct

import pytest

from wigwag.transport.channel import Address
from wigwag.transport.icmp import MOST_REPORTS, plain_address, reports

ICMP, ICMPV6, LOCAL = 2, 3, 1


class ErrorQueue:
    """A socket with reports in its error queue."""

    def __init__(self, family: socket.AddressFamily, *control: bytes) -> None:
        self.family = family
        self._level, self._kind = (0, 11) if family == socket.AF_INET else (41, 25)
        self._waiting = list(control)

    def recvmsg(self, size: int, control: int, flags: int) -> object:
        assert flags == socket.MSG_ERRQUEUE
        if not self._waiting:
            raise BlockingIOError
        host = "192.0.2.1" if self.family == socket.AF_INET else "2001:db8::1"
        remote = (host, 5060) if self.family == socket.AF_INET else (host, 5060, 0, 0)
        return b"", [(1, 1, b""), (self._level, self._kind, self._waiting.pop(0))], 0, remote


def extended_error(number: int, origin: int, kind: int) -> bytes:
    return struct.pack("=IBBBBII", number, origin, kind, 0, 0, 0, 0) + bytes(16)


def told(family: socket.AddressFamily, *control: bytes) -> list[tuple[Address, int | None]]:
    found = reports(ErrorQueue(family, *control))  # type: ignore[arg-type]
    return [(remote, error.errno) for remote, error in found]


@pytest.mark.parametrize(
    ("family", "origin", "kind", "expected"),
    [
        (socket.AF_INET, ICMP, 3, True),
        (socket.AF_INET, ICMP, 12, True),
        (socket.AF_INET, ICMP, 11, False),
        (socket.AF_INET, ICMP, 4, False),
        (socket.AF_INET, LOCAL, 0, False),
        (socket.AF_INET6, ICMPV6, 1, True),
        (socket.AF_INET6, ICMPV6, 2, True),
        (socket.AF_INET6, ICMPV6, 4, True),
        (socket.AF_INET6, ICMPV6, 3, False),
    ],
)
def test_unreachable_and_parameter_problem_are_told_and_time_exceeded_is_not(
    family: socket.AddressFamily, origin: int, kind: int, expected: bool
) -> None:
    remote = "192.0.2.1" if family == socket.AF_INET else "2001:db8::1"
    found = told(family, extended_error(errno.EHOSTUNREACH, origin, kind))
    assert found == ([((remote, 5060), errno.EHOSTUNREACH)] if expected else [])


def test_what_is_cut_or_not_told_leaves_the_others() -> None:
    good = extended_error(errno.ECONNREFUSED, ICMP, 3)
    assert len(told(socket.AF_INET, good[:8], extended_error(0, LOCAL, 0), good)) == 1


def test_a_flood_of_reports_is_read_in_pieces() -> None:
    good = extended_error(errno.ECONNREFUSED, ICMP, 3)
    assert len(told(socket.AF_INET, *[good] * (MOST_REPORTS + 5))) == MOST_REPORTS


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        (("192.0.2.1", 1), ("192.0.2.1", 1)),
        (("2001:db8::1", 1, 0, 0), ("2001:db8::1", 1)),
        (("fe80::1", 1, 0, 3), ("fe80::1%3", 1)),
    ],
)
def test_a_link_local_address_keeps_its_interface(
    address: tuple[str, int] | tuple[str, int, int, int], plain: Address
) -> None:
    assert plain_address(address) == plain
