"""How far a session of the endpoint is."""

import enum


class State(enum.Enum):
    """How far a session is."""

    NEW = "new"
    CALLING = "calling"
    OFFERED = "offered"
    ACCEPTING = "accepting"
    OPEN = "open"
    ENDED = "ended"
