"""How a next hop that has no flow is reached: found by RFC 3263, connected to, connections used again."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from wigwag.protocols.sip import SipUri

if TYPE_CHECKING:
    from .flows import Flow


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to reach a next hop (RFC 3263 section 4)."""

    transport: str
    """udp, tcp, tls, ws, wss."""
    host: str
    """Numeric address."""
    port: int
    server_name: str
    """Domain that a TLS certificate has to be for (RFC 5922)."""


class NextHops(Protocol):
    """Finds and connects; implemented beside the sockets."""

    async def candidates(self, uri: SipUri, *, allow_private: bool) -> list[Candidate]:
        """Return the ways to the host of ``uri``, the best first; those that failed of late are left out.

        Raises:
            SipError: There is none, or it may not be connected to (status 404, 403, 503).
        """

    def flow(self, candidate: Candidate) -> "Flow | None":
        """Return a flow that stands already."""

    async def connect(self, candidate: Candidate) -> "Flow":
        """Open one.

        Raises:
            ConnectError: It can't be.
        """

    def failed(self, candidate: Candidate, seconds: float | None) -> None:
        """Leave the candidate out for a while (503 with Retry-After, no answer)."""
