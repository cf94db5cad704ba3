"""The bus that the settings ask for: Kafka when its address is given, else a log in the data directory."""

import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

import structlog

from wigwag.bus import Bus, BusError, OnAvailability
from wigwag.errors import ConfigurationError
from wigwag.runtime.instruments import Reading
from wigwag.runtime.names import BUS_COUNTERS, BUS_LAG

from .settings import Settings

logger = structlog.get_logger(__name__)


@asynccontextmanager
async def open_bus(
    settings: Settings, *, worker: int = 1, on_availability: OnAvailability = lambda available, detail: None
) -> AsyncGenerator[Bus, None]:
    """Open the bus until the context ends.

    Args:
        settings: All settings.
        worker: Number of this process among those that share the data directory; each has a log of its own.
        on_availability: Told when the bus is away and when it is there again; the log tells it too.

    Raises:
        ConfigurationError: The data directory's log is another process's, or certificates can't be used.
    """

    def tell(available: bool, detail: str) -> None:
        _log_availability(available, detail)
        on_availability(available, detail)

    bus = _kafka(settings, tell) if settings.kafka.bootstrap_servers else _sqlite(settings, worker, tell)
    try:
        await bus.__aenter__()
    except BusError as error:
        raise ConfigurationError(f"{error} (processes share a bus through kafka.bootstrap_servers)") from error
    try:
        yield bus
    finally:
        await bus.__aexit__(None, None, None)


def bus_readings(bus: Bus) -> Iterable[Reading]:
    """Yield the bus's metrics."""
    for metric in BUS_COUNTERS:
        yield metric.read(getattr(bus.counters, metric.name.rpartition(".")[2]))
    for (group, topic), lag in bus.lag().items():
        yield BUS_LAG.read(lag, group=group, topic=topic)


def _sqlite(settings: Settings, worker: int, on_availability: OnAvailability) -> Bus:
    from wigwag.bus.sqlite import SqliteBus

    return SqliteBus(
        settings.node.data_dir / ("bus.sqlite3" if worker == 1 else f"bus-{worker}.sqlite3"),
        sync=settings.bus.sync,
        publish_timeout=settings.bus.publish_timeout,
        buffer=settings.bus.buffer,
        retention=settings.bus.retention,
        on_availability=on_availability,
    )


def _kafka(settings: Settings, on_availability: OnAvailability) -> Bus:
    from wigwag.bus.kafka import KafkaBus
    from wigwag.bus.kafka_options import KafkaOptions

    # It says at ERROR, several times a second, what the bus says once; what it raises is logged where it arrives.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    options = KafkaOptions(**settings.kafka.model_dump())
    return KafkaBus(
        options,
        publish_timeout=settings.bus.publish_timeout,
        buffer=settings.bus.buffer,
        retention=settings.bus.retention,
        on_availability=on_availability,
    )


def _log_availability(available: bool, detail: str) -> None:
    if available:
        logger.info("bus is there")
    else:
        logger.warning("bus is away", reason=detail)
