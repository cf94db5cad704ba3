"""Endpoint processes of a scenario: started, told what to do, and judged by their recordings."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from tests.support.device_plan import DevicesPlan
from tests.support.endpoint_plan import Plan
from tests.support.endpoints import LAST_OUTCOME, Status
from tests.support.node import WIGWAG, clean_environment
from tests.support.processes import wait_until
from tests.support.ua_plan import UaPlan
from wigwag.runtime.evidence import Kind
from wigwag.runtime.recording import Closed, ConnectionName, Finished, Lost, Opened, Recording, read_recording
from wigwag.runtime.verification import verify

END_SECONDS = 20.0
SETTLE_INTERVAL = 0.25
"""Seconds between two looks at whether every outcome is known."""
_BROKEN = 3
_NOT_YET = {Kind.LOST, Kind.UNANSWERED}
"""What may still turn out well while outcomes are on their way."""


class EndpointProcess:
    """``python -m tests.support.endpoints`` with one plan; a context manager that kills what still runs.

    Args:
        plan: Its plan.
        module: What runs in its place.
        status: What that prints.
    """

    def __init__(
        self,
        plan: Plan | DevicesPlan | UaPlan,
        *,
        module: str = "tests.support.endpoints",
        status: type[Status] = Status,
    ) -> None:
        self.plan = plan
        file = Path(plan.directory, f"{plan.name}.plan.json")
        file.write_bytes(msgspec.json.encode(plan))
        self.log = Path(plan.directory, f"{plan.name}.log")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, file],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=clean_environment({}),
                cwd=Path(__file__).resolve().parents[2],
            )
        self._decoder = msgspec.json.Decoder(status)
        self._status: Status = status(clients=len(plan.clients), ready=0, sending=False, sent=0, unanswered=0)
        self._moves = 0
        self.killed = False
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._status = self._decoder.decode(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        self._reading.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    @property
    def status(self) -> Status:
        """What it said last.

        Raises:
            AssertionError: It has ended with an error; the text holds its log.
        """
        if not self.killed and self.process.poll():
            tail = "\n".join(self.log.read_text().splitlines()[-30:])
            raise AssertionError(f"{self.plan.name} ended with {self.process.returncode}:\n{tail}")
        return self._status

    def wait_until_ready(self, seconds: float = 30.0) -> None:
        """Wait until every client is connected where it was told to be, and knows its peer."""
        wait_until(self._is_ready, seconds=seconds, what=f"{self.plan.name} ready")

    def _is_ready(self) -> bool:
        status = self.status
        return status.moves >= self._moves and status.ready == status.clients

    def tell(self, command: str) -> None:
        """Give a command: ``stop``, ``finish``, ``move N``, ``move N half-open``, ``move N gently``."""
        assert self.process.stdin is not None
        self._moves += command.startswith("move")
        self.process.stdin.write(f"{command}\n".encode())
        self.process.stdin.flush()

    def kill(self) -> None:
        """End it without a warning: its recording stays unfinished."""
        self.killed = True
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def finish(self) -> None:
        """Let it close its connections and end.

        Raises:
            AssertionError: It saw what no relay may write.
        """
        self.tell("finish")
        self.process.wait(END_SECONDS)
        assert self.status.clients, "unreachable: status raises when the exit status is not 0"


def settle(endpoints: Sequence[EndpointProcess], *, all_of_it: bool = False) -> None:
    """Let all processes stop sending, wait for the outcomes, and let them finish.

    Args:
        endpoints: All processes of the run; those that were killed are left alone.
        all_of_it: Whether to wait even when nothing is open any more, to see what comes too much.
    """
    living = [process for process in endpoints if process.process.poll() is None]
    for process in living:
        process.tell("stop")
    deadline = time.monotonic() + LAST_OUTCOME
    while time.monotonic() < deadline and (all_of_it or not _is_settled(endpoints, living)):
        time.sleep(SETTLE_INTERVAL)
    for process in living:
        process.finish()


def _is_settled(endpoints: Sequence[EndpointProcess], living: Sequence[EndpointProcess]) -> bool:
    if any(process.status.sending or process.status.unanswered for process in living):
        return False
    recordings = [read_recording(process.plan.recording) for process in endpoints]
    seen = [
        _as_if_finished(one) if process in living else one for process, one in zip(endpoints, recordings, strict=True)
    ]
    return not any(found.kind in _NOT_YET for found in verify(seen, allow_unfinished=True).violations)


def _as_if_finished(recording: Recording) -> Recording:
    """Return the recording as it would be if its endpoint ended now."""
    records, standing = list(recording.records), dict[str, None]()
    for record in records:
        if isinstance(record, Opened):
            standing[record.connection] = None
        elif isinstance(record, Lost):
            standing.pop(record.connection, None)
    for connection in standing:
        records.append(Closed(number=len(records) + 1, time=0, connection=ConnectionName(connection)))
    return Recording(recording.name, (*records, Finished(number=len(records) + 1, time=0)))


def verified(endpoints: Sequence[EndpointProcess]) -> dict[str, int]:
    """Run ``wigwag verify relay`` as an operator does; returns its counts. A process may have been killed.

    Raises:
        AssertionError: A promise was broken; the text is what the command printed.
    """
    files = [str(process.plan.recording) for process in endpoints]
    options = ["--allow-unfinished"] if any(process.killed for process in endpoints) else []
    ended = subprocess.run(
        [WIGWAG, "verify", "relay", "--json", *options, "--endpoints", *files],
        capture_output=True, text=True, timeout=120, check=False, env=clean_environment({}),
    )  # fmt: skip
    assert ended.returncode in (0, _BROKEN), ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    violations = "\n".join(
        "\n    ".join([f"{one['kind']}: {one['text']}", *one["evidence"]]) for one in found["violations"][:20]
    )
    assert ended.returncode == 0, f"{len(found['violations'])} broken promises, {found['counts']}\n{violations}"
    counts: dict[str, int] = found["counts"]
    return counts
