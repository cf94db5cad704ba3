"""How a next hop that has no flow is reached: found by RFC 3263, connected to, connections used again."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from wigwag.protocols.sip import SipUri

if TYPE_CHECKING:
    from .flow import Flow


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to reach a next hop (RFC 3263 section 4)."""

    transport: str
    """udp, tcp, tls, ws, wss."""
    host: str
    """Numeric address."""
    port: int
    server_name: str
    """Domain that a TLS certificate has to be for (RFC 5922); empty where there is no TLS."""


class NextHops(Protocol):
    """Finds and connects; implemented beside the sockets."""

    async def candidates(self, uri: SipUri, *, allow_private: bool, near: str = "", octets: int = 0) -> list[Candidate]:
        """Return the ways to the host of ``uri``, the best first; those that failed of late come last.

        Args:
            uri: Of the next hop.
            allow_private: Whether loopback, private and own addresses may be sent to.
            near: Network in which they may be sent to all the same; empty: none.
            octets: Size of the request; what is too large for a datagram goes by TCP (RFC 3261 section 18.1.1).

        Raises:
            SipError: There is none, or it may not be sent to (status 403, 404, 480, 503).
        """

    def flow(self, candidate: Candidate) -> "Flow | None":
        """Return a flow that stands already."""

    async def connect(self, candidate: Candidate) -> "Flow":
        """Open one.

        Raises:
            ConnectError: It can't be.
        """

    def failed(self, candidate: Candidate, seconds: float | None) -> None:
        """Hear that a candidate did not serve.

        Args:
            candidate: Which.
            seconds: It asked to be left alone for so long (503 with Retry-After); None: it gave no answer.
        """

    def reached(self, candidate: Candidate) -> None:
        """Hear that a candidate answered."""
