"""A SIP user agent without a network: what it sends is kept, and time passes when a test says so."""

import itertools
from dataclasses import dataclass, field, replace

from wigwag.protocols.sip import Request, Response, parse_datagram
from wigwag.protocols.sip.digest import Account, DigestClient
from wigwag.protocols.sip.user_agent import AgentOptions, Event, Flow, Identity, Outcome, Transport, UserAgent

WALL = 1_800_000_000.0
INSTANCE = "urn:uuid:00000000-0000-1000-8000-000a95a0e128"
IDENTITY = replace(Identity.of("sip:alice@example.com"), instance=INSTANCE)


@dataclass(eq=False)
class KeptWire:
    """A wire whose other end is the test."""

    reliable: bool = True
    sent: list[bytes] = field(default_factory=list)

    def send(self, data: bytes) -> None:
        """Keep one message."""
        self.sent.append(data)


class AgentRig:
    """An agent, the one flow it has, what it told, and the clock.

    Args:
        transport: Of its flow.
        options: How the agent behaves.
        identity: Who it is.
    """

    def __init__(
        self,
        transport: Transport = "TCP",
        options: AgentOptions | None = None,
        identity: Identity = IDENTITY,
    ) -> None:
        numbers = itertools.count(1)
        self.now = 0.0
        self.events: list[Event] = []
        self.outcomes: list[Outcome] = []
        self.wire = KeptWire(reliable=transport != "UDP")
        self.flow = Flow(wire=self.wire, transport=transport, sent_by="192.0.2.7:5099", remote=("192.0.2.1", 5060))
        self.agent = UserAgent(
            identity,
            DigestClient(lambda _: Account("alice", "secret"), lambda size: next(numbers).to_bytes(size, "big")),
            random=lambda size: (next(numbers) % 256).to_bytes(size, "big"),
            wall=lambda: WALL,
            on_event=self.events.append,
            options=options or AgentOptions(),
        )

    def register(self) -> None:
        """Begin to register."""
        self.agent.registration.start(self.flow, self.now)

    def send(self, to: str, text: str = "hello", *fields: tuple[str, str]) -> None:
        """Begin to send a message; what becomes of it is in ``outcomes``."""
        messages = self.agent.messages
        message = messages.request(to, "text/plain", text.encode(), fields)
        messages.send(message, self.flow, lambda _, outcome, __: self.outcomes.append(outcome), self.now)

    def requests(self) -> list[Request]:
        """Return and forget the requests that the agent has sent."""
        sent = [parse_datagram(data) for data in self.wire.sent]
        self.wire.sent.clear()
        assert all(isinstance(message, Request) for message in sent)
        return [message for message in sent if isinstance(message, Request)]

    def request(self) -> Request:
        """Return and forget the one request that the agent has sent."""
        (request,) = self.requests()
        return request

    def response(self) -> Response:
        """Return and forget the one response that the agent has sent."""
        (data,) = self.wire.sent
        self.wire.sent.clear()
        message = parse_datagram(data)
        assert isinstance(message, Response)
        return message

    def answer(self, request: Request, status: int, reason: str = "Reason", *fields: tuple[str, str]) -> None:
        """Let the server answer a request."""
        response = Response.to_request(request, status, reason, to_tag="server", fields=fields)
        self.agent.receive(response, self.flow, self.now)

    def receive(self, request: Request) -> None:
        """Let a request come."""
        parsed = parse_datagram(bytes(request))
        self.agent.receive(parsed, self.flow, self.now)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        end = self.now + seconds
        while (due := self.agent.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self.agent.handle_timeout(self.now)
        self.now = end
