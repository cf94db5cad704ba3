"""Nonces that need no memory where they were issued, and the memory that stops their replay (RFC 7616 section 3.3).

Theory of operation. A nonce is the id of the key that signed it and, in base64url, 36 bytes::

    6  wall time of issue, milliseconds      8  random
    8  tag = HMAC(time, random, realm, binding)     14  MAC = HMAC(time, random, tag)

The MAC says whether we issued it at all; the tag says, without telling anybody what it is, to whom and in which realm.
Two steps, since a nonce of ours in the wrong place deserves ``stale=true`` and a fresh one, a foreign one does not.

Where no connection ties a client to the process that challenged him, the nonce names that process: ``<name>.`` stands
before it, for all to read, and the tag covers it.
"""

import enum
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Final

from wigwag.errors import LocalProtocolError

from .signing import SigningKeys

SKEW: Final = 30.0
"""Seconds by which the clock of another issuer with the same keys may run ahead."""

_RAW_LENGTH: Final = 36
_TEXT_LENGTH: Final = 1 + _RAW_LENGTH * 4 // 3
_TIME, _HEAD, _TAG = slice(0, 6), slice(0, 14), slice(14, 22)
_PURPOSE: Final = b"nonce"
_TAG_PURPOSE: Final = b"nonce-tag"
_ISSUER = re.compile(r"[A-Za-z0-9_-]{0,32}")


class NonceVerdict(enum.Enum):
    """What a nonce that came back is worth."""

    VALID = "valid"
    STALE = "stale"
    """Ours, but expired or issued for another connection or realm: 401 with ``stale=true`` and a fresh one."""
    FOREIGN = "foreign"
    """Not ours, or signed by a key that is gone: 401."""


class NonceIssuer:
    """Issues nonces and recognises them, on this process and on any other with the same keys.

    Args:
        keys: Signing keys; may be rotated at any time.
        lifetime: Seconds for which a nonce is valid, more than 0.
    """

    def __init__(self, keys: SigningKeys, lifetime: float) -> None:
        self._keys = keys
        self._lifetime = lifetime

    def issue(
        self, *, realm: str, binding: bytes, wall: float, random: Callable[[int], bytes], issuer: str = ""
    ) -> str:
        """Return a nonce of 49 characters, and those of ``issuer`` and a dot before them if it is named.

        Args:
            realm: The realm of the challenge.
            binding: Whom it is for: the identity of a connection.
            wall: Seconds since 1970.
            random: Returns so many unpredictable bytes.
            issuer: Who remembers the counts used with it, as ``issuer_of`` tells; at most 32 of A-Z a-z 0-9 - _.

        Raises:
            LocalProtocolError: ``issuer`` is no such name.
        """
        if _ISSUER.fullmatch(issuer) is None:
            raise LocalProtocolError("a nonce's issuer has to be at most 32 of A-Z a-z 0-9 - _")
        head = int(wall * 1000).to_bytes(6, "big") + random(8)
        key_id, tag = self._keys.sign(_TAG_PURPOSE, _tagged(head, realm, issuer, binding))
        signed = head + tag[:8]
        _, mac = self._keys.sign(_PURPOSE, signed)
        return _prefix(issuer) + key_id + urlsafe_b64encode(signed + mac[:14]).decode("ascii")

    def check(self, nonce: str, *, realm: str, binding: bytes, wall: float) -> NonceVerdict:
        """Judge a nonce that a client sent.

        Args:
            nonce: Any text.
            realm: The realm that it should have been issued for.
            binding: The connection that it came over.
            wall: Seconds since 1970.
        """
        issuer = issuer_of(nonce)
        bare = nonce.removeprefix(_prefix(issuer))
        raw = _decoded(bare)
        if raw is None or not self._keys.verify(bare[0], _PURPOSE, raw[:22], raw[22:]):
            return NonceVerdict.FOREIGN
        age = wall - int.from_bytes(raw[_TIME], "big") / 1000
        if not -SKEW <= age <= self._lifetime:
            return NonceVerdict.STALE
        if not self._keys.verify(bare[0], _TAG_PURPOSE, _tagged(raw[_HEAD], realm, issuer, binding), raw[_TAG]):
            return NonceVerdict.STALE
        return NonceVerdict.VALID


def issuer_of(nonce: str) -> str:
    """Return who a nonce says has issued it; empty if it names nobody. It may say so falsely until it is checked."""
    issuer, dot, _ = nonce.partition(".")
    return issuer if dot and _ISSUER.fullmatch(issuer) is not None else ""


def issued_at(nonce: str) -> float | None:
    """Return when a nonce of ours was issued, in seconds since 1970; None for other texts."""
    raw = _decoded(nonce.removeprefix(_prefix(issuer_of(nonce))))
    return None if raw is None else int.from_bytes(raw[_TIME], "big") / 1000


def _prefix(issuer: str) -> str:
    return f"{issuer}." if issuer else ""


def _tagged(head: bytes, realm: str, issuer: str, binding: bytes) -> bytes:
    name = realm.encode()
    return head + len(name).to_bytes(4, "big") + name + bytes((len(issuer),)) + issuer.encode("ascii") + binding


def _decoded(nonce: str) -> bytes | None:
    """Return the bytes of a nonce in its only form; other texts for the same bytes are refused."""
    if len(nonce) != _TEXT_LENGTH or not nonce.isascii():
        return None
    text = nonce[1:].encode("ascii")
    try:
        raw = urlsafe_b64decode(text)
    except ValueError:
        return None
    return raw if hmac.compare_digest(urlsafe_b64encode(raw), text) else None
