"""Files in sessions of their own (RFC 5547): sent, asked for, answered with, gone on with (``FileSide``).

Theory of operation. A file that is sent is a row of the ledger whose body is a blob, in a session that was started for
it: so whoever goes on with the session sends it again, under the same Message-ID, and its outcome is the row's. A file
that comes is written to a blob as it comes, checked against what was said of it, and then a message of the session.
Where a transfer broke, the receiver's part stays for a day, and another session carries the rest (a=file-range): which
octets it carries is what both sides agreed on in SDP, so it is known to whoever takes the session over.
"""

import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

from wigwag.api.ua.v1 import message_pb2, ua_pb2
from wigwag.database.file_parts import UPLOAD, FilePart
from wigwag.database.ledger import Ledger, LedgerRow, NewMessage, Refusal, State
from wigwag.errors import ConflictError, InvalidRequestError, NotFoundError, WigwagError
from wigwag.protocols.sdp import Direction, FileTransfer
from wigwag.runtime.ua_messages import OUTBOUND, SERVICE, SessionFields, conversation_of, headers_of
from wigwag.ua.config import ApplicationSettings
from wigwag.ua.endpoint.model import MediaWish
from wigwag.ua.sessions.owned import wish_of
from wigwag.ua.sessions.ports import OwnedSession, Sessions
from wigwag.ua.sessions.record import SessionRecord
from wigwag.ua.sessions.starting import Start, file_wish

from .checking import message_id_of
from .delivery import Delivery
from .file_events import NAME, SHA1, SHA256, file_of, file_of_row, transfer_of
from .file_keeping import FileKeeping, Kept, digest_of
from .file_parts import PartKeeper
from .file_telling import ENDS, WORDS, FileTelling

_LONGEST_ADDRESS: Final = 255
_STATES: Final = {word: state for state, word in WORDS.items()}
_ROWS: Final = 10

StartSession = Callable[[Start], Awaitable[SessionRecord]]


