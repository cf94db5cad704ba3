"""Changes of status on the bus, as protobuf."""

from wigwag.api.events.v1 import envelope_pb2, status_pb2
from wigwag.bus import Bus, Topic

from .status import StatusChanged

STATUS_CHANGED = Topic("wigwag.status.changed", partitions=1)
"""Little traffic, and order over all pods is worth more than width."""


class BusStatusPublisher:
    """Publishes to ``wigwag.status.changed``; a ``StatusPublisher``.

    Args:
        bus: Open.
        pod: Id of this pod.
    """

    def __init__(self, bus: Bus, pod: str) -> None:
        bus.declare(STATUS_CHANGED)
        self._bus = bus
        self._pod = pod

    async def publish(self, change: StatusChanged) -> None:
        """Publish one change; published again it has the same id.

        Raises:
            BusError: The bus may or may not have taken it.
            OverloadedError: Too much is waiting; the bus has not taken it.
        """
        await self._bus.publish(
            STATUS_CHANGED.name, envelope_of(change, self._pod).SerializeToString(deterministic=True), key=self._pod
        )


def envelope_of(change: StatusChanged, pod: str) -> envelope_pb2.Envelope:
    """Return the event."""
    envelope = envelope_pb2.Envelope(
        event_id=f"{pod}/status/{change.number}",
        type=STATUS_CHANGED.name,
        pod=pod,
        version=change.number,
        status_changed=status_pb2.StatusChanged(
            group=change.group,
            identifier=change.identifier,
            status=change.status,
            details=change.details,
            old_status=change.old_status,
        ),
    )
    envelope.occurred_at.FromMicroseconds(int(change.time * 1_000_000))
    return envelope
