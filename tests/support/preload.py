"""A wrong clock and a full disk for one process, switched while it runs (``preload.c``)."""

import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_suffix(".c")
_LAYOUT = struct.Struct("=qq240s")


class SystemFaults:
    """What goes wrong around the processes that run with ``environment``.

    Args:
        directory: For the library and the switches.
        full_directory: Files below it can't grow while the disk is full.
    """

    def __init__(self, directory: Path, full_directory: Path) -> None:
        self._library = directory / "faults.so"
        self._switches = directory / "faults"
        self._full_directory = full_directory.resolve()
        self._clock_offset = 0
        self._disk_full = False
        self._write()
        compiler = shutil.which("cc") or pytest.skip("no C compiler: make peers")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", self._library, SOURCE, "-ldl"], check=True
        )

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables of a process that is to have faults."""
        return {"LD_PRELOAD": str(self._library), "TEST_FAULTS": str(self._switches)}

    def set_clock(self, offset: int) -> None:
        """Let the wall clock be wrong by so many seconds."""
        self._clock_offset = offset
        self._write()

    def fill_disk(self, *, full: bool = True) -> None:
        """Let the disk be full, or have room again."""
        self._disk_full = full
        self._write()

    def _write(self) -> None:
        directory = str(self._full_directory).encode()
        data = _LAYOUT.pack(self._clock_offset, self._disk_full, directory)
        # The file is mapped by the processes: it has to stay the same one.
        with self._switches.open("r+b" if self._switches.exists() else "xb") as file:
            file.write(data)
