"""A request that was passed on unread, for as long as its answer is awaited; read when the answer is no usual one."""

from typing import TYPE_CHECKING, Protocol

from wigwag.protocols.sip import Request, parse_datagram
from wigwag.protocols.sip.transactions import NonInviteClientTransaction, NonInviteServerTransaction
from wigwag.relay.sip.incoming import Incoming

from .forwarding import Fallback, Forwarding
from .forwarding_branch import Branch

if TYPE_CHECKING:
    from wigwag.protocols.sip import Response
    from wigwag.protocols.sip.transactions import ClientTransaction, ServerTransaction
    from wigwag.relay.sip.incoming import Target

    from .proxy import Proxy


class Keeper(Fallback, Protocol):
    """What becomes of a request that reached nobody, also when it was passed on unread."""

    def passed(self, server: "ServerTransaction", now: float) -> None:
        """A request is about to be sent unread: it may be taken over at any time from now on (``Passage.unfolded``)."""

    def served(self, server: "ServerTransaction", now: float) -> bool:
        """It is answered 2xx; False: it has to be taken over, and is told as ``delivered`` instead."""


class Origin:
    """What is the same for all requests of one kind that are passed on unread.

    Args:
        proxy: Forwards.
        incoming: One of them.
        target: Where they go.
        keeper: Has them when nobody is reached; None: nobody has.
    """

    __slots__ = ("flow", "hops", "identity", "keeper", "proxy", "target", "uri")

    def __init__(self, proxy: "Proxy", incoming: Incoming, target: "Target", keeper: Keeper | None) -> None:
        self.proxy = proxy
        self.flow = incoming.flow
        self.identity = incoming.identity
        self.target = target
        self.keeper = keeper
        self.uri = incoming.request.uri
        self.hops = incoming.request.max_forwards

    def restored(self, data: bytes) -> Request:
        """Return the request that came, made of what was sent on."""
        sent = parse_datagram(data)
        assert isinstance(sent, Request)
        sent.pop_item("via")
        request = sent.forwarded(self.uri, self.hops or 0)
        if self.hops is None:
            request.remove("max-forwards")
        return request


class Passage:
    """The user of both transactions; gives way to a `Forwarding` with its `Branch` once more than a 2xx is to be done.

    Args:
        origin: What it has in common with others.
        server: Its server transaction.
        client: Its client transaction.
        data: The request as it is sent on.
    """

    __slots__ = ("client", "data", "is_sent", "origin", "server")

    def __init__(
        self, origin: Origin, server: NonInviteServerTransaction, client: NonInviteClientTransaction, data: bytes
    ) -> None:
        self.origin = origin
        self.server = server
        self.client = client
        self.data = data
        self.is_sent = False
        server.user = client.user = self

    def start(self, now: float) -> None:
        """Send it."""
        keeper = self.origin.keeper
        if keeper is not None:
            keeper.passed(self.server, now)
        self.client.start()
        self.is_sent = True

    def is_over(self, now: float) -> bool:
        """Tell whether nothing more is to be done than to pass a 2xx back."""
        keeper = self.origin.keeper
        return keeper is None or keeper.served(self.server, now)

    def unfolded(self) -> Branch:
        """Return the branch of the forwarding that takes over."""
        origin, server = self.origin, self.server
        incoming = Incoming(origin.restored(self.data), origin.flow, server)
        incoming.identity = origin.identity
        forwarding = Forwarding(origin.proxy, incoming, server, [], origin.keeper)
        branch = Branch(forwarding, origin.target)
        forwarding.branches.append(branch)
        if self.is_sent:
            branch.client = self.client
        server.user, self.client.user = forwarding, branch
        return branch

    # ClientUser

    def response_received(self, client: "ClientTransaction", response: "Response", now: float) -> None:
        """A response came that has to be read."""
        self.unfolded().response_received(client, response, now)

    def timed_out(self, client: "ClientTransaction", now: float) -> None:
        """No final response came (Timer F)."""
        self.unfolded().timed_out(client, now)

    def wire_failed(self, client: "ClientTransaction", reason: str, now: float) -> None:
        """The connection is lost."""
        self.unfolded().wire_failed(client, reason, now)

    # ServerUser

    def ack_received(self, server: "ServerTransaction", ack: "Request", now: float) -> None:
        """Nobody acknowledges what is no INVITE."""

    def server_failed(self, server: "ServerTransaction", reason: str, now: float) -> None:
        """The response can't be passed back."""
        self.unfolded().forwarding.server_failed(server, reason, now)
