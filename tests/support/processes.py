"""Programs that run beside a test or a benchmark: started, awaited, ended by their own process id."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.ports import take_port

STOP_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""


class ProcessError(Exception):
    """A program did not start, ended early or did not become ready; the text holds the end of its log."""


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port of ``host`` that nothing uses now, and that stays this process's (see ``ports``)."""
    return take_port(host)


def accepts_connections(host: str, port: int) -> bool:
    """Tell whether a TCP connection to ``host``:``port`` is accepted."""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Poll ``condition`` until it holds.

    Raises:
        TimeoutError: It did not hold within ``seconds``; the text names ``what``.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} within {seconds:g} s")
        time.sleep(0.02)


def pin_to(cpu: int | None) -> Callable[[], None] | None:
    """Return what a child process runs to stay on one CPU, or None when it may run anywhere."""
    if cpu is None:
        return None
    return lambda: os.sched_setaffinity(0, {cpu})


class Process:
    """One program in a process group of its own, its output in a log file; a context manager."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        cpu: int | None = None,
    ) -> None:
        self._command = [str(part) for part in command]
        self._environment = {**os.environ, **(environment or {})}
        self._directory = directory
        self._cpu = cpu
        self._running: subprocess.Popen[bytes] | None = None
        self.log = log

    @property
    def pid(self) -> int:
        """Process id of the program itself, not of its children."""
        if self._running is None:
            raise ProcessError(f"{self._command[0]} was not started")
        return self._running.pid

    def __enter__(self) -> Self:
        with self.log.open("wb") as output:
            self._running = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._directory,
                start_new_session=True,
                preexec_fn=pin_to(self._cpu),  # no other thread of ours holds a lock here
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_for_port(self, host: str, port: int, *, seconds: float = 15.0) -> None:
        """Wait until the program listens.

        Raises:
            ProcessError: It ended, or did not listen within ``seconds``.
        """
        try:
            wait_until(
                lambda: self.has_ended() or accepts_connections(host, port), seconds=seconds, what=f"listener on {port}"
            )
        except TimeoutError as error:
            self.stop()
            raise ProcessError(f"{error}\n{self.log_tail()}") from error
        if self.has_ended():
            raise ProcessError(f"{self._command[0]} ended at once\n{self.log_tail()}")

    def stop(self) -> None:
        """Ask the program to end; after ``STOP_GRACE`` seconds end its whole process group."""
        if self._running is None:
            return
        if not self.has_ended():
            self._running.terminate()
            try:
                self._running.wait(STOP_GRACE)
            except subprocess.TimeoutExpired:
                os.killpg(self._running.pid, signal.SIGKILL)
                self._running.wait(STOP_GRACE)

    def log_tail(self, lines: int = 30) -> str:
        """Return the last lines of what the program wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def has_ended(self) -> bool:
        """Tell whether it runs no more, or never did."""
        return self._running is None or self._running.poll() is not None
