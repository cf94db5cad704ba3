"""Branches of what the proxy forwards, the same from any pod; loops found by them (RFC 3261 sections 16.3, 16.6.8).

A branch is the magic cookie, a MAC over all that makes the request this one and its target, and a hash over what
decides where a request goes. A pod that forwards a retransmission which another had forwarded makes the same branch:
the receiver sees a retransmission. A request that comes back with the hash it left with goes round in a circle.
"""

import hashlib
from base64 import urlsafe_b64encode
from typing import Final

from wigwag.protocols.digest import SigningKeys
from wigwag.protocols.sip import Request, parse_via

COOKIE: Final = "z9hG4bK"
_PURPOSE: Final = b"sip-branch"
_LOOP_LENGTH: Final = 8


def loop_hash(request: Request) -> str:
    """Return eight characters that are equal as long as nothing has changed by which a request is routed."""
    routed = (
        request.uri,
        request.get("route") or "",
        request.call_id,
        str(request.cseq.number),
        request.from_.tag or "",
        request.to.tag or "",
        request.get("proxy-require") or "",
        request.get("proxy-authorization") or "",
    )
    digest = hashlib.blake2s("\n".join(routed).encode("utf-8", "surrogateescape"), digest_size=6).digest()
    return urlsafe_b64encode(digest).decode("ascii")


def branch_of(keys: SigningKeys, request: Request, target: str, loop: str) -> str:
    """Return the branch under which ``request`` is forwarded to ``target``."""
    via = request.via
    named = (via.branch, via.sent_by, request.call_id, request.cseq.number, request.from_.tag, target)
    _, mac = keys.sign(_PURPOSE, "\n".join(map(str, named)).encode("utf-8", "surrogateescape"))
    return f"{COOKIE}{urlsafe_b64encode(mac[:15]).decode('ascii')}{loop}"


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
