"""The directory that belongs to one node: database, keys, demo data, traces, and a note where the node is reached."""

import json
import os
from pathlib import Path

from wigwag.errors import ConfigurationError


def make_data_directory(path: Path) -> None:
    """Make the data directory, for its owner only.

    Raises:
        ConfigurationError: It can't be made or written.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"node.data_dir: {path} can't be made: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigurationError(f"node.data_dir: {path} can't be written by this user")


class AdminNote:
    """Says where the running node's admin API and gRPC are; removed when the node ends.

    Args:
        data_dir: The data directory.
    """

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "admin.json"

    def write(self, url: str, rpc: str, api: str = "") -> None:
        """Note where this process is reached: the admin API's URL, ``host:port`` of gRPC, the URL for applications."""
        noted = {"url": url, "rpc": rpc, "api": api, "process": os.getpid()}
        self.path.write_text(json.dumps(noted), encoding="utf-8")

    def url(self) -> str | None:
        """Return where the node's admin API is; None when there is no note."""
        return self._noted("url")

    def rpc(self) -> str | None:
        """Return where the node's gRPC is, ``host:port``; None when there is no note."""
        return self._noted("rpc")

    def api(self) -> str | None:
        """Return the URL of the user agent's REST interface; None: there is no note, empty: it is not hosted."""
        return self._noted("api")

    def _noted(self, what: str) -> str | None:
        try:
            return str(json.loads(self.path.read_text(encoding="utf-8"))[what])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remove(self) -> None:
        """Take the note away."""
        self.path.unlink(missing_ok=True)
