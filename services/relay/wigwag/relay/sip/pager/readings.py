"""The metrics of pager mode, read from its plain integers when somebody asks."""

from collections.abc import Iterable

from wigwag.runtime.names import PAGER_ATTEMPTS, PAGER_COUNTERS
from wigwag.runtime.telemetry import Reading

from .mode import PagerMode
from .outbound import OUTCOMES, PagerOutbound


def pager_readings(mode: PagerMode, outbound: PagerOutbound | None) -> Iterable[Reading]:
    """Yield them.

    Args:
        mode: What is kept.
        outbound: What is sent; None: nothing is.
    """
    for metric in PAGER_COUNTERS:
        yield metric.read(mode.counters[metric.name.rpartition(".")[2]])
    if outbound is not None:
        for outcome in OUTCOMES:
            yield PAGER_ATTEMPTS.read(outbound.counters[outcome], outcome=outcome)
