"""What the network reports about datagrams of ours (ICMP), read from the socket's error queue where Linux keeps it."""

import errno
import os
import select
import socket
import struct
import sys

from wigwag.transport.channel import Address

MOST_REPORTS = 64
"""Reports read at once."""

_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
"""Level and name of the socket option, and of the control message that tells of an error."""
_EXTENDED_ERROR = struct.Struct("=IBBBxII")
"""sock_extended_err: errno, origin, type, code, information, data."""
_ICMP, _ICMPV6 = 2, 3
_TOLD = {_ICMP: frozenset({3, 12}), _ICMPV6: frozenset({1, 2, 4})}
"""By origin the types of ICMP that say that a datagram cannot arrive: unreachable, too big, parameter problem. Time
exceeded and source quench are not to be told (RFC 3261 section 18.4); what the kernel itself finds, sending raises."""
_DATA, _CONTROL = 64, 512
"""Bytes read of each: the datagram itself is not of interest."""


def report_errors(sock: socket.socket) -> bool:
    """Have the kernel keep reports about datagrams of a socket; False where it cannot."""
    if sys.platform != "linux" or not hasattr(select, "epoll"):
        return False
    level, option = _RECVERR[socket.AddressFamily(sock.family)]
    sock.setsockopt(level, option, 1)
    return True


def reports(sock: socket.socket) -> list[tuple[Address, OSError]]:
    """Take up to 64 reports: whom the datagram was for, and why it cannot arrive."""
    found = []
    for _ in range(MOST_REPORTS):
        try:
            _, control, _, remote = sock.recvmsg(_DATA, _CONTROL, socket.MSG_ERRQUEUE)
        except (OSError, AttributeError):
            break
        number = _error_number(control, sock.family)
        if number and remote:
            found.append((plain_address(remote), OSError(number, os.strerror(number))))
    return found


def plain_address(address: "tuple[str, int] | tuple[str, int, int, int]") -> Address:
    """A socket's address as host and port; a link-local one of IPv6 keeps its interface's number after ``%``."""
    if len(address) == 4 and address[3]:
        return f"{address[0]}%{address[3]}", address[1]
    return address[0], address[1]


def _error_number(control: list[tuple[int, int, bytes]], family: int) -> int:
    for level, kind, data in control:
        if (level, kind) == _RECVERR[socket.AddressFamily(family)] and len(data) >= _EXTENDED_ERROR.size:
            number, origin, type_, _, _, _ = _EXTENDED_ERROR.unpack_from(data)
            if type_ in _TOLD.get(origin, ()):
                return int(number) or errno.EPROTO
    return 0
