"""The relay's metrics, read from its plain integers when somebody asks."""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from wigwag.runtime.names import (
    LISTENER_COUNTERS,
    RELAY_CONNECTIONS,
    RELAY_CONNECTIONS_REFUSED,
    RELAY_COPIES,
    RELAY_LINKS,
    RELAY_SESSIONS,
    RELAY_STREAMS,
    RELAY_UNSENT,
)
from wigwag.runtime.telemetry import Reading

from .views import COUNTERS, ConnectionView

if TYPE_CHECKING:
    from .cluster import Cluster

_STATES = ("active", "suspended")


class Measured(Protocol):
    """What the metrics need of the relay."""

    def totals(self) -> dict[str, int]:
        """The counters."""

    def session_states(self) -> Counter[str]:
        """How many sessions are in each state."""

    @property
    def cluster(self) -> "Cluster | None":
        """The other pods, if there can be any."""

    def connection_views(self) -> list[ConnectionView]:
        """All connections."""


def relay_readings(relay: Measured) -> Iterable[Reading]:
    """Yield the relay's metrics.

    The number of names is fixed, and so is that of attributes: nothing that a peer chooses is one.
    """
    for name, value in relay.totals().items():
        yield COUNTERS[name].read(value)
    states = relay.session_states()
    for state in _STATES:
        yield RELAY_SESSIONS.read(states[state], state=state)
    views = relay.connection_views()
    open_ones = Counter(view.listener or "outbound" for view in views)
    for listener, count in (open_ones or {"outbound": 0}).items():
        yield RELAY_CONNECTIONS.read(count, listener=listener)
    yield RELAY_UNSENT.read(sum(view.unsent for view in views))
    yield from _cluster_readings(relay.cluster)


def _cluster_readings(cluster: "Cluster | None") -> Iterable[Reading]:
    links = cluster.links.views().values() if cluster is not None else ()
    yield RELAY_LINKS.read(sum(state == "up" for state in links))
    yield RELAY_STREAMS.read(len(cluster.links.remotes()) if cluster is not None else 0)
    yield RELAY_COPIES.read(len(cluster.elsewhere) if cluster is not None else 0)


class MeasuredListener(Protocol):
    """What the metrics need of a listener."""

    name: str
    accepted: int
    accept_pauses: int
    handshake_failures: int
    handshake_timeouts: int
    slow_sends: int
    ping_timeouts: int


def listener_readings(listeners: Iterable[MeasuredListener]) -> Iterable[Reading]:
    """Yield the listeners' metrics."""
    for listener in listeners:
        for metric in LISTENER_COUNTERS:
            yield metric.read(getattr(listener, metric.name.rpartition(".")[2]), listener=listener.name)


class MeasuredAdmission(Protocol):
    """What the metrics need of the limits on connections."""

    refused_total: int
    refused_per_address: int


def admission_readings(admission: MeasuredAdmission) -> Iterable[Reading]:
    """Yield what was refused at the door."""
    yield RELAY_CONNECTIONS_REFUSED.read(admission.refused_total, limit="all")
    yield RELAY_CONNECTIONS_REFUSED.read(admission.refused_per_address, limit="address")
