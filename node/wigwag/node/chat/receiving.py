"""A file that the peer sends: written beside its place, checked, and then put there (RFC 5547)."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, BinaryIO, Final

from wigwag.protocols.sdp import Direction, FileTransfer
from wigwag.ua.endpoint.model import (
    Ended,
    EndpointEvent,
    EndpointSession,
    MediaWish,
    Received,
    StreamBegan,
    StreamEnded,
    StreamPiece,
)

from .hashes import agree
from .names import reserve, safe_name
from .progress import Progress
from .sending import ANY_TYPE

_NOT_KEPT: Final = 413
"""MSRP has no status for a full disk or a wrong digest; this one stops the sender (RFC 4975 section 10.5)."""

Answer = Callable[[], None]
Refuse = Callable[[int, str], None]


def wish_to_receive(transfer: FileTransfer, way: str) -> MediaWish:
    """Return the stream that takes an offered file, whatever its size."""
    return MediaWish(accept_types=ANY_TYPE, streams=True, way=way, file=transfer, direction=Direction.RECVONLY)


class ReceivedFile:
    """One file.

    Args:
        session: Its session, which was offered.
        transfer: What was said of it.
        directory: Where it goes.
        show: Shows a line of text.
        spawn: Runs something beside.
        token: Returns a text that nobody can guess.

    Attributes:
        arrived: Whether it is here; None: that is not known yet.
    """

    def __init__(
        self,
        session: EndpointSession,
        transfer: FileTransfer,
        directory: Path,
        *,
        show: Callable[[str], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        token: Callable[[], str],
    ) -> None:
        self.arrived: bool | None = None
        self.name = safe_name(transfer.selector.name)
        self._session = session
        self._selector = transfer.selector
        self._directory = directory
        self._show = show
        self._spawn = spawn
        self._part = directory / f".{self.name}.{token()[:8]}.part"
        self._file: BinaryIO | None = None
        self._progress = self._new_progress()
        self._refuse: Refuse = lambda status, comment: None
        self._keeping = False

    def happened(self, event: EndpointEvent) -> None:
        """Take what happens to the session."""
        match event:
            case Received(body=body, accept=accept, refuse=refuse):
                self._begin(refuse)
                self._write(0, body)
                self._complete(len(body), accept)
            case StreamBegan(refuse=refuse):
                self._begin(refuse)
            case StreamPiece(offset=offset, data=data):
                self._write(offset, data)
            case StreamEnded(complete=True, total=total, accept=accept):
                self._complete(total, accept)
            case Ended(cause=cause, reason=reason) if not self._keeping:
                self._fail(reason or cause.value)
            case _:
                pass

    def _new_progress(self) -> Progress:
        return Progress(self.name, self._selector.size, self._show)

    def _begin(self, refuse: Refuse) -> None:
        """Begin, perhaps anew: a connection that was lost brings all of it again."""
        self._refuse, self._progress = refuse, self._new_progress()
        if self.arrived is not None:
            return
        try:
            if self._file is None:
                self._directory.mkdir(parents=True, exist_ok=True)
                self._file = os.fdopen(os.open(self._part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b")
            self._file.truncate(0)
        except OSError as error:
            self._give_up(f"{self._directory} can't be written: {error.strerror}")

    def _write(self, offset: int, data: bytes) -> None:
        if self._file is None or self.arrived is not None:
            return
        size = self._selector.size
        if size is not None and offset + len(data) > size:
            self._give_up(f"more than the {size} octets that were announced")
            return
        try:
            self._file.seek(offset)
            self._file.write(data)
        except OSError as error:
            self._give_up(f"{self._part} can't be written: {error.strerror}")
            return
        self._progress.moved(len(data))

    def _complete(self, total: int, accept: Answer) -> None:
        file = self._file
        if file is not None and self.arrived is None and not self._keeping:
            self._keeping = True
            self._spawn(self._keep(file, total, accept))

    async def _keep(self, file: BinaryIO, total: int, accept: Answer) -> None:
        try:
            path = await asyncio.to_thread(self._checked, file, total)
        except OSError as error:
            self._give_up(error.strerror or str(error))
            return
        if path is None:
            self._give_up("what came is not what was announced: its size or hash differs")
            return
        self.arrived = True
        accept()
        self._show(f"  {self.name} saved as {path}")

    def _checked(self, file: BinaryIO, total: int) -> Path | None:
        """Put the file in its place if it is what was announced."""
        file.truncate(total)
        file.flush()
        os.fsync(file.fileno())
        file.close()
        if self._selector.size not in (None, total) or not agree(self._part, self._selector.hashes):
            return None
        path = reserve(self._directory, self.name)
        self._part.replace(path)
        return path

    def _give_up(self, reason: str) -> None:
        """Stop the sender."""
        self._refuse(_NOT_KEPT, "not kept")
        self._fail(reason)

    def _fail(self, reason: str) -> None:
        if self.arrived is not None:
            return
        self.arrived = False
        if self._file is not None:
            self._file.close()
            self._part.unlink(missing_ok=True)
        self._show(f"  {self.name} is not saved: {reason}")
