"""Two sockets on one UDP port, among which the kernel parts what comes by its first octets (Linux).

Under overload the kernel drops what finds no room in a socket's queue, at no cost to us. With one queue it drops
responses to what is under way as readily as new requests, and work that was begun is lost or done again. With two of
them, new requests are dropped only for new requests.
"""

import ctypes
import socket
import struct
import sys
from typing import Final

UNDER_WAY: Final = (b"SIP/", b"ACK ", b"BYE ", b"PRAC", b"UPDA", b"INFO")
"""What datagrams begin with that belong to something under way. CANCEL must not overtake its INVITE."""

_SO_ATTACH_REUSEPORT_CBPF: Final = 51
# Instructions of classic BPF (the kernel's networking/filter documentation): code, jumps if true and false, operand.
_LOAD_WORD: Final = 0x20
_LOAD_OCTET: Final = 0x30
_JUMP_IF_EQUAL: Final = 0x15
_JUMP_IF_NOT_LESS: Final = 0x35
_RETURN: Final = 0x06
_FIRST_LETTER: Final = 0x40
"""Keep-alives of NAT bindings begin below."""
_FIRST, _SECOND = 0, 1


def second_socket(first: socket.socket) -> socket.socket | None:
    """Return a socket on the port of one that is bound alone, which gets the new requests from now on.

    Args:
        first: Keeps what is under way, keep-alives, and what is too short to be anything.

    Returns:
        None: the system can't do that, and all stays with the first.
    """
    if not sys.platform.startswith("linux"):
        return None
    second = socket.socket(first.family, socket.SOCK_DGRAM)
    try:
        # Only now: whoever else wants the port is refused, because he binds without it as the first was bound.
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        second.setblocking(False)
        second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if second.family == socket.AF_INET6:
            second.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        second.bind(first.getsockname()[:2])
        _attach(second)
    except OSError:
        second.close()
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
        return None
    return second


def _attach(sock: socket.socket) -> None:
    """Have the kernel ask the program which socket of the group a datagram goes to: their numbers as they joined."""
    program = b"".join(_instructions())
    code = ctypes.create_string_buffer(program)
    # struct sock_fprog: the number of instructions, and where they are.
    description = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, description)


def _instructions() -> list[bytes]:
    """Return the program: a datagram that is too short for a load ends it with 0, the first socket."""
    words = [int.from_bytes(begin, "big") for begin in UNDER_WAY]
    last = len(words)
    made = [_instruction(_LOAD_OCTET, 0, 0, 0), _instruction(_JUMP_IF_NOT_LESS, 0, last + 2, _FIRST_LETTER)]
    made.append(_instruction(_LOAD_WORD, 0, 0, 0))
    made += [_instruction(_JUMP_IF_EQUAL, last - index, 0, word) for index, word in enumerate(words)]
    made += [_instruction(_RETURN, 0, 0, _SECOND), _instruction(_RETURN, 0, 0, _FIRST)]
    return made


def _instruction(code: int, if_true: int, if_false: int, operand: int) -> bytes:
    return struct.pack("@HBBI", code, if_true, if_false, operand)
