"""What the edge does where nothing is configured: no rows, no block lists, no services."""

from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip import SipError, SipUri

from .flows import Flow
from .forwarding import Fallback
from .incoming import Incoming
from .next_hops import Candidate
from .ports import DEFAULT, Decision


class NoRoutes:
    """A routing table without rows."""

    def decide(self, incoming: Incoming) -> Decision:
        """No row matches."""
        return DEFAULT


class NoScreening:
    """Nobody blocks anybody."""

    def check(self, incoming: Incoming, aor: str) -> None:
        """Let it pass."""


class NoServices:
    """No service takes messages."""

    def fallback(self, incoming: Incoming, aor: str) -> Fallback | None:
        """Nobody takes a message for who is absent."""
        return None

    async def accept(self, incoming: Incoming, service: str) -> None:
        """There is no such service."""
        raise SipError(f"No Such Service: {service}", status=404)


class NoNextHops:
    """No connection is opened."""

    async def candidates(self, uri: SipUri, *, allow_private: bool) -> list[Candidate]:
        """Nothing is found."""
        raise SipError("Not Found: no connection is opened", status=404)

    def flow(self, candidate: Candidate) -> Flow | None:
        """There is none."""
        return None

    async def connect(self, candidate: Candidate) -> Flow:
        """None is opened."""
        raise LocalProtocolError("no candidate was given")

    def failed(self, candidate: Candidate, seconds: float | None) -> None:
        """Nothing is tried."""
