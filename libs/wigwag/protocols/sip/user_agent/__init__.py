"""A SIP user agent in pager mode, sans-IO: registration, messages out and in (RFC 3261, RFC 3428, RFC 5626)."""

from wigwag.protocols.specification import Spec

from .agent import DEFAULT_ACCEPT, AgentOptions, Event, UserAgent
from .back_off import BackOff
from .client import LARGEST_DATAGRAM, Done, Outcome, UserAgentClient, fits_datagram
from .exchange import Exchange, ExchangeUser, Unanswered, Way, branch_of
from .identity import Flow, Identity, Transport
from .keep_alive import DATAGRAM_INTERVAL, STREAM_INTERVAL, KeepAlive
from .messages import MessageSender
from .registration import Registered, Registration, RegistrationEvent, RegistrationFailed, Unregistered
from .server import MessageReceived, UserAgentServer

__all__ = [
    "DATAGRAM_INTERVAL",
    "DEFAULT_ACCEPT",
    "LARGEST_DATAGRAM",
    "SPECIFICATIONS",
    "STREAM_INTERVAL",
    "AgentOptions",
    "BackOff",
    "Done",
    "Event",
    "Exchange",
    "ExchangeUser",
    "Flow",
    "Identity",
    "KeepAlive",
    "MessageReceived",
    "MessageSender",
    "Outcome",
    "Registered",
    "Registration",
    "RegistrationEvent",
    "RegistrationFailed",
    "Transport",
    "Unanswered",
    "Unregistered",
    "UserAgent",
    "UserAgentClient",
    "UserAgentServer",
    "Way",
    "branch_of",
    "fits_datagram",
]

_TESTS = "tests/unit/protocols/sip/user_agent"

SPECIFICATIONS = (
    Spec("RFC 3261", "8.2", "A user agent server's inspection of requests", f"{_TESTS}/test_server.py"),
    Spec("RFC 3261", "10.2", "Registering, refreshing, removing a binding; 423", f"{_TESTS}/test_registration.py"),
    Spec("RFC 3261", "18.1.1", "Nothing above 1300 octets over UDP", f"{_TESTS}/test_messages.py"),
    Spec("RFC 3428", "7", "MESSAGE: 200, 415; Date and Expires", f"{_TESTS}/test_server.py"),
    Spec("RFC 3428", "8", "One MESSAGE at a time to each address", f"{_TESTS}/test_messages.py"),
    Spec("RFC 3608", "6.1", "Service-Route", f"{_TESTS}/test_registration.py"),
    Spec("RFC 5626", "4.2", "+sip.instance and reg-id; 439", f"{_TESTS}/test_registration.py"),
    Spec("RFC 5626", "4.4", "Keep-alives of a client, and flows that fail", f"{_TESTS}/test_keep_alive.py"),
    Spec("RFC 5626", "4.5", "Waits between attempts to get a flow back", f"{_TESTS}/test_keep_alive.py"),
)
"""What this package conforms to, and the tests that prove it."""
