"""Pager mode over every bus: records are consumed, each attempt gets one result, what is kept is published once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from tests.contract.test_bus import BUSES, QUICK
from tests.support.buses import PATIENCE, Adapter
from tests.support.kafka_broker import Broker
from tests.support.ledger import eventually
from tests.support.pager import PagerEdge, pager_edge
from tests.support.sip_edge import DOMAIN, SipClient
from tests.support.waiting import until
from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.api.events.v1.pager_pb2 import PagerOutcome, PagerRequest
from wigwag.bus import Bus, Earliest, Record
from wigwag.database.ledger import Change, Claim, State
from wigwag.protocols.sip import Request
from wigwag.relay.sip.pager.outbound import PagerOutbound
from wigwag.relay.sip.pager.sender import PagerSender
from wigwag.runtime.events import MESSAGE_STATES, PAGER_INBOUND, PAGER_OUTBOUND, PAGER_RESULTS, envelope
from wigwag.runtime.ledger_events import LedgerEvents
from wigwag.runtime.ledger_sweeper import LedgerSweeper, SweepTimes

MESSAGES = 40
CONVERSATIONS = 4


@pytest.fixture(params=BUSES)
def adapter(request: pytest.FixtureRequest, tmp_path: Path) -> Adapter:
    if request.param == "sqlite":
        return Adapter("sqlite", str(tmp_path / "bus.sqlite3"), is_shared=False)
    broker: Broker = request.getfixturevalue("kafka")
    return Adapter(broker.kind, broker.bootstrap_servers, is_shared=True)


@pytest.fixture
async def bus(adapter: Adapter) -> AsyncIterator[Bus]:
    topics = (PAGER_INBOUND, PAGER_OUTBOUND, PAGER_RESULTS, MESSAGE_STATES)
    async with adapter.opened(*topics, policy=QUICK) as opened:
        yield opened


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[PagerEdge]:
    async with pager_edge(tmp_path) as opened, AsyncExitStack() as stack:
        stack.callback(lambda: [task.cancel() for task in opened.runtime.tasks])
        yield opened


def sweeping(edge: PagerEdge, bus: Bus) -> "asyncio.Task[None]":
    times = SweepTimes(interval=0.02)
    return asyncio.create_task(LedgerSweeper(edge.ledger, LedgerEvents(bus, "pod"), holder="pod", times=times).run())


async def swept(edge: PagerEdge) -> bool:
    """Tell whether nothing waits to be published."""
    return not await edge.ledger.is_to_be_swept()


async def answering(client: SipClient, seen: list[tuple[str, int]]) -> None:
    """Answer every MESSAGE with 200, and note its conversation and number."""
    while True:
        for message in client.received():
            if isinstance(message, Request):
                conversation, _, number = message.body.decode().partition(" ")
                seen.append((conversation, int(number)))
                client.answer(message)
        await asyncio.sleep(0.002)


async def results(bus: Bus, prefix: str) -> "list[Envelope]":
    """Return all results of messages whose id begins so, from the beginning of the log."""
    found = []
    async for record in bus.replay(PAGER_RESULTS.name, Earliest()):
        value = Envelope.FromString(record.value)
        if value.pager_result.message_id.startswith(prefix):
            found.append(value)
    return found


async def test_each_attempt_is_sent_once_in_order_and_has_one_result(bus: Bus, edge: PagerEdge) -> None:
    run = uuid4().hex[:12]
    bob = await edge.registered("bob")
    seen: list[tuple[str, int]] = []
    consumer = PagerOutbound(PagerSender(edge.edge), edge.ledger, pod="pod-a", wall=edge.runtime.wall)
    for copy in range(2):  # Each record stands twice in the log, as after a lost acknowledgement.
        for number in range(MESSAGES):
            request = PagerRequest(
                message_id=f"{run}-{number}",
                attempt=1,
                from_uri=f"sip:desk@{DOMAIN}",
                to_uri=f"sip:bob@{DOMAIN}",
                content_type="text/plain",
                body=f"{number % CONVERSATIONS} {number}".encode(),
            )
            value = envelope(request, event_id=f"{run}-{number}", at=0.0, pod=f"copy {copy}")
            await bus.publish(PAGER_OUTBOUND.name, value, key=f"{run} {number % CONVERSATIONS}")
    tasks = [sweeping(edge, bus), asyncio.create_task(answering(bob, seen))]
    async with consumer.consuming(bus, in_flight=128):
        await until(lambda: consumer.counters["delivered"] == MESSAGES, PATIENCE)
        await until(lambda: bus.lag().get(("relay-pager", PAGER_OUTBOUND.name)) == 0, PATIENCE)
    await eventually(lambda: swept(edge))
    for task in tasks:
        task.cancel()
    assert Counter(seen) == Counter((str(number % CONVERSATIONS), number) for number in range(MESSAGES))
    for conversation in map(str, range(CONVERSATIONS)):
        numbers = [number for name, number in seen if name == conversation]
        assert numbers == sorted(numbers)
    told = {(value.event_id, value.version): value.pager_result for value in await results(bus, run)}
    assert sorted(result.message_id for result in told.values()) == sorted(f"{run}-{n}" for n in range(MESSAGES))
    assert {result.outcome for result in told.values()} == {PagerOutcome.PAGER_OUTCOME_DELIVERED}


async def test_every_202_ends_in_exactly_one_state_once_a_consumer_answers(bus: Bus, edge: PagerEdge) -> None:
    alice, handled = edge.neighbour(), asyncio.Queue[str]()
    subject = f"conversation of {uuid4().hex}"
    sweep = sweeping(edge, bus)

    async def serve(record: Record) -> None:
        """Deliver every other message, refuse the rest; a record that comes again finds its claim refused."""
        message = Envelope.FromString(record.value).pager_message
        if all(header.value != subject for header in message.headers):
            return
        claim = await edge.ledger.apply_one(Claim(id=message.message_id, owner="gateway", token=1))
        if claim.done:
            state = State.DELIVERED if message.body.endswith(b"0") else State.FAILED
            await edge.ledger.apply_one(Change(id=message.message_id, version=1, state=state, token=1))
        handled.put_nowait(message.message_id)

    accepted = 0
    async with bus.consume(f"gateway-{subject[-12:]}", [PAGER_INBOUND.name], serve):
        for number in range(20):
            request = alice.message("bob", str(number))
            request.set("Subject", subject)
            await edge.sent(alice, request)
            await edge.sent(alice, request)  # It is retransmitted.
            accepted += {response.status for response in alice.received()} == {202}  # type: ignore[union-attr]
        ids = {await asyncio.wait_for(handled.get(), PATIENCE) for _ in range(accepted)}
        await eventually(lambda: swept(edge))
    sweep.cancel()
    assert (accepted, len(ids)) == (20, 20)
    finals: dict[str, set[tuple[int, int]]] = {}
    async for record in bus.replay(MESSAGE_STATES.name, Earliest()):
        change = Envelope.FromString(record.value).message_state_changed
        if change.ledger_id in ids and change.version > 1:
            finals.setdefault(change.ledger_id, set()).add((change.version, change.state))
    assert finals.keys() == ids
    assert all(len(states) == 1 for states in finals.values())
