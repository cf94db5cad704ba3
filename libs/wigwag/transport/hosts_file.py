"""The system's hosts file, read again when it has changed."""

from pathlib import Path

from wigwag.transport.addresses import parse_address

HOSTS = Path("/etc/hosts")


class HostsFile:
    """Addresses by name.

    Args:
        path: The file; one that cannot be read is empty.
    """

    def __init__(self, path: Path = HOSTS) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._addresses: dict[str, list[str]] = {}

    def addresses(self, host: str) -> list[str]:
        """The numeric addresses of a name, in the file's order; nothing when it is not there."""
        try:
            status = self._path.stat()
            stamp = status.st_mtime_ns, status.st_size
            if stamp != self._stamp:
                self._addresses = _read(self._path.read_text(errors="replace"))
                self._stamp = stamp
        except OSError:
            self._addresses, self._stamp = {}, None
        return self._addresses.get(host.lower(), [])


def _read(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if parse_address(address) is not None:
            for name in names:
                found.setdefault(name.lower(), []).append(address)
    return found
