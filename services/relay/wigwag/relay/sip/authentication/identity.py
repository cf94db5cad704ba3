"""Who sent it, in the header: asserted for our users, believed of neighbours, removed from others (RFC 3325)."""

from typing import Final

from wigwag.protocols.sip import Message, Request
from wigwag.protocols.sip.names import WRITTEN
from wigwag.relay.sip.incoming import Identity

_UNTRUSTED: Final = ("p-asserted-identity", "p-preferred-identity")
_STANDARD: Final = frozenset(WRITTEN)
INTERNAL_PREFIXES: Final = ("x-wigwag-", "wigwag-")
"""Our own header fields; nobody outside may send them."""


def assert_identity(request: Request, identity: Identity) -> None:
    """Make the request say what is known of its sender, and nothing else (RFC 3325 sections 5, 6).

    Identity (RFC 8224) passes untouched: it proves itself.
    """
    remove_claims(request, trusted=identity.trusted)
    if identity.aor and not identity.trusted:
        request.append("P-Asserted-Identity", f"<{identity.aor}>")


def remove_claims(message: Message, *, trusted: bool) -> None:
    """Remove what nobody outside may say, and what only a ``trusted`` sender may: of responses too (section 5)."""
    if not trusted:
        for name in _UNTRUSTED:
            if name in message.names:
                message.remove(name)
    if not _STANDARD.issuperset(message.names):
        for name in [name for name in message.names if name.startswith(INTERNAL_PREFIXES)]:
            message.remove(name)
