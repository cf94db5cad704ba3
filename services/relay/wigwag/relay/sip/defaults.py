"""What the edge does where nothing is configured: no block lists, no services."""

from wigwag.protocols.sip import SipError

from .forwarding import Fallback
from .incoming import Incoming


class NoServices:
    """No service takes messages."""

    def fallback(self, incoming: Incoming, aor: str) -> Fallback | None:
        """Nobody takes a message for who is absent."""
        return None

    async def accept(self, incoming: Incoming, service: str) -> None:
        """There is no such service."""
        raise SipError(f"No Such Service: {service}", status=404)
