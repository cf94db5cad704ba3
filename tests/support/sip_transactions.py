"""Wires, users and messages for tests of SIP transactions."""

from dataclasses import dataclass, field

from wigwag.protocols.sip import Request, Response
from wigwag.protocols.sip.transactions import ClientTransaction, ServerTransaction, Transactions


class RecordingWire:
    """Keeps what was sent."""

    def __init__(self, *, reliable: bool = False) -> None:
        self.reliable = reliable
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    @property
    def starts(self) -> list[str]:
        """The first two words of every message, without the protocol's version: ``200 OK``, ``ACK sip:b@x``."""
        return [" ".join(data.decode().removeprefix("SIP/2.0 ").split("\r\n")[0].split(" ")[:2]) for data in self.sent]


@dataclass
class RecordingUser:
    """Keeps what it was told, as user of client and server transactions."""

    statuses: list[int] = field(default_factory=list)
    acks: int = 0
    timeouts: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def response_received(self, client: ClientTransaction, response: Response, now: float) -> None:
        self.statuses.append(response.status)

    def timed_out(self, client: ClientTransaction, now: float) -> None:
        self.timeouts.append(now)

    def wire_failed(self, client: ClientTransaction, reason: str, now: float) -> None:
        self.failures.append(reason)

    def ack_received(self, server: ServerTransaction, ack: Request, now: float) -> None:
        self.acks += 1

    def server_failed(self, server: ServerTransaction, reason: str, now: float) -> None:
        self.failures.append(reason)


def request(
    method: str = "MESSAGE",
    *,
    branch: str = "z9hG4bKone",
    sent_by: str = "client.example.com",
    number: int = 1,
    to_tag: str | None = None,
    call_id: str = "a84b4c76e66710",
    routes: tuple[str, ...] = (),
    body: bytes = b"",
) -> Request:
    """Return a request from ``sent_by``."""
    to = "<sip:bob@example.com>" + (f";tag={to_tag}" if to_tag else "")
    fields = [("Via", f"SIP/2.0/UDP {sent_by}" + (f";branch={branch}" if branch else ""))]
    fields += [("Route", route) for route in routes]
    fields += [("Max-Forwards", "70"), ("From", "<sip:alice@example.com>;tag=1928301774"), ("To", to)]
    fields += [("Call-ID", call_id), ("CSeq", f"{number} {method}")]
    return Request.create(method, "sip:bob@example.com", fields, body)


def response(to: Request, status: int, *, to_tag: str = "314159") -> Response:
    """Return a response with a To tag."""
    return Response.to_request(to, status, "Because", to_tag=to_tag)


def run_until(layer: Transactions, end: float) -> list[float]:
    """Handle every timer exactly when it is due, up to and including ``end``; return those moments."""
    moments: list[float] = []
    while (due := layer.next_timeout()) is not None and due <= end:
        assert not moments or due > moments[-1], "a timer that fired is due again at the same moment"
        moments.append(due)
        layer.handle_timeout(due)
    return moments
