"""Metrics of the message side."""

from collections.abc import Iterator

from wigwag.runtime.instruments import Reading
from wigwag.runtime.names import (
    UA_EVENTS,
    UA_MESSAGES,
    UA_MESSAGES_IN_FLIGHT,
    UA_MESSAGES_WAITING,
    UA_NOTIFICATIONS,
    UA_QUEUED,
)

from .eventlog import EventLog
from .pipeline import MessagePipeline


def message_readings(pipeline: MessagePipeline, events: EventLog) -> Iterator[Reading]:
    """Yield what a pipeline and its events count."""
    for name, value in pipeline.outbound.counters.items():
        yield UA_MESSAGES.read(value, direction="outbound", outcome=name)
    delivery = pipeline.delivery
    for name, value in {**delivery.counters, **delivery.outcomes.counters}.items():
        yield UA_MESSAGES.read(value, direction="outbound", outcome=name)
    for name in ("received", "repeated", "refused"):
        yield UA_MESSAGES.read(pipeline.inbox.counters[name], direction="inbound", outcome=name)
    for name, value in pipeline.settlements.counters.items():
        yield UA_MESSAGES.read(value, direction="inbound", outcome=name)
    yield UA_MESSAGES_WAITING.read(sum(flow.waiting for flow in delivery.flows()))
    yield UA_MESSAGES_IN_FLIGHT.read(delivery.flying)
    for name, value in pipeline.notifications.counters.items():
        yield UA_NOTIFICATIONS.read(value, kind=name)
    for queue, waiting in (("outcomes", pipeline.edits), ("inbox", pipeline.inbox), ("events", events)):
        yield UA_QUEUED.read(len(waiting), queue=queue)
    for name, value in events.counters.items():
        yield UA_EVENTS.read(value, outcome=name)
