"""The relay's metrics, read from its plain integers when somebody asks."""

from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from wigwag.runtime.telemetry import Instrument, Reading

from .views import COUNTERS, ConnectionView, SessionView

_STATES = ("active", "suspended")


class Measured(Protocol):
    """What the metrics need of the relay."""

    counters: dict[str, int]

    def session_views(self) -> list[SessionView]:
        """All sessions."""

    def connection_views(self) -> list[ConnectionView]:
        """All connections."""


def relay_readings(relay: Measured) -> Iterable[Reading]:
    """Yield the relay's metrics.

    The number of names is fixed, and so is that of attributes: nothing that a peer chooses is one.
    """
    for name, value in relay.counters.items():
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
