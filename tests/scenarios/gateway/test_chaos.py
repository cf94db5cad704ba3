"""Pods of the gateway, of the user agent and of the edge, Redis and the broker are killed and stopped under traffic."""

import asyncio
import os
import random
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from tests.support.gateway_cluster import GatewayCluster
from tests.support.gateway_load import RATE, gateway_load, names
from tests.support.kafka_broker import running_broker
from tests.support.load import LONG
from tests.support.node import wigwag
from tests.support.postgresql import running_postgresql
from tests.support.redis_server import running_redis
from tests.support.ua_cluster import running_agents
from wigwag.runtime.message_recording import (
    MessageRecord,
    MessageRecording,
    NoticeFound,
    PageReceived,
    PageRepeated,
    StateTold,
    TalkReceived,
    TalkRepeated,
    TalkSent,
    read_message_recording,
)
from wigwag.runtime.message_verification import verify_messages

DISTURBANCES = int(os.environ.get("WIGWAG_CHAOS_KILLS", "200" if LONG else "10"))
SEED = int(os.environ.get("WIGWAG_CHAOS_SEED", "0")) or secrets.randbelow(2**31) + 1
FORGERIES = 300 if LONG else 60


@dataclass(frozen=True, slots=True)
class Run:
    """What is left of the run."""

    files: list[Path]
    counts: dict[str, int]
    errors: list[str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    directory = tmp_path_factory.mktemp("chaos")
    print(f"\nWIGWAG_CHAOS_SEED={SEED}")
    with running_redis() as redis, running_broker() as broker, running_postgresql() as postgresql:
        database = asyncio.run(postgresql.new_database())
        users = names("p") + names("c")
        cluster = GatewayCluster(
            directory, users, redis_url=redis.url, kafka=broker.bootstrap_servers, database=database
        )
        chance = random.Random(SEED)
        with (
            running_agents(cluster),
            gateway_load(
                cluster, directory / "run", redis=redis, broker=broker, database=database, chance=chance
            ) as load,
        ):
            load.begin()
            load.go_on(4 * RATE)
            for _ in range(DISTURBANCES):
                load.disturb()
                load.go_on(chance.uniform(0.2, 1.0) * RATE)
            counts = load.finish()
            errors = cluster.errors()
    print("\n".join(f"{number:8} {name}" for name, number in [*counts.items(), *Counter(load.done).items()]))
    return Run(sorted((directory / "run").glob("*.recording.jsonl")), counts, errors)


def test_no_promise_is_broken(run: Run) -> None:
    assert run.counts["disturbances"] == DISTURBANCES
    assert not run.errors


def drop(records: list[MessageRecord], chance: random.Random, sessions: Mapping[str, str]) -> None:
    del records[_one_of(records, chance)]


def double(records: list[MessageRecord], chance: random.Random, sessions: Mapping[str, str]) -> None:
    index = _one_of(records, chance)
    records.insert(index, records[index])


def exchange(records: list[MessageRecord], chance: random.Random, sessions: Mapping[str, str]) -> None:
    """Let a message be shown after the next one, of the same session if it was said in one."""
    places: dict[tuple[str, str], list[int]] = {}
    for index, record in enumerate(records):
        if isinstance(record, TalkReceived) or (isinstance(record, PageReceived) and record.status < 300):
            places.setdefault((record.user, sessions.get(record.key, "")), []).append(index)
    found = [each for each in places.values() if len(each) > 1]
    if not found:
        drop(records, chance, sessions)
        return
    which = chance.choice(found)
    number = chance.randrange(len(which) - 1)
    one, other = which[number], which[number + 1]
    records[one], records[other] = records[other], records[one]


def _one_of(records: list[MessageRecord], chance: random.Random) -> int:
    """Choose a record that counts.

    An event may stand on the bus twice, and tell of what nobody of the run sent; notices are judged by who was told;
    and what was not shown may have failed for any reason.
    """
    return chance.choice([index for index, record in enumerate(records) if _counts(record)])


def _counts(record: MessageRecord) -> bool:
    if isinstance(record, PageReceived):
        return record.status < 300
    return not isinstance(record, StateTold | NoticeFound)


def test_each_of_many_forgeries_of_the_run_is_found_out(run: Run, tmp_path: Path) -> None:
    recordings = [read_message_recording(file) for file in run.files]
    forgeable = [index for index, file in enumerate(run.files) if "disturbances" not in file.name]
    everything = [record for recording in recordings for record in recording.records]
    sessions = {record.key: record.session for record in everything if isinstance(record, TalkSent)}
    chance = random.Random(7)
    for number in range(FORGERIES):
        forge = (drop, double, exchange)[number % 3]
        which = chance.choice(forgeable)
        # That something came again may be left out: whoever does not say so has not been heard.
        records: list[MessageRecord] = [
            record for record in recordings[which].records if not isinstance(record, PageRepeated | TalkRepeated)
        ]
        forge(records, chance, sessions)
        changed = list(recordings)
        changed[which] = _renumbered(recordings[which], records)
        assert not verify_messages(changed).kept, f"forgery {number}: {forge.__name__} in {recordings[which].name}"
    bad = wigwag("verify", "messages", "--endpoints", *map(str, _written(changed, tmp_path)), environment={})
    assert bad.returncode == 3
    assert bad.stdout.splitlines()[-1].endswith("broken")


def _renumbered(recording: MessageRecording, records: Sequence[MessageRecord]) -> MessageRecording:
    numbered = [msgspec.structs.replace(record, number=number) for number, record in enumerate(records, 1)]
    return MessageRecording(recording.name, tuple(numbered))


def _written(recordings: list[MessageRecording], directory: Path) -> list[Path]:
    files = []
    for recording in recordings:
        file = directory / Path(recording.name).name
        file.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in recording.records))
        files.append(file)
    return files
