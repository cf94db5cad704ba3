"""Kafka goes and comes back: whatever the ledger accepted meanwhile is published, even when its process was killed."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.kafka_broker import Broker
from tests.support.load import LONG
from tests.support.node import clean_environment
from tests.support.postgresql import running_postgresql
from tests.support.processes import wait_until
from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.bus import Bus, Earliest
from wigwag.bus.kafka import KafkaBus
from wigwag.bus.kafka_options import KafkaOptions
from wigwag.runtime.events import MESSAGE_STATES

ROOT = Path(__file__).resolve().parents[3]
ACCEPTED_MEANWHILE = 1_500 if LONG else 200
"""Versions that are acknowledged while Kafka is away; some 150 in a second."""
PATIENCE = 60.0

Version = tuple[str, int]
"""A message's id and its version."""


@pytest.fixture(params=["postgresql", "sqlite"] if LONG else ["postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
        return
    with running_postgresql() as server:
        yield server.url + server.maintenance


@contextmanager
def publishing(url: str, brokers: str, acknowledged: Path) -> Iterator[None]:
    """Let a process write into the ledger and publish; it is killed at the end (-9)."""
    command: list[str | Path] = [sys.executable, "-m", "tests.support.ledger_publisher", url, brokers, acknowledged]
    process = subprocess.Popen(command, env=clean_environment({}), cwd=ROOT)
    try:
        yield
        assert process.poll() is None, "it ended by itself"
    finally:
        process.kill()
        process.wait()


def versions(acknowledged: Path) -> list[Version]:
    text = acknowledged.read_text() if acknowledged.exists() else ""
    rows = (line.split() for line in text[: text.rfind("\n") + 1].splitlines())
    return [(message_id, int(version)) for message_id, version in rows]


def wait_for(acknowledged: Path, more: int) -> None:
    wanted = len(versions(acknowledged)) + more
    wait_until(lambda: len(versions(acknowledged)) >= wanted, seconds=PATIENCE, what=f"{more} more in the ledger")


async def published(bus: Bus, wanted: set[Version]) -> Counter[Version]:
    """Read the log from its beginning until all that is wanted was there.

    Raises:
        AssertionError: It was not in time.
    """
    found: Counter[Version] = Counter()
    try:
        async with asyncio.timeout(PATIENCE):
            async for record in bus.replay(MESSAGE_STATES.name, Earliest(), follow=True):
                event = Envelope.FromString(record.value).message_state_changed
                found[event.ledger_id, event.version] += 1
                if wanted <= found.keys():
                    break
    except TimeoutError:
        missing = sorted(wanted - found.keys())
        raise AssertionError(f"{len(missing)} of {len(wanted)} were not published: {missing[:10]}") from None
    return found


async def test_what_the_ledger_accepted_while_kafka_was_away_is_published_when_it_is_back(
    database_url: str, kafka: Broker, tmp_path: Path
) -> None:
    acknowledged = tmp_path / "acknowledged"
    with publishing(database_url, kafka.bootstrap_servers, acknowledged):
        wait_for(acknowledged, 100)
        kafka.kill()
        wait_for(acknowledged, ACCEPTED_MEANWHILE)
    # Killed with Kafka away: only the rows know what is to be told.
    known = len(versions(acknowledged))
    with publishing(database_url, kafka.bootstrap_servers, acknowledged):
        wait_for(acknowledged, ACCEPTED_MEANWHILE)
        kafka.start()
        wait_for(acknowledged, 100)
        told = set(versions(acknowledged))
        async with KafkaBus(KafkaOptions(bootstrap_servers=kafka.bootstrap_servers, partitions=4)) as bus:
            bus.declare(MESSAGE_STATES)
            found = await published(bus, told)
    repeated = sum(count > 1 for count in found.values())
    print(f"\n{len(told)} versions acknowledged, {known} before the kill; all published, {repeated} more than once")
