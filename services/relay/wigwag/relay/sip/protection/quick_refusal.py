"""A 503 without parsing: under overload a refusal has to cost a fraction of what is refused.

Only requests of the usual shape are answered here; whatever is unusual about one leaves it to the parser.
"""

import re
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 4096
"""Octets; a larger request is no usual one."""
_FOLDED: Final = (b" ", b"\t")
_VIA: Final = re.compile(rb"SIP/2\.0/UDP +([A-Za-z0-9.:-]+)((?:;[A-Za-z]+(?:=[^;,\s\"]+)?)+)")
_BRANCH: Final = re.compile(rb";branch=(z9hG4bK[^;]+)")
_RPORT: Final = re.compile(rb";rport(?=;|$)")
_REPEATED: Final = frozenset({b"from", b"f", b"to", b"t", b"call-id", b"i", b"cseq", b"via", b"v"})
_INITIALS: Final = frozenset(b"fFtTiIcCvV")
_LONGEST_KEY: Final = 250


@dataclass(frozen=True, slots=True)
class Refusable:
    """A new request that can be refused unread.

    Attributes:
        key: Of its server transaction, if there is one.
        vias: Its Via header fields, the topmost one first, as they are to be sent back.
        fields: What else a response repeats.
    """

    key: str
    vias: list[bytes]
    fields: list[bytes]


def refusable(data: bytes, host: str, port: int) -> Refusable | None:
    """Look at a datagram; None: it is unusual, or belongs to a dialog.

    Args:
        data: The datagram, which begins with a method.
        host: Where it came from.
        port: Likewise.
    """
    end = data.find(b"\r\n\r\n", 0, LONGEST)
    if end < 0:
        return None
    vias: list[bytes] = []
    fields: list[bytes] = []
    lines = data[:end].split(b"\r\n")
    for line in lines[1:]:
        if line[:1] in _FOLDED:
            return None
        if not line or line[0] not in _INITIALS:
            continue
        name = line[: line.find(b":")].rstrip().lower()
        if name in _REPEATED:
            (vias if name[0] == 0x76 else fields).append(line)
    return _read(lines[0], vias, fields, host, port) if vias and len(fields) == 4 else None


def _read(start: bytes, vias: list[bytes], fields: list[bytes], host: str, port: int) -> Refusable | None:
    via = _VIA.fullmatch(vias[0][vias[0].find(b":") + 1 :].strip())
    branch = _BRANCH.search(via[2]) if via is not None else None
    if via is None or branch is None or b";received" in via[2]:
        return None
    noted, found = _RPORT.subn(b";rport=%d;received=%b" % (port, host.encode()), via[2])
    if not found and via[1] != b"%b:%d" % (host.encode(), port):
        return None
    key = b"%b %b %b" % (start[: start.find(b" ")], via[1], branch[1])
    if len(key) > _LONGEST_KEY or not key.isascii():
        return None
    vias[0] = b"Via: SIP/2.0/UDP %b%b" % (via[1], noted)
    for index, line in enumerate(fields):
        if line[0] in b"tT":
            if b"tag" in line.lower():
                return None
            fields[index] = line + b";tag=503"
    return Refusable(key.decode("ascii"), vias, fields)


def refusal(request: Refusable, seconds: int) -> bytes:
    """Return the 503 for a request.

    Args:
        request: What is refused.
        seconds: For Retry-After.
    """
    end = b"Retry-After: %d\r\nContent-Length: 0\r\n\r\n" % seconds
    return b"\r\n".join((b"SIP/2.0 503 Service Unavailable", *request.vias, *request.fields, end))
