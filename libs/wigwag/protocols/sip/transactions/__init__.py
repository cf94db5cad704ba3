"""SIP transactions without I/O (RFC 3261 section 17, RFC 6026)."""

from .client import ClientTransaction
from .layer import Transactions
from .machines import MACHINES, Event, State, picture
from .server import ServerTransaction
from .timers import SipTimers
from .users import NOBODY, ClientUser, ServerUser, TransactionsFullError, Wire

__all__ = [
    "MACHINES",
    "NOBODY",
    "ClientTransaction",
    "ClientUser",
    "Event",
    "ServerTransaction",
    "ServerUser",
    "SipTimers",
    "State",
    "Transactions",
    "TransactionsFullError",
    "Wire",
    "picture",
]
