"""Faults of the operating system are what they claim to be: for one process, and while it runs."""

import errno
import subprocess
import sys
from pathlib import Path

from tests.support.node import clean_environment
from tests.support.preload import SystemFaults

PROGRAM = """
import os, sqlite3, sys, time
file = os.open(sys.argv[1] + "/file", os.O_WRONLY | os.O_CREAT)
base = sqlite3.connect(sys.argv[1] + "/base")
base.execute("CREATE TABLE t (x)")
while line := sys.stdin.readline():
    try:
        os.write(file, b"x")
        written = 0
    except OSError as error:
        written = error.errno
    try:
        with base:
            base.execute("INSERT INTO t VALUES (1)")
        stored = "stored"
    except sqlite3.OperationalError as error:
        stored = str(error)
    print(time.time() - time.monotonic(), written, stored, sep=";", flush=True)
"""


def test_the_clock_and_the_disk_go_wrong_and_recover(tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    faults = SystemFaults(tmp_path, full)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, full],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean_environment(faults.environment),
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None

        def state() -> tuple[float, int, str]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            epoch, written, stored = process.stdout.readline().strip().split(";")
            return float(epoch), int(written), stored

        right = state()
        assert right[1:] == (0, "stored")
        faults.set_clock(-3600)
        faults.fill_disk()
        wrong = state()
        assert abs(wrong[0] + 3600 - right[0]) < 1
        assert wrong[1:] == (errno.ENOSPC, "database or disk is full")
        faults.set_clock(0)
        faults.fill_disk(full=False)
        again = state()
        assert abs(again[0] - right[0]) < 1
        assert again[1:] == (0, "stored")
        process.stdin.close()
