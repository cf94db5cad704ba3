"""The routing table: where an outgoing connection may go, and from which listener (bridging between interfaces)."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Protocol

from wigwag.errors import ConfigurationError, RemoteProtocolError
from wigwag.protocols.msrp import MsrpUri


class RouteRow(Protocol):
    """A row as settings and the database hold it; None matches anything."""

    @property
    def source_network(self) -> str | None:
        """Network of the previous hop, such as ``10.0.0.0/8``."""

    @property
    def listener(self) -> str | None:
        """Listener on which the previous hop is connected."""

    @property
    def scheme(self) -> str | None:
        """Scheme of the URI to connect to."""

    @property
    def destination(self) -> str | None:
        """Host name pattern with ``*``, in lower case."""

    @property
    def action(self) -> str:
        """``forward`` or ``refuse``."""

    @property
    def out_listener(self) -> str | None:
        """Listener whose address the outgoing connection uses."""

    @property
    def next_hop(self) -> str | None:
        """URI to connect to in place of the request's own."""

    @property
    def allow_private(self) -> bool:
        """Whether loopback, link-local, private and own addresses may be connected to."""


@dataclass(frozen=True, slots=True)
class RouteQuestion:
    """What is asked when a request has to leave over a new connection."""

    source: str
    """Address of the previous hop."""
    listener: str
    scheme: str
    destination: str
    """Host of the next To-Path URI."""


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """The answer; the default is what holds when no row matches."""

    refused: str | None = None
    """Why not, when it is refused."""
    out_listener: str | None = None
    next_hop: MsrpUri | None = None
    allow_private: bool = False


class RoutingTable:
    """Rows in order; the first that matches decides.

    Raises:
        ConfigurationError: A row makes no sense; the table is not made.
    """

    def __init__(self, rows: Iterable[RouteRow]) -> None:
        self._rows = [_compiled(index, row) for index, row in enumerate(rows, 1)]

    def __len__(self) -> int:
        return len(self._rows)

    def decide(self, question: RouteQuestion) -> RouteDecision:
        """Return what the first matching row says."""
        for network, row, decision in self._rows:
            if (
                (network is None or _within(question.source, network))
                and row.listener in (None, question.listener)
                and row.scheme in (None, question.scheme)
                and (row.destination is None or fnmatchcase(question.destination.lower(), row.destination.lower()))
            ):
                return decision
        return RouteDecision()


def _compiled(index: int, row: RouteRow) -> tuple[IPv4Network | IPv6Network | None, RouteRow, RouteDecision]:
    try:
        network = ip_network(row.source_network) if row.source_network else None
        next_hop = MsrpUri.parse(row.next_hop) if row.next_hop else None
    except (ValueError, RemoteProtocolError) as error:
        raise ConfigurationError(f"route {index}: {error}") from error
    if row.action not in ("forward", "refuse"):
        raise ConfigurationError(f"route {index}: action {row.action!r} is neither forward nor refuse")
    refused = f"refused by route {index}" if row.action == "refuse" else None
    return network, row, RouteDecision(refused, row.out_listener, next_hop, row.allow_private)


def _within(address: str, network: IPv4Network | IPv6Network) -> bool:
    parsed = ip_address(address.split("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed) in network
