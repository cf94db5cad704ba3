"""INVITEs for users who are absent, or take MESSAGE only: led to the user agent's pods, for the gateway.

Theory of operation. An INVITE that asks for messages is forwarded as any other. When its user has no device, or only
such as say that they take no sessions, or all that were reached have answered so, it goes to a ua pod, with a header
that says for whom. From there on it is a call of an application (`agents`). What a ua pod sends is never led so: the
gateway would talk to itself.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from wigwag.errors import WigwagError
from wigwag.protocols.sip import SipError
from wigwag.protocols.sip.uri import normal_user
from wigwag.relay.sip.pager.storing import is_absent, is_not_reached
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.credentials import CredentialSource

from .devices import SESSION, Devices
from .offers import asks_for_messages, takes_no_sessions

if TYPE_CHECKING:
    from wigwag.relay.sip.config import SipGatewaySettings
    from wigwag.relay.sip.edge import Edge
    from wigwag.relay.sip.incoming import Incoming
    from wigwag.relay.sip.proxy.forwarding import Forwarding
    from wigwag.relay.sip.proxy.targets import Groups
    from wigwag.store import Registration

CAUSES: Final = ("absent", "page_only", "devices")
"""What is counted: calls led there because nobody is registered, or each device says so, before a device was tried; and
those led there after all."""
_LED: Final = "led"
"""Context of a ``Forwarding`` that has gone to the gateway."""


class GatewayCalls:
    """Leads INVITEs to the gateway; their ``Fallback``.

    Args:
        edge: The edge.
        settings: What is led there.
        devices: Knows who takes what.
        source: Knows which users there are.
        spawn: Runs a coroutine beside.

    Attributes:
        counters: Calls that were led there, by ``CAUSES``.
    """

    def __init__(
        self,
        edge: "Edge",
        settings: "SipGatewaySettings",
        *,
        devices: Devices,
        source: CredentialSource,
        spawn: Callable[[Awaitable[None]], None],
    ) -> None:
        self._edge = edge
        self._devices = devices
        self._source = source
        self._spawn = spawn
        self._for_absent = settings.sessions in ("absent", "both")
        self._for_page = settings.sessions in ("page", "both")
        self.counters: Counter[str] = Counter()

    def concerns(self, incoming: "Incoming") -> bool:
        """Tell whether an INVITE goes to the gateway when its user can't take it."""
        if not (self._for_absent or self._for_page) or incoming.past_gateway or incoming.request.to.tag is not None:
            return False
        return asks_for_messages(incoming.request)

    def lead(self, incoming: "Incoming", registration: "Registration | None") -> "Coroutine[Any, Any, Groups] | None":
        """Return where an INVITE goes that ``concerns``, if that is the gateway; None: to the user's devices.

        Raises:
            SipError: 404: there is no such user; 503: no user agent is there (from the coroutine).
        """
        if registration is None or not registration.bindings:
            return self._for_who_is_absent(incoming) if self._for_absent else None
        if self._for_page and self._devices.are_page_only(registration):
            self.counters["page_only"] += 1
            return self._groups(incoming)
        return None

    async def _for_who_is_absent(self, incoming: "Incoming") -> "Groups":
        target = incoming.target
        if await self._source.credentials(normal_user(target.user), target.host) is None:
            raise SipError("Not Found", status=404)
        self.counters["absent"] += 1
        return await self._groups(incoming)

    async def _groups(self, incoming: "Incoming") -> "Groups":
        return await self._edge.neighbours.agents.of_call(incoming, str(incoming.target), GATEWAY)

    # Fallback

    def started(self, forwarding: "Forwarding", now: float) -> None:
        """A call rings for as long as it does."""

    def failed(self, forwarding: "Forwarding", status: int, now: float) -> bool:
        """Every branch has ended: lead the call to the gateway if nobody was there, or nobody takes sessions."""
        if forwarding.context is not None or not self._is_led(forwarding):
            return False
        forwarding.context = _LED
        self._spawn(self._lead(forwarding))
        return True

    def delivered(self, forwarding: "Forwarding", status: int, reason: str, now: float) -> None:
        """Somebody has taken the call."""

    def _is_led(self, forwarding: "Forwarding") -> bool:
        reached = [branch for branch in forwarding.branches if not is_not_reached(branch)]
        refusing = [branch for branch in reached if takes_no_sessions(branch)]
        for branch in refusing:
            self._devices.refused(SESSION, branch.target)
        if not reached:
            return self._for_absent and is_absent(forwarding)
        return self._for_page and len(refusing) == len(reached)

    async def _lead(self, forwarding: "Forwarding") -> None:
        groups: Groups = []
        try:
            groups = await self._groups(forwarding.incoming)
            self.counters["devices"] += 1
        except WigwagError:
            pass  # What the devices have said goes back.
        finally:
            forwarding.go_on(groups, self._edge.now())
