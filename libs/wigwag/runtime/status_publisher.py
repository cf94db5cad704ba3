"""Changes of status on the bus, as protobuf."""

from wigwag.api.events.v1 import status_pb2
from wigwag.bus import Bus

from .events import STATUS, envelope
from .status import StatusChanged


class BusStatusPublisher:
    """Publishes to ``wigwag.status.changed``; a ``StatusPublisher``.

    Args:
        bus: Open; the topic is declared here.
        pod: Id of this pod.
    """

    def __init__(self, bus: Bus, pod: str) -> None:
        bus.declare(STATUS)
        self._bus = bus
        self._pod = pod

    async def publish(self, change: StatusChanged) -> None:
        """Publish one change; published again it is the same event.

        Raises:
            BusError: The bus may or may not have taken it.
            OverloadedError: Too much is waiting; the bus has not taken it.
        """
        await self._bus.publish(STATUS.name, event_of(change, self._pod), key=self._pod)


def event_of(change: StatusChanged, pod: str) -> bytes:
    """Return the change as it stands on the bus."""
    payload = status_pb2.StatusChanged(
        group=change.group,
        identifier=change.identifier,
        status=change.status,
        details=change.details,
        old_status=change.old_status,
    )
    event_id = f"{pod}/status/{change.number}"
    return envelope(payload, event_id=event_id, at=change.time, pod=pod, version=change.number)
