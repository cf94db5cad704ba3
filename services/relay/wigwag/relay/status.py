"""What the relay tells of itself: listeners, certificates, tables, sources of credentials, and what was refused."""

import datetime
from collections.abc import Awaitable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from wigwag.errors import WigwagError
from wigwag.protocols.digest import StoredCredentials
from wigwag.runtime.clock import WallClock
from wigwag.runtime.credentials import CredentialSource
from wigwag.runtime.status import EVENT_REPORTS, Identifier, ModuleStatus, Severity, StatusTree
from wigwag.runtime.status_loading import Answering, Loading, loading

from .outbound import RouteHook
from .routing import RouteDecision, RouteQuestion
from .views import SipCondition

_Answer = TypeVar("_Answer")

EXPIRING = 3
"""Status of certificates that serve, but not for long."""
OVERLOADED = 4
"""Status of SIP that serves a part of what comes."""
EXPIRES_SOON = datetime.timedelta(days=14)
COUNTED = {
    "accept_pauses": "times that accepting rested for lack of descriptors or memory",
    "refused_total": "connections refused: too many were open",
    "refused_per_address": "connections refused: too many were open from one address",
    "sip_refused": "SIP requests turned away under overload",
    "sip_banned": "addresses banned by SIP",
    "sip_over_rate": "SIP messages and connections over the rate of their address or user",
    "stalls": "sessions cut off because their receiver takes nothing",
}
"""Counters whose growth is reported, at most once a ``QUIET``."""
LOOK = 2.0
"""Seconds between two looks at what changes by itself."""
QUIET = 60.0
"""Seconds."""


class ToldTls(Protocol):
    """What is needed of a listener's certificates."""

    @property
    def expires(self) -> datetime.datetime:
        """When the first of them ends."""


class ToldListener(Protocol):
    """What is needed of a listener."""

    name: str
    accept_pauses: int

    @property
    def tls(self) -> ToldTls | None:
        """Its certificates."""

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""


