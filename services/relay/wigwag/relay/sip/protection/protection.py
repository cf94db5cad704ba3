"""What one address and one user may ask of SIP: rates, and bans for who guesses passwords.

Theory of operation. Every source has a `Meter`, which is looked up and counted down before anything is parsed; the
clock is read only when it has run out. IPv6 sources count by their /64, neighbours (``trusted_networks``) don't count.
Only what proves that answers reach its sender may lead to a ban: failed proofs, whose nonce was sent to that very
address, and challenges over connections. A forged UDP source can therefore shut nobody out. A right password takes one
failure off, so that one phone with an old password does not shut out the house that it is in.
"""

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Final

from wigwag.protocols.sip import SipError
from wigwag.relay.sip.config import SipProtectionSettings
from wigwag.transport.addresses import network_of

from .bans import Bans
from .meters import Meter, Recent

UNANSWERED: Final = 10
"""A challenge that is not answered counts this much less than a wrong password: every client leaves some."""


class Source(Meter):
    """What is known of one address (IPv6: of a /64).

    Attributes:
        trusted: Whether it is a neighbour's.
        challenges: What it may be sent of challenges over UDP.
        connections: Connections that it may open.
        points: Failures of late, in tenths of a wrong password; since: when they began to count.
    """

    __slots__ = ("challenges", "connections", "network", "points", "since", "trusted")

    def __init__(self, network: str, settings: SipProtectionSettings, now: float, *, trusted: bool) -> None:
        super().__init__(0 if trusted else settings.messages_per_address, now)
        self.network = network
        self.trusted = trusted
        self.challenges = Meter(0 if trusted else settings.challenges_per_address, now)
        self.connections = Meter(0 if trusted else settings.connections_per_address, now)
        self.points = 0
        self.since = now


class Protection:
    """Guards one edge.

    Args:
        settings: Rates and bans.
        trusted_networks: Networks that have no limits.
        now: Seconds, monotonic.
        wall: Seconds since 1970.
        log: Writes one line.

    Attributes:
        bans: Who is shut out.
        shut_out: Told of a network that was just banned, so that its connections are closed.
        datagrams_dropped: Datagrams over the rate of their address; banned_dropped: of addresses that are shut out.
        pauses: Times that reading a connection paused because its address was over its rate.
        connections_refused: Connections over the rate of their address, or from one that is shut out.
        challenges_dropped: Challenges that would have been too many for one address.
        users_refused: Requests over the rate of their user.
    """

    def __init__(
        self,
        settings: SipProtectionSettings,
        trusted_networks: tuple[str, ...],
        *,
        now: Callable[[], float],
        wall: Callable[[], float],
        log: Callable[..., None],
    ) -> None:
        self.bans = Bans(now, wall)
        self.shut_out: Callable[[str], None] = _nobody
        self.datagrams_dropped = 0
        self.banned_dropped = 0
        self.pauses = 0
        self.connections_refused = 0
        self.challenges_dropped = 0
        self.users_refused = 0
        self._settings = settings
        self._trusted = tuple(map(ip_network, trusted_networks))
        self._now = now
        self._log = log
        self._sources: Recent[Source] = Recent(self._made, settings.addresses)
        self._by_host: dict[str, Source] = {}
        self._users = {
            method: Recent(self._user_meter(rate), settings.addresses)
            for method, rate in (
                ("MESSAGE", settings.messages_per_user),
                ("INVITE", settings.invites_per_user),
                ("REGISTER", settings.registers_per_user),
            )
            if rate
        }

    # Addresses

    def admits(self, host: str) -> bool:
        """Tell whether a datagram from an address is to be looked at; it is counted."""
        source = self._by_host.get(host)
        if source is not None:
            source.left -= 1.0
            if source.left >= 0.0:
                return True
            source.left += 1.0
        return self._reckoned(source or self._source(host))

    def _reckoned(self, source: Source) -> bool:
        if self._is_banned(source):
            self.banned_dropped += 1
            return False
        if source.take(self._now()):
            return True
        self.datagrams_dropped += 1
        return False

    def pause(self, host: str, messages: int) -> float:
        """Count what a read of a connection brought; return for how many seconds nothing more is to be read."""
        source = self._by_host.get(host) or self._source(host)
        source.left -= messages
        if source.left >= 0.0:
            return 0.0
        source.refill(self._now())
        if source.left >= 0.0:
            return 0.0
        self.pauses += 1
        return -source.left / source.rate

    def refuses_connection(self, host: str) -> str | None:
        """Count a connection; return why it is not taken, or None."""
        source = self._source(host)
        if self._is_banned(source):
            reason = "banned"
        elif source.connections.take(self._now()):
            return None
        else:
            reason = "too many new connections from this address"
        self.connections_refused += 1
        return reason

    def _is_banned(self, source: Source) -> bool:
        return not source.trusted and self.bans.holds(source.network)

    def _source(self, host: str) -> Source:
        generation = self._sources.generation
        source = self._sources.get(network_of(host))
        if generation != self._sources.generation or len(self._by_host) >= self._settings.addresses:
            self._by_host.clear()
        self._by_host[host] = source
        return source

    def _made(self, network: str) -> Source:
        address = ip_address(network.partition("%")[0])
        trusted = any(address in other for other in self._trusted)
        source = Source(network, self._settings, self._now(), trusted=trusted)
        if self._is_banned(source):
            source.left = 0.0
        return source

    # Proofs

    def may_challenge(self, host: str) -> bool:
        """Tell whether another challenge may be sent to an address over UDP; it is counted."""
        if self._source(host).challenges.take(self._now()):
            return True
        self.challenges_dropped += 1
        return False

    def challenged(self, host: str) -> None:
        """A challenge was sent over a connection."""
        self._blame(host, 1, "too many requests without credentials")

    def failed(self, host: str) -> None:
        """Credentials were wrong whose nonce had been sent to this address."""
        self._blame(host, UNANSWERED, "too many wrong passwords")

    def _blame(self, host: str, points: int, reason: str) -> None:
        source, settings, now = self._source(host), self._settings, self._now()
        if source.trusted or not settings.ban_time:
            return
        if now - source.since >= settings.failure_window:
            source.points, source.since = 0, now
        source.points += points
        if source.points >= settings.failures * UNANSWERED:
            source.points = 0
            source.left = 0.0
            self.bans.impose(source.network, reason, settings.ban_time)
            self._log("address banned", remote=source.network, reason=reason, seconds=settings.ban_time)
            self.shut_out(source.network)

    def lift(self, address: str) -> None:
        """Let an address in again; NotFoundError: it is not shut out."""
        self.bans.lift(address)

    # Users

    def proven(self, host: str, aor: str, method: str) -> None:
        """A user has proven who he is.

        Raises:
            SipError: 503: he asks for too much.
        """
        source = self._by_host.get(host)
        if source is not None and source.points:
            source.points = max(0, source.points - UNANSWERED)
        meters = self._users.get(method)
        if meters is not None and not meters.get(aor).take(self._now()):
            self.users_refused += 1
            raise SipError(f"Too Many {method} Requests", status=503, headers=(("Retry-After", "2"),))

    def _user_meter(self, rate: float) -> Callable[[str], Meter]:
        return lambda _: Meter(rate, self._now())


def _nobody(_network: str) -> None:
    """Nobody wants to hear it."""
