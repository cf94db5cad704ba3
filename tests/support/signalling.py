"""How endpoints in several processes tell each other their paths, in place of SIP: a file that each appends to."""

import os
from pathlib import Path

import msgspec


class Announced(msgspec.Struct, frozen=True):
    """A client's path, as ``a=path`` in SDP says it."""

    client: str
    path: str


class Signalling:
    """The paths of all clients.

    Args:
        directory: Where all processes of a run have their files.
        name: This process.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        file = directory / f"{name}.paths.jsonl"
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._read: dict[Path, int] = {}
        self.paths: dict[str, str] = {}
        """The newest path of each client, as of the last ``poll``."""

    def announce(self, client: str, path: str) -> None:
        """Tell all processes the path of a client of this one."""
        os.write(self._file, msgspec.json.encode(Announced(client, path)) + b"\n")

    def poll(self) -> None:
        """Take note of what was announced since the last time."""
        for file in self._directory.glob("*.paths.jsonl"):
            position = self._read.get(file, 0)
            if file.stat().st_size == position:
                continue
            with file.open("rb") as lines:
                lines.seek(position)
                whole = lines.read().rpartition(b"\n")[0] + b"\n"
            self._read[file] = position + len(whole)
            for line in whole.splitlines():
                announced = msgspec.json.decode(line, type=Announced)
                self.paths[announced.client] = announced.path

    def close(self) -> None:
        """Close this process's file."""
        os.close(self._file)
