"""A hop: one connection of the relay, as a source of frames and as a destination.

Theory of operation. A read goes to ``forward`` (the fast path) as long as frames are its business; the first that isn't
goes through the ``FrameParser``, whose events become one ``Incoming`` request at a time. A source whose destination is
full stops reading, keeps what it has read, and lines up; when the destination has room the sources go on in turn, each
until it is full again. Nothing here waits: what takes time (credentials, connecting) holds the hop up with a reason and
lets it go on later.
"""

from enum import IntFlag
from typing import TYPE_CHECKING, Protocol

from wigwag.errors import RemoteProtocolError
from wigwag.protocols.msrp import (
    BodyReceived,
    FrameEnded,
    FrameEvent,
    FrameParser,
    HeadReceived,
    MalformedReceived,
    MsrpUri,
)

from .datapath import Stop, forward
from .destination import FLUSH_EARLY, LARGEST_OPEN, Destination, Holding
from .limits import Progress, Rates
from .transactions import Relayed
from .unanswered import Unanswered

if TYPE_CHECKING:
    from wigwag.transport.channel import Channel

    from .authentication import AuthState
    from .departure import Departure
    from .route import Route
    from .service import Relay
    from .sessions import Session

LARGEST_REST = 16_384
"""Bytes of a cut frame that are kept for another try of the fast path; more goes through the parser."""
LARGEST_UNREAD_OUTPUT = 262_144
"""Bytes of responses and reports that a peer may leave unread until we stop reading from it."""
LARGEST_ROUTES = 4096
"""Routes that one connection's requests may have taught."""
LARGEST_ROUTE_KEYS = 1_048_576
"""Bytes of path headers by which they are found."""


class HeldUp(IntFlag):
    """Why a hop does not read."""

    DESTINATION = 1
    AUTH = 2
    RATE = 4
    OUTPUT = 8
    FENCE = 16


class Incoming(Protocol):
    """A request that is being received."""

    def body(self, data: bytes, now: float) -> None:
        """Take a piece of the body."""

    def ended(self, flag: str, now: float) -> None:
        """Take the end-line."""

    def go_on(self, now: float) -> bool:
        """Continue after a pause; True when nothing of it is left to do or wait for."""

    def abandoned(self, now: float) -> None:
        """The connection was lost before the end-line."""

    def refuse(self, status: int, comment: str) -> None:
        """Answer it with an error: its connection is about to be closed."""


