"""STUN (RFC 8489) as far as a SIP server needs it: Binding requests that keep a NAT's binding alive, answered."""

from wigwag.protocols.specification import Spec

from .binding import binding_request, binding_response, is_stun

__all__ = ["SPECIFICATIONS", "binding_request", "binding_response", "is_stun"]

_TESTS = "tests/unit/protocols/stun/test_binding.py"

SPECIFICATIONS = (
    Spec("RFC 5626", "4.4.2", "STUN keep-alives on UDP flows answered", "tests/unit/transport/test_datagrams.py"),
    Spec("RFC 8489", "5", "Told apart from SIP by the magic cookie; older STUN is ignored", _TESTS),
    Spec("RFC 8489", "6.3.1", "Binding responses; 420 for unknown comprehension-required attributes", _TESTS),
    Spec("RFC 8489", "14.2", "XOR-MAPPED-ADDRESS", _TESTS),
    Spec("RFC 8489", "14.7", "FINGERPRINT checked, and given when it came", _TESTS),
)
"""What this package conforms to, and the tests that prove it."""
