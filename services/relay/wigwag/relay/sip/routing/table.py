"""The SIP routing table: which row matches a request, and what it says (RFC 3261 section 16.5).

Theory of operation. The first row whose conditions all hold decides. Who may be matched at all depends on what is known
of the sender: without a word about it a row is for users who proved themselves and for neighbours. Rows that let
strangers in (``trust``, ``anybody``) are looked at before digest, and the row that lets a request in also decides where
it goes: nobody enters by one row and leaves by another. Rows for the gateway are none for what comes from there.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from wigwag.errors import ConfigurationError
from wigwag.protocols.sip import SipError, SipUri, parse_uri
from wigwag.protocols.sip.uri import normal_user
from wigwag.relay.sip.incoming import Identity, Incoming
from wigwag.relay.sip.ports import DEFAULT, Decision
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.patterns import Glob

from .config import SipRouteSettings, hop_uri
from .pools import Pool

_REMEMBERED: Final = 10_000
_Key = tuple[str, str, str, str, str, bool]


@dataclass(frozen=True, slots=True)
class Row:
    """A row, ready to be matched."""

    settings: SipRouteSettings
    network: IPv4Network | IPv6Network | None
    user: Glob | None
    domain: Glob | None
    next_hops: tuple[SipUri, ...]
    pool: Pool | None

    def matches(self, incoming: Incoming, sender: str) -> bool:
        """Tell whether it is for this request from a ``sender`` of this class."""
        row, target = self.settings, incoming.target
        return (
            (not row.methods or incoming.request.method in row.methods)
            and row.listener in (None, incoming.flow.address.name)
            and row.scheme in (None, target.scheme)
            and (self.domain is None or (target.scheme != "tel" and self.domain.matches(target.host)))
            and (self.user is None or self.user.matches(normal_user(target.user)))
            and self._is_for(sender)
            and (self.network is None or _within(incoming.flow.remote[0], self.network))
            and not (incoming.past_gateway and row.service == GATEWAY)
        )

    def _is_for(self, sender: str) -> bool:
        wanted = self.settings.sender
        if self.settings.trust:
            return sender in ("neighbour", "anybody")
        if wanted is None:
            return sender != "anybody" or self.settings.action == "refuse"
        return wanted in (sender, "anybody")

    def decision(self, incoming: Incoming, now: float) -> Decision:
        """Return what it says of a request.

        Raises:
            SipError: It refuses, or nobody in its pool is up.
        """
        row = self.settings
        if row.action == "refuse":
            raise SipError(row.reason, status=row.status)
        uri = rewritten(row, incoming.target)
        if self.pool is not None:
            return Decision(
                action="forward",
                next_hops=self.pool.choose(incoming.request.call_id, now),
                allow_private=self.pool.allow_private or row.allow_private,
                uri=uri,
                hop_failed=self.pool.failed,
            )
        return Decision(
            action=row.action,
            service=row.service,
            next_hops=self.next_hops,
            allow_private=row.allow_private,
            uri=uri,
            answer=row.answer or "acceptance",
        )


def rewritten(row: SipRouteSettings, target: SipUri) -> str:
    """Return the Request-URI that a row makes of another; empty: it stays.

    Raises:
        SipError: 484: nothing would be left.
    """
    if not (row.strip or row.prefix or row.set_domain):
        return ""
    user = row.prefix + target.user[row.strip :]
    host = row.set_domain or target.host
    if not user or not host:
        raise SipError("Address Incomplete", status=484)
    if target.scheme == "tel":
        return f"sip:{user}@{host};user=phone"
    port = None if row.set_domain else target.port
    uri = str(SipUri(target.scheme, user, target.password, host, port, target.parameters, target.headers))
    parse_uri(uri)  # An escape may have been cut in two.
    return uri


class RouteTable:
    """Rows in order.

    Args:
        rows: As settings and database have them.
        pools: By name.
        listeners: Names of the listeners there are.

    Raises:
        ConfigurationError: A row makes no sense; the table is not made.
    """

    def __init__(self, rows: Iterable[SipRouteSettings], pools: Mapping[str, Pool], listeners: Collection[str]) -> None:
        self.rows: Sequence[Row] = [_compiled(index, row, pools, listeners) for index, row in enumerate(rows, 1)]
        self._open = any(row.settings.trust or row.settings.sender == "anybody" for row in self.rows)
        self._known: dict[_Key, Row | None] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def admit(self, incoming: Incoming, now: float, *, ours: bool) -> Identity | None:
        """Let a request in that carries no proof; its row's decision is noted in ``incoming``.

        Args:
            incoming: The request, of whose sender nothing is known.
            now: Seconds, monotonic.
            ours: Whether its From names a user of ours, who always has to prove himself.

        Returns:
            What the sender counts as; None: he has to prove who he is.

        Raises:
            SipError: A row refuses it.
        """
        if not self._open:
            return None
        row = self.find(incoming, "anybody")
        if row is None or (row.settings.sender == "anybody" and row.settings.action != "refuse" and ours):
            return None
        incoming.decision = row.decision(incoming, now)
        return Identity(trusted=row.settings.trust)

    def decide(self, incoming: Incoming, now: float) -> Decision:
        """Return what the first row that matches says; SipError: it refuses."""
        if not self.rows:
            return DEFAULT
        row = self.find(incoming, sender_class(incoming.identity))
        return DEFAULT if row is None else row.decision(incoming, now)

    def find(self, incoming: Incoming, sender: str) -> Row | None:
        """Return the first row that matches."""
        flow, request = incoming.flow, incoming.request
        key = (flow.address.name, flow.remote[0], request.method, request.uri, sender, incoming.past_gateway)
        if key in self._known:
            return self._known[key]
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        found = next((row for row in self.rows if row.matches(incoming, sender)), None)
        self._known[key] = found
        return found


def sender_class(identity: Identity) -> str:
    """Return the class of a sender, as rows name it."""
    if identity.aor:
        return "authenticated"
    return "neighbour" if identity.trusted else "anybody"


def _compiled(index: int, row: SipRouteSettings, pools: Mapping[str, Pool], listeners: Collection[str]) -> Row:
    if row.listener is not None and row.listener not in listeners:
        raise ConfigurationError(f"SIP route {index} {row.name}: there is no listener {row.listener}")
    if row.pool and row.pool not in pools:
        raise ConfigurationError(f"SIP route {index} {row.name}: there is no pool {row.pool}")
    return Row(
        settings=row,
        network=ip_network(row.source_network) if row.source_network is not None else None,
        user=Glob(row.user) if row.user is not None else None,
        domain=Glob(row.domain.lower()) if row.domain is not None else None,
        next_hops=tuple(map(hop_uri, row.next_hops)),
        pool=pools[row.pool] if row.pool else None,
    )


def _within(address: str, network: IPv4Network | IPv6Network) -> bool:
    parsed = ip_address(address.partition("%")[0])
    return (getattr(parsed, "ipv4_mapped", None) or parsed) in network
