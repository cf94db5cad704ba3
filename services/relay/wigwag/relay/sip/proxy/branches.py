"""Branches of what the proxy forwards, the same from any pod; loops found by them (RFC 3261 sections 16.3, 16.6.8).

A branch is the magic cookie, a MAC over all that makes the request this one and its target, and, where loops have to
be noticed, a hash over what decides where a request goes. A pod that forwards a retransmission which another had
forwarded makes the same branch: the receiver sees a retransmission. A request that comes back with the hash it left
with goes round in a circle.
"""

import hashlib
from functools import lru_cache
from typing import Final
from zlib import crc32

from wigwag.protocols.digest import SigningKeys
from wigwag.protocols.sip import Request, parse_via

COOKIE: Final = "z9hG4bK"
_PURPOSE: Final = b"sip-branch"
_LOOP_LENGTH: Final = 8


def loop_hash(request: Request) -> str:
    """Return eight characters that are equal as long as nothing has changed by which a request is routed.

    It guards against mistakes, not against malice: who forges it stops his own request.
    """
    get = request.get if "route" in request.names or "proxy-require" in request.names else _nothing
    routed = (
        f"{request.uri}\n{get('route')}\n{request.call_id}\n{request.cseq.number}\n{request.from_.tag}\n"
        f"{request.to.tag}\n{get('proxy-require')}\n{request.get('proxy-authorization')}"
    )
    return f"{crc32(routed.encode('utf-8', 'surrogateescape')):08x}"


def branch_of(keys: SigningKeys, request: Request, target: str, loop: str) -> str:
    """Return the branch under which ``request`` is forwarded to ``target``."""
    return branch_named(keys, named(request, target)) + loop


def named(request: Request, target: str) -> bytes:
    """Return all that makes a request this one, and where it is forwarded to."""
    via = request.via
    text = (
        f"{via.branch}\n{via.host}\n{via.port}\n{request.call_id}\n{request.cseq.number}\n{request.from_.tag}\n{target}"
    )
    return text.encode("utf-8", "surrogateescape")


def branch_named(keys: SigningKeys, name: bytes) -> str:
    """Return the branch of what ``named`` names."""
    mac = _keyed(keys.derived(_PURPOSE)).copy()
    mac.update(name)
    return COOKIE + mac.hexdigest()


@lru_cache(maxsize=8)
def _keyed(key: bytes) -> "hashlib.blake2s":
    """Return a MAC that has read its key, to be copied: reading it is most of the work."""
    return hashlib.blake2s(key=key, digest_size=12)


def _nothing(_name: str) -> None:
    return None


def goes_round(request: Request, own: "frozenset[str]", loop: str) -> bool:
    """Tell whether the request was here before and has been routed back unchanged.

    Args:
        request: As it came in.
        own: Our sent-by values.
        loop: Its ``loop_hash``.
    """
    vias = request.items("via")
    for value in vias:
        via = parse_via(value)
        if via.sent_by in own and via.branch.endswith(loop) and len(via.branch) > _LOOP_LENGTH:
            return True
    return False
