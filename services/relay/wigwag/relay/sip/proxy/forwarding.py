"""A request on its way to one or many targets: branches, and the one response that goes back (RFC 3261 section 16).

Theory of operation. A `Forwarding` is the response context of section 16.7: it belongs to the server transaction and
has one `Branch` per target, each with its client transaction. Targets of equal preference are tried at once, groups one
after the other. A 2xx goes back at once, a 6xx ends the search, else the best final response goes back when all have
answered. A request that is no INVITE is not answered 408 (RFC 4320 section 4.2): its sender's own timer tells him.
"""

from typing import TYPE_CHECKING, Final, Protocol, cast

from wigwag.protocols.sip import Response, SipError
from wigwag.protocols.sip.transactions import ServerUser
from wigwag.relay.sip.authentication.identity import remove_claims

from .best_response import best_of, passed_back
from .forwarding_branch import Branch

if TYPE_CHECKING:
    from wigwag.protocols.sip import Request
    from wigwag.protocols.sip.transactions import NonInviteServerTransaction, ServerTransaction
    from wigwag.relay.sip.flows.flow import Flow
    from wigwag.relay.sip.incoming import Incoming, Target

    from .proxy import Proxy


MAX_BREADTH: Final = 60
"""Branches at once, here and beyond, of a request that does not say (RFC 5393 section 5.3.3)."""


class Fallback(Protocol):
    """What becomes of a request that reached nobody."""

    def started(self, forwarding: "Forwarding", now: float) -> None:
        """The request is about to be sent."""

    def failed(self, forwarding: "Forwarding", status: int, now: float) -> bool:
        """Every branch has ended and ``status`` would go back; True: it is answered otherwise, now or later."""

    def delivered(self, forwarding: "Forwarding", status: int, reason: str, now: float) -> None:
        """A branch was answered 2xx, perhaps after the request had been answered."""


class Upstream(Protocol):
    """Where responses go: a server transaction, or who sends a request of our own."""

    user: ServerUser

    def respond(self, response: Response, now: float) -> None:
        """Take a response."""


