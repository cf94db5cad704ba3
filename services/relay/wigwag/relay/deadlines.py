"""What happens because time passes: expiry, transaction timers, slow and silent peers."""

from typing import TYPE_CHECKING

from .destination import Connecting, Destination, Holding
from .hop import Hop
from .limits import Progress
from .sessions import Session

if TYPE_CHECKING:
    from .service import Relay

PHASES = 4
"""A full round over all hops takes so many ticks."""
STALL_WITH_OTHERS = 2.0
"""Seconds for which one stalled session may hold up a connection that carries others."""
LEAST_RATE = 64.0
"""Bytes per second below which an unfinished chunk counts as making no progress."""


class Deadlines:
    """Runs the relay's timers; ``tick`` is to be called four times a second."""

    def __init__(self, relay: "Relay") -> None:
        self._relay = relay
        self._phase = 0
        self._unfinished: set[Hop] = set()
        self._suspended: set[Session] = set()

    def watch(self, hop: Hop, unfinished: bool) -> None:
        """Take note that a frame has begun on ``hop`` that is not complete, or that there is none."""
        if unfinished:
            self._unfinished.add(hop)
        else:
            self._unfinished.discard(hop)
            hop.progress = None

    def suspended(self, session: Session) -> None:
        """Watch a suspended session."""
        self._suspended.add(session)

    def resumed(self, session: Session) -> None:
        """Stop watching it."""
        self._suspended.discard(session)

    def tick(self, now: float) -> None:
        """Do what is due; each hop has its turn in every fourth call."""
        if self._relay.cluster is not None:
            self._relay.cluster.tick(now)
        self._phase = (self._phase + 1) % PHASES
        for hop in [hop for hop in self._relay.hops.values() if hop.channel.id % PHASES == self._phase]:
            self._check(hop, now)
        if not self._phase:
            self._check_sessions(now)
        self._relay.flush()

    def round(self, now: float) -> None:
        """Do all that is due, for every hop."""
        for _ in range(PHASES):
            self.tick(now)

    # Sessions

    def _check_sessions(self, now: float) -> None:
        relay = self._relay
        for session in relay.sessions.expired(now):
            relay.end(session, "expired")
        for session in list(self._suspended):
            lost_for = now - session.suspended_at
            if lost_for >= relay.settings.resumable_for(session.fencing_token):
                relay.end(session, "not resumed")
            elif lost_for >= relay.settings.suspended_hold and isinstance(session.destination, Holding):
                for transaction in session.destination.give_up():
                    relay.reports.timed_out(transaction, "the receiver is not connected")
        relay.interruptions.tick(now)

    # Hops

    def _check(self, hop: Hop, now: float) -> None:
        if hop.transactions:
            hop.left(now, hop.channel.unsent())
            for transaction in hop.overdue(now, self._relay.settings.transaction_timeout):
                self._relay.reports.timed_out(transaction)
            if hop.crowded:
                hop.make_room(now)
            elif hop.waiting:
                hop.release(now)
        if hop.relayed or hop.refused:
            self._forget(hop, now)
        if hop.blocked_on is not None:
            self._check_blocked(hop, hop.blocked_on, now)
        if hop.departure is not None:
            hop.departure.go_on(now)
        limits = self._relay.settings.limits
        if hop.channel_full and now - hop.full_since >= limits.stall_timeout:
            self._give_up(hop, "takes nothing", abort=True)
        elif not hop.successful and now - hop.opened_at >= limits.first_request_timeout:
            self._give_up(hop, "no successful request in time")
        elif hop in self._unfinished:
            self._check_unfinished(hop, now)
        elif hop.successful and now - hop.last_activity >= self._idle_timeout(hop) and not _is_used(hop):
            self._give_up(hop, "idle")

    def _idle_timeout(self, hop: Hop) -> float:
        profile = hop.channel.profile
        return profile.con_lifetime if profile is not None else self._relay.settings.limits.idle_timeout

    def _check_unfinished(self, hop: Hop, now: float) -> None:
        limits, profile = self._relay.settings.limits, hop.channel.profile
        if hop.held_up:
            hop.progress = None
            hop.unfinished_since = now
            return
        hop.parse_rest(now)
        if hop.incoming is None:
            if now - hop.unfinished_since >= limits.header_timeout:
                self._give_up(hop, "a request's head did not arrive in time")
            return
        received = hop.channel.bytes_received
        if hop.progress is None:
            hop.progress = Progress(now, received)
        timeout = profile.msg_read_timeout if profile is not None else limits.body_timeout
        if hop.progress.too_slow(received, now, timeout, LEAST_RATE):
            hop.refuse_incoming(408, "no progress")
            self._give_up(hop, "no progress inside a message")

    def _check_blocked(self, hop: Hop, destination: Destination, now: float) -> None:
        """A stalled session holds up others on the same connection for 2 s at most; then it is cut off."""
        if now - hop.blocked_since < STALL_WITH_OTHERS or isinstance(destination, Connecting):
            return
        stalled = [route for route in hop.routes_from.values() if route.open and route.destination is destination]
        others = any(route.open and route.destination is not destination for route in hop.routes_from.values())
        if others and stalled:
            for route in stalled:
                route.drained = (408, "the receiver takes nothing")
            self._relay.counters["stalls"] += 1
            if destination.waiting is not None and hop in destination.waiting:
                destination.waiting.remove(hop)
            hop.go_on(now)

    def _forget(self, hop: Hop, now: float) -> None:
        self._relay.interruptions.forget_refusals(hop, now)
        timeout = self._relay.settings.transaction_timeout
        if hop.relayed:
            hop.relayed = {key: value for key, value in hop.relayed.items() if now - value.sent_at < timeout} or None

    def _give_up(self, hop: Hop, reason: str, *, abort: bool = False) -> None:
        self._relay.counters["deadlines_passed"] += 1
        self._relay.log(hop, "connection closed", reason=reason)
        if abort:
            hop.channel.abort()
        hop.close(reason)


def _is_used(hop: Hop) -> bool:
    """Tell whether a live session leans on the connection: then neither idling nor con_lifetime ends it."""
    return bool(hop.sessions or hop.routes) or any(route.open for route in hop.routes_from.values())
