"""What is wrong with a peer's status message."""

from wigwag.errors import RemoteProtocolError


class IsComposingError(RemoteProtocolError):
    """A status message is malformed or too large.

    Args:
        reason: What is wrong, and where, without anything that the peer wrote.
        status: Status of the answer, the same in MSRP and SIP: 400 or 413.
    """

    status: int

    def __init__(self, reason: str, *, status: int = 400) -> None:
        super().__init__(f"isComposing: {reason}", status=status)
