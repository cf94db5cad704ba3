"""A change of status on the bus says what changed, where and when, and is the same event however often it is sent."""

from dataclasses import replace
from pathlib import Path

from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.bus import Earliest
from wigwag.bus.sqlite import SqliteBus
from wigwag.runtime.events import STATUS
from wigwag.runtime.status import StatusChanged
from wigwag.runtime.status_publisher import BusStatusPublisher, event_of

CHANGE = StatusChanged(
    time=1_647_526_996.25, group="store", identifier="main", status=-1, details="timeout", old_status=1, number=7
)


async def test_a_change_is_read_from_the_bus(tmp_path: Path) -> None:
    async with SqliteBus(tmp_path / "bus.sqlite3") as bus:
        publisher = BusStatusPublisher(bus, "relay-0.5f1c09ab")
        await publisher.publish(CHANGE)
        await publisher.publish(CHANGE)
        records = [record async for record in bus.replay(STATUS.name, Earliest())]
    first, second = (Envelope.FromString(record.value) for record in records)
    assert first == second
    assert {record.key for record in records} == {"relay-0.5f1c09ab"}
    assert (first.type, first.pod, first.WhichOneof("payload")) == (
        "wigwag.status.changed",
        "relay-0.5f1c09ab",
        "status_changed",
    )
    assert abs(first.occurred_at.ToMicroseconds() - 1_647_526_996_250_000) <= 1
    told = first.status_changed
    assert (told.group, told.identifier, told.status, told.details, told.old_status) == (
        "store",
        "main",
        -1,
        "timeout",
        1,
    )


def test_another_change_and_another_pod_are_other_events() -> None:
    ids = {
        Envelope.FromString(event_of(change, pod)).event_id
        for change in (CHANGE, replace(CHANGE, number=8))
        for pod in ("a.1", "b.2")
    }
    assert len(ids) == 4
