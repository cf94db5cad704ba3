"""What becomes of bindings when nobody registers: connections lost, expiry, a store that lost them, pods that died."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.sip_edge import DOMAIN, EdgeUnderTest, SipClient
from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.api.events.v1.registration_pb2 import RegistrationChange
from wigwag.bus import Earliest
from wigwag.bus.sqlite import SqliteBus
from wigwag.relay.sip.registrar.upkeep import BATCH
from wigwag.store import Binding, Gap, RegistrationChanged, StoreError
from wigwag.store.memory import MemoryStore

OUTBOUND = {"+sip.instance": '"<urn:x:1>"', "reg_id": "1"}
ALICE = f"sip:alice@{DOMAIN}"


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[SqliteBus]:
    async with SqliteBus(tmp_path / "bus.sqlite3") as opened:
        yield opened


@pytest.fixture
def edge(bus: SqliteBus) -> EdgeUnderTest:
    return EdgeUnderTest(bus=bus)


async def bindings(edge: EdgeUnderTest, aor: str = ALICE) -> list[Binding]:
    found = (await edge.store.find_registrations([aor])).get(aor)
    return list(found.bindings) if found is not None else []


async def turn(edge: EdgeUnderTest) -> bool:
    return await edge.parts.registrations.upkeep.turn()


async def told(edge: EdgeUnderTest, bus: SqliteBus) -> list[tuple[str, str]]:
    """Return what the bus was told: change and contact."""
    await edge.parts.registrations.events.flush()
    records = [Envelope.FromString(record.value) async for record in bus.replay("wigwag.registrations", Earliest())]
    prefix = len("REGISTRATION_CHANGE_")
    return [
        (RegistrationChange.Name(record.registration.change)[prefix:], record.registration.contact)
        for record in records
    ]


async def registered(edge: EdgeUnderTest, kind: str, contact: str = "", **parameters: str) -> SipClient:
    client = SipClient(edge, "alice", kind=kind)
    response = await client.register(600, contact, **parameters)
    assert response.status == 200, response.start_line
    return client


# Connections that are lost


async def test_outbound_binding_goes_with_its_connection(edge: EdgeUnderTest, bus: SqliteBus) -> None:
    client = await registered(edge, "tls", **OUTBOUND)
    client.disconnect()
    assert await turn(edge)
    assert await bindings(edge) == []
    assert await told(edge, bus) == [("REGISTERED", client.contact), ("FLOW_LOST", client.contact)]
    assert len(edge.parts.registrations.own) == 0


@pytest.mark.parametrize("kind", ["tcp", "tls"])
async def test_client_that_can_be_connected_to_stays_bound_by_its_address(edge: EdgeUnderTest, kind: str) -> None:
    client = await registered(edge, kind)
    client.disconnect()
    await turn(edge)
    (binding,) = await bindings(edge)
    assert binding.flow is None
    await turn(edge)
    assert len(edge.parts.registrations.own) == 1


@pytest.mark.parametrize(("kind", "contact"), [("tcp", "sip:alice@10.0.0.7:5060"), ("ws", ""), ("wss", "")])
async def test_client_that_nobody_can_connect_to_goes_with_its_connection(
    edge: EdgeUnderTest, kind: str, contact: str
) -> None:
    client = await registered(edge, kind, contact)
    client.disconnect()
    await turn(edge)
    assert await bindings(edge) == []


async def test_device_that_can_be_woken_stays(edge: EdgeUnderTest) -> None:
    contact = "sip:alice@invalid;pn-provider=fcm;pn-prid=abc"
    client = await registered(edge, "wss", contact, **OUTBOUND)
    client.disconnect()
    await turn(edge)
    (binding,) = await bindings(edge)
    assert (binding.flow, binding.push) == (None, ";pn-provider=fcm;pn-prid=abc")


PATHS = [("198.51.100.7", ["sip:alice@10.0.0.7"]), ("203.0.113.1", [])]


@pytest.mark.parametrize(("host", "left"), PATHS)
@pytest.mark.parametrize("push", ["", ";pn-provider=fcm;pn-prid=abc"])
async def test_path_counts_after_a_loss_only_if_a_neighbour_gave_it(
    edge: EdgeUnderTest, host: str, left: list[str], push: str
) -> None:
    client = SipClient(edge, "alice", kind="tcp", host=host)
    fields = [
        ("Contact", f"<sip:alice@10.0.0.7{push}>"),
        ("Supported", "path"),
        ("Path", "<sip:proxy.elsewhere.example;lr>"),
    ]
    assert (await client.exchange(client.request("REGISTER", f"sip:{DOMAIN}", fields, to=ALICE))).status == 200
    client.disconnect()
    await turn(edge)
    assert [binding.contact.partition(";")[0] for binding in await bindings(edge)] == left


async def test_client_that_came_again_over_another_connection_stays(edge: EdgeUnderTest) -> None:
    first = await registered(edge, "tls", **OUTBOUND)
    second = await registered(edge, "tls", **OUTBOUND)
    assert first.flow is not None
    assert first.flow.bindings == set()
    first.disconnect()
    await turn(edge)
    (binding,) = await bindings(edge)
    assert binding.contact == second.contact


async def test_client_that_came_again_at_another_pod_stays(edge: EdgeUnderTest) -> None:
    first = await registered(edge, "tls", **OUTBOUND)
    other = EdgeUnderTest(store=edge.store, pod="pod-b")
    second = await registered(other, "tls", **OUTBOUND)
    first.disconnect()
    await turn(edge)
    assert [binding.contact for binding in await bindings(edge)] == [second.contact]


async def test_binding_of_a_connection_that_closed_while_the_store_was_asked_goes_too(
    edge: EdgeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = SipClient(edge, "alice", kind="tls")
    register = edge.store.register

    async def slow(*args: Any, **more: Any) -> Any:
        found = await register(*args, **more)
        client.disconnect()
        return found

    monkeypatch.setattr(edge.store, "register", slow)
    contact = f'<{client.contact}>;+sip.instance="<urn:x:1>";reg-id=1'
    request = client.request("REGISTER", f"sip:{DOMAIN}", [("Contact", contact)], to=client.aor)
    client.send(request)
    await edge.settle()
    client.send(client.authenticated(request, client.response()))
    await edge.settle()
    await turn(edge)
    assert await bindings(edge) == []


async def test_many_connections_lost_at_once_are_worked_off_in_turns(edge: EdgeUnderTest) -> None:
    upkeep = edge.parts.registrations.upkeep
    client = await registered(edge, "tls", **OUTBOUND)
    (binding,) = await bindings(edge)
    for number in range(3 * BATCH):
        upkeep.flow_lost(f"sip:{number}@{DOMAIN}", binding)
    client.disconnect()
    assert upkeep.waiting == 3 * BATCH + 1
    await turn(edge)
    assert upkeep.waiting == 2 * BATCH + 1
    while upkeep.waiting:
        await turn(edge)
    assert await bindings(edge) == []


async def test_nothing_is_forgotten_while_the_store_is_away(
    edge: EdgeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await registered(edge, "tls", **OUTBOUND)

    async def away(*args: object, **more: object) -> bool:
        raise StoreError("away")

    with monkeypatch.context() as patched:
        patched.setattr(edge.store, "drop_flow", away)
        client.disconnect()
        assert not await turn(edge)
        assert edge.parts.registrations.upkeep.away == "away"
    assert await turn(edge)
    assert edge.parts.registrations.upkeep.away == ""
    assert await bindings(edge) == []


# Expiry


async def test_expiry_is_told_once_when_nobody_has_refreshed(edge: EdgeUnderTest, bus: SqliteBus) -> None:
    client = await registered(edge, "udp")
    edge.runtime.time += 599
    await turn(edge)
    assert await told(edge, bus) == [("REGISTERED", client.contact)]
    edge.runtime.time += 1
    await turn(edge)
    await turn(edge)
    assert await told(edge, bus) == [("REGISTERED", client.contact), ("EXPIRED", client.contact)]


async def test_refreshed_binding_does_not_expire_at_its_old_time(edge: EdgeUnderTest, bus: SqliteBus) -> None:
    client = await registered(edge, "udp")
    for _ in range(3):
        edge.runtime.time += 500
        assert (await client.register()).status == 200
        await turn(edge)
    assert await told(edge, bus) == [("REGISTERED", client.contact)]
    edge.runtime.time += 600
    await turn(edge)
    assert (await told(edge, bus))[1:] == [("EXPIRED", client.contact)]


async def test_binding_that_another_pod_has_refreshed_does_not_expire_here(edge: EdgeUnderTest, bus: SqliteBus) -> None:
    client = await registered(edge, "udp")
    other = EdgeUnderTest(store=edge.store, pod="pod-b")
    edge.runtime.time += 300
    other.runtime.time += 300
    there = SipClient(other, "alice", host=client.remote[0], port=client.remote[1])
    assert (await there.register()).status == 200
    edge.runtime.time += 300
    await turn(edge)
    assert await told(edge, bus) == [("REGISTERED", client.contact)]
    assert len(edge.parts.registrations.own) == 0


async def test_binding_that_was_removed_elsewhere_does_not_expire_here(edge: EdgeUnderTest, bus: SqliteBus) -> None:
    client = await registered(edge, "udp")
    await edge.store.remove_bindings(ALICE)
    edge.parts.registrations.upkeep.doubt(ALICE)
    await turn(edge)
    await turn(edge)
    assert len(edge.parts.registrations.own) == 0
    edge.runtime.time += 600
    await turn(edge)
    assert await told(edge, bus) == [("REGISTERED", client.contact)]


async def test_removal_by_the_client_is_told_with_what_another_pod_knew(bus: SqliteBus, edge: EdgeUnderTest) -> None:
    first = await registered(edge, "udp")
    other = EdgeUnderTest(store=edge.store, pod="pod-b", bus=bus)
    client = SipClient(other, "alice")
    request = client.request("REGISTER", f"sip:{DOMAIN}", [("Contact", "*"), ("Expires", "0")], to=ALICE)
    assert (await client.exchange(request)).status == 200
    assert await told(other, bus) == [("UNREGISTERED", first.contact)]


async def test_refresh_is_told_when_it_is_wanted(bus: SqliteBus) -> None:
    edge = EdgeUnderTest({"registrar": {"refresh_events": True}}, bus=bus)
    client = await registered(edge, "udp")
    await client.register()
    assert [change for change, _ in await told(edge, bus)] == ["REGISTERED", "REFRESHED"]


# A store that comes back empty


async def test_store_that_lost_everything_gets_it_back(edge: EdgeUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await registered(edge, "udp")
    (before,) = await bindings(edge)
    empty = MemoryStore(clock=edge.runtime.wall)
    for name in ("find_registrations", "put_registrations"):
        monkeypatch.setattr(edge.store, name, getattr(empty, name))
    assert await bindings(edge) == []
    edge.parts.locations.changed(Gap())
    edge.parts.registrations.upkeep.write_again()
    await turn(edge)
    assert await bindings(edge) == [before]
    assert client.contact == before.contact


async def test_notice_from_a_store_that_has_lost_everything_is_no_reason_to_give_up(edge: EdgeUnderTest) -> None:
    await registered(edge, "udp")
    before = await bindings(edge)
    store = edge.store
    assert isinstance(store, MemoryStore)
    store._registrations.clear()
    edge.parts.registrations.upkeep.doubt(ALICE)  # Another pod has written a binding of hers.
    await turn(edge)
    await turn(edge)
    assert await bindings(edge) == before


async def test_what_is_to_be_written_again_while_it_is_written_is_written_twice(
    edge: EdgeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    await registered(edge, "udp")
    upkeep, put = edge.parts.registrations.upkeep, edge.store.put_registrations

    async def lost_meanwhile(asked: Any) -> Any:
        upkeep.write_again()
        return await put(asked)

    with monkeypatch.context() as patched:
        patched.setattr(edge.store, "put_registrations", lost_meanwhile)
        upkeep.write_again()
        await turn(edge)
    assert upkeep.waiting == 1
    await turn(edge)
    assert upkeep.waiting == 0


async def test_what_came_later_elsewhere_is_given_up(edge: EdgeUnderTest) -> None:
    await registered(edge, "tls", **OUTBOUND)
    other = EdgeUnderTest(store=edge.store, pod="pod-b")
    later = await registered(other, "tls", **OUTBOUND)
    edge.parts.registrations.upkeep.write_again()
    await turn(edge)
    assert len(edge.parts.registrations.own) == 0
    assert [binding.contact for binding in await bindings(edge)] == [later.contact]


async def test_user_whose_client_moved_is_reached_at_the_other_pod_after_the_notice(edge: EdgeUnderTest) -> None:
    await registered(edge, "udp")
    other = EdgeUnderTest(store=edge.store, pod="pod-b")
    await registered(other, "udp")
    edge.parts.locations.changed(RegistrationChanged(ALICE, 1 << 60))
    found = edge.parts.locations.find(ALICE)
    assert not hasattr(found, "bindings")
    assert len((await found).bindings) == 2


# Pods that died


async def test_connections_of_a_dead_pod_are_let_go_and_its_datagrams_are_not(edge: EdgeUnderTest) -> None:
    dead = EdgeUnderTest(store=edge.store, pod="pod-dead")
    await registered(dead, "tls", **OUTBOUND)
    by_datagram = await registered(dead, "udp")
    mine = await registered(edge, "tls", "sip:alice@203.0.113.1:7")
    upkeep = edge.parts.registrations.upkeep
    assert await upkeep.clear_after(lambda pod: pod == "pod-dead") == 1
    await turn(edge)
    contacts = {binding.contact for binding in await bindings(edge)}
    assert contacts == {by_datagram.contact, "sip:alice@203.0.113.1:7"}
    assert mine.flow is not None
    assert mine.flow.bindings


def empty(edge: EdgeUnderTest) -> None:
    """Let the store lose everything."""
    assert isinstance(edge.store, MemoryStore)
    edge.store._registrations.clear()


@pytest.mark.parametrize(("kind", "flow_is_kept"), [("udp", True), ("tls", False)])
async def test_what_a_dead_pod_wrote_is_written_again_by_another_when_the_store_has_lost_it(
    edge: EdgeUnderTest, bus: SqliteBus, kind: str, flow_is_kept: bool
) -> None:
    client = await registered(EdgeUnderTest(store=edge.store, pod="pod-dead"), kind)
    (before,) = await bindings(edge)
    upkeep = edge.parts.registrations.upkeep
    await upkeep.clear_after(lambda pod: pod == "pod-dead")
    while upkeep.waiting:
        assert await turn(edge)
    empty(edge)
    upkeep.write_again()
    await turn(edge)
    (after,) = await bindings(edge)
    assert (after.contact, after.writer, after.cseq) == (client.contact, "pod-a", before.cseq)
    assert after.flow == (before.flow if flow_is_kept else None)
    edge.runtime.time += 601
    await turn(edge)
    assert ("EXPIRED", client.contact) in await told(edge, bus)


async def test_datagrams_count_as_written_by_the_pod_that_answered_whoever_received_them(edge: EdgeUnderTest) -> None:
    client = await registered(EdgeUnderTest(store=edge.store, pod="pod-b"), "udp")
    (known,) = await bindings(edge)
    assert known.flow is not None
    passed_on = replace(known, flow=replace(known.flow, pod="pod-c"), updated_at=known.updated_at + 1)
    await edge.store.put_registrations([(ALICE, passed_on)])
    upkeep = edge.parts.registrations.upkeep
    await upkeep.clear_after(lambda pod: pod == "pod-c")
    assert len(edge.parts.registrations.own) == 0
    await upkeep.clear_after(lambda pod: pod == "pod-b")
    assert [binding.contact for _, binding in edge.parts.registrations.own] == [client.contact]


async def test_pod_that_was_only_paused_leaves_to_its_heir_what_that_has_inherited(edge: EdgeUnderTest) -> None:
    paused = EdgeUnderTest(store=edge.store, pod="pod-paused")
    await registered(paused, "udp")
    await edge.parts.registrations.upkeep.clear_after(lambda pod: pod == "pod-paused")
    await turn(edge)
    paused.parts.registrations.upkeep.write_again()
    await turn(paused)
    assert len(paused.parts.registrations.own) == 0
    assert len(edge.parts.registrations.own) == 1
    assert [binding.writer for binding in await bindings(edge)] == ["pod-a"]


async def test_binding_that_was_refreshed_meanwhile_is_not_inherited(edge: EdgeUnderTest) -> None:
    client = await registered(EdgeUnderTest(store=edge.store, pod="pod-dead"), "udp")
    await edge.parts.registrations.upkeep.clear_after(lambda pod: pod == "pod-dead")
    other = EdgeUnderTest(store=edge.store, pod="pod-b")
    edge.runtime.time = other.runtime.time = edge.runtime.time + 1
    await registered(other, "udp", client.contact)
    await turn(edge)
    assert len(edge.parts.registrations.own) == 0
    assert [binding.writer for binding in await bindings(edge)] == ["pod-b"]
