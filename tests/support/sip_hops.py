"""Next hops of an edge without sockets: hosts that a test makes known, connections that it lets succeed or fail."""

import itertools
from collections.abc import Callable
from typing import cast

from tests.support.fake_connection import FakeConnection
from wigwag.protocols.sip import SipError, SipUri
from wigwag.relay.sip.edge import Edge
from wigwag.relay.sip.flows.flow import Flow, StreamFlow
from wigwag.relay.sip.flows.next_hops import Candidate
from wigwag.transport.channel import Channel
from wigwag.transport.errors import ConnectError, ConnectFailure

_serials = itertools.count(1_000_000)


class FakeHops:
    """What the edge asks for next hops.

    Args:
        edge: Returns the edge.

    Attributes:
        known: Ways to a host, by its name.
        deaf: Candidates that can't be connected to.
        marks: (candidate, seconds) of those that did not serve.
        answered: Candidates that did.
        asked: (URI, allow_private, near) of the questions.
        connections: What was opened, by candidate.
    """

    def __init__(self, edge: Callable[[], Edge]) -> None:
        self.known: dict[str, list[Candidate]] = {}
        self.deaf: set[Candidate] = set()
        self.marks: list[tuple[Candidate, float | None]] = []
        self.answered: list[Candidate] = []
        self.asked: list[tuple[str, bool, str]] = []
        self.connections: dict[Candidate, FakeConnection] = {}
        self._flows: dict[Candidate, StreamFlow] = {}
        self._edge = edge

    def add(self, host: str, *addresses: str, transport: str = "udp", port: int = 5060) -> list[Candidate]:
        """Make a host known."""
        server_name = host if transport == "tls" else ""
        self.known[host] = [Candidate(transport, address, port, server_name) for address in addresses]
        return self.known[host]

    async def candidates(self, uri: SipUri, *, allow_private: bool, near: str = "", octets: int = 0) -> list[Candidate]:
        self.asked.append((str(uri), allow_private, near))
        found = self.known.get(uri.host)
        if found is None:
            raise SipError("Not Found: no address", status=404)
        return list(found)

    def flow(self, candidate: Candidate) -> Flow | None:
        if candidate.transport == "udp":
            edge = self._edge()
            return edge.flow_to(*edge.sockets["udp"], (candidate.host, candidate.port))
        return self._flows.get(candidate)

    async def connect(self, candidate: Candidate) -> Flow:
        if candidate in self.deaf:
            raise ConnectError(ConnectFailure.REFUSED, f"{candidate.host}: refused")
        edge = self._edge()
        flow = StreamFlow(edge, edge.addresses[candidate.transport], 65_536, edge.now(), outbound=True)
        connection = FakeConnection(next(_serials), (candidate.host, candidate.port))
        flow.connected(cast("Channel", connection))
        self.connections[candidate] = connection
        self._flows[candidate] = flow
        return flow

    def lose(self, candidate: Candidate) -> None:
        """Lose the connection to a candidate."""
        self._flows.pop(candidate).disconnected("gone")

    def receive(self, candidate: Candidate, data: bytes) -> None:
        """Let a candidate say something over the connection that we opened."""
        self._flows[candidate].data_received(data)

    def failed(self, candidate: Candidate, seconds: float | None) -> None:
        self.marks.append((candidate, seconds))

    def reached(self, candidate: Candidate) -> None:
        self.answered.append(candidate)
