"""Message/CPIM (RFC 3862): a message that says who it is from and for, whatever carries it.

``CpimMessage.parse`` and ``bytes`` keep every octet; headers of other namespaces are found by the URI of theirs.
Everything wrong with a peer's message is a ``CpimError`` that carries the status of the answer.
"""

from typing import Final

from wigwag.protocols.specification import Spec

from .address import CpimAddress
from .content import ContentHeader
from .date_time import format_date_time, parse_date_time
from .error import CpimError
from .header import CpimHeader
from .message import CpimMessage
from .namespaces import CPIM_NAMESPACE, QualifiedName
from .sections import CpimLimits, head_length

CPIM_TYPE: Final = "message/cpim"
"""The media type."""

__all__ = [
    "CPIM_NAMESPACE",
    "CPIM_TYPE",
    "SPECIFICATIONS",
    "ContentHeader",
    "CpimAddress",
    "CpimError",
    "CpimHeader",
    "CpimLimits",
    "CpimMessage",
    "QualifiedName",
    "format_date_time",
    "head_length",
    "parse_date_time",
]

_TESTS = "tests/conformance/cpim"

SPECIFICATIONS = (
    Spec("RFC 3862", "2.2", "Message headers: one line each, kept to the octet", f"{_TESTS}/test_headers.py"),
    Spec("RFC 3862", "2.3", "Escapes", f"{_TESTS}/test_escapes.py"),
    Spec("RFC 3862", "2.4", "Encapsulated MIME content", f"{_TESTS}/test_content.py"),
    Spec("RFC 3862", "3.3", "Language tags", f"{_TESTS}/test_headers.py"),
    Spec("RFC 3862", "3.4", "Namespaces", f"{_TESTS}/test_namespaces.py"),
    Spec("RFC 3862", "3.5", "Require", f"{_TESTS}/test_namespaces.py"),
    Spec("RFC 3862", "4", "From, To, cc, DateTime, Subject", f"{_TESTS}/test_headers.py"),
    Spec("RFC 3862", "5.1", "Examples, and what public defects of parsers teach", f"{_TESTS}/test_vectors.py"),
)
"""What this package conforms to, and the tests that prove it."""
