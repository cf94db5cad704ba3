"""A process that works on a bus until it is killed."""

import json
import os
import signal
import sys
from pathlib import Path

from tests.support.buses import PATIENCE, Adapter
from tests.support.processes import Process
from tests.support.waiting import until
from wigwag.bus import Topic


class Victim:
    """Runs ``bus_process`` and kills it.

    Args:
        adapter: The bus.
        topic: Its topic.
        directory: Of what it writes.
    """

    def __init__(self, adapter: Adapter, topic: Topic, directory: Path) -> None:
        self._adapter = adapter
        self._topic = topic
        self._directory = directory

    async def run(self, what: str, count: int) -> list[dict[str, str]]:
        """Run it until it has written ``count`` more rows, kill it, return all rows of all runs."""
        file = self._directory / what
        arguments: list[str | Path] = [what, self._adapter.kind, self._adapter.location, self._topic.name, file]
        command = [sys.executable, "-m", "tests.support.bus_process", *arguments]
        file.touch()
        wanted = file.read_bytes().count(b"\n") + count
        with Process(command, log=self._directory / "log") as process:
            try:
                await until(lambda: file.read_bytes().count(b"\n") >= wanted, PATIENCE)
            except AssertionError as error:
                raise AssertionError(process.log_tail()) from error
            os.kill(process.pid, signal.SIGKILL)
        # The last line may be cut by the kill.
        file.write_bytes(file.read_bytes().rpartition(b"\n")[0] + b"\n")
        return [json.loads(line) for line in file.read_text().splitlines()]
