"""Connections that the relay opens itself: to peers without a relay, and to other relays (RFC 4976 section 6.4.2)."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from wigwag.errors import WigwagError
from wigwag.protocols.msrp import MsrpUri
from wigwag.transport.errors import ConnectError, ConnectFailure

from .destination import Connecting, Destination
from .hop import Hop
from .refusal import Refusal
from .routing import RouteDecision, RouteQuestion, RoutingTable

if TYPE_CHECKING:
    from .service import Relay
    from .sessions import Session

FAILURE_REMEMBERED = 2.0
"""Seconds for which an unreachable next hop is not tried again."""
_FORBIDDEN = (ConnectFailure.FORBIDDEN, ConnectFailure.NO_NEW_CONNECTION)

Key = tuple[object, ...]


class Connector(Protocol):
    """Opens connections."""

    async def connect(self, hop: Hop, uri: MsrpUri, decision: RouteDecision) -> None:
        """Connect ``hop``.

        Raises:
            ConnectError: It can't be.
        """


class RouteHook(Protocol):
    """Somebody else who is asked what the routing table is asked."""

    async def decide(self, question: RouteQuestion) -> RouteDecision | None:
        """Return a decision, or None to let the table decide."""


class Outbound:
    """Finds or opens the connection to a next hop."""

    def __init__(
        self,
        relay: "Relay",
        *,
        connector: Connector,
        table: RoutingTable,
        hook: RouteHook | None,
        spawn: Callable[[Awaitable[None]], None],
    ) -> None:
        self._relay = relay
        self._connector = connector
        self.table = table
        self._hook = hook
        self._spawn = spawn
        self._hops: dict[Key, Hop] = {}
        self._connecting: dict[Key, tuple[Connecting, list[tuple[Session, MsrpUri]]]] = {}
        self._failures: dict[Key, tuple[float, Refusal]] = {}

    def toward(self, hop: Hop, session: "Session", uri: MsrpUri, now: float) -> "Destination | Refusal":
        """Return where requests for ``uri`` go, or why they can't."""
        if uri.transport.lower() == "ws" or uri.host.lower().endswith(".invalid"):
            return 481, "the peer is not connected"
        question = RouteQuestion(hop.channel.remote[0], hop.channel.listener or "", uri.scheme, uri.host)
        key: Key = (uri.scheme, uri.host.lower(), uri.port, question.source if self._hook else "", question.listener)
        if key in self._failures and now < self._failures[key][0]:
            return self._failures[key][1]
        known = self._hops.get(key)
        if known is not None and not known.closed:
            self._bind(session, uri, known)
            return known
        if key not in self._connecting:
            self._connecting[key] = (Connecting(), [])
            self._spawn(self._connect(key, question, uri))
        connecting, bound = self._connecting[key]
        bound.append((session, uri))
        return connecting

    def _bind(self, session: "Session", uri: MsrpUri, hop: Hop) -> None:
        """Have what comes from any pod for this peer go over the connection."""
        if session.bind(uri.key, hop) and self._relay.cluster is not None:
            self._relay.cluster.bind_outgoing(hop, session, uri)

    async def _connect(self, key: Key, question: RouteQuestion, uri: MsrpUri) -> None:
        hop = Hop(self._relay)
        refusal: Refusal | None = None
        try:
            decision = await self._decide(question)
            if decision.refused is not None:
                refusal = (403, decision.refused)
            else:
                await self._connector.connect(hop, uri, decision)
        except ConnectError as error:
            refusal = (403 if error.failure in _FORBIDDEN else 408, f"next hop: {error.failure.value}")
            self._relay.log_event("next hop can't be reached", uri=str(uri), reason=error.detail)
        except (WigwagError, TimeoutError) as error:
            refusal = (408, "no route decision")
            self._relay.log_event("route hook failed", reason=str(error) or "timeout")
        self._conclude(key, hop, refusal)
        self._relay.flush()

    async def _decide(self, question: RouteQuestion) -> RouteDecision:
        if self._hook is not None:
            decision = await self._hook.decide(question)
            if decision is not None:
                return decision
        return self.table.decide(question)

    def _conclude(self, key: Key, hop: Hop, refusal: "Refusal | None") -> None:
        """Let those who wait go on, over the new connection or with the refusal."""
        now = self._relay.now()
        connecting, bound = self._connecting.pop(key)
        if refusal is None:
            self._relay.counters["outbound_connections"] += 1
            hop.successful = True
            self._hops[key] = hop
            for session, uri in bound:
                self._bind(session, uri, hop)
            for route in list(connecting.routes):
                route.lead_to(hop)
        else:
            self._relay.counters["outbound_failures"] += 1
            self._forget_failures(now)
            self._failures[key] = (now + FAILURE_REMEMBERED, refusal)
            for route in list(connecting.routes):
                route.close()
        connecting.full = False
        connecting.release(now)

    def forget(self, hop: Hop, now: float) -> None:
        """A connection is gone."""
        for key in [key for key, known in self._hops.items() if known is hop]:
            del self._hops[key]
        self._forget_failures(now)

    def _forget_failures(self, now: float) -> None:
        for key in [key for key, (until, _) in self._failures.items() if until < now]:
            del self._failures[key]
