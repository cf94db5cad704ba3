"""sipvicious, with which intruders look for SIP servers (svmap), their users (svwar) and passwords (svcrack)."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support.edge_under_test import SipEdge, free_sip_port
from tests.support.peers import require_sipvicious

SECONDS = 60.0
"""Longest run."""
NOTHING = "found nothing"
"""What it says when it has found nothing."""


def svmap(edge: SipEdge, directory: Path, method: str = "OPTIONS") -> str:
    """Look for a SIP server at the UDP listener; returns what it printed."""
    return _run("svmap", edge, directory, ["-m", method])


def svwar(edge: SipEdge, directory: Path, names: Sequence[str], method: str = "REGISTER") -> str:
    """Try names, to see which of them are users'; returns what it printed.

    Its own look at the server first, after which it would give up, is passed over (``--force``).
    """
    return _run("svwar", edge, directory, ["--force", "-m", method, "-d", _words(directory, names), *_domain(edge)])


def svcrack(edge: SipEdge, directory: Path, user: str, passwords: Sequence[str]) -> str:
    """Try passwords of a user; returns what it printed."""
    return _run("svcrack", edge, directory, ["-u", user, "-d", _words(directory, passwords), *_domain(edge)])


def _domain(edge: SipEdge) -> list[str]:
    return ["--domain", edge.domain, "--maximumtime", "3"]


def _words(directory: Path, words: Sequence[str]) -> str:
    file = directory / "words"
    file.write_text("\n".join(words))
    return str(file)


def _run(program: str, edge: SipEdge, directory: Path, arguments: Sequence[str]) -> str:
    # Another port of its own for each run: it takes whatever comes for an answer to its own requests.
    ports = ["-p", str(edge.ports["udp"]), "-P", str(free_sip_port()), "-b", edge.host]
    result = subprocess.run(
        [require_sipvicious() / f"sipvicious_{program}", *ports, *arguments, edge.host],
        capture_output=True,
        text=True,
        env={"HOME": str(directory), "PATH": os.environ["PATH"]},
        timeout=SECONDS,
        check=False,
    )
    return result.stdout + result.stderr