class Files:
    """Implements ``FileSide``.

    Args:
        sessions: Those of this pod.
        start: Starts a session for a file.
        ledger: Where files that are sent stand.
        keeping: Takes them from applications.
        parts: Knows what is there of those that did not come whole.
        delivery: Sends them.
        telling: Tells how they stand.
        wall: Seconds since 1970, by the store's clock.
        spawn: Runs work in the background.
    """

    def __init__(
        self,
        sessions: Sessions,
        start: StartSession,
        *,
        ledger: Ledger,
        keeping: FileKeeping,
        parts: PartKeeper,
        delivery: Delivery,
        telling: FileTelling,
        wall: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._sessions = sessions
        self._start = start
        self._ledger = ledger
        self._keeping = keeping
        self._parts = parts
        self._delivery = delivery
        self._telling = telling
        self._wall = wall
        self._spawn = spawn

    # Sending

    async def send(
        self, application: ApplicationSettings, file: ua_pb2.FileDescription, data: AsyncIterator[bytes]
    ) -> message_pb2.File:
        """Keep a file and offer it, or answer with it; returns once it is durable and the session is written down.

        Raises:
            InvalidRequestError: The file is not what was said of it, or too large; names the field.
            NotFoundError: There is no such session or body.
            ConflictError: The session, or what is here of the file, forbids it.
            OverloadedError: There are too many sessions.
            StoreError, DatabaseError: It may or may not be offered: sending again under the same key tells.
        """
        if file.session_id:
            return await self._send_as_answer(application, file, data)
        session_id = _session_id(application.name, file.idempotency_key)
        row_id = message_id_of(session_id, "file")
        known = await self._ledger.find(row_id) if file.idempotency_key else None
        if known is not None:
            return self._known(known, session_id, file)
        start = await self._describe_again(application, file) if file.resume_session_id else 1
        kept = await self._kept(application, file, data, session_id if file.idempotency_key else "")
        await self._accept(application, file, session_id, row_id, kept)
        # All that the receiver has reported is no file to offer.
        return await self._offer(application, file, session_id, row_id, kept, start if start <= kept.blob.size else 1)

    async def _kept(
        self, application: ApplicationSettings, file: ua_pb2.FileDescription, data: AsyncIterator[bytes], upload: str
    ) -> Kept:
        if file.blob_id:
            async for piece in data:
                if piece:
                    raise InvalidRequestError("data: none follows blob_id or resume_session_id")
            return await self._keeping.copy(application, file.blob_id, file.content_type)
        return await self._keeping.keep(application, file, data, upload)

    async def _describe_again(self, application: ApplicationSettings, file: ua_pb2.FileDescription) -> int:
        """Describe a file as an earlier transfer did; returns from which octet on it is to be sent."""
        record = await self._session(application, "resume_session_id", file.resume_session_id)
        row = await self._ledger.find(record.file) if record.file_direction == OUTBOUND else None
        if row is None or row.blob is None:
            raise ConflictError("resume_session_id: no file was sent in that session, or it is kept no more")
        if record.state != "ended":
            raise ConflictError("resume_session_id: the session is not over")
        if row.state in ENDS or record.file_state == "completed":
            raise ConflictError("resume_session_id: the SIP user has the file")
        headers: Mapping[str, str] = dict(row.headers)
        file.name, file.content_type, file.blob_id = headers.get(NAME, ""), row.content_type, row.blob
        file.to_uri, file.from_uri = record.remote_uri, record.local_uri
        for name in record.labels.keys() - file.labels.keys():
            file.labels[name] = record.labels[name]
        return record.file_octets + 1

    async def _send_as_answer(
        self, application: ApplicationSettings, file: ua_pb2.FileDescription, data: AsyncIterator[bytes]
    ) -> message_pb2.File:
        record = await self._session(application, "session_id", file.session_id)
        if record.file_direction != OUTBOUND or record.direction != "inbound":
            raise ConflictError("session_id: no file is asked for in that session")
        known = await self._ledger.find(record.file)
        if known is not None:
            return self._known(known, record.id, file)
        if record.state != "offered":
            raise ConflictError("session_id: no file is asked for any more")
        file.to_uri, file.from_uri = record.remote_uri, record.local_uri
        kept = await self._kept(application, file, data, "")
        await self._accept(application, file, record.id, record.file, kept)
        described = transfer_of(file.name, kept.content_type, kept.blob.size, kept.hashes)
        return file_of(record, described, OUTBOUND, state=message_pb2.FILE_STATE_RUNNING)

    async def _accept(
        self, application: ApplicationSettings, file: ua_pb2.FileDescription, session_id: str, row_id: str, kept: Kept
    ) -> None:
        fields = SessionFields(session_id=session_id, application=application.name, size=kept.blob.size)
        row = NewMessage(
            id=row_id,
            conversation=conversation_of(session_id),
            service=SERVICE,
            direction=OUTBOUND,
            sender=file.from_uri[:_LONGEST_ADDRESS],
            recipient=file.to_uri[:_LONGEST_ADDRESS],
            content_type=kept.content_type,
            headers=(
                *headers_of(fields), (NAME, file.name), (SHA256, kept.blob.sha256), (SHA1, kept.sha1.hex()),
            ),
            blob=kept.blob.id,
            expires=self._wall() + application.message_expires,
        )  # fmt: skip
        verdict = await self._ledger.accept_one(row)
        if verdict.refusal is Refusal.DUPLICATE:
            raise ConflictError("idempotency_key: the same file is being sent at this moment")

    async def _offer(
        self,
        application: ApplicationSettings,
        file: ua_pb2.FileDescription,
        session_id: str,
        row_id: str,
        kept: Kept,
        start: int,
    ) -> message_pb2.File:
        transfer = transfer_of(file.name, kept.content_type, kept.blob.size, kept.hashes, "attachment", start=start)
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
            file_direction=OUTBOUND,
        )
        try:
            record = await self._start(wanted)
        except WigwagError:
            self._spawn(self.give_up(row_id, "the session could not be started"))
            raise
        self._delivery.take([row for row in [await self._ledger.find(row_id)] if row is not None])
        return self._telling.tell(record, file_of(record, transfer, OUTBOUND, state=message_pb2.FILE_STATE_OFFERED))

    async def give_up(self, row_id: str, reason: str) -> None:
        """Give an outcome to a file whose session will not be."""
        row = await self._ledger.find(row_id)
        if row is not None and row.state is State.ACCEPTED:
            self._delivery.outcomes.end_row(row, reason)

    def _known(self, row: LedgerRow, session_id: str, file: ua_pb2.FileDescription) -> message_pb2.File:
        found = file_of_row(row, session_id, state=_state_of(row))
        if (file.size and file.size != found.size) or (file.sha256 and file.sha256.lower() != found.sha256):
            raise ConflictError("idempotency_key: it stands for another file")
        return found

    # Answering who asks for a file

    async def wish_to_answer(self, own: OwnedSession, row_id: str) -> MediaWish:
        """Return what answers a session of this pod, in which a file is asked for, with one that was kept.

        Raises:
            ConflictError: It is not what was asked for, or not there.
        """
        row, asked = await self._ledger.find(row_id), own.transfer
        if row is None or asked is None or row_id != own.record.file:
            raise ConflictError("no file is asked for, or it is kept no more")
        file = file_of_row(row, own.record.id)
        if asked.range is not None and max(asked.range.start, asked.range.stop or 0) > file.size:
            raise ConflictError(f"octets {asked.range} are asked for, and the file has {file.size}")
        hashes = {"sha-1": file.sha1, "sha-256": file.sha256}
        known = [(function, bytes.fromhex(text)) for function, text in hashes.items() if text]
        described = transfer_of(file.name, file.content_type, file.size, known)
        answered = FileTransfer(selector=described.selector, transfer_id=asked.transfer_id, range=asked.range)
        return file_wish(own.application, answered, Direction.SENDONLY)

    # Asking for a file

    async def fetch(self, application: ApplicationSettings, request: ua_pb2.FetchFileRequest) -> message_pb2.File:
        """Ask a SIP user for a file, or for the rest of one; returns once the session is written down.

        Raises:
            InvalidRequestError: A field is malformed; names it.
            NotFoundError: There is no part of a file to go on with.
            OverloadedError, StoreError, DatabaseError: As ``send``.
        """
        transfer = await self._wanted(application, request)
        session_id = secrets.token_hex(16)
        record = await self._start(
            Start(
                application=application,
                session_id=session_id,
                from_uri=request.from_uri,
                to_uri=request.to_uri,
                media=file_wish(application, transfer),
                file=secrets.token_hex(12),
                file_direction="inbound",
                resumes=request.resume_session_id,
            )
        )
        return self._telling.tell(record, file_of(record, transfer, "inbound", state=message_pb2.FILE_STATE_OFFERED))

    async def _wanted(self, application: ApplicationSettings, request: ua_pb2.FetchFileRequest) -> FileTransfer:
        hashes = [
            (function, digest_of(field, text))
            for function, field, text in (("sha-1", "sha1", request.sha1), ("sha-256", "sha256", request.sha256))
            if text
        ]
        if not request.resume_session_id:
            return transfer_of(request.name, request.content_type, request.size, hashes)
        part = await self._part(application, request.resume_session_id)
        request.to_uri = part.peer
        written = await self._parts.written(part)
        # Of a file that is all here the last octet is asked for: its sender says once more that this is it.
        start = min(written, part.size - 1 if part.size else written) + 1
        return transfer_of(part.name, part.content_type, part.size, part.hashes, start=start)

    async def _part(self, application: ApplicationSettings, session_id: str) -> FilePart:
        part = await self._parts.find(session_id)
        if part is None or part.application != application.name:
            raise NotFoundError("resume_session_id: no part of a file is kept of that session")
        if not (part.name or part.content_type or part.size or part.hashes):
            raise ConflictError("resume_session_id: nothing was said of the file that it could be asked for by")
        return part

    # Looking

    async def look(self, application: str, request: ua_pb2.GetFileRequest) -> message_pb2.File:
        """Return how a file stands.

        Args:
            application: Whose it has to be; empty: anybody's.
            request: Which.

        Raises:
            NotFoundError: There is none.
            StoreError, DatabaseError: It can't be looked up.
        """
        session_id = request.session_id or _session_id(application, request.idempotency_key)
        part = await self._parts.find(session_id, UPLOAD) if request.idempotency_key else None
        if part is not None:
            return message_pb2.File(
                session_id=session_id,
                state=message_pb2.FILE_STATE_UPLOADING,
                transferred=await self._parts.written(part),
                direction=message_pb2.MESSAGE_DIRECTION_OUTBOUND,
            )
        record = await self._sessions.find(session_id)
        if not record.file_direction or (application and record.application != application):
            raise NotFoundError(f"there is no file of session {session_id[:64]!r}")
        return await (self._sent(record) if record.file_direction == OUTBOUND else self._come(record))

    async def _sent(self, record: SessionRecord) -> message_pb2.File:
        row = await self._ledger.find(record.file)
        if row is None:
            return self._without_row(record)
        state = _STATES.get(record.file_state) or _state_of(row)
        if state == message_pb2.FILE_STATE_RUNNING and record.state == "starting":
            state = message_pb2.FILE_STATE_OFFERED
        file = file_of_row(row, record.id, state=state)
        file.transferred = file.size if state == message_pb2.FILE_STATE_COMPLETED else record.file_octets
        return file

    async def _come(self, record: SessionRecord) -> message_pb2.File:
        rows = await self._ledger.conversation(conversation_of(record.id), limit=_ROWS)
        for row in rows:
            state = message_pb2.FILE_STATE_COMPLETED
            file = file_of_row(row, record.id, state=state, blob_id=row.blob or "")
            file.transferred = file.size
            return file
        file = self._without_row(record)
        file.transferred = await self._parts.octets(record.id)
        return file

    def _without_row(self, record: SessionRecord) -> message_pb2.File:
        own = self._sessions.owned(record.id)
        state = _STATES.get(record.file_state)
        if state is None:
            asked = record.direction == "inbound" and record.file_direction == OUTBOUND
            offered = message_pb2.FILE_STATE_REQUESTED if asked else message_pb2.FILE_STATE_OFFERED
            failed = message_pb2.FILE_STATE_FAILED if record.opened else message_pb2.FILE_STATE_DECLINED
            if self._sessions.is_between(record.id):
                # How much of it is here is being found out.
                failed = message_pb2.FILE_STATE_RUNNING
            state = {"open": message_pb2.FILE_STATE_RUNNING, "ended": failed}.get(record.state, offered)
        transfer = own.transfer if own is not None else wish_of(record.wish).file if record.wish else None
        return file_of(record, transfer, record.file_direction, state=state)

    async def _session(self, application: ApplicationSettings, field: str, session_id: str) -> SessionRecord:
        """Return a session of an application; another's is as one that does not exist."""
        record = await self._sessions.find(session_id)
        if record.application != application.name:
            raise NotFoundError(f"{field}: there is no session {session_id[:64]!r}")
        return record


def _state_of(row: LedgerRow) -> "message_pb2.FileState":
    if row.state is State.ACCEPTED:
        return message_pb2.FILE_STATE_RUNNING
    return ENDS.get(row.state, message_pb2.FILE_STATE_FAILED)


def _session_id(application: str, key: str) -> str:
    if not key:
        return secrets.token_hex(16)
    return hashlib.blake2s(f"{application}\0file\0{key}".encode(), digest_size=16).hexdigest()
