"""How far a session of the endpoint is."""

import enum

from wigwag.protocols.sdp import SdpError


def warning(error: SdpError) -> tuple[tuple[str, str], ...]:
    """Return the Warning of a response that refuses a session description (RFC 3261 section 20.43)."""
    return (("Warning", error.warning.header("wigwag")),)


class State(enum.Enum):
    """How far a session is."""

    NEW = "new"
    CALLING = "calling"
    OFFERED = "offered"
    ACCEPTING = "accepting"
    OPEN = "open"
    ENDED = "ended"
