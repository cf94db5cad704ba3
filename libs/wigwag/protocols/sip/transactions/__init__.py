"""SIP transactions without I/O (RFC 3261 section 17, RFC 6026)."""

from wigwag.protocols.specification import Spec

from .client import ClientTransaction, NonInviteClientTransaction
from .layer import Transactions
from .machines import MACHINES, Event, State, picture
from .server import NonInviteServerTransaction, ServerTransaction
from .timers import SipTimers
from .users import NOBODY, ClientUser, ServerUser, TransactionsFullError, Wire

__all__ = [
    "MACHINES",
    "NOBODY",
    "SPECIFICATIONS",
    "ClientTransaction",
    "ClientUser",
    "Event",
    "NonInviteClientTransaction",
    "NonInviteServerTransaction",
    "ServerTransaction",
    "ServerUser",
    "SipTimers",
    "State",
    "Transactions",
    "TransactionsFullError",
    "Wire",
    "picture",
]

_TESTS = "tests/unit/protocols/sip/transactions"

SPECIFICATIONS = (
    Spec("RFC 3261", "8.2.2.2", "Merged requests", f"{_TESTS}/test_server.py"),
    Spec("RFC 3261", "9.1", "CANCEL, held until a provisional response", f"{_TESTS}/test_client.py"),
    Spec("RFC 3261", "9.2", "The INVITE that a CANCEL is about", f"{_TESTS}/test_server.py"),
    Spec("RFC 3261", "17.1.1", "INVITE client transactions, ACK of refusals", f"{_TESTS}/test_client.py"),
    Spec("RFC 3261", "17.1.2", "Other client transactions", f"{_TESTS}/test_client.py"),
    Spec("RFC 3261", "17.1.3", "Responses are matched by branch, method and sent-by", f"{_TESTS}/test_client.py"),
    Spec("RFC 3261", "17.2.1", "INVITE server transactions, 100 after 200 ms", f"{_TESTS}/test_server.py"),
    Spec("RFC 3261", "17.2.2", "Other server transactions", f"{_TESTS}/test_server.py"),
    Spec("RFC 3261", "17.2.3", "Requests are matched, those of RFC 2543 too", f"{_TESTS}/test_server.py"),
    Spec("RFC 3261", "18.2.2", "Responses after a connection was lost", f"{_TESTS}/test_server.py"),
    Spec("RFC 3261", "table 4", "Timers, under loss, repetition and reordering", f"{_TESTS}/test_pairs.py"),
    Spec("RFC 6026", "7.1", "Accepted and Timer L; a lost connection ends no INVITE", f"{_TESTS}/test_server.py"),
    Spec("RFC 6026", "7.2", "Accepted and Timer M: every 2xx is told", f"{_TESTS}/test_client.py"),
)
"""What this package conforms to, and the tests that prove it."""
