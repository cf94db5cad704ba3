"""The relay: its sessions, hops and use cases, without sockets (RFC 4976)."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from wigwag.errors import NotFoundError
from wigwag.protocols.digest import NonceIssuer, SigningKeys
from wigwag.protocols.msrp import Limits as ParserLimits
from wigwag.protocols.msrp import MsrpUri, RequestHead
from wigwag.runtime.tracing import Tracing

from .agents import agent_name
from .authentication import Authenticator, CredentialSource
from .cluster.remote import Remote
from .config import RelaySettings
from .deadlines import Deadlines
from .destination import Destination
from .hop import HeldUp, Hop
from .interruptions import Interruptions
from .lifecycle import Lifecycle
from .limits import Rates
from .outbound import Connector, Outbound, RouteHook
from .reports import Reports
from .requests import Requests
from .responses import Responses
from .route import Route
from .routing import RoutingTable
from .selection import Found, SessionFilter
from .sessions import Session, SessionTable
from .tokens import UriTokens
from .transactions import Relayed
from .unanswered import Room
from .views import COUNTERS, ConnectionView, ListenerAddress, SessionChange, SessionObserver, SessionView

if TYPE_CHECKING:
    from .cluster import Cluster

_TRANSACTION_IDS = 256
_FOR_PEERS = ("tls", "tcp", "wss", "ws")
"""Kinds of listeners for URIs of ua pods, the best first."""


class Flushed(Protocol):
    """Something that collects during a turn what it writes at its end."""

    def flush(self) -> None:
        """Write it."""


class Tracer(Protocol):
    """Sees the traffic of some hops."""

    def received(self, hop: Hop, data: bytes) -> None:
        """Bytes came."""

    def sent(self, hop: Hop, frames: list[bytes]) -> None:
        """Frames go."""

    def forget(self, hop: Hop) -> None:
        """The connection is gone."""


class Runtime(Protocol):
    """What the relay needs of the world; tests give it a clock they turn by hand."""

    @property
    def now(self) -> Callable[[], float]:
        """Clock of monotonic seconds."""

    def wall(self) -> float:
        """Seconds since the epoch."""

    def random(self, octets: int) -> bytes:
        """Bytes that nobody can predict."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        """Call back after ``delay`` seconds."""

    def spawn(self, work: Awaitable[None]) -> None:
        """Run ``work`` beside."""

    def log(self, event: str, **fields: object) -> None:
        """Write one line, without bodies and credentials."""


class Relay:
    """An MSRP relay.

    Args:
        settings: Its settings.
        runtime: Clock, chance and background work.
        keys: Sign URIs and nonces.
        source: Where credentials are looked up.
        connector: Opens connections.
        table: The routing table.
        hook: Asked before the table, if any.
    """

    def __init__(
        self,
        settings: RelaySettings,
        *,
        runtime: Runtime,
        keys: SigningKeys,
        source: CredentialSource,
        connector: Connector,
        table: RoutingTable,
        hook: RouteHook | None = None,
    ) -> None:
        self.settings = settings
        self.runtime = runtime
        self.now = runtime.now
        self.instance = runtime.random(8)
        self.domains = frozenset(domain.lower() for domain in settings.domains)
        limits = settings.limits
        self.parser_limits = ParserLimits(
            max_header_bytes=limits.header_bytes, max_headers=limits.headers, max_uris=limits.path_uris
        )
        self.listeners: dict[str, ListenerAddress] = {}
        self.counters = dict.fromkeys(COUNTERS, 0)
        self.sessions = SessionTable()
        self.hops: dict[int, Hop] = {}
        self.transaction_ids: list[bytes] = []
        self.to_flush: list[Flushed] = []
        self.room = Room()
        self.tracers: list[Tracer] = []
        self.tracing = Tracing()
        self.observers: list[SessionObserver] = []
        self.draining = False
        self.cluster: Cluster | None = None
        self.fence_at = float("inf")
        """When a read after this comes, the process may have been paused for so long that others took its sessions."""
        self.rates = limits.any_rate
        self._address_rates: dict[str, tuple[Rates, set[Hop]]] = {}
        self.tokens = UriTokens(keys, runtime.random)
        self.requests = Requests(self)
        self.responses = Responses(self)
        self.reports = Reports(self)
        self.interruptions = Interruptions(self)
        self.deadlines = Deadlines(self)
        self.lifecycle = Lifecycle(self)
        self.authenticator = Authenticator(
            self,
            source=source,
            nonces=NonceIssuer(keys, settings.nonce_lifetime),
            wall=runtime.wall,
            random=runtime.random,
            spawn=runtime.spawn,
        )
        self.outbound = Outbound(self, connector=connector, table=table, hook=hook, spawn=runtime.spawn)
        self.refuse_message = self.interruptions.refuse_message
        self.abandon_message = self.interruptions.abandon_message
        self.message_continues = self.interruptions.message_continues
        self.watch = self.deadlines.watch
        self.suspend = self.lifecycle.suspend
        self.end = self.lifecycle.end
        self.close_routes_to = self.lifecycle.close_routes_to

    # Hops

    def hop_opened(self, hop: Hop) -> None:
        """A connection stands."""
        self.hops[hop.channel.id] = hop
        self.counters["connections_accepted"] += 1

    def hop_closed(self, hop: Hop, reason: str, now: float) -> None:
        """A connection is gone: its sessions are suspended, its open transactions reported (408)."""
        self.hops.pop(hop.channel.id, None)
        self.counters["connections_closed"] += 1
        self.deadlines.watch(hop, False)
        taken = [(session, hop.take_back(session)) for session in hop.sessions]
        for transaction in list(hop.transactions.values()):
            self.reports.lost(transaction, "the next hop is gone")
        hop.transactions.clear()
        for session, back in taken:
            if session.destination is hop:
                self.suspend(session, now)
            self.lifecycle.hold_again(session, back)
        hop.sessions.clear()
        if hop.unanswered is not None:
            hop.unanswered.clear()
        hop.forget_routes()
        for route in list(hop.routes):
            route.close()
        hop.full = False
        hop.release(now)
        if self.cluster is not None:
            self.cluster.hop_closed(hop)
        if hop.channel.listener is None:
            self.outbound.forget(hop, now)
        for tracer in self.tracers:
            tracer.forget(hop)
        if self.rates:
            self._forget_rates(hop)

    def reply(
        self,
        hop: Hop,
        head: RequestHead,
        status: int,
        comment: str,
        route: Route | None = None,
        fields: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Answer a request to the previous hop (RFC 4975 section 7.2)."""
        if route is not None:
            paths = route.response_paths
        else:
            previous, own = head.raw_from_path, head.raw_to_path.split()[0]
            # The response to a SEND ends at the previous hop, others go all the way back (RFC 4975 section 7.2).
            previous = previous.split()[0] if head.method == "SEND" else previous
            paths = b"To-Path: %b\r\nFrom-Path: %b\r\n" % (previous, own)
        if status != 200:
            self.counters["refused_requests"] += 1
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        transaction_id = head.transaction_id.encode()
        hop.reply(
            b"MSRP %b %03d %b\r\n%b%b-------%b$\r\n"
            % (transaction_id, status, comment.encode(), paths, lines.encode(), transaction_id)
        )

    def expect_response(self, hop: Destination, transaction_id: bytes, relayed: Relayed) -> None:
        """Remember a forwarded request so that its response finds the way back."""
        assert isinstance(hop, Hop | Remote)
        if hop.relayed is None:
            hop.relayed = {}
        hop.relayed[transaction_id] = relayed

    def next_transaction_id(self) -> bytes:
        """Return an identifier of 64 random bits: what a sender can't foresee it can't put into a body."""
        if not self.transaction_ids:
            pool = self.runtime.random(8 * _TRANSACTION_IDS).hex().encode()
            self.transaction_ids.extend(pool[index : index + 16] for index in range(0, len(pool), 16))
        return self.transaction_ids.pop()

    def flush(self) -> None:
        """Pass on all that was appended to hops."""
        pending = self.to_flush
        while pending:
            pending.pop().flush()

    def flush_later(self, destination: Destination) -> None:
        """Have the destination flushed at the end of this turn."""
        if isinstance(destination, Hop | Remote):
            self.to_flush.append(destination)

    # Pauses

    def fence(self) -> None:
        """This process may have been paused."""
        if self.cluster is not None:
            self.cluster.resumed_after_pause()

    def hold_up_all(self) -> None:
        """Read from nobody for now."""
        for hop in list(self.hops.values()):
            hop.hold_up(HeldUp.FENCE)

    def let_go_all(self) -> None:
        """Read on."""
        now = self.now()
        self.fence_at = float("inf")
        for hop in list(self.hops.values()):
            if hop.held_up & HeldUp.FENCE:
                hop.let_go(HeldUp.FENCE, now)

    # Names

    def listener_of(self, hop: Hop) -> ListenerAddress | None:
        """Return the listener that accepted the hop, if it was accepted."""
        return self.listeners.get(hop.channel.listener or "")

    def listener_domain(self, hop: Hop) -> str:
        """Return the realm of AUTHs whose To-Path host is no configured domain."""
        listener = self.listener_of(hop) or next(iter(self.listeners.values()), None)
        return listener.domain.lower() if listener is not None else hop.channel.local[0]

    def agent_listener(self) -> ListenerAddress | None:
        """Return the listener by which peers of ua pods come; None: there are ``peer`` listeners only."""
        named = self.settings.agent_listener
        if named is not None:
            return self.listeners.get(named)
        known = self.listeners.values()
        return next((each for kind in _FOR_PEERS for each in known if each.kind == kind), None)

    def may_auth(self, hop: Hop) -> bool:
        """Tell whether AUTH is answered on the hop's listener (RFC 4976 section 9.2)."""
        listener = self.listener_of(hop)
        return hop.channel.kind in ("tls", "wss") or (listener is not None and listener.plain_auth)

    def is_own_address(self, uri: MsrpUri, hop: Hop) -> bool:
        """Tell whether an AUTH to ``uri`` is meant for this relay."""
        return self.issued(uri) or self.names_us(uri, hop)

    def names_us(self, uri: MsrpUri, hop: Hop) -> bool:
        """Tell whether host and port of ``uri`` are those of this relay."""
        host = uri.host.lower()
        names = {listener.host.lower() for listener in self.listeners.values()} | self.domains
        ports = {port for listener in self.listeners.values() for port in (listener.port, listener.bound_port)}
        named = host in names or host == hop.channel.local[0].lower() or host == self.listener_domain(hop)
        return named and (uri.port is None or uri.port in ports or uri.port == hop.channel.local[1])

    def issued(self, uri: MsrpUri) -> bool:
        """Tell whether this relay, or another process with the same keys, handed ``uri`` out."""
        return uri.session_id is not None and self.tokens.is_genuine(uri.session_id)

    def advertised(self, hop: Hop, listener: ListenerAddress | None = None) -> tuple[str, str, int, str]:
        """Return scheme, host, port and transport of URIs for a client on ``hop``, at its listener or another."""
        listener = listener or self.listener_of(hop) or next(iter(self.listeners.values()))
        transport = "tcp"
        if listener.kind in ("ws", "wss"):
            # Peers come by TCP or TLS (RFC 7977 section 5.3.2); all listeners know all sessions.
            kind = "tls" if listener.secure else "tcp"
            same = [other for other in self.listeners.values() if other.kind == kind]
            listener, transport = (same[0], "tcp") if same else (listener, "ws")
        host = listener.host if listener.host not in ("0.0.0.0", "::") else hop.channel.local[0]  # noqa: S104
        return ("msrps" if listener.secure else "msrp"), host, listener.port, transport

    # Rates

    def charge(self, hop: Hop, octets: int, now: float) -> None:
        """Charge one read to the hop's session and address; over a rate, reading pauses."""
        limits = self.settings.limits
        messages = sum(route.messages for route in hop.routes_from.values())
        if hop.rates is None:
            hop.rates = Rates(limits.messages_per_second_per_session, limits.bytes_per_second_per_session, now)
        address = self._rated_as(hop)
        if address not in self._address_rates:
            rates = Rates(limits.messages_per_second_per_address, limits.bytes_per_second_per_address, now)
            self._address_rates[address] = (rates, set())
        shared, users = self._address_rates[address]
        users.add(hop)
        fresh = max(0, messages - hop.rates.charged_messages)
        hop.rates.charged_messages = messages
        pause = max(hop.rates.charge(fresh, octets, now), shared.charge(fresh, octets, now))
        if pause > 0 and not hop.closed:
            self.counters["rate_pauses"] += 1
            hop.hold_up(HeldUp.RATE)
            self.runtime.call_later(pause, lambda: self._rate_allows(hop))

    def _rate_allows(self, hop: Hop) -> None:
        hop.let_go(HeldUp.RATE, self.now())
        self.flush()

    def _forget_rates(self, hop: Hop) -> None:
        known = self._address_rates.get(self._rated_as(hop))
        if known is not None:
            known[1].discard(hop)
            if not known[1]:
                del self._address_rates[self._rated_as(hop)]

    def _rated_as(self, hop: Hop) -> str:
        """Return whose octets a connection's are: those of all sessions of a ua pod come from one address."""
        return f"connection {hop.channel.id}" if agent_name(self, hop) else hop.channel.remote[0]

    # For operators

    def changed(self, session: Session, change: SessionChange, reason: str = "") -> None:
        """Tell observers what happened to a session."""
        if self.observers:
            view = self._view(session)
            for observer in self.observers:
                observer.session_changed(view, change, reason)

    def log(self, hop: Hop, event: str, *, reason: str) -> None:
        """Write one line about a connection."""
        self.runtime.log(
            event, connection=hop.channel.id, listener=hop.channel.listener, remote=hop.name, reason=reason
        )

    def log_event(self, event: str, **fields: object) -> None:
        """Write one line."""
        self.runtime.log(event, **fields)

    def trace_received(self, hop: Hop, data: bytes) -> None:
        """Show tracers what came."""
        for tracer in self.tracers:
            tracer.received(hop, data)

    def trace_sent(self, hop: Hop, frames: list[bytes]) -> None:
        """Show tracers what goes."""
        for tracer in self.tracers:
            tracer.sent(hop, frames)

    def totals(self) -> dict[str, int]:
        """Return the counters, what live routes have forwarded included."""
        totals = self.counters | {"messages_held_again": self.room.taken_back}
        for hop in list(self.hops.values()):
            for route in hop.routes_from.values():
                if route.open:
                    totals["messages"] += route.messages
                    totals["octets"] += route.octets
        return totals

    def session_states(self) -> Counter[str]:
        """Return how many sessions are in each state."""
        return Counter(session.state.value for session in self.sessions)

    def find_sessions(self, wanted: SessionFilter) -> Found[Session]:
        """Return the sessions that match, oldest first."""
        matching = [s for s in self.sessions if wanted.matches(s.username, s.realm, s.state.value)]
        return Found(matching, self._view)

    def session(self, session_id: str) -> SessionView:
        """Return one session.

        Raises:
            NotFoundError: There is none of that id.
        """
        return self._view(self.sessions.by_id(session_id))

    def end_session(self, session_id: str) -> None:
        """End a session at an operator's wish.

        Raises:
            NotFoundError: There is none of that id.
        """
        self.end(self.sessions.by_id(session_id), "ended by an operator")
        self.flush()

    def _view(self, session: Session) -> SessionView:
        hop = session.destination if isinstance(session.destination, Hop) else None
        messages_in, octets_in, messages_out, octets_out = session.traffic()
        return SessionView(
            id=session.id,
            user=session.username,
            realm=session.realm,
            client_uri=str(session.client_uri),
            state=session.state.value,
            listener=session.listener,
            remote=hop.name if hop is not None else "",
            connection_id=hop.channel.id if hop is not None else None,
            created=session.created,
            expires=self.runtime.wall() + session.expires_at - self.now(),
            messages_in=messages_in,
            messages_out=messages_out,
            bytes_in=octets_in,
            bytes_out=octets_out,
            reports=session.reports,
            failures=session.failures,
            pod=session.pod,
        )

    def connection_views(self) -> list[ConnectionView]:
        """Return all connections, oldest first."""
        return [self._connection_view(hop) for hop in list(self.hops.values())]

    def connection(self, connection_id: int) -> ConnectionView:
        """Return one connection.

        Raises:
            NotFoundError: There is none of that id.
        """
        hop = self.hops.get(connection_id)
        if hop is None:
            raise NotFoundError(f"no connection {connection_id}")
        return self._connection_view(hop)

    def _connection_view(self, hop: Hop) -> ConnectionView:
        channel = hop.channel
        return ConnectionView(
            id=channel.id,
            kind=channel.kind,
            listener=channel.listener,
            remote=hop.name,
            local=f"{channel.local[0]}:{channel.local[1]}",
            opened=self.runtime.wall() + hop.opened_at - self.now(),
            bytes_received=channel.bytes_received,
            bytes_sent=channel.bytes_sent,
            unsent=channel.unsent(),
            sessions=tuple(session.id for session in hop.sessions),
            transactions=len(hop.transactions),
            profile=channel.profile.id if channel.profile is not None else None,
        )
