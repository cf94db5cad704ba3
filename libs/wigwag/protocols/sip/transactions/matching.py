"""Which transaction a message belongs to (RFC 3261 sections 17.1.3, 17.2.3, 8.2.2.2)."""

import hashlib
from typing import Final

from wigwag.protocols.sip.message import Request

COOKIE: Final = "z9hG4bK"
"""Begins the branch of everybody who makes them unique (RFC 3261 section 8.1.1.7)."""
LONGEST_KEY: Final = 256
"""Longer keys are kept as a digest: a branch of 64 KiB costs no more than another."""


def server_key(request: Request, method: str) -> str:
    """Return what a request has in common with its retransmissions, and an INVITE with its ACK and CANCEL.

    Args:
        request: A valid request.
        method: Of the transaction sought: INVITE for an ACK and for the request that a CANCEL is about.

    Raises:
        SipError: A field that is needed is missing or malformed.
    """
    via = request.via
    branch = via.parameters.get("branch") or ""
    # Neither a method nor sent-by holds a space, so that no two different triples are written alike.
    if branch.startswith(COOKIE):
        port = via.port
        key = f"{method} {via.host} {branch}" if port is None else f"{method} {via.host}:{port} {branch}"
    else:
        key = _old_key(request, method, branch)
    if len(key) > LONGEST_KEY:
        key = f"{method} {hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()}"
    return key


def _old_key(request: Request, method: str, branch: str) -> str:
    """Return the key of a request whose branch is not unique: all fields that RFC 2543 compared.

    The To tag of an ACK is the response's, so it can't be in the key of what is found by ACK.
    """
    parts = [method, request.via.sent_by, branch, request.uri, request.call_id, str(request.cseq.number)]
    parts.append(request.from_.tag or "")
    if method != "INVITE":
        parts.append(request.to.tag or "")
    return "\n".join(parts)


def merge_key(request: Request) -> str | None:
    """Return what a request has in common with itself arriving by another path; None: it has a To tag.

    Raises:
        SipError: A field that is needed is missing or malformed.
    """
    if request.to.tag is not None:
        return None
    return f"{request.cseq.number} {request.method} {request.call_id}\n{request.from_.tag or ''}"
