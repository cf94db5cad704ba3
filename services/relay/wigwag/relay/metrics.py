"""The relay's metrics, read from its plain integers when somebody asks."""

from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from wigwag.runtime.telemetry import Instrument, Reading

from .views import COUNTERS, ConnectionView, SessionView

_STATES = ("active", "suspended")


class Measured(Protocol):
    """What the metrics need of the relay."""

    def totals(self) -> dict[str, int]:
        """The counters."""

    def session_views(self) -> list[SessionView]:
        """All sessions."""

    def connection_views(self) -> list[ConnectionView]:
        """All connections."""


def relay_readings(relay: Measured) -> Iterable[Reading]:
    """Yield the relay's metrics.

    The number of names is fixed, and so is that of attributes: nothing that a peer chooses is one.
    """
    for name, value in relay.totals().items():
        yield Reading(name=f"wigwag.relay.{name}", value=value, description=COUNTERS.get(name, name))
    states = Counter(view.state for view in relay.session_views())
    for state in _STATES:
        yield Reading(
            name="wigwag.relay.sessions",
            value=states[state],
            unit="{session}",
            description="Sessions by state",
            instrument=Instrument.GAUGE,
            attributes={"state": state},
        )
    yield from _connections(relay.connection_views())


def _connections(views: list[ConnectionView]) -> Iterable[Reading]:
    open_ones = Counter(view.listener or "outbound" for view in views)
    # With none open there is still a reading: instruments are made from the names of the first round.
    for listener, count in (open_ones or {"outbound": 0}).items():
        yield Reading(
            name="wigwag.relay.connections",
            value=count,
            unit="{connection}",
            description="Open connections by listener",
            instrument=Instrument.GAUGE,
            attributes={"listener": listener},
        )
    yield Reading(
        name="wigwag.relay.unsent",
        value=sum(view.unsent for view in views),
        unit="By",
        description="Bytes accepted for sending that the kernel has not taken yet",
        instrument=Instrument.GAUGE,
    )


class MeasuredListener(Protocol):
    """What the metrics need of a listener."""

    name: str
    accepted: int
    accept_pauses: int
    handshake_failures: int
    handshake_timeouts: int
    slow_sends: int
    ping_timeouts: int


_LISTENER_COUNTERS = {
    "accepted": "Connections accepted, those refused at once included",
    "accept_pauses": "Times that accepting rested for lack of descriptors or memory",
    "handshake_failures": "TLS and WebSocket handshakes that failed",
    "handshake_timeouts": "Handshakes that took too long",
    "slow_sends": "Writes slower than their TCP profile's send_threshold",
    "ping_timeouts": "WebSocket clients cut because they answered no ping",
}


def listener_readings(listeners: Iterable[MeasuredListener]) -> Iterable[Reading]:
    """Yield the listeners' metrics."""
    for listener in listeners:
        for name, description in _LISTENER_COUNTERS.items():
            yield Reading(
                name=f"wigwag.relay.listener.{name}",
                value=getattr(listener, name),
                description=description,
                attributes={"listener": listener.name},
            )


class MeasuredAdmission(Protocol):
    """What the metrics need of the limits on connections."""

    refused_total: int
    refused_per_address: int


def admission_readings(admission: MeasuredAdmission) -> Iterable[Reading]:
    """Yield what was refused at the door."""
    for scope, value in (("all", admission.refused_total), ("address", admission.refused_per_address)):
        yield Reading(
            name="wigwag.relay.connections_refused",
            value=value,
            description="Connections closed at once because too many were open",
            attributes={"limit": scope},
        )
