"""Watches the members of pools with OPTIONS requests (RFC 3261 section 11)."""

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from wigwag.protocols.sip import Request, Response, SipError
from wigwag.protocols.sip.transactions import ClientTransaction, TransactionsFullError
from wigwag.relay.sip.proxy.branches import COOKIE
from wigwag.transport.errors import ConnectError

from .pools import Member, Pool

if TYPE_CHECKING:
    from wigwag.relay.sip.edge import Edge
    from wigwag.relay.sip.flows.flow import Flow


class Pinger:
    """Sends what is due.

    Args:
        edge: The edge.
        pools: Returns the pools in force, by name.
        spawn: Runs a coroutine beside.
        random: Unpredictable bytes.
    """

    def __init__(
        self,
        edge: "Edge",
        *,
        pools: Callable[[], Mapping[str, Pool]],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        random: Callable[[int], bytes],
    ) -> None:
        self._edge = edge
        self._pools = pools
        self._spawn = spawn
        self._random = random

    def tick(self, now: float) -> None:
        """Look at the pools."""
        for pool in self._pools().values():
            for member in pool.due(now):
                self._spawn(self._ping(pool, member))

    async def _ping(self, pool: Pool, member: Member) -> None:
        edge, next_hops = self._edge, self._edge.proxy.next_hops
        try:
            candidates = await next_hops.candidates(member.uri, allow_private=pool.allow_private)
            flow = next_hops.flow(candidates[0]) or await next_hops.connect(candidates[0])
            client = edge.transactions.send_request(
                self._options(member, flow), flow, Ping(pool, member, edge), edge.now()
            )
        except TransactionsFullError:
            member.asked_at = None  # It says nothing of the member.
        except (SipError, ConnectError):
            pool.unanswered(member, edge.now())
        else:
            if not flow.reliable:
                edge.transactions.wait_on(flow, client)

    def _options(self, member: Member, flow: "Flow") -> Request:
        address = flow.address
        own = f"sip:ping@{address.host}"
        sent_by = f"SIP/2.0/{address.via_transport} {address.via_host}:{address.port}"
        fields = [
            ("Via", f"{sent_by};branch={COOKIE}{self._random(12).hex()};rport"),
            ("Max-Forwards", "70"),
            ("From", f"<{own}>;tag={self._random(6).hex()}"),
            ("To", f"<{member.name}>"),
            ("Call-ID", self._random(12).hex()),
            ("CSeq", "1 OPTIONS"),
            ("Contact", f"<{address.uri()}>"),
            ("Accept", "*/*"),
        ]
        return Request.create("OPTIONS", str(member.uri.without("maddr")), fields)


class Ping:
    """One OPTIONS under way; the user of its transaction."""

    def __init__(self, pool: Pool, member: Member, edge: "Edge") -> None:
        self._pool = pool
        self._member = member
        self._edge = edge

    def response_received(self, client: ClientTransaction, response: Response, now: float) -> None:
        """The member answered; also late: it lives."""
        if response.status >= 200:
            self._leave(client)
            self._pool.answered(self._member, response.status, now)

    def timed_out(self, client: ClientTransaction, now: float) -> None:
        """Its own, shorter time has passed long ago."""
        self._leave(client)

    def wire_failed(self, client: ClientTransaction, reason: str, now: float) -> None:
        """It did not arrive."""
        self._pool.unanswered(self._member, now)

    def _leave(self, client: ClientTransaction) -> None:
        if not client.wire.reliable:
            self._edge.transactions.leave(client.wire, client)