class Forwarding:
    """The response context of one request; the user of its server transaction.

    Args:
        proxy: What it stands on.
        incoming: The request.
        groups: Targets, those of one group to be tried at once.
        fallback: What is done when nobody is reached.

    Attributes:
        decided: A final response went back.
        cancelled: The caller gave up.
        context: What the fallback remembers.
    """

    __slots__ = (
        "_called_off",
        "_groups",
        "branches",
        "breadth",
        "cancelled",
        "context",
        "decided",
        "fallback",
        "incoming",
        "is_invite",
        "proxy",
        "ringing_until",
        "server",
    )

    def __init__(
        self,
        proxy: "Proxy",
        incoming: "Incoming",
        server: "ServerTransaction | Upstream",
        groups: "list[list[Target]]",
        fallback: Fallback | None,
    ) -> None:
        self.proxy = proxy
        self.incoming = incoming
        self.server = server
        self.branches: list[Branch] = []
        self.decided = False
        self.is_invite = incoming.request.method == "INVITE"
        self.ringing_until = 0.0
        self.fallback = fallback
        self.breadth = 0
        """Max-Breadth of the branches; 0: as it came."""
        self.context: object | None = None
        self._groups = groups
        self.cancelled = self._called_off = False

    @property
    def request(self) -> "Request":
        """The request as it came in."""
        return self.incoming.request

    @property
    def closed(self) -> bool:
        """Whether nothing more is tried: it is answered, or called off by the caller or a 6xx."""
        return self.decided or self._called_off

    def start(self, now: float) -> None:
        """Try the first group."""
        self.server.user = self
        if self.is_invite:
            self.ringing_until = now + self.proxy.timers.ringing
            self.proxy.invites.add(self)
        if self.fallback is not None:
            self.fallback.started(self, now)
        if self._groups:
            self._next_group(now)
        else:
            self._nobody(now)

    def _next_group(self, now: float) -> None:
        group = self._groups.pop(0)
        if len(group) > 1 and not self._share_breadth(len(group), now):
            return
        started = [Branch(self, target) for target in group]
        self.branches += started
        for branch in started:
            branch.start(now)

    def _share_breadth(self, branches: int, now: float) -> bool:
        """Give each branch its share of what the request may be forked into (RFC 5393 section 5.3.3)."""
        try:
            breadth = self.request.number("max-breadth", 1 << 16)
        except SipError as error:
            self._refuse(error.status, error.reason, now)
            return False
        self.breadth = (MAX_BREADTH if breadth is None else breadth) // branches
        if not self.breadth:
            self._refuse(440, "Max-Breadth Exceeded", now)
        return bool(self.breadth)

    def _refuse(self, status: int, reason: str, now: float) -> None:
        self.answer(Response.to_request(self.request, status, reason, to_tag=self.proxy.tag()), now)

    def _nobody(self, now: float) -> None:
        """There is no target at all."""
        if self.fallback is None or not self.fallback.failed(self, 480, now):
            self._refuse(480, "Temporarily Unavailable", now)

    # From the branches

    def response_received(self, branch: Branch, response: Response, now: float) -> None:
        """A response came from a target."""
        status = response.status
        if branch.client is not None:
            remove_claims(response, trusted=self.proxy.trusts(cast("Flow", branch.client.wire)))
        if status < 200:
            self._provisional(response, now)
            return
        branch.final = response
        if status < 300:
            self._succeed(response, now)
            return
        if status >= 600:
            self._call_off(now)
        self._look(now)

    def succeed_with(self, server: "NonInviteServerTransaction", data: bytes, now: float) -> None:
        """Pass on a 2xx of the only branch that is written already; the request has not been answered yet."""
        if self.fallback is not None:
            line = data[: data.index(b"\r\n")]
            self.fallback.delivered(self, int(line[8:11]), line[12:].decode("utf-8", "surrogateescape"), now)
        self._groups.clear()
        self.decided = True
        self.branches = []
        server.respond_final(data, now)

    def branch_failed(self, branch: Branch, status: int, reason: str, now: float) -> None:
        """A target can't be reached, or did not answer."""
        branch.final = Response.to_request(self.request, status, reason)
        self._look(now)

    def _provisional(self, response: Response, now: float) -> None:
        if self.is_invite and response.status > 100:
            self.ringing_until = now + self.proxy.timers.ringing
        if response.status > 100 and not self.decided:
            self._forward(response, now)

    def _succeed(self, response: Response, now: float) -> None:
        if self.fallback is not None:
            self.fallback.delivered(self, response.status, response.reason, now)
        if self.decided and not self.is_invite:
            self._release()
            return
        # Every 2xx to an INVITE goes back, also a second one: each has made a dialog (section 16.7 step 5).
        self._call_off(now)
        self._forward(response, now)
        self.decided = True
        self._end()

    def _forward(self, response: Response, now: float) -> None:
        response.pop_item("via")
        self.server.respond(response, now)

    def _look(self, now: float) -> None:
        if self.decided:
            self._release()
            return
        if any(branch.pending for branch in self.branches):
            return
        if self._groups and not self.cancelled:
            self._next_group(now)
            return
        self._conclude(now)

    def _conclude(self, now: float) -> None:
        best = best_of(self._finals())
        if self.fallback is not None and not self.cancelled and self.fallback.failed(self, best.status, now):
            return
        self.decided = True
        if best.status != 408 or self.is_invite:
            self.server.respond(passed_back(best, self._finals(), self.request, self.proxy.tag), now)
        self._end()

    def _finals(self) -> list[Response]:
        return [branch.final for branch in self.branches if branch.final is not None]

    def answer(self, response: Response, now: float) -> None:
        """Give a final response of our own; the branches stay open, and what they say goes to the fallback."""
        self.decided = True
        self.server.respond(response, now)
        self._end()

    def go_on(self, groups: "list[list[Target]]", now: float) -> None:
        """Try more targets after every branch has ended and ``Fallback.failed`` took over; none: answer after all.

        Nothing is tried for a caller who has given up.
        """
        if self.decided:
            return
        if self.cancelled or not groups:
            self._conclude(now)
            return
        self._called_off = False  # A 6xx was the word of the others.
        self.branches = []
        self._groups = groups
        self.ringing_until = now + self.proxy.timers.ringing
        self._next_group(now)

    def _end(self) -> None:
        if self.is_invite:
            self.proxy.invites.discard(self)
        else:
            self._release()

    def _release(self) -> None:
        """Let go of branches that have all ended: they and this hold each other, which costs collections."""
        if not self.is_invite and not any(branch.pending for branch in self.branches):
            self.branches = []

    # From upstream

    def cancel(self, now: float) -> None:
        """The caller gave up: every branch is called off, and the best of their answers goes back (section 16.10)."""
        self.cancelled = True
        self.ringing_until = now + 64 * self.proxy.timers.t1
        self._call_off(now)

    def _call_off(self, now: float) -> None:
        """Begin no more branches, and cancel those of an INVITE."""
        self._called_off = True
        self._groups.clear()
        if self.is_invite:
            for branch in self.branches:
                branch.cancel(now)

    def ringing_too_long(self, now: float) -> None:
        """Timer C has fired (section 16.8), or what was called off has not ended (section 9.1)."""
        called_off = self.cancelled
        self.cancel(now)
        for branch in self.branches:
            if branch.pending and (called_off or not branch.provisional):
                self.branch_failed(branch, 408, "Request Timeout", now)

    # ServerUser

    def ack_received(self, server: "ServerTransaction", ack: "Request", now: float) -> None:
        """The caller has our final response: nothing is left to do."""

    def server_failed(self, server: "ServerTransaction", reason: str, now: float) -> None:
        """The response can't be passed back: an INVITE is called off, nobody waits for it."""
        self.cancel(now)
