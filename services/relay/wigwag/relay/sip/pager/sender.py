"""Sends a MESSAGE of our own to all devices of a user, or to a URI, and says how it ended (RFC 3428 sections 4, 8)."""

import asyncio
from collections.abc import Collection, Coroutine
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from wigwag.database.ledger import State
from wigwag.errors import StoreError
from wigwag.protocols.sip import Response, SipError
from wigwag.protocols.sip.transactions import NOBODY, ServerUser
from wigwag.relay.sip.flows.flow import Flow, SipAddress
from wigwag.relay.sip.gateway.devices import PAGE, Devices
from wigwag.relay.sip.incoming import Identity, Incoming
from wigwag.relay.sip.proxy.forwarding import Forwarding
from wigwag.relay.sip.proxy.targets import Groups, next_hop_targets, registered_targets
from wigwag.runtime.pager_events import NOT_SENT
from wigwag.store import Registration

from .requests import Outbound, sip_request
from .silence import Silence
from .storing import is_in_doubt, is_local, takes_no_pages

if TYPE_CHECKING:
    from wigwag.relay.sip.edge import Edge

T = TypeVar("T")

LONGEST: Final = 55.0
"""Seconds until an answer does not count any more: the ledger ends what has no outcome after 60."""
LARGEST_DATAGRAM: Final = 1_300
"""Octets of the largest MESSAGE over UDP (RFC 3428 section 8)."""
_OWN_HEADER: Final = 300
"""Octets that the proxy adds at most."""
_MERGED: Final = 482
_ACCEPTED: Final = 202


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended."""

    state: State
    status: int | None = None
    reason: str = ""
    sent: bool = True
    """False: provably nobody has got anything of it: nobody could be reached, or it may not be sent."""

    @property
    def words(self) -> str:
        """The reason as the row has it, which says too whether it was sent: a device's own words don't."""
        reason = self.reason
        while reason.startswith(NOT_SENT):
            reason = reason.removeprefix(NOT_SENT)
        return reason if self.sent else f"{NOT_SENT}{reason}"


class _OwnFlow:
    """Where our own requests come from, as the routing table sees it."""

    reliable = True
    pod = ""
    connection = 0
    is_open = True

    def __init__(self, address: SipAddress) -> None:
        self.address = address
        self.remote = (address.bound_host, address.bound_port)

    def send(self, data: bytes) -> None:
        """Nobody is there."""


class _Attempt:
    """Waits for what becomes of one MESSAGE: upstream and fallback of its ``Forwarding``."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self.user: ServerUser = NOBODY
        self.ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def respond(self, response: Response, now: float) -> None:
        """The outcome was told by ``delivered``; what comes without one is the proxy's own refusal."""
        if response.status >= 300:
            self._end(Outcome(State.FAILED, response.status, response.reason))

    def started(self, forwarding: Forwarding, now: float) -> None:
        """It is on its way."""

    def failed(self, forwarding: Forwarding, status: int, now: float) -> bool:
        """Every branch has ended without a 2xx."""
        for branch in filter(takes_no_pages, forwarding.branches):
            self._devices.refused(PAGE, branch.target)
        self._end(_failure(forwarding))
        forwarding.decided = True
        return True

    def delivered(self, forwarding: Forwarding, status: int, reason: str, now: float) -> None:
        """A device has it, or somebody has taken it upon him."""
        self._end(Outcome(State.UNCONFIRMED if status == _ACCEPTED else State.DELIVERED, status, reason))

    def _end(self, outcome: Outcome) -> None:
        if not self.ended.done():
            self.ended.set_result(outcome)


