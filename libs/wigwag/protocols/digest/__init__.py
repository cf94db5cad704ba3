"""HTTP Digest access authentication (RFC 2617, RFC 7616) as MSRP and SIP use it, sans-IO."""

from wigwag.protocols.specification import Spec

from .algorithms import Algorithm, ha1, response, rspauth
from .authentication_info import AuthenticationInfo
from .challenge import Challenge
from .credentials import Credentials
from .nonces import NonceIssuer, NonceVerdict, issuer_of
from .parameters import parse_digest
from .signing import SigningKey, SigningKeys
from .stored import StoredCredentials
from .windows import NonceWindow, NonceWindows

__all__ = [
    "SPECIFICATIONS",
    "Algorithm",
    "AuthenticationInfo",
    "Challenge",
    "Credentials",
    "NonceIssuer",
    "NonceVerdict",
    "NonceWindow",
    "NonceWindows",
    "SigningKey",
    "SigningKeys",
    "StoredCredentials",
    "ha1",
    "issuer_of",
    "parse_digest",
    "response",
    "rspauth",
]

_TESTS = "tests/unit/protocols/digest"

SPECIFICATIONS = (
    Spec("RFC 2617", "3.5", "The worked example", f"{_TESTS}/test_algorithms.py"),
    Spec(
        "RFC 4976",
        "9.1",
        "Digest as MSRP uses it: qop=auth, no uri, no domain, no auth-int",
        f"{_TESTS}/test_headers.py",
    ),
    Spec("RFC 7616", "3.3", "Challenges; nonces that expire and belong to one connection", f"{_TESTS}/test_nonces.py"),
    Spec(
        "RFC 7616", "3.4", "Credentials; MD5, SHA-256, SHA-512/256; each nonce-count once", f"{_TESTS}/test_headers.py"
    ),
    Spec("RFC 2069", "2.4", "Responses without qop, where they are allowed", f"{_TESTS}/test_qualities.py"),
    Spec("RFC 7616", "3.4.3", "auth-int", f"{_TESTS}/test_qualities.py"),
    Spec("RFC 7616", "3.4", "Names in the extended notation; no userhash", f"{_TESTS}/test_qualities.py"),
    Spec("RFC 7616", "3.5", "Authentication-Info with rspauth", f"{_TESTS}/test_headers.py"),
    Spec("RFC 7616", "3.9", "Worked examples, with erratum 4897", f"{_TESTS}/test_algorithms.py"),
)
"""What this package conforms to, and the tests that prove it."""
