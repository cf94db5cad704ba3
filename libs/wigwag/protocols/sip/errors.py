"""What is wrong with a SIP message, in the words and with the status that its sender is to hear."""

from typing import TYPE_CHECKING

from wigwag.errors import RemoteProtocolError

if TYPE_CHECKING:
    from .message import Request


class SipError(RemoteProtocolError):
    """The peer broke the grammar, a rule or a limit.

    Attributes:
        status: Response code that fits (RFC 3261 section 21).
        reason: Reason phrase: what was wrong, and where.
        request: What could be read of the request, to answer it; None: it can't be answered, or was a response.
        headers: Header fields that the response has to carry, as (name, value).
    """

    status: int

    def __init__(
        self,
        reason: str,
        *,
        status: int = 400,
        request: "Request | None" = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(reason, status=status)
        self.request = request
        self.headers = headers


class UnsupportedSchemeError(SipError):
    """The URI's scheme is none that requests can be sent to (416)."""
