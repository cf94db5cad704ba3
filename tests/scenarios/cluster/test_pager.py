"""Pager mode on several pods with Kafka: a pod is killed (-9) while it sends, another sends the same MESSAGE."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.cluster import DOMAIN, HOST, Cluster, Pod, running
from tests.support.kafka_broker import Broker
from tests.support.postgresql import running_postgresql
from tests.support.redis_server import RedisServer
from tests.support.sip_datagrams import DatagramPeer
from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.api.events.v1.pager_pb2 import PagerOutcome, PagerRequest
from wigwag.bus import Earliest
from wigwag.bus.kafka import KafkaBus
from wigwag.bus.kafka_options import KafkaOptions
from wigwag.runtime.events import PAGER_OUTBOUND, PAGER_RESULTS, envelope

pytestmark = [pytest.mark.peer("kafka"), pytest.mark.peer("postgresql")]

PODS = 2
MESSAGES = 24
CONVERSATIONS = 6
PATIENCE = 60.0
ALICE = f"sip:alice@{DOMAIN}"


@pytest.fixture
def pods(redis: RedisServer, kafka: Broker, tmp_path: Path) -> Iterator[Cluster]:
    """Two pods that are one edge."""
    listener = {"name": "udp", "kind": "udp", "host": HOST, "advertised_host": "edge.test", "advertised_port": 5060}
    sip = {"listeners": [listener], "domains": [DOMAIN], "trusted_networks": ["127.0.0.0/8"]}
    with running_postgresql() as server:
        url = server.url + server.maintenance
        brokers = kafka.bootstrap_servers
        sections = {"database": {"url": url}}
        cluster = Cluster(tmp_path, PODS, redis_url=redis.url, kafka=brokers, sections=sections, relay={"sip": sip})
        with running(cluster):
            yield cluster


def address(pod: Pod) -> tuple[str, int]:
    return HOST, pod.sip_ports["udp"]


@asynccontextmanager
async def opened(kafka: Broker) -> AsyncIterator[KafkaBus]:
    async with KafkaBus(KafkaOptions(bootstrap_servers=kafka.bootstrap_servers)) as bus:
        bus.declare(PAGER_OUTBOUND, PAGER_RESULTS)
        yield bus


async def ask(kafka: Broker) -> None:
    """Publish what is to be sent."""
    async with opened(kafka) as bus:
        for number in range(MESSAGES):
            request = PagerRequest(
                message_id=f"m-{number}",
                attempt=1,
                from_uri=f"sip:desk@{DOMAIN}",
                to_uri=ALICE,
                content_type="text/plain",
                body=str(number).encode(),
            )
            value = envelope(request, event_id=f"m-{number}", at=time.time(), pod="test")
            await bus.publish(PAGER_OUTBOUND.name, value, key=f"conversation {number % CONVERSATIONS}")


async def told(kafka: Broker) -> dict[str, list[int]]:
    """Return the results by message, repeated events once, as soon as each has one."""
    found: dict[tuple[str, int], Envelope] = {}
    async with opened(kafka) as bus, asyncio.timeout(PATIENCE):
        async for record in bus.replay(PAGER_RESULTS.name, Earliest(), follow=True):
            value = Envelope.FromString(record.value)
            found.setdefault((value.event_id, value.version), value)
            if len({value.pager_result.message_id for value in found.values()}) == MESSAGES:
                break
    results: dict[str, list[int]] = defaultdict(list)
    for value in found.values():
        results[value.pager_result.message_id].append(value.pager_result.outcome)
    return results


def claimant(pods: Cluster, row: str) -> Pod:
    """Return the pod that sends an attempt; the datagram itself may leave from the pod where the device registered."""
    owner = str(pods.pods[0].ask(f"/v1/messages/{row}")["owner"])
    return next(pod for pod in pods.pods if owner.startswith(f"{pod.name}."))


def ledger(pods: Cluster) -> list[str]:
    """Return what the ledger holds of the attempts, as the first pod that lives tells it."""
    names = ("id", "state", "attempt", "owner", "status", "reason", "created", "updated")
    for pod in pods.pods:
        try:
            pages = [pod.ask(f"/v1/messages?conversation=conversation {number}") for number in range(CONVERSATIONS)]
        except httpx.HTTPError:
            continue
        return [" ".join(f"{name}={row[name]}" for name in names) for page in pages for row in page["messages"]]
    return ["nobody tells"]


@contextmanager
def explained(pods: Cluster) -> Iterator[None]:
    """Have the ledger told with what goes wrong in the block."""
    try:
        yield
    except AssertionError as error:
        error.add_note("\n".join(["the ledger:", *ledger(pods)]))
        raise


def test_message_of_a_killed_pod_is_sent_again_as_the_same_message_by_another(pods: Cluster, kafka: Broker) -> None:
    with explained(pods), DatagramPeer(address(pods.pods[0]), ALICE) as device:
        device.register()
        asyncio.run(ask(kafka))
        identities: dict[bytes, set[str]] = defaultdict(set)
        victim, killed = "", pods.pods[0]
        answered: set[bytes] = set()
        while len(answered) < MESSAGES:
            request = device.incoming(PATIENCE)
            identities[request.body].add(f"{request.call_id} {request.cseq} {request.from_.tag} {request.via.branch}")
            if not victim and len(answered) == MESSAGES // 3:
                victim = f"m-{request.body.decode()}/1"
                killed = claimant(pods, victim)
                killed.kill()
                continue
            device.answer(request)
            answered.add(request.body)
        results = asyncio.run(told(kafka))
        (survivor,) = (pod for pod in pods.pods if pod is not killed)
        row = survivor.ask(f"/v1/messages/{victim}")
    assert row["attempt"] >= 2
    assert row["owner"].startswith(f"{survivor.name}.")
    assert all(len(found) == 1 for found in identities.values()), identities
    assert results == {f"m-{number}": [PagerOutcome.PAGER_OUTCOME_DELIVERED] for number in range(MESSAGES)}
