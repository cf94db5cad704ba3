"""Next hops: found by RFC 3263, checked, connected to; connections are used again (RFC 3261 section 18.1.1).

Theory of operation. A transport is spoken outward if there is a listener of it: its name stands in our Via and
Record-Route, so that the other side reaches us. A URI becomes candidates; those that nobody may make us send to fall
out by their numeric address, so that no name leads inside. One connection per candidate and server name is kept, and
who needs it while it is being opened waits for the same one. What comes in over it is a stranger's, like all else: that
we connected proves nothing about who asks.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from ipaddress import ip_address, ip_network
from ssl import SSLContext
from typing import TYPE_CHECKING, Final, cast

from wigwag.protocols.sip import SipError, SipUri
from wigwag.transport.addresses import Endpoint, closed_to_strangers
from wigwag.transport.channel import ChannelKind
from wigwag.transport.connector import Connector, Outgoing
from wigwag.transport.errors import ConnectError, ConnectFailure
from wigwag.transport.sip_locations import Location, SipLocations, SipTransport

from .flow import Flow, Received, SipAddress, StreamFlow
from .next_hops import Candidate

if TYPE_CHECKING:
    from wigwag.relay.sip.config import SipSettings
    from wigwag.relay.sip.edge import Edge

LARGEST_DATAGRAM: Final = 1300
"""Octets of a request over UDP where the path's MTU is not known (RFC 3261 section 18.1.1)."""
_CHECKED_FOR: Final = 10.0
"""Seconds for which the verdict about an address holds."""
_MOST_DEAF: Final = 10_000
_STATUSES: Final = {
    ConnectFailure.NO_ADDRESS: (404, "Not Found"),
    ConnectFailure.FORBIDDEN: (403, "Forbidden"),
    ConnectFailure.TRANSPORT: (480, "Temporarily Unavailable"),
}
"""What the sender is told; of everything else that the service is unavailable."""


def spoken(settings: "SipSettings") -> tuple[SipTransport, ...]:
    """Return the transports that requests can leave by, the preferred first."""
    kinds = {"tls" if listener.kind == "peer" else listener.kind for listener in settings.listeners}
    every: tuple[SipTransport, ...] = ("udp", "tcp", "tls", "ws", "wss")
    return tuple(transport for transport in every if transport in kinds)


