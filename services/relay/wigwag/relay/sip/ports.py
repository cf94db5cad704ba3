"""What the edge asks its neighbours in the service; each answers at once, or with a coroutine when it has to look."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from wigwag.protocols.sip import SipUri
from wigwag.protocols.sip.digest import Role
from wigwag.store import Registration

if TYPE_CHECKING:
    from .flows.flow import Flow, StreamFlow
    from .incoming import Identity, Incoming
    from .proxy.passage import Keeper
    from .proxy.targets import Groups

T = TypeVar("T")
Later = Coroutine[Any, Any, T]


class Authentication(Protocol):
    """Tells who sent a request."""

    def identify(self, incoming: "Incoming") -> "Identity | Later[Identity]":
        """Return the sender of a request that is to be passed on.

        Raises:
            SipError: 407 with challenges, 403, 503; also from the coroutine.
        """

    def authenticate(self, incoming: "Incoming", role: Role, user: SipUri) -> "Identity | Later[Identity]":
        """Return who sent a request if he is ``user``, a URI of one of our domains; SipError as ``identify``."""


class Registering(Protocol):
    """Answers REGISTER."""

    def register(self, incoming: "Incoming") -> "Later[None]":
        """Answer a REGISTER for one of our domains on ``incoming.server``; SipError: the answer it gets instead."""

    def flow_closed(self, flow: "StreamFlow") -> None:
        """A connection that bindings use is gone."""


class Locating(Protocol):
    """Knows where users are registered."""

    def find(self, aor: str) -> "Registration | Later[Registration | None] | None":
        """Return the user's bindings; at once when they are cached.

        Raises:
            SipError: 503: the store is away and nothing is known (from the coroutine).
        """

    def at_hand(self, aor: str) -> "Registration | None":
        """Return what ``find`` returns at once, the same object while nothing has changed; None: it has to look."""

    def forget(self, aor: str) -> None:
        """What is cached of a user holds no more, except while the store is away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the routing table says of a request."""

    action: str
    """``location``: to registered contacts; ``service``: to one of ours; ``forward``: to a next hop."""
    service: str = ""
    next_hops: tuple[SipUri, ...] = ()
    """In the order they are to be tried."""
    allow_private: bool = False
    hop_failed: "Callable[[SipUri, float], None] | None" = None
    """Told (URI, now) that a next hop did not serve."""
    near: str = ""
    """Network in which private addresses are open all the same; empty: none."""
    uri: str = ""
    """Request-URI to use instead of its own; empty: that stays."""
    answer: str = "acceptance"
    """When a MESSAGE that is kept is answered: at its ``acceptance`` (202), or at its ``delivery``."""


DEFAULT = Decision(action="default")
"""No row matched: our domains go to their users, others where RFC 3263 leads, for our users only."""


class Routing(Protocol):
    """The routing table, and the hook that may be asked."""

    @property
    def is_silent(self) -> bool:
        """Whether ``decide`` returns ``DEFAULT`` for every request."""

    def admit(self, incoming: "Incoming", *, ours: bool) -> "Identity | None":
        """Return what a sender who has proven nothing counts as by a row that lets him in; None: no row does.

        Args:
            incoming: The request.
            ours: Whether its From is in one of our domains.

        Raises:
            SipError: A row refuses it.
        """

    def decide(self, incoming: "Incoming") -> "Decision | Later[Decision]":
        """Return what the first row that matches says; SipError: a row refuses, with its status and reason."""


class Applications(Protocol):
    """Knows the SIP addresses of applications."""

    def owner(self, uri: SipUri) -> str | None:
        """Return the name of the application that owns an address; None: none does."""


class Agents(Protocol):
    """The user agent's pods, where applications' calls end."""

    aor: str
    """AOR that they all register."""

    def serves(self, uri: SipUri) -> bool:
        """Tell whether an address belongs to an application."""

    def is_pod(self, flow: "Flow") -> bool:
        """Tell whether a flow is one of theirs."""

    def identify(self, incoming: "Incoming") -> "Identity":
        """Return who sent a request over a neighbour's flow: an application, or the neighbour."""

    def is_caller(self, incoming: "Incoming") -> bool:
        """Tell whether a request comes from a session of theirs, so that its dialog is reached by the session's id."""

    def of_session(self, incoming: "Incoming") -> "Later[Groups]":
        """Return who has the session that the Request-URI names, then those who would take it over; SipError: 503."""

    def of_call(self, incoming: "Incoming", uri: str, application: str = "") -> "Later[Groups]":
        """Return who takes a new call to ``uri``, the same for its repetitions, then the others; SipError: 503.

        Args:
            incoming: The INVITE.
            uri: Request-URI that it gets.
            application: Whose call it is whatever the URI; empty: that of who owns the URI.
        """


class Screening(Protocol):
    """Block lists of users."""

    def concerns(self, aor: str) -> bool:
        """Tell whether the user at ``aor`` may want nothing from somebody."""

    def check(self, incoming: "Incoming", aor: str) -> "Later[None] | None":
        """SipError: the user at ``aor`` wants nothing from this sender."""


class Services(Protocol):
    """Services of ours behind the edge, and users who are absent: pager mode."""

    def fallback(self, incoming: "Incoming", aor: str) -> "Keeper | None":
        """Return what a MESSAGE that reaches nobody is handed to; None: it gets the response."""

    def for_pages(self, incoming: "Incoming", registration: Registration) -> Registration | None:
        """Return a user's registration without contacts that take no MESSAGE; None: the message is for a session."""

    def takes_pages(self, registration: Registration) -> bool:
        """Tell whether ``for_pages`` returns this very object at once and asks nobody."""

    def accept(self, incoming: "Incoming", service: str, reason: str = "route") -> "Later[None]":
        """Take a MESSAGE for a service; answers on ``incoming.server``; SipError: the answer it gets instead.

        Args:
            incoming: The MESSAGE.
            service: Who is to take it.
            reason: Why, one of ``REASONS``.
        """


@dataclass(slots=True)
class Neighbours:
    """All of them."""

    authentication: Authentication
    registering: Registering
    locating: Locating
    routing: Routing
    screening: Screening
    services: Services
    agents: Agents