class PagerSender:
    """A user agent client at the edge.

    Args:
        edge: Routes, locates and forwards.
    """

    def __init__(self, edge: "Edge") -> None:
        self._edge = edge
        self._silence = Silence()

    async def send(self, outbound: Outbound) -> Outcome:
        """Send a message and return how it ended; the same message is the same MESSAGE, however often it is sent.

        Raises:
            StoreError: It was not sent: where its user is can't be known now.
        """
        try:
            return await self._send(outbound)
        except SipError as error:
            if error.status == 503:
                raise StoreError(error.reason) from error
            return Outcome(State.FAILED, error.status or 400, error.reason, sent=False)

    async def _send(self, outbound: Outbound) -> Outcome:
        address = next(iter(self._edge.addresses.values()))
        via = f"SIP/2.0/{address.via_transport} {address.via_host}:{address.port}"
        request = sip_request(outbound, via)
        flow = cast("Flow", _OwnFlow(address))
        incoming = Incoming(request, flow, None)
        # Without a user who sends it, it is the service's own: as good as a neighbour's.
        incoming.past_gateway = True
        incoming.identity = Identity(aor=outbound.request.identity, trusted=not outbound.request.identity)
        groups = _fitting(await self._groups(incoming, outbound.request.bindings), len(bytes(request)))
        targets, begun = [target for group in groups for target in group], self._edge.now()
        if self._silence.is_around(targets, begun):
            return Outcome(State.FAILED, 480, "Temporarily Unavailable: no answer to a message before", sent=False)
        outcome = await self._forward(incoming, groups)
        if outcome.state is State.UNCONFIRMED and outcome.status != _ACCEPTED:
            now = self._edge.now()
            self._silence.noted(targets, now - begun, now)
        return outcome

    async def _forward(self, incoming: Incoming, groups: Groups) -> Outcome:
        attempt = _Attempt(self._edge.devices)
        forwarding = Forwarding(self._edge.proxy, incoming, attempt, groups, attempt)
        forwarding.start(self._edge.now())
        try:
            async with asyncio.timeout(LONGEST):
                return await attempt.ended
        except TimeoutError:
            forwarding.decided = True  # No further target is tried.
            return Outcome(State.UNCONFIRMED, None, "no answer in time")

    async def _groups(self, incoming: Incoming, bindings: Collection[str]) -> Groups:
        """Return where it goes; SipError: nowhere."""
        neighbours = self._edge.neighbours
        decision = await _result(neighbours.routing.decide(incoming))
        if decision.uri:
            incoming.retarget(decision.uri)
        ours = self._edge.names.is_domain(incoming.target)
        if decision.action == "location" or (decision.action == "default" and ours):
            return await self._contacts(incoming, bindings)
        if decision.action in ("default", "service"):
            raise SipError("Relaying Denied: no route allows it", status=403)
        return next_hop_targets(incoming, decision)

    async def _contacts(self, incoming: Incoming, bindings: Collection[str]) -> Groups:
        if incoming.target.scheme == "tel":
            raise SipError("Unsupported URI Scheme: no route for telephone numbers", status=416)
        neighbours, aor = self._edge.neighbours, incoming.target.aor
        await _result(neighbours.screening.check(incoming, aor))
        registration = await _result(neighbours.locating.find(aor))
        waker = self._edge.waker
        if waker is not None and registration is not None:
            asleep = waker.asleep(registration)
            if asleep:
                registration = await _result(waker.rouse(registration, asleep, "MESSAGE"))
        chosen = self._chosen(incoming, registration, bindings)
        return registered_targets(chosen, self._edge.flow, self._edge.settings.limits.branches)

    def _chosen(
        self, incoming: Incoming, registration: Registration | None, keys: Collection[str]
    ) -> Registration | None:
        """Return the devices that it is for: those with these keys, or all, which take MESSAGE."""
        if registration is None or not registration.bindings:
            return None
        if keys:
            bindings = tuple(binding for binding in registration.bindings if binding.key in keys)
            return replace(registration, bindings=bindings)
        found = self._edge.neighbours.services.for_pages(incoming, registration)
        if found is None:
            raise SipError("Method Not Allowed: no device takes MESSAGE", status=405)
        return found


def _failure(forwarding: Forwarding) -> Outcome:
    """Return the outcome of branches of which none was answered 2xx."""
    finals = [branch.final for branch in forwarding.branches if branch.final is not None and not is_local(branch)]
    for final in finals:
        if final.status == _MERGED:
            # A device has it by another path, or from an attempt of a pod that is gone (RFC 3261 section 8.2.2.2).
            return Outcome(State.DELIVERED, _MERGED, final.reason)
    if is_in_doubt(forwarding) or _is_under_way(forwarding):
        return Outcome(State.UNCONFIRMED, 408, "no answer")
    if finals:
        best = min(finals, key=lambda final: (final.status < 600, final.status))
        return Outcome(State.FAILED, best.status, best.reason)
    return Outcome(State.FAILED, 480, "Temporarily Unavailable", sent=False)


def _is_under_way(forwarding: Forwarding) -> bool:
    """Tell whether a branch was not sent because its transaction is there already."""
    return any(branch.final is not None and branch.final.status == _MERGED for branch in forwarding.branches)


def _fitting(groups: Groups, size: int) -> Groups:
    """Return the targets that a message of this size may be sent to.

    Raises:
        SipError: 513: there is none; such a message needs a session.
    """
    if size + _OWN_HEADER <= LARGEST_DATAGRAM:
        return groups
    fitting = [[target for target in group if target.flow is None or target.flow.reliable] for group in groups]
    kept = [group for group in fitting if group]
    if not kept:
        raise SipError("Message Too Large for UDP", status=513)
    return kept


async def _result(value: "T | Coroutine[Any, Any, T]") -> T:
    """Return what a neighbour has found, now or later."""
    return await value if isinstance(value, Coroutine) else value
