"""Pager mode, pods killed (-9): a 202 ends in exactly one state, an attempt in one result (DESIGN.md section 7)."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.cluster import DOMAIN, HOST, Cluster, Pod, running
from tests.support.ledger import eventually
from tests.support.processes import wait_until
from tests.support.redis_server import RedisServer, running_redis
from tests.support.sip_datagrams import DatagramPeer
from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.api.events.v1.pager_pb2 import PagerOutcome, PagerRequest
from wigwag.bus import Earliest, Record
from wigwag.bus.sqlite import SqliteBus
from wigwag.database import Database
from wigwag.database.ledger import Change, Claim, Ledger, State
from wigwag.runtime.events import MESSAGE_STATES, PAGER_INBOUND, PAGER_OUTBOUND, PAGER_RESULTS, envelope
from wigwag.runtime.ledger_events import LedgerEvents
from wigwag.runtime.ledger_sweeper import LedgerSweeper, SweepTimes

ALICE = f"sip:alice@{DOMAIN}"
DESK = f"sip:desk@{DOMAIN}"
MESSAGES = 40
KILLED_AT = (5, 12, 13, 27, 34)
PATIENCE = 45.0


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
def cluster(redis: RedisServer, tmp_path: Path) -> Cluster:
    listener = {"name": "udp", "kind": "udp", "host": HOST}
    sip = {
        "listeners": [listener],
        "domains": [DOMAIN],
        "trusted_networks": ["127.0.0.0/8"],
        "pager": {"store": True},
    }
    return Cluster(tmp_path, 1, redis_url=redis.url, relay={"sip": sip})


def address(cluster: Cluster) -> tuple[str, int]:
    return HOST, cluster.pods[0].sip_ports["udp"]


def killed(pod: Pod) -> None:
    pod.kill()
    pod.start()


class Left:
    """What a pod has left behind: its ledger and its log."""

    def __init__(self, pod: Pod) -> None:
        self._data = pod.directory / "data"
        self._stack = AsyncExitStack()
        self.ledger: Ledger
        self.bus: SqliteBus

    async def __aenter__(self) -> "Left":
        database = await self._stack.enter_async_context(Database(f"sqlite:///{self._data / 'wigwag.sqlite3'}"))
        self.ledger = await self._stack.enter_async_context(Ledger(database, clock=time.time))
        self.bus = await self._stack.enter_async_context(SqliteBus(self._data / "bus.sqlite3"))
        self.bus.declare(PAGER_INBOUND, PAGER_OUTBOUND, PAGER_RESULTS, MESSAGE_STATES)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def sweep(self) -> None:
        """Publish all that waits to be."""
        times = SweepTimes(interval=0.02)
        sweeper = LedgerSweeper(self.ledger, LedgerEvents(self.bus, "left"), holder="left", times=times)
        task = asyncio.create_task(sweeper.run())

        async def swept() -> bool:
            return not await self.ledger.is_to_be_swept()

        await eventually(swept, PATIENCE)
        task.cancel()

    async def values(self, topic: str) -> "list[Envelope]":
        """Return all of a topic, repeated events once."""
        found: dict[tuple[str, int], Envelope] = {}
        async for record in self.bus.replay(topic, Earliest()):
            value = Envelope.FromString(record.value)
            found.setdefault((value.event_id, value.version), value)
        return list(found.values())


def test_every_message_answered_202_stands_once_and_ends_in_one_state(cluster: Cluster) -> None:
    with running(cluster), DatagramPeer(address(cluster), DESK) as sender:
        (pod,) = cluster.pods
        calls = []
        for number in range(MESSAGES):
            request = sender.request("MESSAGE", ALICE, [("Content-Type", "text/plain")], str(number).encode())

            def meanwhile(number: int = number) -> None:
                # At another moment each time: before the row, between row and answer, after the answer.
                sender.receive(0.002 * KILLED_AT.index(number))
                killed(pod)

            hit = meanwhile if number in KILLED_AT else lambda: None
            assert sender.final(request, seconds=PATIENCE, meanwhile=hit).status == 202
            calls.append(request.call_id)
        pod.kill()
        asyncio.run(_served(pod, calls))


async def _served(pod: Pod, calls: list[str]) -> None:
    """Let a consumer take what was kept, and look at what everybody is told."""
    async with Left(pod) as left:
        await left.sweep()
        handled: set[str] = set()

        async def serve(record: Record) -> None:
            message = Envelope.FromString(record.value).pager_message
            claim = await left.ledger.apply_one(Claim(id=message.message_id, owner="gateway", token=1))
            if claim.done:
                state = State.DELIVERED if int(message.body) % 2 else State.FAILED
                await left.ledger.apply_one(Change(id=message.message_id, version=1, state=state, token=1))
            handled.add(message.call_id)

        async def all_handled() -> bool:
            return handled >= set(calls)

        async with left.bus.consume("gateway", [PAGER_INBOUND.name], serve):
            await eventually(all_handled, PATIENCE)
        await left.sweep()
        kept = [value.pager_message for value in await left.values(PAGER_INBOUND.name)]
        assert sorted(message.call_id for message in kept) == sorted(calls)
        finals: dict[str, list[int]] = defaultdict(list)
        for value in await left.values(MESSAGE_STATES.name):
            change = value.message_state_changed
            if change.version > 1:
                finals[change.ledger_id].append(change.state)
        assert finals.keys() == {message.message_id for message in kept}
        assert all(len(states) == 1 for states in finals.values())


def test_each_attempt_has_one_result_and_is_the_same_message_after_a_kill(cluster: Cluster) -> None:
    with running(cluster), DatagramPeer(address(cluster), ALICE) as device:
        (pod,) = cluster.pods
        device.register()
        pod.kill()
        asyncio.run(_asked_for(pod))
        pod.start()
        branches: dict[str, set[str]] = defaultdict(set)
        answered: list[bytes] = []
        kills = {(3, 0), (5, 1), (6, 0), (8, 1)}
        while len(answered) < 10:
            request = device.incoming(PATIENCE)
            branches[request.call_id].add(f"{request.via.branch} {request.cseq}")
            if request.body in answered:
                device.answer(request)  # It came again after its outcome was lost.
                continue
            for before in (0, 1):
                if (int(request.body), before) in kills:
                    # 0: killed between sending and the answer; 1: between the answer and the result.
                    kills.discard((int(request.body), before))
                    if before:
                        device.answer(request)
                    killed(pod)
                    break
            else:
                device.answer(request)
                answered.append(request.body)
        pod.wait_until_ready()
        wait_until(lambda: _all_ended(pod), seconds=PATIENCE, what="outcome of all attempts")
        pod.kill()
        results = asyncio.run(_results(pod))
    assert all(len(found) == 1 for found in branches.values()), branches
    assert [len(found) for found in results.values()] == [1] * len(results)
    assert all(found == [PagerOutcome.PAGER_OUTCOME_DELIVERED] for found in results.values()), results
    assert len(results) == 10


async def _asked_for(pod: Pod) -> None:
    async with Left(pod) as left:
        for number in range(10):
            request = PagerRequest(
                message_id=f"m-{number}",
                attempt=1,
                from_uri=DESK,
                to_uri=ALICE,
                content_type="text/plain",
                body=str(number).encode(),
            )
            value = envelope(request, event_id=f"m-{number}", at=time.time(), pod="test")
            await left.bus.publish(PAGER_OUTBOUND.name, value, key="conversation")


def _all_ended(pod: Pod) -> bool:
    return all(pod.ask(f"/v1/messages/m-{number}/1")["state"] != "accepted" for number in range(10))


async def _results(pod: Pod) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    async with Left(pod) as left:
        await left.sweep()
        for value in await left.values(PAGER_RESULTS.name):
            found[value.pager_result.message_id].append(value.pager_result.outcome)
    return found
