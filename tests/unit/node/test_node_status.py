"""The node's own groups, and readiness as /readyz tells it."""

from collections.abc import Callable
from pathlib import Path

import httpx

from tests.support.fake_relay import FakeRelayModule
from tests.unit.node.test_modules import settings_in
from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.bus import Earliest
from wigwag.bus.sqlite import SqliteBus
from wigwag.node.application import Node
from wigwag.node.node_status import STORE, NodeStatus
from wigwag.runtime.events import STATUS


def core(status: NodeStatus) -> tuple[int, list[str]]:
    group = status.tree.find("core")
    assert group is not None
    (identifier,) = group
    return identifier.status, [report.text for report in identifier.reports]


def test_the_process_goes_through_opensips_numbers() -> None:
    status = NodeStatus(["relay"], now=lambda: 0.0)
    numbers = [core(status)[0]]
    for step in (status.initialising, status.running, status.terminating):
        step()
        numbers.append(core(status)[0])
    assert numbers == [-100, -1, 1, -2]
    assert core(status)[1] == ["initialising", "running", "shutting down"]


def test_an_adapter_tells_of_its_server() -> None:
    status = NodeStatus(["relay"], now=lambda: 0.0)
    on_availability = status.availability(STORE)
    group = status.tree.find(STORE)
    assert group is not None
    (identifier,) = group
    numbers = [identifier.status]
    for available, detail in ((True, "redis 7"), (False, "timeout"), (False, "timeout"), (True, "")):
        on_availability(available, detail)
        numbers.append(identifier.status)
    assert numbers == [-1, 1, -1, -1, 1]
    assert [report.text for report in identifier.reports] == ["redis 7", "timeout", "available"]


def test_readings_show_readiness_and_each_number() -> None:
    status = NodeStatus(["relay"], public_groups=["ours"], now=lambda: 0.0)
    status.tree.group("relay").identifier(status=1)
    status.running()
    values = {(reading.metric.name, *reading.attributes.values()): reading.value for reading in status.readings()}
    assert values == {
        ("wigwag.node.ready",): 1,
        ("wigwag.node.status", "core", "main"): 1,
        ("wigwag.node.status", "ours", "main"): 1,
        ("wigwag.node.status", "relay", "main"): 1,
    }


async def test_readyz_follows_the_tree(tmp_path: Path) -> None:
    module = FakeRelayModule()
    node = Node(settings_in(tmp_path), ["relay"], constructors={"relay": module.hosted_by})
    steps: list[Callable[[], None]] = [
        lambda: node.status.availability(STORE)(False, "gone"),
        lambda: module.can_serve(False),
        lambda: module.can_serve(True),
        node.status.terminating,
    ]
    codes = []
    async with node, httpx.AsyncClient(base_url=node.admin_url) as client:
        for step in steps:
            step()
            codes.append((await client.get("/readyz")).status_code)
    assert codes == [200, 503, 200, 503]


async def test_a_node_publishes_each_change_of_its_status(tmp_path: Path) -> None:
    node = Node(settings_in(tmp_path), ["relay"], constructors={"relay": FakeRelayModule})
    async with node:
        await node.drain()
    async with SqliteBus(tmp_path / "bus.sqlite3") as bus:
        bus.declare(STATUS)
        events = [Envelope.FromString(record.value) async for record in bus.replay(STATUS.name, Earliest())]
    assert {event.pod for event in events} == {node.pod}
    changes = [(event.status_changed.group, event.status_changed.status) for event in events]
    assert [status for group, status in changes if group == "core"] == [1, -2]
    assert ("relay", 1) in changes


async def test_a_running_node_shows_its_shared_parts_and_answers_mi(tmp_path: Path) -> None:
    node = Node(settings_in(tmp_path), ["relay"], constructors={"relay": FakeRelayModule})
    async with node, httpx.AsyncClient(base_url=node.admin_url) as client:
        (pod,) = (await client.get("/v1/status")).json()["pods"]
        body = {"jsonrpc": "2.0", "id": 1, "method": "sr_get_status", "params": ["core"]}
        answer = (await client.post("/mi", json=body)).json()
    assert pod["pod"] == node.pod
    assert {group["name"] for group in pod["groups"]} >= {"core", "store", "bus", "relay"}
    assert answer["result"] == {"Readiness": True, "Status": 1, "Details": "running"}
