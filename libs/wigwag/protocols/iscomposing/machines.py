"""The state diagrams of RFC 3994, figures 1 and 2, as tables."""

from enum import Enum
from typing import Final

from .document import State


class SenderEvent(Enum):
    """What happens to the one who writes."""

    COMPOSING = "composing"
    CONTENT_SENT = "content message sent"
    IDLE_TIMEOUT = "idle timeout"
    REFRESH_TIMEOUT = "refresh timeout"


class ReceiverEvent(Enum):
    """What happens to the one who reads."""

    ACTIVE_RECEIVED = "active received"
    IDLE_RECEIVED = "idle received"
    CONTENT_RECEIVED = "content received"
    REFRESH_TIMEOUT = "refresh timeout"


SENDER: Final[dict[tuple[State, SenderEvent], tuple[State, State | None]]] = {
    (State.IDLE, SenderEvent.COMPOSING): (State.ACTIVE, State.ACTIVE),
    (State.ACTIVE, SenderEvent.COMPOSING): (State.ACTIVE, None),
    (State.ACTIVE, SenderEvent.CONTENT_SENT): (State.IDLE, None),
    (State.ACTIVE, SenderEvent.IDLE_TIMEOUT): (State.IDLE, State.IDLE),
    (State.ACTIVE, SenderEvent.REFRESH_TIMEOUT): (State.ACTIVE, State.ACTIVE),
}
"""State and event -> next state, and the state told to the peer; what is not here changes nothing."""

RECEIVER: Final[dict[tuple[State, ReceiverEvent], State]] = {
    (State.IDLE, ReceiverEvent.ACTIVE_RECEIVED): State.ACTIVE,
    (State.ACTIVE, ReceiverEvent.ACTIVE_RECEIVED): State.ACTIVE,
    (State.ACTIVE, ReceiverEvent.IDLE_RECEIVED): State.IDLE,
    (State.ACTIVE, ReceiverEvent.CONTENT_RECEIVED): State.IDLE,
    (State.ACTIVE, ReceiverEvent.REFRESH_TIMEOUT): State.IDLE,
}
"""State and event -> next state; what is not here changes nothing."""
