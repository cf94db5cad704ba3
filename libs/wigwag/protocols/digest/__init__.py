"""HTTP Digest access authentication (RFC 2617, RFC 7616) as MSRP and SIP use it, sans-IO."""

from .algorithms import Algorithm, ha1, response, rspauth
from .authentication_info import AuthenticationInfo
from .challenge import Challenge
from .credentials import Credentials
from .nonces import NonceIssuer, NonceVerdict, NonceWindow
from .signing import SigningKey, SigningKeys
from .stored import StoredCredentials

__all__ = [
    "Algorithm",
    "AuthenticationInfo",
    "Challenge",
    "Credentials",
    "NonceIssuer",
    "NonceVerdict",
    "NonceWindow",
    "SigningKey",
    "SigningKeys",
    "StoredCredentials",
    "ha1",
    "response",
    "rspauth",
]
