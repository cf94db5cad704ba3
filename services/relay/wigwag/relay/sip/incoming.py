"""One request at the edge: what it is, by which flow it came, who sent it, what was found out on its way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wigwag.protocols.sip import Request, SipUri, parse_uri

from .proxy.record_routes import Routed

if TYPE_CHECKING:
    from wigwag.protocols.sip.transactions import ServerTransaction
    from wigwag.store import Flow as StoredFlow

    from .flows.flow import Flow
    from .ports import Decision


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sent a request, as far as we know it to be true."""

    aor: str = ""
    """AOR of one of our users who proved it by digest; empty: nobody of ours."""
    username: str = ""
    realm: str = ""
    trusted: bool = False
    """A neighbour's: his word counts, and what he asserts is passed on."""


NOBODY = Identity()
NEIGHBOUR = Identity(trusted=True)
NOWHERE = Routed()


class Incoming:
    """A request that has a server transaction.

    Attributes:
        routed: What the last Record-Route token of ours said; None: it carried none that is valid.
        identity: Who sent it.
    """

    __slots__ = (
        "_target",
        "by_path",
        "decision",
        "flow",
        "identity",
        "origin",
        "past_gateway",
        "request",
        "routed",
        "server",
        "waits_until",
    )

    def __init__(self, request: Request, flow: "Flow", server: "ServerTransaction | None") -> None:
        self.request = request
        self.flow = flow
        self.server = server
        """None for an ACK, which has none."""
        self.routed: Routed | None = None
        self.by_path = False
        """Whether ``routed`` is a Path of ours: who has it was given it by the registrar (RFC 5626 section 5.3)."""
        self.decision: Decision | None = None
        """Of the row that let it in without proof."""
        self.origin = NOWHERE
        """Where requests of its dialog are sent to reach the sender again."""
        self.identity = NOBODY
        self.past_gateway = False
        """Whether it is not led to the gateway: it may come from there."""
        self.waits_until: float | None = None
        """Until when who sent a MESSAGE that is kept waits for what becomes of it (monotonic); None: he does not."""
        self._target: SipUri | None = None

    @property
    def target(self) -> SipUri:
        """Whom it is for; a tel URI as one of the scheme ``tel`` without a host. SipError: the Request-URI is bad."""
        if self._target is None:
            uri = parse_uri(self.request.uri)
            self._target = uri if isinstance(uri, SipUri) else SipUri("tel", uri.aor, None, "", None)
        return self._target

    def retarget(self, uri: str) -> None:
        """Let it be for another URI, as a row has rewritten it."""
        target = parse_uri(uri)
        assert isinstance(target, SipUri)
        self._target = target

    @property
    def is_strangers_invite(self) -> bool:
        """Whether it is an INVITE in a datagram whose sender has proven nothing."""
        is_invite = self.request.method == "INVITE" and not self.flow.reliable
        return is_invite and self.identity is NOBODY and not self.in_dialog

    @property
    def in_dialog(self) -> bool:
        """Whether it belongs to a dialog that was set up through us."""
        return self.routed is not None and self.request.to.tag is not None


@dataclass(slots=True, kw_only=True)
class Target:
    """Where a request may be sent to."""

    uri: str
    """Request-URI there."""
    name: str
    """What makes it this target; part of the branch, so the same on every pod."""
    q: int = 1000
    """Preference in thousandths; higher ones are tried first, equal ones at once."""
    flow: "Flow | None" = None
    """How it is reached, if that is known."""
    stored_flow: "StoredFlow | None" = None
    next_hop: SipUri | None = None
    """Else the URI to find by RFC 3263."""
    route: tuple[str, ...] = ()
    """Route header fields to give it, such as a registered Path."""
    aor: str = ""
    """Binding that it is, for Record-Route; empty: none."""
    key: str = ""
    call_id: str = ""
    """Of the REGISTER that made the binding."""
    registered_at: float = 0.0
    """When it was written last (``Binding.updated_at``)."""
    application: str = ""
    """Application that it is led to, whoever is called; empty: none."""
    allow_private: bool = False
    """Whether loopback, private and own addresses may be connected to."""
    hop_failed: "Callable[[SipUri, float], None] | None" = None
    """Told (URI, now) that the next hop did not serve."""
    near: str = ""
    """Network in which they may be connected to all the same; empty: none."""
    others: "list[Target]" = field(default_factory=list)
    """Other flows to the same device, for when this one fails."""
