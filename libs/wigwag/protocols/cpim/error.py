"""What is wrong with a Message/CPIM, in words fit for the response to the request that carried it."""

from wigwag.errors import RemoteProtocolError


class CpimError(RemoteProtocolError):
    """A message is malformed, too large, or in an encoding that is not known.

    Args:
        cause: What is wrong, without anything that the peer wrote.
        line: Number of the line it is about, from 1; 0 when it is about none in particular.
        status: Status of the answer, the same in MSRP and SIP: 400 for what is no Message/CPIM, 413 for too much, 415
            for what is one but can't be understood.
    """

    status: int

    def __init__(self, cause: str, *, line: int = 0, status: int = 400) -> None:
        super().__init__(f"CPIM line {line}: {cause}" if line else f"CPIM: {cause}", status=status)
        self.cause = cause
        self.line = line
