"""One target of a request that is forwarded: the ways to it, and what it answers (RFC 3261 section 16.6, RFC 3263)."""

import re
from typing import TYPE_CHECKING, Final

from wigwag.protocols.sip import Response
from wigwag.protocols.sip.transactions import State, TransactionsFullError

if TYPE_CHECKING:
    from wigwag.protocols.sip.transactions import ClientTransaction
    from wigwag.relay.sip.flows.flow import Flow
    from wigwag.relay.sip.flows.next_hops import Candidate
    from wigwag.relay.sip.incoming import Target

    from .forwarding import Forwarding

_NEXT_HOP_FAILED: Final = 503
_FLOW_FAILED: Final = 430
"""RFC 5626 section 5.3.1."""


class Branch:
    """One target of a request; the user of its client transaction."""

    __slots__ = ("_watched", "candidate", "candidates", "client", "final", "forwarding", "provisional", "target")

    def __init__(self, forwarding: "Forwarding", target: "Target") -> None:
        self.forwarding = forwarding
        self.target = target
        self.client: ClientTransaction | None = None
        self.final: Response | None = None
        self.provisional = False
        self.candidates: list[Candidate] = []
        """More ways to the same target, for when this one fails (RFC 3263 section 4.3)."""
        self.candidate: Candidate | None = None
        """The way that is being tried."""
        self._watched: Flow | None = None
        """The socket that says when the network has refused the datagram."""

    @property
    def pending(self) -> bool:
        """Whether it has not ended."""
        return self.final is None

    def start(self, now: float) -> None:
        """Send the request to the target, as soon as it is known how."""
        target = self.target
        if target.flow is not None:
            self.send(target.flow, now)
        elif target.next_hop is not None:
            self.forwarding.proxy.locate(self)
        else:
            self.unreachable("no flow", now)

    def send(self, flow: "Flow", now: float) -> None:
        """Send the request over a flow."""
        forwarding = self.forwarding
        if forwarding.closed:
            # It was called off, or answered elsewhere, while the way was being opened: nobody would call this one off.
            forwarding.branch_failed(self, 487, "Request Terminated", now)
            return
        if not flow.is_open:
            # It closed while something else was looked up: nobody will tell any more.
            self.unreachable("the connection is lost", now)
            return
        transactions = forwarding.proxy.transactions
        request = forwarding.proxy.prepare(
            forwarding.incoming, self.target, flow, self.candidate, forks=forwarding.breadth > 0
        )
        if forwarding.breadth:
            request.set("Max-Breadth", str(forwarding.breadth))
        self.provisional = False
        if request.via.branch in transactions.clients:
            # The sender repeats what he had the answer to, over a connection that remembers nothing: it is there.
            forwarding.branch_failed(self, 482, "Merged Request", now)
            return
        try:
            client = transactions.send_request(request, flow, self, now)
        except TransactionsFullError:
            forwarding.branch_failed(self, 503, "Too Many Transactions", now)
            return
        if client.state is State.TERMINATED:
            return  # The flow failed at once, and by now another one may be tried.
        self.client = client
        if self.candidate is not None and not flow.reliable:
            self._watched = flow
            transactions.wait_on(flow, client)

    def cancel(self, now: float) -> None:
        """Call an INVITE off (section 9.1)."""
        if self.client is not None and self.pending:
            self.client.cancel(now)

    # ClientUser

    def response_received(self, client: "ClientTransaction", response: Response, now: float) -> None:
        """A response came."""
        if response.status < 200:
            self.provisional = True
        else:
            self._answered(response, now)
            if self._is_failure(response) and self._try_next(now):
                return
        self.forwarding.response_received(self, response, now)

    def _is_failure(self, response: Response) -> bool:
        """Tell whether a response says that the way has failed, and not what the target thinks of the request."""
        flow_failed = response.status == _FLOW_FAILED and bool(self.target.aor)
        return flow_failed or response.status == _NEXT_HOP_FAILED

    def timed_out(self, client: "ClientTransaction", now: float) -> None:
        """No final response came (Timer B or F)."""
        self._unwatch()
        if self.candidate is not None and not self.forwarding.cancelled:
            self.forwarding.proxy.next_hops.failed(self.candidate, None)
            self._tell_failure(now)
        if not self._try_next(now):
            self.forwarding.branch_failed(self, 408, "Request Timeout", now)

    def wire_failed(self, client: "ClientTransaction", reason: str, now: float) -> None:
        """The connection is lost, or the datagram was refused (section 16.9: as if 503 had come)."""
        self._unwatch()
        if self.candidate is not None and not client.wire.reliable:
            self.forwarding.proxy.next_hops.failed(self.candidate, None)
        self.unreachable(reason, now)

    def _answered(self, response: Response, now: float) -> None:
        """Tell what a final response says of the way by which it came."""
        self._unwatch()
        if self.candidate is None:
            return
        next_hops = self.forwarding.proxy.next_hops
        if response.status == _NEXT_HOP_FAILED:
            self._tell_failure(now)
            seconds = _retry_after(response)
            if seconds is not None:
                next_hops.failed(self.candidate, seconds)
        else:
            next_hops.reached(self.candidate)

    def served(self) -> None:
        """Hear that the way led to a success, which was passed on without being read."""
        self._unwatch()
        if self.candidate is not None:
            self.forwarding.proxy.next_hops.reached(self.candidate)

    def _tell_failure(self, now: float) -> None:
        target = self.target
        if target.hop_failed is not None and target.next_hop is not None:
            target.hop_failed(target.next_hop, now)

    def _unwatch(self) -> None:
        if self._watched is not None and self.client is not None:
            self.forwarding.proxy.transactions.leave(self._watched, self.client)
        self._watched = None

    def unreachable(self, reason: str, now: float, status: int = 0) -> None:
        """It can't be sent, or what was sent may be lost; ``status``: what that means if there is no other way."""
        if not self.candidates:
            self._tell_failure(now)
        if self._try_next(now):
            return
        if self.forwarding.cancelled:
            status, reason = 487, "Request Terminated"
        elif not status:
            # A registered contact whose flow is gone: RFC 5626 section 5.3.1.
            status, reason = (430, "Flow Failed") if self.target.aor else (503, reason)
        self.forwarding.branch_failed(self, status, reason, now)

    def _try_next(self, now: float) -> bool:
        if self.forwarding.closed:
            return False
        if self.candidates:
            self.candidate = self.candidates.pop(0)
            self.forwarding.proxy.connect(self, self.candidate, now)
        elif self.target.others:
            others = self.target.others
            self.target = others.pop(0)
            self.target.others = others
            self.candidate = None
            self.start(now)
        else:
            return False
        return True


def _retry_after(response: Response) -> float | None:
    """Return the seconds that a next hop wants to be left alone for; None: it does not say (section 20.33)."""
    digits = re.match(r"\s*([0-9]{1,9})", response.get("retry-after") or "")
    return float(digits[1]) if digits is not None else None