class Outbound:
    """The next hops of one edge, and the owner of the connections to them.

    Args:
        settings: Settings of SIP.
        edge: Returns the edge, once it is there.
        locations: Finds where URIs lead.
        connector: Opens connections.
        tls: Returns the context of TLS, whose names the connector checks.
        own: Numeric addresses that lead to us.
        now: Seconds, monotonic; the clock of ``locations``.

    Attributes:
        flows: Connections that stand.
        refused: Candidates that nobody may make us send to.
        opened: Connections opened.
        failures: Connections that could not be.
    """

    def __init__(
        self,
        settings: "SipSettings",
        *,
        edge: "Callable[[], Edge]",
        locations: SipLocations,
        connector: Connector,
        tls: Callable[[], SSLContext],
        own: Sequence[str],
        now: Callable[[], float],
    ) -> None:
        self.flows: dict[Candidate, StreamFlow] = {}
        self.refused = 0
        self.opened = 0
        self.failures = 0
        self._settings = settings
        self._spoken = spoken(settings)
        self._edge = edge
        self._locations = locations
        self._connector = connector
        self._tls = tls
        self._own = tuple(own)
        self._now = now
        self._connecting: dict[Candidate, asyncio.Task[StreamFlow | ConnectError]] = {}
        self._deaf: dict[Candidate, float] = {}
        """Hosts that take no TCP for what is too large for their UDP, and until when that is believed."""

    # NextHops

    async def candidates(self, uri: SipUri, *, allow_private: bool, near: str = "", octets: int = 0) -> list[Candidate]:
        """Return the ways to a host; see ``NextHops``."""
        try:
            located = await self._locations.locate(
                uri.parameter("maddr") or uri.host,
                uri.port,
                transport=uri.parameter("transport") or None,
                secure=uri.scheme == "sips",
            )
        except ConnectError as error:
            raise _refusal(error) from error
        found = [
            Candidate(each.transport, each.address, each.port, _server_name(uri, each))
            for each in located
            if self._address(each.transport, each.address) is not None
        ]
        open_ones = found if allow_private else [each for each in found if self._is_open(each, near)]
        if not open_ones:
            self.refused += bool(found)
            raise SipError("Forbidden: that address is not open to anybody", status=403) if found else _unreachable(uri)
        if octets > LARGEST_DATAGRAM and "tcp" in self._spoken:
            return [way for each in open_ones for way in self._for_large(each)]
        return open_ones

    def flow(self, candidate: Candidate) -> Flow | None:
        """Return a flow that stands already; over UDP there always is one."""
        if candidate.transport == "udp":
            return self._datagram_flow(candidate)
        flow = self.flows.get(candidate)
        return flow if flow is not None and flow.is_open else None

    async def connect(self, candidate: Candidate) -> Flow:
        """Open a connection, or wait for the one that is being opened; ConnectError: it can't be."""
        task = self._connecting.get(candidate)
        if task is None:
            task = self._connecting[candidate] = asyncio.create_task(self._open(candidate))
            task.add_done_callback(lambda _: self._connecting.pop(candidate, None))
        # One of those who wait may give up, the others may not.
        outcome = await asyncio.shield(task)
        if isinstance(outcome, ConnectError):
            raise ConnectError(outcome.failure, outcome.detail, retry_after=outcome.retry_after)
        return outcome

    def failed(self, candidate: Candidate, seconds: float | None) -> None:
        """Try the candidate last for a while, or not at all if it asked for that."""
        now = self._now()
        if seconds is not None:
            self._locations.mark_unavailable(_location(candidate), now + seconds)
            return
        until = now + self._settings.failed_hop_time
        self._locations.mark_failed(_location(candidate), until)
        if candidate.transport == "tcp":
            if len(self._deaf) >= _MOST_DEAF:
                self._deaf.clear()
            self._deaf[candidate] = until

    def reached(self, candidate: Candidate) -> None:
        """Forget that it failed."""
        self._locations.mark_reached(_location(candidate))
        self._deaf.pop(candidate, None)

    # Candidates

    def _is_open(self, candidate: Candidate, near: str) -> bool:
        if near and ip_address(candidate.host) in ip_network(near):
            return True
        return _closed(candidate.host, self._own, int(self._now() / _CHECKED_FOR)) is None

    def _for_large(self, candidate: Candidate) -> list[Candidate]:
        """Return TCP before UDP; a host that takes no TCP gets the datagram all the same (section 18.1.1)."""
        if candidate.transport != "udp" or self._address("tcp", candidate.host) is None:
            return [candidate]
        stream = replace(candidate, transport="tcp")
        return [candidate, stream] if self._deaf.get(stream, 0.0) > self._now() else [stream, candidate]

    def _address(self, transport: str, host: str) -> SipAddress | None:
        """Return the listener as which we send: of the same family if there is one, whose name proves nothing."""
        found = None
        for address in self._edge().addresses.values():
            if address.transport == transport:
                same = (":" in address.bound_host) == (":" in host)
                if same:
                    return replace(address, trusted=False)
                found = found or address
        # A socket sends within its own family only.
        return replace(found, trusted=False) if found is not None and transport != "udp" else None

    def _datagram_flow(self, candidate: Candidate) -> Flow | None:
        address = self._address("udp", candidate.host)
        if address is None:
            return None
        edge = self._edge()
        return edge.flow_to(*edge.sockets[address.name], (candidate.host, candidate.port))

    # Connections

    async def _open(self, candidate: Candidate) -> StreamFlow | ConnectError:
        address = self._address(candidate.transport, candidate.host)
        assert address is not None
        flow = StreamFlow(self, address, self._settings.limits.body_bytes, self._now(), outbound=True)
        how = Outgoing(
            host=candidate.server_name or candidate.host,
            kind=cast("ChannelKind", candidate.transport),
            tls=self._tls() if candidate.transport in ("tls", "wss") else None,
            # Whether it may be sent to was decided by `candidates`, about this very address.
            allow_private=True,
        )
        try:
            self._make_room()
            await self._connector.connect_to([Endpoint(candidate.host, candidate.port)], flow, how)
        except ConnectError as error:
            self.failures += 1
            return error
        self.opened += 1
        self.flows[candidate] = flow
        if not flow.is_open:
            self._forget(flow)
        return flow

    def _make_room(self) -> None:
        """Close the connection that was silent for longest when there are too many: names are chosen by users."""
        if len(self.flows) + len(self._connecting) <= self._settings.limits.outbound_connections:
            return
        if not self.flows:
            raise ConnectError(ConnectFailure.RESOURCES, "too many connections are being opened")
        oldest = min(self.flows.values(), key=lambda flow: flow.heard_at)
        self._forget(oldest)
        oldest.close("another connection is needed more")

    def _forget(self, flow: StreamFlow) -> None:
        for candidate, held in list(self.flows.items()):
            if held is flow:
                del self.flows[candidate]

    async def close(self) -> None:
        """Close every connection, and open none."""
        for task in list(self._connecting.values()):
            task.cancel()
        await self._connector.close()

    # FlowOwner

    def stream_opened(self, flow: StreamFlow) -> None:
        """The connection stands."""
        self._edge().stream_opened(flow)

    def usual_passed(self, flow: StreamFlow, data: bytes) -> bytes:
        """Pass on the usual messages that a read begins with; returns the rest."""
        return self._edge().usual_passed(flow, data)

    def messages_received(self, flow: StreamFlow, messages: Sequence[Received]) -> None:
        """Messages came: answers, and requests like any other's."""
        self._edge().messages_received(flow, messages)

    def stream_closed(self, flow: StreamFlow, reason: str) -> None:
        """The connection is gone."""
        self._forget(flow)
        self._edge().stream_closed(flow, reason)


@lru_cache(maxsize=4096)
def _closed(address: str, own: tuple[str, ...], _period: int) -> str | None:
    return closed_to_strangers(address, own)


def _server_name(uri: SipUri, location: Location) -> str:
    """Return whom the certificate has to speak for: the URI's host, whatever ``maddr`` says (RFC 5922 section 4)."""
    return uri.host if location.transport in ("tls", "wss") else ""


def _location(candidate: Candidate) -> Location:
    transport = cast("SipTransport", candidate.transport)
    return Location(transport, candidate.host, candidate.port, candidate.server_name or None)


def _unreachable(uri: SipUri) -> SipError:
    return SipError(f"Temporarily Unavailable: no way from here to {uri.host}", status=480)


def _refusal(error: ConnectError) -> SipError:
    status, reason = _STATUSES.get(error.failure, (503, "Service Unavailable"))
    headers: tuple[tuple[str, str], ...] = ()
    if error.retry_after is not None:
        headers = (("Retry-After", str(max(1, round(error.retry_after)))),)
    return SipError(f"{reason}: {error.detail}", status=status, headers=headers)
