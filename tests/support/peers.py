"""Programs that are not ours and that a test may need."""

import os
import shutil
from pathlib import Path

import pytest


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
    if found is not None:
        return found
    reason = f"{name} is not installed: make peers"
    if os.environ.get("WIGWAG_REQUIRE_PEERS") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
