"""The conversation key: what two parties say to each other by one route (DESIGN.md section 6)."""

import hashlib
from typing import Final

from wigwag.protocols.sip import Uri, parse_uri
from wigwag.protocols.sip.uri import aor_of

LONGEST: Final = 255
"""Characters of a canonical address: longer ones are refused."""


class AddressTooLongError(ValueError):
    """The address is longer than any that is kept."""


def canonical_address(uri: str | Uri) -> str:
    """Return the form in which an address is compared and kept: scheme sip, lower-case host, no port or parameters.

    A telephone number (tel, or sip with ``user=phone``) is ``+`` and digits, whoever serves it.

    Raises:
        SipError: It is no sip, sips or tel URI.
        AddressTooLongError: It has more than 255 characters.
    """
    address = aor_of(parse_uri(uri) if isinstance(uri, str) else uri)
    if len(address) > LONGEST:
        raise AddressTooLongError(f"an address has more than {LONGEST} characters")
    return address


def conversation_key(one: str, other: str, route: str = "") -> str:
    """Return the key of a conversation; who writes first makes no difference.

    Args:
        one: Canonical address of one party.
        other: Of the other.
        route: Id of the route that was resolved for them; conversations by different routes are different ones.

    Returns:
        At most 512 characters: a digest takes the place of what is longer.
    """
    key = " ".join([*sorted((one, other)), route]).strip()
    if len(key) <= 2 * LONGEST:
        return key
    return f"sha256:{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()}"
