"""The verifier on the recordings of a real run, and on forgeries of them: the command says the truth about both."""

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.support.cluster import running
from tests.support.device_load import EdgePods, device_load
from tests.support.edge_histories import renumbered
from tests.support.node import wigwag
from tests.support.redis_server import RedisServer
from wigwag.runtime.edge_recording import (
    EdgeRecord,
    EdgeRecording,
    RequestReceived,
    RequestRepeated,
    read_edge_recording,
)
from wigwag.runtime.edge_verification import verify_edge

FORGERIES = 150


@pytest.fixture
def one_pod(redis: RedisServer, tmp_path: Path) -> Iterator[EdgePods]:
    pods = EdgePods(tmp_path, redis_url=redis.url, pods=1, pairs=9)
    with running(pods.cluster):
        yield pods


def drop(records: list[EdgeRecord], chance: random.Random) -> None:
    del records[chance.randrange(len(records))]


def double(records: list[EdgeRecord], chance: random.Random) -> None:
    index = chance.randrange(len(records))
    records.insert(index, records[index])


def exchange(records: list[EdgeRecord], chance: random.Random) -> None:
    """Let a request of a device be received after the next one outside of its dialog."""
    received = [
        (index, record)
        for index, record in enumerate(records)
        if isinstance(record, RequestReceived) and record.method == "MESSAGE"
    ]
    device = chance.choice([record.device for _, record in received])
    places = [index for index, record in received if record.device == device]
    one, other = places[which := chance.randrange(len(places) - 1)], places[which + 1]
    records[one], records[other] = records[other], records[one]


def judge(files: list[Path]) -> "subprocess.CompletedProcess[str]":
    return wigwag("verify", "edge", "--endpoints", *map(str, files), environment={})


def test_each_of_many_forgeries_of_a_real_run_is_found_out(one_pod: EdgePods, tmp_path: Path) -> None:
    with device_load(one_pod, tmp_path / "load") as load:
        load.go_on(300)
        load.finish("recordings to be forged")
    files = sorted((tmp_path / "load").glob("*.recording.jsonl"))
    recordings = [read_edge_recording(file) for file in files]
    good = judge(files)
    assert (good.returncode, good.stdout.splitlines()[-1]) == (0, "every promise was kept")
    chance = random.Random(7)
    for number in range(FORGERIES):
        forge = (drop, double, exchange)[number % 3]
        which = chance.choice([index for index, one in enumerate(recordings) if "disturbances" not in one.name])
        changed = list(recordings)
        # That something came again may be left out: whoever does not say so has not been heard.
        records: list[EdgeRecord] = [
            record for record in recordings[which].records if not isinstance(record, RequestRepeated)
        ]
        forge(records, chance)
        changed[which] = renumbered(recordings[which], records)
        assert not verify_edge(changed).kept, f"forgery {number}: {forge.__name__}"
    bad = judge(write(changed, tmp_path))
    assert bad.returncode == 3
    assert bad.stdout.splitlines()[-1].endswith("broken")


def write(recordings: list[EdgeRecording], directory: Path) -> list[Path]:
    files = []
    for recording in recordings:
        file = directory / Path(recording.name).name
        file.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in recording.records))
        files.append(file)
    return files
