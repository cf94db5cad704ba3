"""Records of the bus, read."""

from typing import Final

from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.bus import Record, UnprocessableError

GROUP: Final = "gateway"
"""Group in which all gateway pods consume."""
AGAIN: Final = "wigwag-again"
"""Header of a record that was published once more: what waits with it is to be looked at; its value says why."""
REGISTERED: Final = b"registered"
"""The recipient has just registered: there is no pause to be waited for."""
NO_PAGE: Final = b"no page mode"
"""All devices of the recipient have refused MESSAGE: a session is to be tried."""
NO_CPIM: Final = b"no message/cpim"
"""The recipient's device does not take message/cpim: what is inside is to be tried, at once."""
SESSION_OVER: Final = b"session over"
"""The session ended before it was sent, for the first time: the next one is to be tried at once."""
OPENED: Final = b"session open"
"""There is a session by now."""
BEHIND: Final = b"behind another"
"""It was not sent because one before it reached nobody: it has no pause of its own."""
BINDING: Final = "wigwag-binding"
"""Header of a record that was published once more for a registration: key of the binding that was registered."""
AT_ONCE: Final = frozenset((REGISTERED, NO_PAGE, NO_CPIM, SESSION_OVER, OPENED))
"""Reasons for which no pause is kept."""
OTHERWISE: Final = b"waits"


def envelope_of(record: Record) -> Envelope:
    """Return what a record holds.

    Raises:
        UnprocessableError: It can't be read.
    """
    try:
        return Envelope.FromString(record.value)
    except Exception as error:
        raise UnprocessableError(f"not an envelope: {error}") from error
