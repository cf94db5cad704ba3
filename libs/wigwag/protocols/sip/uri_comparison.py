"""Which URIs are the same (RFC 3261 section 19.1.4, RFC 3966 section 5)."""

import re
from typing import Final

from .uri import SipUri, TelUri, Uri

# Characters other than reserved ones are equivalent to their escapes.
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()")
_MUST_MATCH: Final = frozenset({"user", "ttl", "method", "maddr", "transport"})
"""Parameters that must match when only one URI has them."""

ComparisonKey = tuple[object, ...]


def equivalent(one: Uri, other: Uri) -> bool:
    """Tell whether two URIs are the same.

    That is not transitive: most parameters count only where both URIs have them.
    """
    if comparison_key(one) != comparison_key(other):
        return False
    mine, theirs = dict(one.parameters), dict(other.parameters)
    return all(_folded(mine[name]) == _folded(theirs[name]) for name in mine.keys() & theirs.keys())


def comparison_key(uri: Uri) -> ComparisonKey:
    """Return a key that is the same for all URIs that are equivalent.

    Two URIs with the same key are equivalent unless a parameter which both have differs.
    """
    if isinstance(uri, TelUri):
        return ("tel", uri.digits, frozenset([(name, _folded(value)) for name, value in uri.parameters]))
    return (
        uri.scheme,
        _normal(uri.user),
        None if uri.password is None else _normal(uri.password),
        uri.host,
        uri.port,
        frozenset([(name, _folded(value)) for name, value in uri.parameters if name in _MUST_MATCH]),
        _headers(uri),
    )


def _headers(uri: SipUri) -> tuple[tuple[str, str], ...]:
    """Return the header fields, each of which must be in both URIs; names are not case-sensitive."""
    if not uri.headers:
        return ()
    pairs = [part.partition("=") for part in uri.headers.split("&")]
    return tuple(sorted([(_normal(name).lower(), _normal(value)) for name, _, value in pairs]))


def _folded(value: str | None) -> str:
    return "" if value is None else _normal(value).lower()


def _normal(text: str) -> str:
    return _ESCAPE.sub(_unescaped, text) if "%" in text else text


def _unescaped(match: "re.Match[str]") -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()
