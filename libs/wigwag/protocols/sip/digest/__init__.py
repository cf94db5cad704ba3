"""Digest authentication in SIP, server and client (RFC 3261 section 22, RFC 7616, RFC 8760), sans-IO."""

from wigwag.protocols.specification import Spec

from .client import Account, DigestClient, DigestExchange, OwnRealm, ServerProof
from .server import (
    DigestServer,
    ProtectionDomain,
    Role,
    account_of,
    authentication_info,
    challenges,
    parse_credentials,
    same_resource,
    verify,
)

__all__ = [
    "SPECIFICATIONS",
    "Account",
    "DigestClient",
    "DigestExchange",
    "DigestServer",
    "OwnRealm",
    "ProtectionDomain",
    "Role",
    "ServerProof",
    "account_of",
    "authentication_info",
    "challenges",
    "parse_credentials",
    "same_resource",
    "verify",
]

_TESTS = "tests/unit/protocols/sip/digest"

SPECIFICATIONS = (
    Spec("RFC 3261", "22.1", "Realms; no credentials but Digest", f"{_TESTS}/test_server.py"),
    Spec("RFC 3261", "22.2", "401 at registrars and user agents, answered once", f"{_TESTS}/test_client.py"),
    Spec("RFC 3261", "22.3", "407 from one proxy or several at once", f"{_TESTS}/test_client.py"),
    Spec("RFC 3261", "22.4", "digest-uri is the Request-URI; auth-int; RFC 2069", f"{_TESTS}/test_server.py"),
    Spec("RFC 8760", "2.3", "A challenge for each algorithm, the preferred one first", f"{_TESTS}/test_server.py"),
    Spec("RFC 8760", "2.4", "The topmost challenge that is supported is answered", f"{_TESTS}/test_client.py"),
    Spec("RFC 8760", "2.6", "qop always; the hash of an empty body", f"{_TESTS}/test_server.py"),
    Spec("RFC 8760", "2.7", "Names announced with an empty response", f"{_TESTS}/test_server.py"),
)
"""What this package conforms to, and the tests that prove it."""
