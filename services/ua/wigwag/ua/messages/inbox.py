"""Messages of SIP users: kept, told to their application, and only then answered.

Theory of operation. What comes is looked at and gathered; all that has gathered while the ledger was busy is its next
batch, over all sessions. A message is answered with 200, and the success REPORT sent, once its row is committed: the
row's event is its delivery to the application, which the ledger's outbox guarantees. While the database is away the
peer waits for its answer, for as long as he surely does; then he gets 413. RFC 4975 (section 10) has no status for
"later": 408 and 481 would end the session, 400, 403, 415 and 423 blame the message, and 413 asks only that this one be
sent no further, so that the user may try again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

import structlog

from wigwag.database.ledger import MAX_BODY, Change, Ledger, LedgerRow, NewMessage, Refusal, State, Verdict
from wigwag.errors import ConflictError, WigwagError
from wigwag.protocols.cpim import CpimMessage
from wigwag.protocols.imdn import NotificationType, Status
from wigwag.protocols.sip import SipError
from wigwag.runtime.conversations import AddressTooLongError, canonical_address
from wigwag.runtime.tracing import SILENT, Span
from wigwag.runtime.ua_messages import INBOUND, SERVICE, conversation_of, fields_of, headers_of
from wigwag.ua.sessions.ports import OwnedSession, Sessions

from .content import Content, inbound_id, wrapping_of
from .edits import Edits
from .notifications import Notice, Notifications
from .staging import Blobs

TRY_LATER: Final = (413, "Try again later")
"""Status and comment when a message can't be kept now."""
_PATIENCE: Final = 10.0
"""Seconds for which a peer is kept waiting for an answer; he gives up after 30 (RFC 4975 section 7.1.1)."""
_RETRY: Final = 0.25
_MOST_WAITING: Final = 5_000
MOST_OCTETS: Final = 67_108_864
"""Of bodies that wait: a peer need not wait for the answer to one message before it sends the next."""
BLOB_SPARE: Final = 30 * 86_400.0
"""Seconds for which a body stays beyond its message's expiry: longer than rows are kept."""
_LONGEST_ADDRESS: Final = 255
_LONGEST_TYPE: Final = 255

logger = structlog.get_logger("wigwag.ua")


@dataclass(slots=True, eq=False, kw_only=True)
class Arrived:
    """A message that came and has no answer yet."""

    own: OwnedSession
    message_id: str
    """MSRP Message-ID."""
    content: Content
    accept: Callable[[], None]
    refuse: Callable[[int, str], None]
    at: float
    """When, monotonic."""
    blob: str | None = None
    """Where its body is, if it came in pieces."""
    row_id: str = field(default="")
    salt: bytes = b""
    span: Span = SILENT


@dataclass(slots=True, eq=False)
class _Failed:
    """Messages that are to be kept later."""

    messages: list[Arrived] = field(default_factory=list)
    problem: WigwagError | None = None

    def add(self, messages: Sequence[Arrived], problem: WigwagError) -> None:
        self.messages += messages
        self.problem = problem


