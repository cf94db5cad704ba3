"""Names of header fields: canonical form, compact forms, and how they are written (RFC 3261 sections 7.3, 20)."""

import re
from typing import Final

COMPACT: Final = {
    "a": "accept-contact",  # RFC 3841
    "b": "referred-by",  # RFC 3892
    "c": "content-type",
    "d": "request-disposition",  # RFC 3841
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",  # RFC 3841
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",  # RFC 4474
    "o": "event",  # RFC 6665
    "r": "refer-to",  # RFC 3515
    "s": "subject",
    "t": "to",
    "u": "allow-events",  # RFC 6665
    "v": "via",
    "x": "session-expires",  # RFC 4028
    "y": "identity",  # RFC 8224
}
"""Long name of each compact form that IANA has registered."""

_WRITTEN: Final = (  # noqa: SIM905 - a list of words is easier to read as words
    "Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Authentication-Info "
    "Authorization Call-ID Call-Info Contact Content-Disposition Content-Encoding Content-ID Content-Language "
    "Content-Length Content-Transfer-Encoding Content-Type CSeq Date Diversion Error-Info Event Expires Flow-Timer "
    "From Geolocation History-Info Identity Identity-Info In-Reply-To Join Max-Breadth Max-Forwards MIME-Version "
    "Min-Expires Min-SE Organization P-Access-Network-Info P-Asserted-Identity P-Asserted-Service P-Associated-URI "
    "P-Called-Party-ID P-Charging-Function-Addresses P-Charging-Vector P-Early-Media P-Preferred-Identity "
    "P-Preferred-Service P-Served-User P-Visited-Network-ID Path Priority Privacy Proxy-Authenticate "
    "Proxy-Authorization Proxy-Require RAck Reason Record-Route Refer-To Referred-By Reject-Contact "
    "Remote-Party-ID Replaces Reply-To Request-Disposition Require Resource-Priority Retry-After Route RSeq "
    "Security-Client Security-Server Security-Verify Server Service-Route Session-Expires Session-ID SIP-ETag "
    "SIP-If-Match Subject Subscription-State Supported Target-Dialog Timestamp To Unsupported User-Agent Via Warning "
    "WWW-Authenticate"
).split()
WRITTEN: Final = {name.lower(): name for name in _WRITTEN}
"""How the fields that are known are written."""
KNOWN: Final = {
    **{name: name.lower() for name in _WRITTEN},
    **{name.lower(): name.lower() for name in _WRITTEN},
    **COMPACT,
    **{short.upper(): long for short, long in COMPACT.items()},
}
"""Canonical names by how they are nearly always written."""

METHODS: Final = frozenset(
    {
        "ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK", "PUBLISH", "REFER",
        "REGISTER", "SUBSCRIBE", "UPDATE",
    }
)  # fmt: skip
"""Methods that IANA has registered; others are read too."""

# Rule token: one or more of these.
TCHAR: Final = r"A-Za-z0-9\-.!%*_+`'~"
TOKEN: Final = re.compile(rf"[{TCHAR}]++")


def canonical(name: str) -> str | None:
    """Return the lower-case long form of a field's name as it stood before the colon; None: it is no token.

    White space between name and colon is allowed (RFC 3261 section 7.3.1), before the name it is not.
    """
    known = KNOWN.get(name)
    if known is not None:
        return known
    bare = name.rstrip(" \t")
    if TOKEN.fullmatch(bare) is None:
        return None
    lower = bare.lower()
    return COMPACT.get(lower, lower)


def written(name: str) -> str:
    """Return how a field of this canonical name is written."""
    return WRITTEN.get(name) or name.title()
