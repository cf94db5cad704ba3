"""What applications in Python use of Wigwag: sessions with SIP users, messages, files and events."""

from wigwag.runtime.rpc import ClientTls

from .client import Client
from .events import (
    Composing,
    DeliveryState,
    Event,
    FileChanged,
    FileState,
    MessageChanged,
    MessageReceived,
    Notified,
    Reported,
    SessionChanged,
    SessionEnded,
    SessionOffered,
    SessionOpened,
    SessionProgress,
)
from .session import Sent, Session

__all__ = [
    "Client",
    "ClientTls",
    "Composing",
    "DeliveryState",
    "Event",
    "FileChanged",
    "FileState",
    "MessageChanged",
    "MessageReceived",
    "Notified",
    "Reported",
    "Sent",
    "Session",
    "SessionChanged",
    "SessionEnded",
    "SessionOffered",
    "SessionOpened",
    "SessionProgress",
]
