"""Programs that are not ours and that a test may need."""

import os
import shutil
from pathlib import Path
from typing import Final, NoReturn

import pytest

PEERS: Final = Path(__file__).parents[2] / ".peers"
"""Where ``make peers`` puts what Debian does not package."""


def find_program(name: str, *directories: str) -> Path | None:
    """Return the program's path, looked for in PATH and then in directories, which may be glob patterns."""
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    for pattern in directories:
        for directory in sorted(Path("/").glob(pattern.lstrip("/")), reverse=True):
            if (directory / name).is_file():
                return directory / name
    return None


def require_peer(name: str, *directories: str) -> Path:
    """Return where a peer's program is, or skip the test by its name; with WIGWAG_REQUIRE_PEERS=1 fail instead."""
    found = find_program(name, *directories)
    return found if found is not None else _missing(name)


def _missing(name: str) -> NoReturn:
    reason = f"{name} is not installed: make peers"
    if os.environ.get("WIGWAG_REQUIRE_PEERS") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def require_node_peers() -> tuple[Path, Path]:
    """Return Node and the directory whose ``node_modules`` hold the SIP clients of browsers, or skip the test."""
    return require_peer("node"), _require(PEERS / "node", "node_modules/jssip", "JsSIP, SIP.js and ws")


def require_sipvicious() -> Path:
    """Return the directory of sipvicious's programs, or skip the test."""
    return _require(PEERS / "sipvicious" / "bin", "sipvicious_svmap", "sipvicious")


def require_moto() -> Path:
    """Return the server of S3, or skip the test."""
    return _require(PEERS / "moto" / "bin", "moto_server", "moto") / "moto_server"


def _require(directory: Path, content: str, name: str) -> Path:
    return directory if (directory / content).exists() else _missing(name)
