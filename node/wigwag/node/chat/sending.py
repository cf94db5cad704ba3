"""A file on its way to the peer, in a session of its own (RFC 5547)."""

import mimetypes
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from wigwag.errors import NotFoundError, ServiceError
from wigwag.protocols.msrp import BodySource
from wigwag.protocols.sdp import Direction, FileSelector, FileTransfer
from wigwag.ua.endpoint.model import (
    Ended,
    EndpointEvent,
    EndpointSession,
    MediaWish,
    Opened,
    OutgoingMessage,
    Settled,
    Settlement,
)

from .hashes import OFFERED, digests
from .progress import Progress

ANY_TYPE: Final = ("*",)


def selector_of(path: Path) -> FileSelector:
    """Return what describes a file; reads all of it.

    Raises:
        NotFoundError: It can't be read, or is none.
    """
    try:
        if not path.is_file():
            raise NotFoundError(f"{path} is no file")
        hashes = digests(path, OFFERED)
        size = path.stat().st_size
    except OSError as error:
        raise NotFoundError(f"{path} can't be read: {error.strerror}") from error
    media_type, encoding = mimetypes.guess_type(path.name)
    if media_type is None or encoding is not None:
        media_type = "application/octet-stream"
    return FileSelector(path.name, size, media_type, hashes)


def wish_to_send(selector: FileSelector, transfer_id: str, way: str) -> MediaWish:
    """Return the stream that offers a file."""
    transfer = FileTransfer(selector=selector, transfer_id=transfer_id, disposition="attachment")
    return MediaWish(accept_types=ANY_TYPE, way=way, file=transfer, direction=Direction.SENDONLY)


class SentFile:
    """One file.

    Args:
        session: Its session.
        path: Where it is.
        selector: What describes it.
        show: Shows a line of text.
        token: Returns a text that nobody can guess.

    Attributes:
        arrived: Whether the peer has it; None: that is not known yet.
    """

    def __init__(
        self,
        session: EndpointSession,
        path: Path,
        selector: FileSelector,
        show: Callable[[str], None],
        token: Callable[[], str],
    ) -> None:
        self.arrived: bool | None = None
        self._session = session
        self._path = path
        self._selector = selector
        self._show = show
        self._token = token
        self._file: BinaryIO | None = None

    def happened(self, event: EndpointEvent) -> None:
        """Take what happens to the session."""
        match event:
            case Opened():
                self._send()
            case Settled(settlement=settlement, status=status, reason=reason):
                self._settle(settlement, f"{status} {reason}" if status else reason)
                self._session.end()
            case Ended(cause=cause, status=status, reason=reason):
                why = f"{status} {reason}" if status else reason or cause.value
                self._settle(Settlement.FAILED, why)
            case _:
                pass

    def _send(self) -> None:
        message = OutgoingMessage(
            message_id=self._token(),
            content_type=self._selector.media_type or "application/octet-stream",
            body=self._open,
            total=self._selector.size,
        )
        self._session.send(message)

    def _open(self) -> BodySource:
        self._close()
        try:
            self._file = self._path.open("rb")
        except OSError as error:
            raise ServiceError(f"{self._path} can't be read: {error.strerror}") from error
        return _Counted(self._file, Progress(self._path.name, self._selector.size, self._show))

    def _settle(self, settlement: Settlement, reason: str) -> None:
        self._close()
        if self.arrived is not None:
            return
        self.arrived = settlement is Settlement.DELIVERED
        outcome = "delivered ✓" if self.arrived else f"{settlement.value}: {reason}"
        self._show(f"  {self._path.name} {outcome}")

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()


class _Counted:
    """A file whose reading is told."""

    def __init__(self, file: BinaryIO, progress: Progress) -> None:
        self._file = file
        self._progress = progress

    def read(self, octets: int, /) -> bytes:
        data = self._file.read(octets)
        self._progress.moved(len(data))
        return data