class RelayStatus:
    """Publishes the relay's status.

    Args:
        tree: The process's.
    """

    def __init__(self, tree: StatusTree) -> None:
        self._tree = tree
        group = tree.group("relay")
        self._main = group.identifier(details="loading")
        self._events = group.identifier("events", status=ModuleStatus.READY, reports=EVENT_REPORTS)
        self._listeners = tree.group("listeners")
        self._certificates = tree.group("certificates")
        self._failed: dict[str, str] = {}
        self._counts: dict[str, tuple[int, float]] = {}
        self._next_look = 0.0
        self._pods: set[str] = set()

    @property
    def ready(self) -> bool:
        """Whether the relay serves."""
        return self._main.ready

    def loading_profiles(self) -> AbstractContextManager[Loading]:
        """Tell of loading the TCP profiles."""
        return loading(self._tree.group("tcp_mgm").identifier(), "TCP profiles")

    def loading_routes(self) -> AbstractContextManager[Loading]:
        """Tell of loading the routing table."""
        return loading(self._tree.group("routes").identifier(), "routes")

    def watched(self, name: str, source: CredentialSource, details: str) -> CredentialSource:
        """Return the source, with a status of its own in the group ``credentials``."""
        return _WatchedSource(source, _Watch(self._tree.group("credentials").identifier(name), details, self._tree.now))

    def watched_hook(self, hook: RouteHook) -> RouteHook:
        """Return the routing service, with a status of its own in the group ``routes``."""
        return _WatchedHook(hook, _Watch(self._tree.group("routes").identifier("hook"), "HTTP service", self._tree.now))

    def keys(self, ids: Collection[str], *, problem: str = "") -> None:
        """Tell of the keys that sign URIs and nonces.

        Args:
            ids: Of those in force.
            problem: Why the file could not be read again.
        """
        identifier = self._tree.group("keys").identifier()
        if problem:
            identifier.become(ModuleStatus.NOT_READY, f"{problem}; the old ones hold", Severity.ERROR)
        else:
            identifier.become(ModuleStatus.READY, f"keys in force, newest first: {', '.join(ids)}")

    def listening(self, listener: ToldListener) -> None:
        """A listener is open."""
        self.listening_on(listener.name, *listener.address)
        self.look([listener], {})

    def listening_on(self, name: str, host: str, port: int) -> None:
        """A listener of any kind is open."""
        self._listeners.identifier(name).become(ModuleStatus.READY, f"listens on {host} port {port}")

    def sip(self, condition: SipCondition) -> None:
        """Tell how SIP is."""
        identifier = self._tree.group("sip").identifier(reports=EVENT_REPORTS)
        if not condition.overload:
            details = f"serving, {condition.bans} addresses banned"
            identifier.set(ModuleStatus.READY, details)
            return
        if identifier.status != OVERLOADED:
            identifier.report("overload: new requests are turned away", Severity.WARNING)
        identifier.set(OVERLOADED, f"overload: {condition.overload:.0%} of new requests are turned away")

    def serving(self) -> None:
        """Everything is open, or a drain was taken back."""
        self._main.become(ModuleStatus.READY, "serving")

    def draining(self) -> None:
        """Nothing new is accepted."""
        self._main.become(ModuleStatus.NOT_READY, "draining: nothing new is accepted")
        for identifier in self._listeners:
            identifier.become(ModuleStatus.NOT_READY, "closed")

    def reloaded(self, results: Mapping[str, str], listeners: Iterable[ToldListener]) -> None:
        """Certificates were loaded again.

        Args:
            results: By listener ``reloaded``, or why the old ones stay in use.
            listeners: All listeners.
        """
        self._failed = {name: result for name, result in results.items() if result != "reloaded"}
        for name, result in results.items():
            if result == "reloaded":
                self._certificates.identifier(name).report("reloaded")
        self.look(listeners, {})

    def due(self, now: float) -> bool:
        """Tell whether it is time to ``look`` again.

        Args:
            now: Monotonic seconds.
        """
        if now < self._next_look:
            return False
        self._next_look = now + LOOK
        return True

    def look(self, listeners: Iterable[ToldListener], counters: Mapping[str, int]) -> None:
        """Look at what changes by itself: certificates near their end, counters of what was refused.

        Args:
            listeners: All listeners.
            counters: Values of ``COUNTED``, as far as they are at hand.
        """
        for listener in listeners:
            self._look_at_certificates(listener)
            self._count(f"{listener.name}: ", "accept_pauses", listener.accept_pauses)
        for name, value in counters.items():
            self._count("", name, value)

    def cluster(self, others: Collection[str], links: Mapping[str, str]) -> None:
        """Look at the other pods.

        Args:
            others: Ids of those that live.
            links: By pod, ``up``, ``connecting`` or why it does not stand.
        """
        group = self._tree.group("cluster")
        main = group.identifier(reports=EVENT_REPORTS)
        for pod in sorted(self._pods ^ set(others)):
            main.report(f"{pod} {'joined' if pod in others else 'is gone'}")
        self._pods = set(others)
        main.set(ModuleStatus.READY, f"other pods: {len(others)}")
        for identifier in list(group):
            if identifier is not main and identifier.name not in links:
                group.remove(identifier.name)
        for pod, state in links.items():
            number = ModuleStatus.READY if state == "up" else ModuleStatus.NOT_READY
            group.identifier(pod).become(number, f"link {state}")

    def _look_at_certificates(self, listener: ToldListener) -> None:
        if listener.tls is None:
            return
        left = listener.tls.expires - datetime.datetime.fromtimestamp(self._tree.now(), datetime.UTC)
        end = f"{listener.tls.expires:%Y-%m-%d %H:%M} UTC"
        identifier = self._certificates.identifier(listener.name)
        if listener.name in self._failed:
            reason = f"{self._failed[listener.name]}; the old one stays in use until {end}"
            identifier.become(ModuleStatus.NOT_READY, reason, Severity.ERROR)
        elif left <= datetime.timedelta():
            identifier.become(ModuleStatus.NOT_READY, f"expired on {end}", Severity.ERROR)
        elif left <= EXPIRES_SOON:
            identifier.become(EXPIRING, f"expires on {end}", Severity.WARNING)
        else:
            identifier.become(ModuleStatus.READY, f"valid until {end}")

    def _count(self, prefix: str, name: str, value: int) -> None:
        key, now = prefix + name, self._tree.now()
        told, at = self._counts.get(key, (0, now - QUIET))
        # The clock may have been set back.
        if value > told and not 0 <= now - at < QUIET:
            self._counts[key] = (value, now)
            self._events.report(f"{prefix}{value - told} {COUNTED[name]}", Severity.WARNING)


class _WatchedSource:
    """A source of credentials whose failures show."""

    def __init__(self, source: CredentialSource, watch: "_Watch") -> None:
        self._source = source
        self._watch = watch

    async def credentials(self, username: str, domain: str) -> StoredCredentials | None:
        """As the source itself."""
        return await self._watch.result(self._source.credentials(username, domain))


class _WatchedHook:
    """A routing service whose failures show."""

    def __init__(self, hook: RouteHook, watch: "_Watch") -> None:
        self._hook = hook
        self._watch = watch

    async def decide(self, question: RouteQuestion) -> RouteDecision | None:
        """As the service itself."""
        return await self._watch.result(self._hook.decide(question))


class _Watch:
    """Tells of each answer, or that there was none."""

    def __init__(self, identifier: Identifier, details: str, now: WallClock) -> None:
        self._status = Answering(identifier, details)
        self._now = now

    async def result(self, answer: Awaitable[_Answer]) -> _Answer:
        try:
            result = await answer
        except WigwagError as error:
            self._status.failed(str(error), self._now())
            raise
        self._status.answered(self._now())
        return result
