"""Files in sessions of their own (RFC 5547): sent, fetched, received (``FileSide``).

Theory of operation. A file that is sent is a row of the ledger whose body is a blob, in a session that was started for
it: so whoever goes on with the session sends it again, under the same Message-ID, and its outcome is the row's. A file
that comes is written to a blob as it comes, checked against what was said of it, and then a message of the session.
"""

import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

import structlog

from wigwag.api.ua.v1 import message_pb2, ua_pb2
from wigwag.database.ledger import Ledger, LedgerRow, NewMessage, Refusal, State
from wigwag.errors import ConflictError, InvalidRequestError, WigwagError
from wigwag.protocols.sdp import Direction
from wigwag.runtime.ua_messages import OUTBOUND, SERVICE, SessionFields, conversation_of, headers_of
from wigwag.ua.config import ApplicationSettings
from wigwag.ua.endpoint.model import MediaWish
from wigwag.ua.ports import Events
from wigwag.ua.sessions.ports import OwnedSession, Sessions
from wigwag.ua.sessions.record import SessionRecord
from wigwag.ua.sessions.starting import Start

from .checking import is_content_type, message_id_of
from .delivery import Delivery
from .file_events import ANY_TYPE, NAME, SHA256, file_of, file_of_row, transfer_of
from .flow import Outgoing, Stage
from .inbox import BLOB_SPARE
from .staging import BlobInfo, Blobs
from .telling import session_event

_PROGRESS: Final = 1.0
"""Seconds between two events of progress."""
_LONGEST_ADDRESS: Final = 255
_ENDS: Final = {
    State.DELIVERED: message_pb2.FILE_STATE_COMPLETED,
    State.DISPLAYED: message_pb2.FILE_STATE_COMPLETED,
}

logger = structlog.get_logger("wigwag.ua")

StartSession = Callable[[Start], Awaitable[SessionRecord]]


