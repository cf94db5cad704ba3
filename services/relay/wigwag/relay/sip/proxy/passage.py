"""A request that was passed on unread, for as long as its answer is awaited; read when the answer is no usual one."""

from typing import TYPE_CHECKING

from wigwag.protocols.sip import Request, parse_datagram
from wigwag.protocols.sip.transactions import NonInviteClientTransaction, NonInviteServerTransaction
from wigwag.relay.sip.incoming import Incoming

from .forwarding import Forwarding
from .forwarding_branch import Branch

if TYPE_CHECKING:
    from wigwag.protocols.sip import Response
    from wigwag.protocols.sip.transactions import ClientTransaction, ServerTransaction
    from wigwag.relay.sip.incoming import Target

    from .proxy import Proxy


class Origin:
    """What is the same for all requests of one kind that are passed on unread.

    Args:
        proxy: Forwards.
        incoming: One of them.
        target: Where they go.
    """

    __slots__ = ("flow", "hops", "identity", "proxy", "target", "uri")

    def __init__(self, proxy: "Proxy", incoming: Incoming, target: "Target") -> None:
        self.proxy = proxy
        self.flow = incoming.flow
        self.identity = incoming.identity
        self.target = target
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
        data: The request as it was sent on.
    """

    __slots__ = ("client", "data", "origin", "server")

    def __init__(
        self, origin: Origin, server: NonInviteServerTransaction, client: NonInviteClientTransaction, data: bytes
    ) -> None:
        self.origin = origin
        self.server = server
        self.client = client
        self.data = data
        server.user = client.user = self

    def unfolded(self) -> Branch:
        """Return the branch of the forwarding that takes over."""
        origin, server = self.origin, self.server
        incoming = Incoming(origin.restored(self.data), origin.flow, server)
        incoming.identity = origin.identity
        forwarding = Forwarding(origin.proxy, incoming, server, [], None)
        branch = Branch(forwarding, origin.target)
        forwarding.branches.append(branch)
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
