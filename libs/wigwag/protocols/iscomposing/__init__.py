"""Indication of message composition (RFC 3994): whether somebody writes, sans-IO.

``ComposingSender`` says when to send an ``IsComposing``, ``ComposingReceiver`` what the peer's mean.
"""

from wigwag.protocols.specification import Spec

from .document import IS_COMPOSING_TYPE, XML_IS_COMPOSING_NAMESPACE, IsComposing, State
from .error import IsComposingError
from .receiver import ComposingReceiver
from .sender import ComposingSender

__all__ = [
    "IS_COMPOSING_TYPE",
    "SPECIFICATIONS",
    "XML_IS_COMPOSING_NAMESPACE",
    "ComposingReceiver",
    "ComposingSender",
    "IsComposing",
    "IsComposingError",
    "State",
]

_TESTS = "tests/conformance/iscomposing"

SPECIFICATIONS = (
    Spec("RFC 3994", "3.2", "The composer's states and timers", f"{_TESTS}/test_sender.py"),
    Spec("RFC 3994", "3.3", "The receiver's states and timer", f"{_TESTS}/test_receiver.py"),
    Spec("RFC 3994", "3.5", "Unknown states are idle, unknown elements ignored", f"{_TESTS}/test_document.py"),
    Spec("RFC 3994", "6", "application/im-iscomposing+xml; document types refused", f"{_TESTS}/test_document.py"),
)
"""What this package conforms to, and the tests that prove it."""
