"""Ports for servers of tests: none that the kernel gives to whoever asks for any, and no two tests have the same.

Theory of operation. A port that ``bind`` to 0 has found is anybody's until the server binds it, and again whenever the
server is restarted: another process's connection, or its own ``bind`` to 0, may get it. So ports are taken from below
those that the kernel hands out, and each is locked in a file for as long as the process that took it lives.
"""

import fcntl
import itertools
import os
import socket
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Final

PORTS: Final = range(10_240, 20_240)
"""Linux hands out 32768 and up (ip_local_port_range). A node of a Redis cluster also takes its port plus 10,000."""
_STRIDE: Final = 617
"""Between the first ports of processes that were started one after the other."""


def take_port(host: str) -> int:
    """Return a port that nothing uses now, neither over TCP nor over UDP, and that no other test is given.

    Args:
        host: Address that it is free on.

    Raises:
        OSError: There is none.
    """
    candidates = _candidates()
    for _ in PORTS:
        port = next(candidates)
        if not _lock(port):
            continue
        if _is_free(host, port):
            return port
        fcntl.lockf(_locks(), fcntl.LOCK_UN, 1, port)
    raise OSError(f"no free port of {host}")


@lru_cache(maxsize=1)
def _candidates() -> Iterator[int]:
    """Return all ports, over and over, so that none is given twice for long."""
    first = os.getpid() * _STRIDE % len(PORTS)
    return itertools.cycle([*PORTS[first:], *PORTS[:first]])


@lru_cache(maxsize=1)
def _locks() -> IO[bytes]:
    """Return the file whose octets are locked, one for each port; it stays open, or the locks would be gone."""
    return (Path(tempfile.gettempdir()) / f"wigwag-test-ports-{os.getuid()}").open("ab")


def _lock(port: int) -> bool:
    try:
        fcntl.lockf(_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(family, kind) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True
