"""``wigwag chat`` as a process that is driven over pipes."""

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.support.edge_under_test import free_sip_port
from tests.support.node import WIGWAG, clean_environment
from tests.support.processes import free_port
from wigwag.node.demo_data import ensure_demo_data

PATIENCE = 60.0
"""Seconds until a line has to be there."""


class Stage:
    """A demo node's addresses, the same after each of its starts.

    Args:
        directory: Its data directory.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sip_port, self.relay_port = free_sip_port(), free_port()

    @property
    def environment(self) -> dict[str, str]:
        """Settings of the node."""
        demo = ensure_demo_data(self.directory)
        layer = demo.layer(ports={"tls": self.relay_port}, sip_ports={"udp": self.sip_port, "tcp": self.sip_port})
        return {
            "WIGWAG_NODE__DATA_DIR": str(self.directory),
            "WIGWAG_ADMIN__PORT": "0",
            "WIGWAG_RELAY__LISTENERS": json.dumps(layer["relay"]["listeners"]),
            "WIGWAG_RELAY__SIP__LISTENERS": json.dumps(layer["relay"]["sip"]["listeners"]),
        }

    @property
    def server(self) -> str:
        """Where SIP is."""
        return f"udp:localhost:{self.sip_port}"

    def arguments(self, name: str, *, direct: bool = False) -> list[str]:
        """Return the options of a user's chat."""
        relay = ["--direct"] if direct else ["--relay", f"msrps://localhost:{self.relay_port};tcp"]
        return ["--as", f"sip:{name}@localhost", "--server", self.server, *relay]


class ChatProcess:
    """A chat that is typed to and read from.

    Args:
        process: The process.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._lines: list[str] = []
        self._read = 0
        self._changed = threading.Condition()
        assert process.stdout is not None
        threading.Thread(target=self._pump, args=(process.stdout,), daemon=True).start()

    def type(self, *lines: str) -> None:
        """Type lines."""
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\n" for line in lines))
        self.process.stdin.flush()

    def see(self, text: str) -> str:
        """Wait for a line that holds a text, behind the one that was seen before; return it.

        Raises:
            AssertionError: It does not come.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._find(text) or self.process.poll() is not None, PATIENCE):
                raise AssertionError(f"no {text!r} in {self._lines[self._read :]}")
            self._changed.wait_for(lambda: self._find(text), 5.0)
            if not self._find(text):
                raise AssertionError(f"no {text!r} in {self._lines[self._read :]}")
            while text not in self._lines[self._read]:
                self._read += 1
            self._read += 1
            return self._lines[self._read - 1]

    def leave(self, *, by_end_of_input: bool = False) -> int:
        """Type /quit, or close what is typed; return the exit status."""
        assert self.process.stdin is not None
        if not by_end_of_input:
            self.type("/quit")
        self.process.stdin.close()
        return self.exit_status()

    def exit_status(self) -> int:
        """Wait for the end."""
        return self.process.wait(PATIENCE)

    @property
    def lines(self) -> list[str]:
        """All lines so far."""
        with self._changed:
            return list(self._lines)

    def _find(self, text: str) -> bool:
        return any(text in line for line in self._lines[self._read :])

    def _pump(self, stream: IO[str]) -> None:
        for line in stream:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()


@contextmanager
def chatting(environment: Mapping[str, str], *arguments: str) -> Iterator[ChatProcess]:
    """Run a chat until the block ends; if it still runs then, it is told to leave, and killed if it does not."""
    process = subprocess.Popen(
        [WIGWAG, "chat", *arguments],
        env=clean_environment(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield ChatProcess(process)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                continue
