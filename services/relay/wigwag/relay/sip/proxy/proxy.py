"""The stateful proxy: what is done to a request before it goes on, and how it gets there (RFC 3261 section 16.6)."""

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from wigwag.protocols.digest import SigningKeys
from wigwag.protocols.sip import Request, SipError, Via
from wigwag.protocols.sip.transactions import Transactions
from wigwag.relay.sip.authentication.identity import assert_identity
from wigwag.relay.sip.config import SipTimerSettings
from wigwag.relay.sip.incoming import Incoming, Target
from wigwag.runtime.agents import APPLICATION
from wigwag.transport.errors import ConnectError

from .branches import branch_named, branch_of, loop_hash
from .forwarding import Forwarding
from .forwarding_branch import Branch
from .record_routes import PATH, Routed, RouteTokens, flow_route, near, outward

if TYPE_CHECKING:
    from wigwag.relay.sip.flows.flow import Flow, SipAddress
    from wigwag.relay.sip.flows.next_hops import Candidate, NextHops

MAX_FORWARDS: Final = 70
_ADDED: Final = 200
"""Octets by which a request grows here: Via, P-Asserted-Identity."""
NO_DIALOG: Final = frozenset(
    {"ACK", "BYE", "CANCEL", "INFO", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK", "PUBLISH", "REGISTER", "UPDATE"}
)
"""Methods that make no dialog; an unknown one may."""


class Proxy:
    """Forwards requests.

    Args:
        transactions: The transaction layer.
        keys: Sign branches and routes.
        next_hops: Reaches what has no flow.
        timers: Timer C and T1.
        pod: Id of this pod among several; empty: there is one.
        now: Seconds, monotonic.
        spawn: Runs a coroutine beside.
        random: Unpredictable bytes.
        trusts: Tells whether what comes by a flow is a neighbour's.
    """

    def __init__(
        self,
        *,
        transactions: Transactions,
        keys: SigningKeys,
        next_hops: "NextHops",
        timers: SipTimerSettings,
        pod: str,
        now: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        random: Callable[[int], bytes],
        trusts: "Callable[[Flow], bool]",
    ) -> None:
        self.transactions = transactions
        self.timers = timers
        self.routes = RouteTokens(keys)
        self.invites: set[Forwarding] = set()
        """INVITEs that have no final response yet."""
        self._keys = keys
        self.next_hops = next_hops
        self._via_end: dict[str, str | None] = {"rport": None, "pod": pod} if pod else {"rport": None}
        self._via_text = f";rport;pod={pod}" if pod else ";rport"
        self._now = now
        self._spawn = spawn
        self._random = random
        self.trusts = trusts
        self._agents = ""
        self._agents_address: SipAddress | None = None

    def lead_to_agents(self, aor: str, addresses: "Sequence[SipAddress]") -> None:
        """Let dialogs with ua pods be led by a listener that all pods have in common.

        The one by which a ua pod comes may be known to this pod alone, and the session may go on at another.
        """
        self._agents = aor
        self._agents_address = next((address for address in addresses if address.kind != "peer"), None)

    def tag(self) -> str:
        """Return a fresh To tag."""
        return self._random(8).hex()

    def prepare(
        self,
        incoming: Incoming,
        target: Target,
        flow: "Flow",
        candidate: "Candidate | None" = None,
        *,
        forks: bool = False,
    ) -> Request:
        """Return the request as it goes to a target, to one of several if it ``forks``.

        Each way to a target (``candidate``) has a branch of its own (RFC 3263 section 4.3).
        """
        came = incoming.request
        hops = came.max_forwards
        request = came.forwarded(target.uri, MAX_FORWARDS if hops is None else hops - 1)
        assert_identity(request, incoming.identity)
        if target.application:
            request.append(APPLICATION, target.application)
        for route in reversed(target.route):
            request.insert("Route", route)
        if came.method == "REGISTER":
            self._add_path(request, incoming)
        if came.method not in NO_DIALOG and came.to.tag is None:
            self._record_route(request, incoming, target, flow)
        # Who forks has to notice loops (RFC 5393 section 4.2); where nobody does, Max-Forwards ends them.
        loop = loop_hash(came) if forks or came.names.count("via") > 1 else ""
        name = target.name if candidate is None else f"{target.name} {candidate}"
        branch = branch_of(self._keys, came, name, loop)
        address = flow.address
        via = Via(address.via_transport, address.via_host, address.port, {"branch": branch, **self._via_end})
        request.push_via(via, f"{address.via};branch={branch}{self._via_text}")
        return request

    def branch_named(self, name: bytes) -> str:
        """Return our branch of a request with this name (``branches.named``)."""
        return branch_named(self._keys, name)

    def _add_path(self, request: Request, incoming: Incoming) -> None:
        """Let the registrar behind us reach the client by the flow that it came by (RFC 3327, RFC 5626 section 5.1)."""
        token = self.routes.make(incoming.origin, PATH)
        request.insert("Path", f"<{incoming.flow.address.uri(token)};ob>")

    def _record_route(self, request: Request, incoming: Incoming, target: Target, flow: "Flow") -> None:
        """Insert two routes: the lower one leads to the caller, the upper one to the target (RFC 5658)."""
        call_id = request.call_id
        back = incoming.origin
        if target.aor:
            forth = Routed(aor=target.aor, key=target.key)
        elif target.stored_flow is not None:
            forth = flow_route(target.stored_flow)
        else:
            open_to = near(flow) if target.allow_private else target.near
            forth = outward(open_to, incoming.identity.aor, incoming.flow)
        if not back.aor and back.flow is None:
            back = outward(back.near, target.aor, flow)
        for address, routed in ((incoming.flow.address, back), (flow.address, forth)):
            if routed.aor == self._agents and self._agents_address is not None:
                address = self._agents_address
            request.insert("Record-Route", f"<{address.uri(self.routes.make(routed, call_id))}>")

    # Targets without a flow

    def locate(self, branch: Branch) -> None:
        """Find out how the branch's target is reached, and send."""
        self._spawn(self._watched(branch, self._locate(branch)))

    async def _watched(self, branch: Branch, work: "Coroutine[Any, Any, None]") -> None:
        try:
            await work
        except Exception:
            # Nobody has foreseen this; the branch ends all the same, so that the request is answered.
            branch.unreachable("internal error", self._now(), 500)
            raise

    async def _locate(self, branch: Branch) -> None:
        target = branch.target
        try:
            branch.candidates = await self._candidates(branch.forwarding.incoming, target)
        except SipError as error:
            branch.unreachable(error.reason, self._now(), 0 if target.aor else error.status or 500)
            return
        branch.unreachable("no address", self._now())

    async def _candidates(self, incoming: Incoming, target: Target) -> "list[Candidate]":
        assert target.next_hop is not None
        return await self.next_hops.candidates(
            target.next_hop,
            allow_private=target.allow_private,
            near=target.near,
            octets=len(bytes(incoming.request)) + _ADDED,
        )

    def connect(self, branch: Branch, candidate: "Candidate", now: float) -> None:
        """Send a branch's request to one of its candidates."""
        flow = self.next_hops.flow(candidate)
        if flow is not None:
            branch.send(flow, now)
        else:
            self._spawn(self._watched(branch, self._connect(branch, candidate)))

    async def _connect(self, branch: Branch, candidate: "Candidate") -> None:
        try:
            flow = await self.next_hops.connect(candidate)
        except ConnectError as error:
            self.next_hops.failed(candidate, None)
            branch.unreachable(str(error), self._now())
            return
        branch.send(flow, self._now())

    def send_once(self, incoming: Incoming, target: Target) -> None:
        """Send what has no transaction, an ACK, to a target without a flow."""
        self._spawn(self._send_once(incoming, target))

    async def _send_once(self, incoming: Incoming, target: Target) -> None:
        try:
            found = await self._candidates(incoming, target)
            flow = self.next_hops.flow(found[0]) or await self.next_hops.connect(found[0])
        except (SipError, ConnectError, IndexError):
            return  # The caller repeats it when the 2xx comes again.
        flow.send(bytes(self.prepare(incoming, target, flow)))

    def tick(self, now: float) -> None:
        """Look for INVITEs that ring too long."""
        for forwarding in [held for held in self.invites if held.ringing_until <= now]:
            forwarding.ringing_too_long(now)
