"""Metrics of registrations, read from plain integers when somebody asks."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from wigwag.runtime.names import RELAY_SIP_REGISTRATION_COUNTERS, RELAY_SIP_REGISTRATIONS, RELAY_SIP_UPKEEP
from wigwag.runtime.telemetry import Reading

if TYPE_CHECKING:
    from wigwag.relay.sip.assembly import SipParts


def registration_readings(parts: "SipParts") -> Iterable[Reading]:
    """Yield them."""
    registrations = parts.registrations
    yield RELAY_SIP_REGISTRATIONS.read(len(registrations.own))
    yield RELAY_SIP_UPKEEP.read(registrations.upkeep.waiting)
    waker = parts.edge.waker
    counted: Mapping[str, int] = {
        "upkeep_failures": registrations.upkeep.failures,
        "registration_events_lost": registrations.events.lost,
        **(waker.counters if waker is not None else {}),
    }
    for metric in RELAY_SIP_REGISTRATION_COUNTERS:
        yield metric.read(counted.get(metric.name.rpartition(".")[2], 0))
