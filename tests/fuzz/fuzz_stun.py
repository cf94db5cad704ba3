"""Fuzz target for STUN: hostile datagrams get no answer or a well-formed one of at most three times their size.

A long run: ``python -m tests.fuzz.fuzz_stun --seed 7 --runs 1000000``.
"""

import struct
import zlib
from random import Random

from tests.support.fuzzing import command_line, fuzz
from wigwag.protocols.stun import binding_response, is_stun

COOKIE = bytes.fromhex("2112a442")


def datagram(random: Random) -> bytes:
    """Return a Binding request, in most cases with something wrong with it."""
    body = b""
    for _ in range(random.choice((0, 0, 1, 2, 5, 60))):
        value = random.randbytes(random.choice((0, 1, 4, 8, 20)))
        type_ = random.choice((random.randrange(65_536), 0x0020, 0x0006, 0x8028, 0x8022, 0x0003))
        length = random.choice((len(value), len(value), len(value), random.randrange(65_536)))
        body += struct.pack("!HH", type_, length) + value + bytes(-len(value) % 4)
    signed = random.random() < 0.4
    kind = random.choice((1, 1, 1, 1, random.randrange(65_536)))
    data = struct.pack("!HH", kind, len(body) + 8 * signed) + COOKIE + random.randbytes(12) + body
    if signed:
        data += struct.pack("!HHI", 0x8028, 4, zlib.crc32(data) ^ 0x5354554E)
    changed = bytearray(data)
    for _ in range(random.choice((0, 0, 0, 1, 3))):
        match random.randrange(3):
            case 0:
                changed[random.randrange(len(changed))] = random.randrange(256)
            case 1:
                del changed[random.randrange(len(changed)) :]
                changed += b"\0" * 4
            case _:
                changed += random.randbytes(random.randrange(1, 9))
    return bytes(changed)


def check(random: Random, data: bytes) -> bool:
    """Break if ``data`` breaks the sentence above; tell whether it was answered."""
    address = random.choice(("192.0.2.1", "2001:db8::1", "fe80::1%2"))
    answer = binding_response(data, address, random.randrange(65_536))
    if answer is None:
        return False
    assert is_stun(data)
    assert is_stun(answer)
    assert len(answer) <= 3 * len(data)
    assert len(answer) == 20 + int.from_bytes(answer[2:4], "big")
    assert answer[:2] in (b"\x01\x01", b"\x01\x11")
    assert answer[4:20] == data[4:20]
    assert binding_response(answer, address, 1) is None
    return True


def run(seed: int, runs: int) -> int:
    """Check ``runs`` inputs that follow from ``seed``; return how many were answered."""
    return fuzz(seed, runs, datagram, check)


if __name__ == "__main__":
    command_line(__doc__, run)