@dataclass(slots=True)
class _Told:
    at: float
    octets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A file that is to be sent, in the blob store."""

    blob: BlobInfo
    sha1: bytes
    content_type: str


class Files:
    """Implements ``FileSide``.

    Args:
        sessions: Those of this pod.
        start: Starts a session for a file.
        ledger: Where files that are sent stand.
        blobs: Where they are.
        delivery: Sends them.
        events: Hears how they stand.
        largest: Octets of a file.
        wall: Seconds since 1970, by the store's clock.
        spawn: Runs work in the background.
    """

    def __init__(
        self,
        sessions: Sessions,
        start: StartSession,
        *,
        ledger: Ledger,
        blobs: Blobs,
        delivery: Delivery,
        events: Events,
        largest: int,
        wall: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._sessions = sessions
        self._start = start
        self._ledger = ledger
        self._blobs = blobs
        self._delivery = delivery
        self._events = events
        self._largest = largest
        self._wall = wall
        self._spawn = spawn
        self._told: dict[str, _Told] = {}
        delivery.on_outcome = self.settled

    # What the use cases ask

    async def send(
        self, application: ApplicationSettings, file: ua_pb2.FileDescription, data: AsyncIterator[bytes]
    ) -> message_pb2.File:
        """Keep a file and offer it; returns once it is durable and the session is written down.

        Raises:
            InvalidRequestError: The file is not what was said of it, or too large; names the field.
            OverloadedError: There are too many sessions.
            StoreError, DatabaseError: It may or may not be offered: sending again under the same key tells.
        """
        session_id = _session_id(application.name, file.idempotency_key)
        row_id = message_id_of(session_id, "file")
        known = await self._ledger.find(row_id) if file.idempotency_key else None
        if known is not None:
            return self._known(known, session_id, file)
        kept = await self._keep(application, file, data)
        row = self._row(application, file, session_id, row_id, kept)
        verdict = await self._ledger.accept_one(row)
        if verdict.refusal is Refusal.DUPLICATE:
            raise ConflictError("idempotency_key: the same file is being sent at this moment")
        return await self._offer(application, file, session_id, row_id, kept)

    async def fetch(self, application: ApplicationSettings, request: ua_pb2.FetchFileRequest) -> message_pb2.File:
        """Ask a SIP user for a file; returns once the session is written down.

        Raises:
            InvalidRequestError: A field is malformed, or asks for what is not done; names it.
            OverloadedError, StoreError: As ``send``.
        """
        if request.resume_session_id:
            raise InvalidRequestError("resume_session_id: fetch the whole file; parts are not kept")
        hashes = [("sha-256", _digest(request.sha256))] if request.sha256 else []
        transfer = transfer_of(request.name, request.content_type, request.size, hashes)
        wish = MediaWish(
            accept_types=("*",),
            accept_wrapped_types=(),
            streams=True,
            way=application.way,
            file=transfer,
            direction=Direction.RECVONLY,
        )
        session_id = secrets.token_hex(16)
        record = await self._start(
            Start(
                application=application,
                session_id=session_id,
                from_uri=request.from_uri,
                to_uri=request.to_uri,
                media=wish,
                file=secrets.token_hex(12),
            )
        )
        own = self._sessions.owned(session_id)
        if own is not None:
            own.transfer = transfer
        return self._tell(record, file_of(record, transfer, "inbound", state=message_pb2.FILE_STATE_OFFERED))

    # Sending

    async def _keep(
        self, application: ApplicationSettings, file: ua_pb2.FileDescription, data: AsyncIterator[bytes]
    ) -> _Kept:
        content_type = file.content_type or ANY_TYPE
        if not is_content_type(content_type):
            raise InvalidRequestError("content_type: not a media type such as image/png")
        if file.sha256:
            _digest(file.sha256)
        if file.size > self._largest:
            raise InvalidRequestError(f"size: more than {self._largest} octets")
        writer, sha1 = await self._blobs.create(), hashlib.sha1(usedforsecurity=False)
        async for piece in data:
            if writer.size + len(piece) > min(self._largest, file.size or self._largest):
                raise InvalidRequestError(f"size: the file is longer than {file.size or self._largest} octets")
            sha1.update(piece)
            await writer.append(piece)
        if not writer.size or (file.size and writer.size != file.size):
            raise InvalidRequestError(f"size: the file has {writer.size} octets")
        expires = self._wall() + application.message_expires + BLOB_SPARE
        try:
            blob = await writer.commit(expires=expires, sha256=file.sha256)
        except ConflictError as error:
            raise InvalidRequestError(f"sha256: {error}") from error
        return _Kept(blob=blob, sha1=sha1.digest(), content_type=content_type)

    def _row(
        self, application: ApplicationSettings, file: ua_pb2.FileDescription, session_id: str, row_id: str, kept: _Kept
    ) -> NewMessage:
        fields = SessionFields(session_id=session_id, application=application.name, size=kept.blob.size)
        return NewMessage(
            id=row_id,
            conversation=conversation_of(session_id),
            service=SERVICE,
            direction=OUTBOUND,
            sender=file.from_uri[:_LONGEST_ADDRESS],
            recipient=file.to_uri[:_LONGEST_ADDRESS],
            content_type=kept.content_type,
            headers=(*headers_of(fields), (NAME, file.name), (SHA256, kept.blob.sha256)),
            blob=kept.blob.id,
            expires=self._wall() + application.message_expires,
        )

    async def _offer(
        self, application: ApplicationSettings, file: ua_pb2.FileDescription, session_id: str, row_id: str, kept: _Kept
    ) -> message_pb2.File:
        blob = kept.blob
        hashes = [("sha-1", kept.sha1), ("sha-256", bytes.fromhex(blob.sha256))]
        transfer = transfer_of(file.name, kept.content_type, blob.size, hashes, "attachment")
        wish = MediaWish(
            accept_types=(kept.content_type.partition(";")[0].strip().lower(),),
            accept_wrapped_types=(),
            streams=True,
            way=application.way,
            file=transfer,
            direction=Direction.SENDONLY,
        )
        wanted = Start(
            application=application,
            session_id=session_id,
            from_uri=file.from_uri,
            to_uri=file.to_uri,
            labels=dict(file.labels),
            media=wish,
            file=row_id,
        )
        try:
            record = await self._start(wanted)
        except WigwagError:
            self._spawn(self._give_up(row_id))
            raise
        own = self._sessions.owned(session_id)
        if own is not None:
            own.transfer = transfer
        self._delivery.take([row for row in [await self._ledger.find(row_id)] if row is not None])
        return self._tell(record, file_of(record, transfer, "outbound", state=message_pb2.FILE_STATE_OFFERED))

    async def _give_up(self, row_id: str) -> None:
        row = await self._ledger.find(row_id)
        if row is not None:
            self._delivery.end_row(row, "the session could not be started")

    def _known(self, row: LedgerRow, session_id: str, file: ua_pb2.FileDescription) -> message_pb2.File:
        found = file_of_row(row, session_id, state=_ENDS.get(row.state, message_pb2.FILE_STATE_FAILED))
        if (file.size and file.size != found.size) or (file.sha256 and file.sha256.lower() != found.sha256):
            raise ConflictError("idempotency_key: it stands for another file")
        if row.state is State.ACCEPTED:
            found.state = message_pb2.FILE_STATE_RUNNING
        return found

    # How it goes

    def settled(self, own: OwnedSession, message: Outgoing, state: State, reason: str) -> None:
        """Take the outcome of a file that was sent; its session has done its work."""
        record = own.record
        if message.id != record.file:
            return
        self._told.pop(record.id, None)
        declined = record.state != "open"
        failed = message_pb2.FILE_STATE_DECLINED if declined else message_pb2.FILE_STATE_FAILED
        ended = _ENDS.get(state, failed)
        transferred = message.size if state is State.DELIVERED else 0
        file = file_of(
            record, own.transfer, "outbound", state=ended, size=message.size, transferred=transferred, reason=reason
        )
        self._tell(record, file)
        if self._sessions.owned(record.id) is own:
            own.chat.end()

    def tick(self) -> None:
        """Tell the progress of what is being sent; to be called every second or so."""
        for flow in self._delivery.flows():
            record = flow.own.record
            message = flow.known.get(record.file) if record.file else None
            if message is None or message.stage is not Stage.SENT or message.staged is None:
                continue
            self.progress(flow.own, "outbound", message.staged.read, message.size)

    def progress(self, own: OwnedSession, direction: str, octets: int, size: int) -> None:
        """Tell how far a file is, at most once a second."""
        record, now = own.record, self._wall()
        told = self._told.get(record.id)
        if told is not None and (now - told.at < _PROGRESS or told.octets == octets):
            return
        self._told[record.id] = _Told(now, octets)
        running = message_pb2.FILE_STATE_RUNNING
        self._tell(record, file_of(record, own.transfer, direction, state=running, transferred=octets, size=size))

    def told(self, own: OwnedSession, file: message_pb2.File) -> None:
        """Tell how a file of a session ended."""
        self._told.pop(own.record.id, None)
        self._tell(own.record, file)

    def _tell(self, record: SessionRecord, file: message_pb2.File) -> message_pb2.File:
        self._events.tell(session_event(record, self._wall(), file_changed=file))
        return file


def _session_id(application: str, key: str) -> str:
    if not key:
        return secrets.token_hex(16)
    return hashlib.blake2s(f"{application}\0file\0{key}".encode(), digest_size=16).hexdigest()


def _digest(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise InvalidRequestError("sha256: not 64 hexadecimal digits")
    return digest
