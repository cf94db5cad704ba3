"""What is wrong with a session description, and how SIP tells it to its sender (RFC 3261 sections 20.43, 21.4.26)."""

from dataclasses import dataclass
from enum import IntEnum

from wigwag.errors import RemoteProtocolError


class WarningCode(IntEnum):
    """The codes of a Warning header that speak of session descriptions (RFC 3261 section 20.43)."""

    INCOMPATIBLE_TRANSPORT_PROTOCOL = 302
    MEDIA_TYPE_NOT_AVAILABLE = 304
    INCOMPATIBLE_MEDIA_FORMAT = 305
    ATTRIBUTE_NOT_UNDERSTOOD = 306
    MISCELLANEOUS = 399


@dataclass(frozen=True, slots=True)
class SipWarning:
    """Why a session description was refused, for the response's Warning header."""

    code: int
    """300 to 399, see ``WarningCode``."""
    text: str
    """For people; holds nothing that the peer wrote."""

    def header(self, agent: str) -> str:
        """Return the value of the Warning header.

        Args:
            agent: Host name or pseudonym of the server that adds the header.
        """
        text = self.text.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.code} {agent} "{text}"'


class SdpError(RemoteProtocolError):
    """A session description is malformed, too large, or not acceptable.

    Args:
        cause: What is wrong, without anything that the peer wrote.
        line: Number of the line it is about, from 1; 0 when it is about none in particular.
        status: SIP status of the answer: 400 for what is not SDP, 413 for too much, 488 for what is SDP but can't be
            accepted.
        code: Of the Warning that goes with the answer.
    """

    def __init__(
        self, cause: str, *, line: int = 0, status: int = 400, code: WarningCode = WarningCode.MISCELLANEOUS
    ) -> None:
        super().__init__(f"SDP line {line}: {cause}" if line else f"SDP: {cause}", status=status)
        self.cause = cause
        self.line = line
        self.warning = SipWarning(code, self.reason)


def refusal(cause: str, code: WarningCode = WarningCode.ATTRIBUTE_NOT_UNDERSTOOD, *, line: int = 0) -> SdpError:
    """Return the error for a description that is SDP but can't be accepted: 488."""
    return SdpError(cause, line=line, status=488, code=code)
