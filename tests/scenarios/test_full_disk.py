"""The disk under ledger or bus is full: nothing counts as accepted that is not there; both go on with room."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.bus_writer import TOPIC, value
from tests.support.node import clean_environment
from tests.support.preload import SystemFaults
from tests.support.processes import wait_until
from wigwag.bus import Earliest
from wigwag.bus.sqlite import SqliteBus
from wigwag.database import Database
from wigwag.database.ledger import Ledger

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0


@contextmanager
def writing(writer: str, file: Path, acknowledged: Path, faults: SystemFaults) -> Iterator[None]:
    """Let a process of ``tests.support`` write; it is killed at the end (-9)."""
    command: list[str | Path] = [sys.executable, "-m", f"tests.support.{writer}", file, acknowledged]
    process = subprocess.Popen(command, env=clean_environment(faults.environment), cwd=ROOT)
    try:
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def outcomes(acknowledged: Path) -> dict[str, str]:
    text = acknowledged.read_text() if acknowledged.exists() else ""
    return dict(line.split() for line in text[: text.rfind("\n") + 1].splitlines())


def wait_for(acknowledged: Path, outcome: str, more: int) -> None:
    before = Counter(outcomes(acknowledged).values())[outcome]
    wait_until(
        lambda: Counter(outcomes(acknowledged).values())[outcome] >= before + more,
        seconds=PATIENCE,
        what=f"{more} more with {outcome}",
    )


def accepted_around_a_full_disk(writer: str, file: Path, refusal: str, directory: Path) -> list[str]:
    """Let a process write while its disk is full and again has room; returns what it was told to be accepted."""
    acknowledged = directory / "acknowledged"
    file.parent.mkdir()
    faults = SystemFaults(directory, file.parent)
    with writing(writer, file, acknowledged, faults):
        wait_for(acknowledged, "accepted", 50)
        faults.fill_disk()
        wait_for(acknowledged, refusal, 5)
        faults.fill_disk(full=False)
        wait_for(acknowledged, "accepted", 50)
    told = outcomes(acknowledged)
    assert set(told.values()) == {"accepted", refusal}
    return [name for name, outcome in told.items() if outcome == "accepted"]


async def test_what_the_ledger_called_accepted_is_there_after_a_full_disk_and_a_kill(tmp_path: Path) -> None:
    file = tmp_path / "disk" / "ledger.sqlite3"
    accepted = accepted_around_a_full_disk("ledger_writer", file, "DatabaseError", tmp_path)
    async with Database(f"sqlite:///{file}") as database, Ledger(database, clock=time.time) as ledger:
        lost = [name for name in accepted if await ledger.find(name) is None]
    assert lost == []


async def test_what_the_bus_called_durable_is_there_after_a_full_disk_and_a_kill(tmp_path: Path) -> None:
    file = tmp_path / "disk" / "bus.sqlite3"
    accepted = accepted_around_a_full_disk("bus_writer", file, "BusError", tmp_path)
    async with SqliteBus(file) as bus:
        bus.declare(TOPIC)
        values = [record.value async for record in bus.replay(TOPIC.name, Earliest())]
    assert accepted == [name for name in accepted if value(name) in values]
    assert len(values) == len(set(values))
