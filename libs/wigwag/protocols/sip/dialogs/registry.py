"""What all sessions of a user agent share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from wigwag.protocols.sip.errors import SipError
from wigwag.protocols.sip.message import Request
from wigwag.protocols.sip.transactions import ServerTransaction, SipTimers
from wigwag.protocols.sip.user_agent import UserAgentClient

from .alarms import Alarms
from .dialog import DialogId
from .events import Event
from .incoming import IncomingRequest

if TYPE_CHECKING:
    from .session import Session

DEFAULT_ALLOW: Final = ("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE", "MESSAGE", "INFO", "NOTIFY", "OPTIONS")
EXTENSIONS: Final = ("100rel", "timer")
"""Option tags that are supported here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogOptions:
    """How sessions behave."""

    software: str = "Wigwag"
    """For User-Agent and Server."""
    session_expires: int = 1800
    """Seconds of the session timer that we ask for; 0: we don't, and take the peer's."""
    min_se: int = 90
    """Seconds of the shortest session timer that we take."""
    allow: tuple[str, ...] = DEFAULT_ALLOW
    """Methods taken within a dialog."""
    extensions: tuple[str, ...] = ()
    """More option tags that the user supports."""
    limit: int = 0
    """Sessions that there may be; 0: any number."""
    timers: SipTimers = field(default_factory=SipTimers)


class Cancellable(Protocol):
    """An INVITE that has no final response of ours."""

    def cancel(self, now: float) -> None:
        """Its sender has cancelled it."""
        ...


class Registry:
    """The sessions of one user agent and what they are made with.

    Args:
        client: Sends requests; its transaction layer has the same timers as ``options``.
        on_event: Told what happens; may call back at any time.
        options: How sessions behave.
    """

    def __init__(
        self,
        client: UserAgentClient,
        *,
        on_event: Callable[[Event], None],
        options: DialogOptions = DialogOptions(),
    ) -> None:
        self.client = client
        self.transactions = client.transactions
        self.options = options
        self.alarms = Alarms()
        self.tell = on_event
        self.sessions: dict[DialogId, Session] = {}
        self.invites: dict[ServerTransaction, Cancellable] = {}
        """INVITEs and re-INVITEs of others without a final response."""

    def token(self, octets: int = 10) -> str:
        """Return a text that nobody can guess, for tags and Call-IDs."""
        return self.client.token(octets)

    def number(self, below: int) -> int:
        """Return a random number from 0."""
        return int(self.client.token(4), 16) % below

    def incoming(self, server: ServerTransaction, request: Request) -> IncomingRequest:
        """Return a request to answer."""
        return IncomingRequest(server, request, self.token(), self.options.software)

    def capabilities(self) -> tuple[tuple[str, str], ...]:
        """Return what we can do, for INVITE, UPDATE and their 2xx."""
        supported = ", ".join((*EXTENSIONS, *self.options.extensions))
        return ("Allow", ", ".join(self.options.allow)), ("Supported", supported)

    def check_required(self, request: Request) -> None:
        """Look at what a request requires (section 8.2.2.3).

        Raises:
            SipError: 420: something that is not supported.
        """
        known = (*EXTENSIONS, *self.options.extensions)
        unsupported = [option for option in request.items("require") if option.lower() not in known]
        if unsupported:
            raise SipError("Bad Extension", status=420, headers=(("Unsupported", ", ".join(unsupported)),))
