"""One request at the edge: what it is, by which flow it came, who sent it, what was found out on its way."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wigwag.protocols.sip import Request, SipError, SipUri, parse_uri

from .record_routes import Routed

if TYPE_CHECKING:
    from wigwag.protocols.sip.transactions import ServerTransaction
    from wigwag.store import Flow as StoredFlow

    from .flows import Flow


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

    __slots__ = ("_target", "flow", "identity", "origin", "request", "routed", "server")

    def __init__(self, request: Request, flow: "Flow", server: "ServerTransaction | None") -> None:
        self.request = request
        self.flow = flow
        self.server = server
        """None for an ACK, which has none."""
        self.routed: Routed | None = None
        self.origin = NOWHERE
        """Where requests of its dialog are sent to reach the sender again."""
        self.identity = NOBODY
        self._target: SipUri | None = None

    @property
    def target(self) -> SipUri:
        """The Request-URI; SipError for what is no SIP URI and was not turned into one."""
        if self._target is None:
            uri = parse_uri(self.request.uri)
            if not isinstance(uri, SipUri):
                raise SipError("tel URIs are not routed here", status=416)
            self._target = uri
        return self._target

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
    allow_private: bool = False
    """Whether loopback, private and own addresses may be connected to."""
    others: "list[Target]" = field(default_factory=list)
    """Other flows to the same device, for when this one fails."""
