"""Notifications (RFC 5438): those that we owe for messages that came, and those that came for ours.

Theory of operation. What we owe is no message of the ledger. That of a delivery is sent before the row says that it was
handed on, and whoever takes the session over sends it for every row that does not say so: it may come twice, under the
same Message-ID. That of a display is sent after the row says so: a kill in between loses it, since there MUST NOT be
two. What comes is answered once what it says is in the ledger; it is believed only about messages of its session.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog

from wigwag.api.ua.v1 import event_pb2
from wigwag.database.ledger import Change, Ledger, LedgerRow, State, Verdict
from wigwag.database.ledger.states import may_become
from wigwag.errors import WigwagError
from wigwag.protocols.cpim import CPIM_TYPE, CpimAddress, CpimMessage
from wigwag.protocols.imdn import Imdn, NotificationType, Status, notification_for
from wigwag.runtime.ua_messages import OUTBOUND, SERVICE, conversation_of
from wigwag.ua.endpoint.model import OutgoingMessage
from wigwag.ua.ports import Events
from wigwag.ua.sessions.ports import OwnedSession, Sessions

from .checking import takes
from .edits import Edits
from .telling import session_event

_STATES: Final = {
    (NotificationType.DELIVERY, Status.DELIVERED): State.DELIVERED,
    (NotificationType.DELIVERY, Status.FAILED): State.FAILED,
    (NotificationType.DISPLAY, Status.DISPLAYED): State.DISPLAYED,
}
"""What a notification makes of a message; all others say only what happened."""
_REFUSED: Final = 403
"""Status of what failed by a notification: 0 would say that it was never sent."""
_KINDS: Final = {
    NotificationType.PROCESSING: "processing",
    NotificationType.DISPLAY: "display",
}

logger = structlog.get_logger("wigwag.ua")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notification that came."""

    own: OwnedSession
    imdn: Imdn
    accept: Callable[[], None]
    refuse: Callable[[int, str], None]


class Notifications:
    """Sends and takes them.

    Args:
        sessions: Sends.
        ledger: What they are about.
        edits: Writes what they say.
        events: Hears what changes no state.
        wall: Seconds since 1970, by the store's clock.
    """

    def __init__(
        self,
        sessions: Sessions,
        ledger: Ledger,
        edits: Edits,
        events: Events,
        *,
        wall: Callable[[], float],
    ) -> None:
        self.counters = {"sent": 0, "received": 0, "strange": 0}
        self._sessions = sessions
        self._ledger = ledger
        self._edits = edits
        self._events = events
        self._wall = wall

    def owe(
        self, own: OwnedSession, row_id: str, message: CpimMessage | None, kind: NotificationType, status: Status
    ) -> None:
        """Send what the sender of a message asked for; nothing if he did not.

        The Message-ID is the same each time, so that he takes one that comes twice for one.
        """
        if message is None or not takes(own.record.accept_types, CPIM_TYPE):
            return
        message_id = hashlib.blake2s(f"{row_id}\0{kind.value}".encode(), digest_size=12).hexdigest()
        try:
            notification = notification_for(
                message,
                kind,
                status,
                message_id=message_id,
                now=datetime.fromtimestamp(self._wall(), UTC),
                recipient=CpimAddress(own.record.local_uri),
            )
            if notification is not None:
                self._send(own, message_id, notification)
        except WigwagError as error:
            # Its routes can't be read, or the session is over: there is nobody to be told.
            logger.debug("a notification is not sent", session=own.record.id, reason=str(error))

    def _send(self, own: OwnedSession, message_id: str, notification: CpimMessage) -> None:
        self._sessions.send(
            own.record.id,
            OutgoingMessage(
                message_id=message_id,
                content_type=CPIM_TYPE,
                body=bytes(notification),
                success_report=False,
            ),
        )
        self.counters["sent"] += 1

    async def take(self, notices: Sequence[Notice]) -> None:
        """Do what notifications say; the peer is answered once it is durable.

        Raises:
            DatabaseError: The database is away; nothing was done.
        """
        rows = await self._ledger.find_many(notice.imdn.message_id for notice in notices)
        for notice in notices:
            self.counters["received"] += 1
            row = rows.get(notice.imdn.message_id)
            if row is None or not _is_of(row, notice):
                self.counters["strange"] += 1
                notice.accept()
                continue
            self._take(notice, row)

    def _take(self, notice: Notice, row: LedgerRow) -> None:
        imdn = notice.imdn
        wanted = _STATES.get((imdn.kind, imdn.status)) if imdn.status is not None else None
        if wanted is not None and may_become(row.state, wanted):
            self._change(notice, row.id, row.version, wanted)
            return
        self._told(notice, row.state, wanted)

    def _change(self, notice: Notice, row_id: str, version: int, wanted: State) -> None:
        status = _REFUSED if wanted is State.FAILED else None
        change = Change(id=row_id, version=version, state=wanted, status=status, reason=f"notified: {wanted.value}")
        self._edits.put(change, partial(self._changed, notice, wanted))

    def _changed(self, notice: Notice, wanted: State, verdict: Verdict) -> None:
        if verdict.done:
            notice.accept()
        elif verdict.state is not None and may_become(verdict.state, wanted):
            # The report on the message was faster than what we read.
            self._change(notice, verdict.id, verdict.version, wanted)
        else:
            self._told(notice, verdict.state, wanted)

    def _told(self, notice: Notice, state: State | None, wanted: State | None) -> None:
        """Tell what changes no state, unless it says what is known."""
        known = wanted is not None and (state is wanted or (wanted is State.DELIVERED and state is State.DISPLAYED))
        if not known:
            record = notice.own.record
            notification = event_pb2.Notification(
                message_id=notice.imdn.message_id,
                kind=_kind(notice.imdn),
                status=notice.imdn.status.value if notice.imdn.status is not None else "",
            )
            self._events.tell(session_event(record, self._wall(), notification=notification))
        notice.accept()


def _kind(imdn: Imdn) -> str:
    if imdn.kind is NotificationType.DELIVERY:
        return "positive-delivery" if imdn.status is Status.DELIVERED else "negative-delivery"
    return _KINDS[imdn.kind]


def _is_of(row: LedgerRow, notice: Notice) -> bool:
    """Tell whether a message is ours, in the session that the notification came in: others are not his to judge."""
    mine = row.service == SERVICE and row.direction == OUTBOUND
    return mine and row.conversation == conversation_of(notice.own.record.id)
