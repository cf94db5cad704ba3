"""A SIP user agent that registers, sends messages and takes them, sans-IO (RFC 3261, RFC 3428).

Theory of operation. The agent is put together from parts that can be used alone: a transaction layer, a client core
that answers challenges, a registration, a sender of messages, a server core. Who drives it gives it flows to its
server, the messages that come over them, and the time; everything that happens is told to one callback.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from wigwag.protocols.sip.digest import DigestClient
from wigwag.protocols.sip.errors import SipError
from wigwag.protocols.sip.message import Request, Response
from wigwag.protocols.sip.transactions import SipTimers, Transactions
from wigwag.protocols.sip.validation import validate

from .client import UserAgentClient
from .identity import Flow, Identity
from .messages import MessageSender
from .registration import Registration, RegistrationEvent
from .server import MessageReceived, UserAgentServer

Event = RegistrationEvent | MessageReceived

DEFAULT_ACCEPT: Final = ("text/*", "message/cpim", "message/imdn+xml", "application/im-iscomposing+xml")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """How an agent behaves."""

    expires: int = 600
    """Seconds of registration to ask for."""
    accept: tuple[str, ...] = DEFAULT_ACCEPT
    """Media types of messages taken."""
    timers: SipTimers = field(default_factory=SipTimers)
    """Of the transactions."""


class Calls(Protocol):
    """Who takes the requests of INVITE sessions: ``Dialogs``."""

    def concerns(self, request: Request) -> bool:
        """Tell whether a request is of a session, or makes or ends one."""
        ...

    def receive(self, request: Request, way: Flow, now: float) -> None:
        """Take a request that came by a way."""
        ...

    def next_timeout(self) -> float | None:
        """Return when ``handle_timeout`` has something to do."""
        ...

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        ...


class UserAgent:
    """One user at one device.

    Args:
        identity: Who it is.
        digest: Knows the passwords.
        random: Returns so many unpredictable bytes.
        wall: Returns the seconds since 1970.
        on_event: Told what happens; must not block.
        options: How it behaves.

    Attributes:
        client: Sends other requests.
        messages: Sends messages.
        registration: The binding at the registrar.
        calls: Takes what concerns INVITE sessions; None: such requests are refused.
    """

    def __init__(
        self,
        identity: Identity,
        digest: DigestClient,
        *,
        random: Callable[[int], bytes],
        wall: Callable[[], float],
        on_event: Callable[[Event], None],
        options: AgentOptions = AgentOptions(),
    ) -> None:
        self._transactions = Transactions(options.timers)
        self.client = UserAgentClient(self._transactions, digest, random)
        self.calls: Calls | None = None
        self.messages = MessageSender(self.client, identity)
        self.registration = Registration(
            self.client, identity, expires=options.expires, random=random, on_event=on_event
        )
        self._server = UserAgentServer(
            self._transactions,
            identity,
            token=self.client.token,
            accept=options.accept,
            on_message=on_event,
            wall=wall,
        )

    def receive(self, message: Request | Response, flow: Flow, now: float) -> None:
        """Take a message that came over a flow. What is malformed is refused, or dropped if it is a response."""
        try:
            validate(message)
        except SipError as error:
            if isinstance(message, Request):
                self._server.refuse(error, flow)
            return
        if isinstance(message, Request):
            _note_source(message, flow)
            if self.calls is not None and self.calls.concerns(message):
                self.calls.receive(message, flow, now)
            else:
                self._server.receive(message, flow, now)
        else:
            self._transactions.receive_response(message, now)

    def refuse(self, error: SipError, flow: Flow) -> None:
        """Answer what could not be read, if it can be answered."""
        self._server.refuse(error, flow)

    def flow_lost(self, flow: Flow, reason: str, now: float) -> None:
        """Hear that a flow is gone; requests that wait for an answer over it end, the registration rests."""
        self.messages.flow_lost(flow, reason, now)
        self._transactions.wire_lost(flow.wire, reason, now)
        self.registration.flow_lost(flow)

    def next_timeout(self) -> float | None:
        """Return when ``handle_timeout`` has something to do; None: never, as things are."""
        due = [self._transactions.next_timeout(), self.registration.next_timeout()]
        if self.calls is not None:
            due.append(self.calls.next_timeout())
        return min((at for at in due if at is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        self._transactions.handle_timeout(now)
        self.registration.handle_timeout(now)
        if self.calls is not None:
            self.calls.handle_timeout(now)


def _note_source(request: Request, flow: Flow) -> None:
    """Write into the topmost Via where the request really came from (RFC 3261 section 18.2.1, RFC 3581)."""
    via = request.via
    if "rport" in via.parameters:
        via.parameters["rport"] = str(flow.remote[1])
    elif via.host.strip("[]") == flow.remote[0]:
        return
    via.parameters["received"] = flow.remote[0]
    request.replace_item("via", str(via))
