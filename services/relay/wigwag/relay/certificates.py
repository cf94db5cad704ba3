"""Certificates of listeners, loaded again when their files change."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from wigwag.transport.errors import CertificateError
from wigwag.transport.listener import Listener

from .config import RelaySettings
from .status import RelayStatus

CHECK: Final = 60.0
"""Seconds between two looks at the certificates' files."""

logger = structlog.get_logger("wigwag.relay")


class Certificates:
    """Loads certificates again; connections that stand keep theirs.

    Args:
        settings: Say which files.
        listeners: Returns all that may have certificates.
        status: Told how it went.
    """

    def __init__(
        self, settings: RelaySettings, listeners: Callable[[], Sequence[Listener]], status: RelayStatus
    ) -> None:
        pairs = [pair for msrp in settings.listeners for pair in msrp.certificates]
        pairs += [pair for sip in settings.sip.listeners for pair in sip.certificates]
        self._paths = [path for pair in pairs for path in pair]
        self._listeners = listeners
        self._status = status
        self._stamps = self._read_stamps()

    def look(self) -> None:
        """Load them again if a file has changed."""
        stamps = self._read_stamps()
        if stamps != self._stamps:
            self._stamps = stamps
            self.reload()

    def reload(self) -> dict[str, str]:
        """Load all again; returns, by listener, "reloaded" or why the old ones stay in use."""
        listeners = self._listeners()
        results = {listener.name: _reloaded(listener) for listener in listeners if listener.tls is not None}
        self._status.reloaded(results, listeners)
        return results

    def _read_stamps(self) -> dict[str, float]:
        stamps = {}
        for path in self._paths:
            try:
                stamps[path] = Path(path).stat().st_mtime
            except OSError:
                stamps[path] = 0.0
        return stamps


def _reloaded(listener: Listener) -> str:
    assert listener.tls is not None
    try:
        listener.tls.reload()
    except CertificateError as error:
        logger.warning("certificates stay as they were", listener=listener.name, reason=str(error))
        return str(error)
    logger.info("certificates reloaded", listener=listener.name)
    return "reloaded"
