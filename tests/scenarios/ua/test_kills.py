"""Pods of the user agent are killed under load, and one is paused: no message is lost, doubled, or told twice."""

import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from tests.scenarios.ua.conftest import Agents
from tests.support.load import LONG
from tests.support.node import wigwag
from tests.support.ua_load import RATE, SESSIONS, ua_load
from wigwag.runtime.ua_recording import (
    ChatReceived,
    ChatRepeated,
    MessageTold,
    SessionTold,
    StateTold,
    UaRecord,
    UaRecording,
    read_ua_recording,
)
from wigwag.runtime.ua_verification import verify_ua

KILLS = 20 if LONG else 2
FORGERIES = 120 if LONG else 45


@dataclass(frozen=True, slots=True)
class Run:
    """What is left of the run."""

    files: list[Path]
    counts: dict[str, int]
    errors: list[str]


@pytest.fixture(scope="module")
def run(agents: Agents, tmp_path_factory: pytest.TempPathFactory) -> Run:
    directory = tmp_path_factory.mktemp("load") / "run"
    with ua_load(agents.cluster, directory, database=agents.database, kafka=agents.kafka) as load:
        load.set_up()
        load.kill_again_and_again(KILLS)
        load.go_on(RATE)
        load.pause(agents.cluster.pods[0])
        load.go_on(RATE)
        counts = {**load.finish(), "taken over": load.taken_over}
    # What the messages of users are told as unconfirmed is 408.
    print("\n" + "\n".join(f"{number:8} {name}" for name, number in counts.items()))
    return Run(sorted(directory.glob("*.recording.jsonl")), counts, agents.cluster.errors())


def test_no_promise_is_broken_by_kills_and_a_pause(run: Run) -> None:
    assert run.counts["disturbances"] == KILLS + 1
    assert run.counts["sessions"] == SESSIONS
    assert not run.errors


def drop(records: list[UaRecord], chance: random.Random) -> None:
    del records[chance.choice(told_once(records))]


def told_once(records: list[UaRecord]) -> list[int]:
    """Return the places of all but events that stand on the bus again: one of both says as much as both."""
    said = [msgspec.json.encode(msgspec.structs.replace(record, number=0, time=0.0)) for record in records]
    count = Counter(said)
    return [index for index, text in enumerate(said) if count[text] == 1]


def double(records: list[UaRecord], chance: random.Random) -> None:
    # An event that stands on the bus again is no promise broken.
    places = [
        index for index, record in enumerate(records) if not isinstance(record, StateTold | MessageTold | SessionTold)
    ]
    index = chance.choice(places)
    records.insert(index, records[index])


def exchange(records: list[UaRecord], chance: random.Random) -> None:
    """Let a message be shown, or told, after the next one of its session."""
    places: dict[str, list[int]] = {}
    for index in told_once(records):
        record = records[index]
        if isinstance(record, ChatReceived | MessageTold):
            places.setdefault(record.user if isinstance(record, ChatReceived) else record.session, []).append(index)
    several = sorted(each for each in places.values() if len(each) > 1)
    if not several:
        drop(records, chance)
        return
    found = chance.choice(several)
    which = chance.randrange(len(found) - 1)
    one, other = found[which], found[which + 1]
    records[one], records[other] = records[other], records[one]


def test_each_of_many_forgeries_of_the_run_is_found_out(run: Run, tmp_path: Path) -> None:
    files = [file for file in run.files if "disturbances" not in file.name]
    recordings = [read_ua_recording(file) for file in run.files]
    forgeable = [index for index, file in enumerate(run.files) if file in files]
    chance = random.Random(7)
    for number in range(FORGERIES):
        forge = (drop, double, exchange)[number % 3]
        which = chance.choice(forgeable)
        # That something came again may be left out: whoever does not say so has not been heard.
        records: list[UaRecord] = [
            record for record in recordings[which].records if not isinstance(record, ChatRepeated)
        ]
        forge(records, chance)
        changed = list(recordings)
        changed[which] = renumbered(recordings[which], records)
        assert not verify_ua(changed).kept, f"forgery {number}: {forge.__name__} in {recordings[which].name}"
    bad = wigwag("verify", "ua", "--endpoints", *map(str, write(changed, tmp_path)), environment={})
    assert bad.returncode == 3
    assert bad.stdout.splitlines()[-1].endswith("broken")


def renumbered(recording: UaRecording, records: list[UaRecord]) -> UaRecording:
    numbered = [msgspec.structs.replace(record, number=number) for number, record in enumerate(records, 1)]
    return UaRecording(recording.name, tuple(numbered))


def write(recordings: list[UaRecording], directory: Path) -> list[Path]:
    files = []
    for recording in recordings:
        file = directory / Path(recording.name).name
        file.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in recording.records))
        files.append(file)
    return files
