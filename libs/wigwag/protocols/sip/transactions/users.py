"""What a transaction talks to: the wire below it, the transaction user above it (RFC 3261 section 5)."""

from typing import TYPE_CHECKING, Final, Protocol

from wigwag.errors import OverloadedError

if TYPE_CHECKING:
    from wigwag.protocols.sip.message import Request, Response

    from .client import ClientTransaction
    from .server import ServerTransaction


class TransactionsFullError(OverloadedError):
    """As many transactions are open as may be."""

    status = 503


class Wire(Protocol):
    """Where a transaction's messages go: a connection, or a datagram socket and an address; compared by identity.

    ``send`` doesn't raise: that a connection is gone is told by ``Transactions.wire_lost``. A wire of a server
    transaction may itself fall back to the address in Via once its connection is gone (RFC 3261 section 18.2.2).
    """

    @property
    def reliable(self) -> bool:
        """Whether nothing is lost while the connection stands: TCP, TLS, WebSocket."""
        ...

    def send(self, data: bytes) -> None:
        """Send one message."""
        ...


class ClientUser(Protocol):
    """The transaction user of a client transaction."""

    def response_received(self, client: "ClientTransaction", response: "Response", now: float) -> None:
        """A response came; for INVITE also further 2xx, each of which wants its ACK (RFC 6026 section 7.2)."""
        ...

    def timed_out(self, client: "ClientTransaction", now: float) -> None:
        """No final response came in time: Timer B or F, or 64*T1 after a CANCEL. The transaction has ended."""
        ...

    def wire_failed(self, client: "ClientTransaction", reason: str, now: float) -> None:
        """The connection was lost before a final response. The transaction has ended."""
        ...


class ServerUser(Protocol):
    """The transaction user of a server transaction."""

    def ack_received(self, server: "ServerTransaction", ack: "Request", now: float) -> None:
        """The ACK of a final response that is no 2xx came, for the first time."""
        ...

    def server_failed(self, server: "ServerTransaction", reason: str, now: float) -> None:
        """No ACK came (Timer H), the connection was lost, or nobody waits for a response any more."""
        ...


class Nobody:
    """The user of transactions whose outcome nobody waits for."""

    def response_received(self, client: "ClientTransaction", response: "Response", now: float) -> None:
        """Let it pass."""

    def timed_out(self, client: "ClientTransaction", now: float) -> None:
        """Let it pass."""

    def wire_failed(self, client: "ClientTransaction", reason: str, now: float) -> None:
        """Let it pass."""

    def ack_received(self, server: "ServerTransaction", ack: "Request", now: float) -> None:
        """Let it pass."""

    def server_failed(self, server: "ServerTransaction", reason: str, now: float) -> None:
        """Let it pass."""


NOBODY: Final = Nobody()
