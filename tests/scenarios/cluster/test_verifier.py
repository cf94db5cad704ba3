"""The verifier on the recordings of a real run, and on forgeries of them: the command says the truth about both."""

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.support.cluster import Cluster
from tests.support.histories import renumbered
from tests.support.load import load
from tests.support.node import wigwag
from wigwag.runtime.recording import Received, Record, Recording
from wigwag.runtime.verification import verify

FORGERIES = 200
Forge = Callable[[list[Record], random.Random], None]


def drop(records: list[Record], chance: random.Random) -> None:
    del records[chance.randrange(len(records))]


def double(records: list[Record], chance: random.Random) -> None:
    index = chance.randrange(len(records))
    records.insert(index, records[index])


def exchange(records: list[Record], chance: random.Random) -> None:
    """Let a message arrive after the next one of its session."""
    received = [index for index, record in enumerate(records) if isinstance(record, Received)]
    session = chance.choice([_session(records[index]) for index in received])
    places = [index for index in received if _session(records[index]) == session]
    which = chance.randrange(len(places) - 1)
    one, other = places[which : which + 2]
    records[one], records[other] = records[other], records[one]


def _session(record: Record) -> tuple[str, str]:
    assert isinstance(record, Received)
    return record.sender, record.receiver


def judge(files: list[Path]) -> "subprocess.CompletedProcess[str]":
    return wigwag("verify", "relay", "--endpoints", *map(str, files), environment={})


def test_each_of_many_forgeries_of_a_real_run_is_found_out(one_pod: Cluster, tmp_path: Path) -> None:
    with load(one_pod, tmp_path / "load", count=5, rate=100, success_reports=True) as running:
        running.go_on(150)
        counts = running.finish("recordings to be forged")
        recordings = running.recordings()
        files = [process.plan.recording for process in running.processes]
    assert counts["delivered"] == counts["sent"]
    good = judge(files)
    assert (good.returncode, good.stdout.splitlines()[-1]) == (0, "every promise was kept")
    chance = random.Random(7)
    for number in range(FORGERIES):
        forge: Forge = (drop, double, exchange)[number % 3]
        assert not verify(forged(recordings, forge, chance)).kept, f"forgery {number}: {forge.__name__}"
    bad = judge(write(forged(recordings, exchange, chance), tmp_path))
    assert bad.returncode == 3
    assert "reordered: " in bad.stdout
    assert bad.stdout.splitlines()[-1] == "1 broken"


def forged(recordings: list[Recording], forge: Forge, chance: random.Random) -> list[Recording]:
    """Change one record so that its number does not betray it; REPORTs are left alone, since any number is allowed."""
    which = chance.randrange(len(recordings))
    records = [record for record in recordings[which].records if record.__struct_config__.tag != "reported"]
    forge(records, chance)
    changed = Recording(recordings[which].name, tuple(renumbered(records)))
    return [changed if index == which else recording for index, recording in enumerate(recordings)]


def write(recordings: list[Recording], directory: Path) -> list[Path]:
    files = []
    for recording in recordings:
        file = directory / Path(recording.name).name
        file.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in recording.records))
        files.append(file)
    return files


def test_the_command_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    file = tmp_path / "endpoint.jsonl"
    file.write_text('{"event":"started","number":1,"time":0}\n{"event":"invented","number":2}\n')
    wrong = judge([file])
    assert wrong.returncode == 1
    assert "endpoint.jsonl, line 2" in wrong.stderr
    absent = judge([tmp_path / "absent"])
    assert (absent.returncode, "can't be read" in absent.stderr) == (1, True)
    file.write_text('{"event":"started","number":1,"time":0}\n')
    killed = wigwag("verify", "relay", "--allow-unfinished", "--json", "--endpoints", str(file), environment={})
    assert json.loads(killed.stdout)["kept"] is True