class Inbox:
    """Keeps what comes.

    Args:
        sessions: Whose it is.
        ledger: Where it goes.
        blobs: Likewise, large bodies.
        edits: Notes that it was handed on.
        notifications: Tells those who asked.
        now: Seconds, monotonic.
        wall: Seconds since 1970, by the store's clock.
    """

    def __init__(
        self,
        sessions: Sessions,
        ledger: Ledger,
        blobs: Blobs,
        edits: Edits,
        notifications: Notifications,
        *,
        now: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.counters = {"received": 0, "repeated": 0, "refused": 0, "failures": 0}
        self.on_repeated: Callable[[OwnedSession, LedgerRow], None] = lambda own, row: None
        """Told of a message that came again after it had an outcome which its sender is told by REPORT."""
        self._sessions = sessions
        self._ledger = ledger
        self._blobs = blobs
        self._edits = edits
        self._notifications = notifications
        self._now = now
        self._wall = wall
        self._arrived: list[Arrived] = []
        self._octets = 0
        """Of their bodies."""
        self._notices: list[Notice] = []
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        """Messages that are to be kept."""
        return len(self._arrived)

    def put(self, arrived: Arrived) -> None:
        """Keep a message, and answer it then."""
        octets = self._octets + len(arrived.content.body)
        if len(self._arrived) >= _MOST_WAITING or (self._arrived and octets > MOST_OCTETS):
            self.refuse(arrived)
            return
        arrived.row_id = inbound_id(arrived.own.record.id, arrived.message_id)
        self._arrived.append(arrived)
        self._octets = octets
        self._filled.set()

    def put_notice(self, notice: Notice) -> None:
        """Do what a notification says, and answer it then."""
        if len(self._notices) >= _MOST_WAITING:
            notice.refuse(*TRY_LATER)
            return
        self._notices.append(notice)
        self._filled.set()

    def refuse(self, arrived: Arrived) -> None:
        """Ask the peer to send a message another time."""
        self.counters["refused"] += 1
        arrived.refuse(*TRY_LATER)
        arrived.span.end(error=TRY_LATER[1])

    async def run(self) -> None:
        """Work off what comes until cancelled."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            arrived, self._arrived, self._octets = self._arrived, [], 0
            notices, self._notices = self._notices, []
            kept = await self._went_well(self._keep(arrived), len(arrived))
            noted = await self._went_well(self._notify(notices), len(notices))
            if not (kept and noted):
                await asyncio.sleep(_RETRY)

    async def _went_well(self, work: Awaitable[None], waiting: int) -> bool:
        try:
            await work
        except WigwagError as error:
            self.counters["failures"] += 1
            logger.info("messages that came are not kept yet", reason=str(error), waiting=waiting)
            return False
        except Exception:
            # If this ended, no session of this pod would get an answer any more.
            self.counters["failures"] += 1
            logger.exception("messages that came are not kept", waiting=waiting)
            return False
        return True

    # Messages

    async def _keep(self, arrived: Sequence[Arrived]) -> None:
        await self._sessions.confirm()
        # What came to a pod that slept was sent again to the next owner, or told its sender as failed.
        failed = _Failed()
        ready = await self._with_bodies([each for each in arrived if not each.own.lost], failed)
        try:
            futures = self._ledger.accept([self._row(each) for each in ready])
        except WigwagError as error:
            failed.add(ready, error)
            ready, futures = [], []
        duplicates = []
        for each, future in zip(ready, futures, strict=True):
            try:
                verdict = await future
            except ConflictError as error:
                logger.error("a message that came can't be kept", session=each.own.record.id, reason=str(error))
                each.refuse(400, "The message can't be kept")
            except WigwagError as error:
                failed.add([each], error)
            else:
                if verdict.refusal is Refusal.DUPLICATE:
                    duplicates.append(each)
                else:
                    self._kept(each, verdict)
        for session_id in {each.own.record.id for each in ready}:
            self._sessions.active(session_id)
        if duplicates:
            await self._repeated(duplicates, failed)
        if failed.problem is not None:
            self._again(failed.messages, failed.problem)

    def _again(self, failed: Sequence[Arrived], problem: WigwagError) -> None:
        now = self._now()
        kept = []
        for each in failed:
            if now - each.at >= _PATIENCE:
                self.refuse(each)
            else:
                kept.append(each)
        self._arrived[:0] = kept
        self._octets += sum(len(each.content.body) for each in kept)
        if kept:
            self._filled.set()
        raise problem

    async def _with_bodies(self, arrived: Sequence[Arrived], failed: "_Failed") -> list[Arrived]:
        """Return those whose bodies are durable, if they are large; none overtakes another one of its session."""
        ready = []
        held: set[str] = set()
        for each in arrived:
            if each.own.record.id in held:
                failed.messages.append(each)
                continue
            try:
                await self._store_body(each)
                ready.append(each)
            except WigwagError as error:
                held.add(each.own.record.id)
                failed.add([each], error)
        return ready

    async def _store_body(self, arrived: Arrived) -> None:
        content = arrived.content
        if len(content.body) <= MAX_BODY or arrived.blob is not None:
            return
        writer = await self._blobs.create()
        await writer.append(content.body)
        arrived.blob = (await writer.commit(expires=self._expires(arrived) + BLOB_SPARE)).id
        fields = replace(content.fields, size=len(content.body))
        arrived.content = Content(
            content_type=content.content_type, body=content.body, fields=fields, message=content.message
        )

    def _row(self, arrived: Arrived) -> NewMessage:
        record, content = arrived.own.record, arrived.content
        return NewMessage(
            id=arrived.row_id,
            conversation=conversation_of(record.id),
            service=SERVICE,
            direction=INBOUND,
            sender=_address(record.remote_uri),
            recipient=_address(record.local_uri),
            content_type=content.content_type[:_LONGEST_TYPE],
            headers=headers_of(content.fields),
            body=content.body if arrived.blob is None else None,
            blob=arrived.blob,
            expires=self._expires(arrived),
        )

    def _expires(self, arrived: Arrived) -> float:
        return self._wall() + arrived.own.application.message_expires

    def _kept(self, arrived: Arrived, verdict: Verdict) -> None:
        self.counters["received"] += 1
        arrived.accept()
        arrived.span.end()
        if arrived.content.fields.msrp_reports is not None:
            # What becomes of it is said by the application.
            return
        # Before the row says that it was handed on: a row that does not has to be looked at by whoever takes over.
        self._delivered(arrived.own, arrived.row_id, verdict.version, arrived.content.message)

    def _delivered(self, own: OwnedSession, row_id: str, version: int, message: CpimMessage | None) -> None:
        self._notifications.owe(own, row_id, message, NotificationType.DELIVERY, Status.DELIVERED)
        self._edits.put(Change(id=row_id, version=version, state=State.DELIVERED, token=own.token))

    def resume(self, own: OwnedSession, rows: Sequence[LedgerRow]) -> None:
        """Do what a pod that was lost had left to do for messages that came to it."""
        for row in rows:
            fields = fields_of(row.headers)
            if row.direction == INBOUND and fields.msrp_reports is None:
                self._delivered(own, row.id, row.version, wrapping_of(row.content_type, fields))

    # Repetitions

    async def _repeated(self, duplicates: Sequence[Arrived], failed: "_Failed") -> None:
        """Answer what came before; a message of another content under a Message-ID that was used is another one."""
        try:
            rows = await self._ledger.find_many(each.row_id for each in duplicates)
        except WigwagError as error:
            failed.add(duplicates, error)
            return
        for each in duplicates:
            try:
                await self._came_again(each, rows.get(each.row_id))
            except WigwagError as error:
                failed.add([each], error)

    async def _came_again(self, each: Arrived, row: LedgerRow | None) -> None:
        if row is not None and not each.salt and await self._differs(each, row):
            each.salt = await self._salt(each)
            each.row_id = inbound_id(each.own.record.id, each.message_id, each.salt)
            self._arrived.append(each)
            self._octets += len(each.content.body)
            self._filled.set()
            return
        self.counters["repeated"] += 1
        each.accept()
        each.span.end()
        if row is None:
            return
        if fields_of(row.headers).msrp_reports is not None:
            self.on_repeated(each.own, row)
        elif row.state is State.ACCEPTED:
            self._delivered(each.own, row.id, row.version, each.content.message)

    async def _differs(self, arrived: Arrived, row: LedgerRow) -> bool:
        if row.blob is None or arrived.blob is None:
            return row.blob is not arrived.blob or row.body != arrived.content.body
        found = await self._blobs.info(row.blob)
        mine = await self._blobs.info(arrived.blob)
        return found.sha256 != mine.sha256

    async def _salt(self, arrived: Arrived) -> bytes:
        if arrived.blob is None:
            return arrived.content.body
        return (await self._blobs.info(arrived.blob)).sha256.encode()

    # Notifications

    async def _notify(self, notices: Sequence[Notice]) -> None:
        if not notices:
            return
        try:
            await self._notifications.take(notices)
        except WigwagError:
            # The peer's own time limit bounds how long they wait; they are few.
            self._notices[:0] = notices
            self._filled.set()
            raise


@lru_cache(maxsize=4_096)
def _address(uri: str) -> str:
    """Return an address as the ledger compares it: canonical, or as it is when it can't be."""
    try:
        return canonical_address(uri)
    except (SipError, AddressTooLongError):
        return uri[:_LONGEST_ADDRESS]
