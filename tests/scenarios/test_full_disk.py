"""The disk under the ledger is full: nothing counts as accepted that is not there; it goes on when there is room."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.node import clean_environment
from tests.support.preload import SystemFaults
from tests.support.processes import wait_until
from wigwag.database import Database
from wigwag.database.ledger import Ledger

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0


@contextmanager
def writing(file: Path, acknowledged: Path, faults: SystemFaults) -> Iterator[None]:
    """Let a process write into the ledger; it is killed at the end (-9)."""
    command: list[str | Path] = [sys.executable, "-m", "tests.support.ledger_writer", file, acknowledged]
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


async def test_what_the_ledger_called_accepted_is_there_after_a_full_disk_and_a_kill(tmp_path: Path) -> None:
    disk, acknowledged = tmp_path / "disk", tmp_path / "acknowledged"
    disk.mkdir()
    faults = SystemFaults(tmp_path, disk)
    with writing(disk / "ledger.sqlite3", acknowledged, faults):
        wait_for(acknowledged, "accepted", 50)
        faults.fill_disk()
        wait_for(acknowledged, "DatabaseError", 5)
        faults.fill_disk(full=False)
        wait_for(acknowledged, "accepted", 50)
    told = outcomes(acknowledged)
    assert set(told.values()) == {"accepted", "DatabaseError"}
    async with (
        Database(f"sqlite:///{disk / 'ledger.sqlite3'}") as database,
        Ledger(database, clock=time.time) as ledger,
    ):
        lost = [name for name, outcome in told.items() if outcome == "accepted" and await ledger.find(name) is None]
    assert lost == []