class Hop(Destination):
    """One connection; see the module's text. It is the ``Receiver`` of its channel."""

    __slots__ = (
        "__weakref__",
        "auth",
        "blocked_on",
        "blocked_since",
        "bound",
        "channel",
        "channel_full",
        "closed",
        "crowded",
        "departure",
        "held_up",
        "incoming",
        "last_activity",
        "opened_at",
        "parser",
        "progress",
        "rates",
        "refused",
        "relay",
        "relayed",
        "rest",
        "route_keys",
        "routes_from",
        "sessions",
        "successful",
        "trace_next",
        "unanswered",
        "unfinished_since",
    )

    def __init__(self, relay: "Relay") -> None:
        super().__init__()
        self.flush_at = FLUSH_EARLY
        self.relay = relay
        self.channel: Channel
        self.closed = self.channel_full = self.crowded = self.trace_next = False
        self.routes_from: dict[bytes, Route] = {}
        self.route_keys = 0
        self.sessions: list[Session] = []
        self.bound: dict[tuple[str, tuple[object, ...]], tuple[Session, MsrpUri]] = {}
        self.parser: FrameParser | None = None
        self.incoming: Incoming | None = None
        self.rest = b""
        self.held_up = 0
        self.blocked_on: Destination | None = None
        self.blocked_since = 0.0
        self.refused: dict[tuple[Session, str], tuple[int, str, float]] | None = None
        self.relayed: dict[bytes, Relayed] | None = None
        self.auth: AuthState | None = None
        self.departure: Departure | None = None
        self.unanswered: Unanswered | None = None
        self.successful = False
        self.opened_at = self.last_activity = 0.0
        self.unfinished_since = 0.0
        self.progress: Progress | None = None
        self.rates: Rates | None = None

    # Receiver

    def connected(self, channel: "Channel") -> None:
        """Take up the connection."""
        self.channel = channel
        self.opened_at = self.last_activity = self.relay.now()
        self.relay.hop_opened(self)

    def data_received(self, data: bytes) -> None:
        """Take one read."""
        relay = self.relay
        now = self.last_activity = relay.now()
        if relay.tracers:
            relay.trace_received(self, data)
        if now > relay.fence_at:
            relay.fence()
        if self.held_up:
            self.rest += data
            return
        if relay.tracing.sampling and relay.tracing.sampled():
            self.trace_next = True
        if self.rest:
            data = self.rest + data
            self.rest = b""
        self._process(data, now)
        if relay.rates:
            relay.charge(self, len(data), now)
        relay.flush()

    def pause_sending(self) -> None:
        """The connection's buffer is full: sources stop."""
        self.channel_full = self.full = True
        self.full_since = self.relay.now()

    def resume_sending(self) -> None:
        """There is room again: sources go on."""
        now = self.relay.now()
        self.channel_full = False
        if self.held_up & HeldUp.OUTPUT:
            self.let_go(HeldUp.OUTPUT, now)
        self.make_room(now)
        self.relay.flush()

    def make_room(self, now: float) -> None:
        """Let sources go on if the buffer has room and the peer answers what it gets."""
        self.crowded = self.crowded and len(self.transactions) > LARGEST_OPEN // 2
        if self.full and not self.channel_full and not self.crowded:
            self.full = False
            for route in self.routes:
                route.drained = None
            self.release(now)

    def disconnected(self, reason: str) -> None:
        """The connection is gone."""
        if self.closed:
            return
        self.closed = True
        now = self.relay.now()
        if self.incoming is not None:
            self.incoming.abandoned(now)
        self.relay.hop_closed(self, reason, now)
        self.relay.flush()

    # Reading

    def _process(self, data: bytes, now: float) -> None:
        position, size = 0, len(data)
        while position < size and not self.held_up and not self.closed:
            if self.incoming is None and self.parser is None and not self.trace_next:
                start = position
                position, stop = forward(data, position, self)
                if position > start:
                    self._frame_ended(now)
                if stop is Stop.DONE:
                    break
                if stop is Stop.FULL:
                    self.wait_for(self.blocked_on, now)
                    break
                if stop is Stop.CUT and size - position <= LARGEST_REST:
                    break
            position = self._parse(data, position, now)
        self.rest = data[position:] if position < size and not self.closed else b""
        unfinished = bool(self.rest) or self.parser is not None
        if unfinished != bool(self.unfinished_since):
            self.unfinished_since = now if unfinished else 0.0
            self.relay.watch(self, unfinished)
        if self.unanswered is not None:
            self.unanswered.release(self.transactions)
        if self.full:
            if self.crowded:
                self.make_room(now)
            if self.channel.unsent() > LARGEST_UNREAD_OUTPUT:
                self.hold_up(HeldUp.OUTPUT)
        elif self.waiting:
            self.release(now)

    def _parse(self, data: bytes, position: int, now: float) -> int:
        """Pass bytes of one frame through the reference parser; returns the position after what it consumed."""
        if self.parser is None:
            self.parser = FrameParser(self.relay.parser_limits)
        try:
            events, position = self.parser.feed(data, position)
        except RemoteProtocolError as error:
            self.fail(error.reason)
            return len(data)
        for event in events:
            self._handle(event, now)
            if self.closed:
                return len(data)
        if self.parser.idle:
            self.parser = None
            self._frame_ended(now)
        return position

    def _frame_ended(self, now: float) -> None:
        """What is unfinished at the end of this read has begun in it: its head's deadline runs from now."""
        if self.unfinished_since:
            self.unfinished_since = now

    def _handle(self, event: FrameEvent, now: float) -> None:
        match event:
            case HeadReceived(head=head):
                self.incoming = self.relay.requests.begin(self, head, now)
                self.trace_next = False
            case BodyReceived(data=data):
                if self.incoming is not None:
                    self.incoming.body(data, now)
            case FrameEnded(flag=flag):
                if self.incoming is not None:
                    self.incoming.ended(flag, now)
                    self._finish(now)
            case MalformedReceived(response=response, reason=reason, fatal=fatal):
                self.relay.counters["malformed"] += 1
                if response is not None:
                    self.reply(response)
                if fatal:
                    self.fail(reason)
                else:
                    self.relay.log(self, "malformed request", reason=reason)

    def _finish(self, now: float) -> bool:
        if self.incoming is not None and not self.held_up & HeldUp.AUTH and self.incoming.go_on(now):
            self.incoming = None
        return self.incoming is None

    def parse_rest(self, now: float) -> None:
        """Pass a cut frame to the parser, so that the deadlines of heads and bodies apply to what it is."""
        if self.rest and self.parser is None and self.incoming is None and not self.held_up:
            rest, self.rest = self.rest, b""
            position = 0
            while position < len(rest) and not self.closed and not self.held_up:
                position = self._parse(rest, position, now)
            self.rest = rest[position:]

    # Pausing

    def hold_up(self, reason: HeldUp) -> None:
        """Stop reading."""
        if not self.held_up and not self.closed:
            self.channel.pause_reading()
        self.held_up |= reason

    def let_go(self, reason: HeldUp, now: float) -> None:
        """Read on, unless there is another reason not to."""
        self.held_up &= ~reason
        if self.held_up or self.closed:
            return
        if self.incoming is not None and self.parser is None and not self._finish(now):
            return
        data, self.rest = self.rest, b""
        if data:
            self._process(data, now)
        if not self.held_up and not self.closed:
            self.channel.resume_reading()

    def wait_for(self, destination: Destination | None, now: float) -> None:
        """Stop reading until ``destination`` has room."""
        if destination is None:
            return
        self.blocked_on = destination
        self.blocked_since = now
        destination.line_up(self)
        self.hold_up(HeldUp.DESTINATION)

    def go_on(self, now: float) -> None:
        """Continue: the destination waited for has room, or is gone."""
        self.blocked_on = None
        if self.closed:
            return
        if self.incoming is not None and self.parser is not None and not self._pump(now):
            return
        self.let_go(HeldUp.DESTINATION, now)

    def _pump(self, now: float) -> bool:
        """Let a chunk in the middle of its body go on; False when it is blocked again."""
        self.held_up &= ~HeldUp.DESTINATION
        assert self.incoming is not None
        self.incoming.go_on(now)
        if self.held_up & HeldUp.DESTINATION:
            return False
        self.held_up |= HeldUp.DESTINATION
        return True

    # Writing

    def reply(self, frame: bytes) -> None:
        """Send a response or report, ahead of what waits for room."""
        if self.closed:
            return
        if not self.outgoing:
            self.relay.to_flush.append(self)
        self.outgoing.append(frame)

    def flush(self) -> None:
        """Pass what is to be written to the connection."""
        frames, self.outgoing = self.outgoing, []
        self.flush_at = self.queued + FLUSH_EARLY
        if not self.closed and frames:
            if self.relay.tracers:
                self.relay.trace_sent(self, frames)
            if self.unanswered is not None:
                self.unanswered.keep(frames, self.transactions)
            self.channel.send(frames)
        if len(self.transactions) > LARGEST_OPEN and not self.crowded:
            self.crowded = self.full = True

    def expect_successor(self) -> None:
        """Keep what is sent here until it is answered: a ua pod's session may go on over another connection."""
        if self.unanswered is None:
            self.unanswered = Unanswered(self.relay.room)

    def take_back(self, session: "Session") -> Holding | None:
        """Take out what a session's client was sent here and has not answered; None: nothing of it is sent again."""
        if self.unanswered is None:
            return None
        if self.closed:
            frames, self.outgoing = self.outgoing, []
            self.unanswered.keep(frames, self.transactions)
        else:
            self.flush()
        return self.unanswered.take_back(self.transactions, session)

    def refuse_incoming(self, status: int, comment: str) -> None:
        """Answer the request that is being received, before its connection is closed."""
        if self.incoming is not None:
            self.incoming.refuse(status, comment)

    def fail(self, reason: str) -> None:
        """Close the connection because its peer broke the protocol."""
        self.relay.counters["protocol_errors"] += 1
        self.relay.log(self, "connection closed", reason=reason)
        self.close(reason)

    def close(self, reason: str) -> None:
        """Close the connection once what is to be written has been written."""
        if not self.closed:
            self.flush()
            self.channel.close()
            self.disconnected(reason)

    # Routes

    def learn(self, key: bytes, route: "Route") -> None:
        """Keep a route for the requests that carry the same path headers."""
        self.route_keys += len(key)
        if len(self.routes_from) >= LARGEST_ROUTES or self.route_keys > LARGEST_ROUTE_KEYS:
            self.forget_routes()
        old = self.routes_from.get(key)
        if old is not None:
            old.close()
        self.routes_from[key] = route

    def forget_routes(self) -> None:
        """Close the routes of requests that come from here."""
        for route in self.routes_from.values():
            route.close()
        self.routes_from.clear()
        self.route_keys = 0

    def stop_requests(self, now: float) -> None:
        """Drop what is being received and what still comes, but answers."""
        if self.incoming is not None:
            self.incoming.abandoned(now)
            self.incoming = None
        self.forget_routes()
        if self.blocked_on is not None:
            if self.blocked_on.waiting is not None and self in self.blocked_on.waiting:
                self.blocked_on.waiting.remove(self)
            self.go_on(now)

    @property
    def name(self) -> str:
        """The remote address, for logs."""
        host, port = self.channel.remote
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
