"""What applications say became of messages that came: into the ledger first, then to their senders.

Theory of operation. A row whose sender is told by its application says how he asked to be told (``MsrpReports``). It
leaves ``accepted`` by compare and set, whoever holds a claim on it, and only what the ledger holds is reported. The
same outcome once more is reported once more: whoever can't tell whether he was heard asks again. So is that of a
message whose time ran out, which the ledger has ended by itself. A pod that is killed may take REPORTs with it that it
had not sent yet: whoever takes its session over reports what has got its outcome since a while before.
"""

from collections.abc import Callable, Mapping
from typing import Final

from msgspec.structs import replace

from wigwag.api.ua.v1 import message_pb2, ua_pb2
from wigwag.database.ledger import Change, Ledger, LedgerRow, State
from wigwag.errors import ConflictError, InvalidRequestError, NotFoundError
from wigwag.protocols.imdn import NotificationType, Status
from wigwag.runtime.ua_messages import INBOUND, fields_of
from wigwag.ua.endpoint.model import OutgoingReport
from wigwag.ua.sessions.ports import FinalState, OwnedSession, Sessions
from wigwag.ua.texts import checked_text

from .backlog import Backlog
from .content import wrapping_of
from .edits import Edits
from .notifications import Notifications

_STATUSES: Final = {State.DELIVERED: 200, State.DISPLAYED: 200, State.FAILED: 403}
_SETTLED: Final[Mapping[int, State]] = {
    message_pb2.DELIVERY_STATE_DELIVERED: State.DELIVERED,
    message_pb2.DELIVERY_STATE_FAILED: State.FAILED,
    message_pb2.DELIVERY_STATE_UNCONFIRMED: State.UNCONFIRMED,
    message_pb2.DELIVERY_STATE_EXPIRED: State.EXPIRED,
}
_TIMEOUT: Final = 408
"""Of what has no outcome that anybody knows."""
_TRIES: Final = 3
_DOUBTED: Final = 30.0
"""Seconds before a session was taken over whose REPORTs may not have been sent; they are sent once more."""


class Settlements:
    """Settles messages that came.

    Args:
        sessions: Where their senders are.
        ledger: Where they are.
        backlog: Reads those of a session.
        edits: Writes outcomes.
        notifications: Tells those who asked by IMDN, too.
        wall: Seconds since 1970, by the store's clock.
    """

    def __init__(
        self,
        sessions: Sessions,
        ledger: Ledger,
        backlog: Backlog,
        edits: Edits,
        notifications: Notifications,
        *,
        wall: Callable[[], float],
    ) -> None:
        self.counters = {"settled": 0, "reported": 0}
        self._sessions = sessions
        self._ledger = ledger
        self._backlog = backlog
        self._edits = edits
        self._notifications = notifications
        self._wall = wall

    async def settle(self, row: LedgerRow, outcome: FinalState) -> LedgerRow:
        """Give a message its outcome, and tell its sender if his session is this pod's; the row as it is then.

        Raises:
            ConflictError: It has another outcome, or its sender was told by ourselves.
            DatabaseError: It may or may not be written down.
        """
        check_settled_by_application(row)
        row = await self._written(row, outcome)
        # What a pod says that slept until somebody else had the session reaches nobody.
        await self._sessions.confirm()
        own = self._sessions.owned(fields_of(row.headers).session_id)
        if own is not None:
            self._tell(own, row)
        return row

    async def _written(self, row: LedgerRow, outcome: FinalState) -> LedgerRow:
        for _ in range(_TRIES):
            if row.state is not State.ACCEPTED:
                return same_outcome(row, outcome.state)
            status = outcome.status or status_of(outcome.state)
            change = Change(
                id=row.id,
                version=row.version,
                state=outcome.state,
                status=None if outcome.state is State.DELIVERED else status,
                reason=outcome.reason,
            )
            verdict = await self._edits.apply(change)
            if verdict.done:
                self.counters["settled"] += 1
                return replace(
                    row,
                    state=outcome.state,
                    version=verdict.version,
                    status=change.status,
                    reason=change.reason,
                    settled=self._wall(),
                )
            row = await self._again(row.id)
        raise ConflictError("the message changes too often")

    async def _again(self, message_id: str) -> LedgerRow:
        found = await self._ledger.find(message_id)
        if found is None:
            raise NotFoundError(f"there is no message {message_id!r}")
        return found

    # Telling

    def told_again(self, own: OwnedSession, row: LedgerRow) -> None:
        """Report once more on a message that came once more: the first REPORT may have been lost with a connection."""
        if row.state is not State.ACCEPTED:
            self._report(own, row)

    async def resume(self, own: OwnedSession) -> None:
        """Report once more what a pod that was lost may not have come to: the session was taken over from it."""
        if own.application.reports != "application":
            return
        session_id = own.record.id
        rows = await self._backlog.that_came(
            session_id, self._wall() - _DOUBTED, lambda: self._sessions.owned(session_id) is own
        )
        for row in rows or ():
            self.told_again(own, row)

    def _tell(self, own: OwnedSession, row: LedgerRow) -> None:
        self._report(own, row)
        fields = fields_of(row.headers)
        if fields.notifications and row.state is not State.UNCONFIRMED:
            status = Status.DELIVERED if _succeeded(row.state) else Status.FAILED
            wrapping = wrapping_of(row.content_type, fields)
            self._notifications.owe(own, row.id, wrapping, NotificationType.DELIVERY, status)

    def _report(self, own: OwnedSession, row: LedgerRow) -> None:
        fields = fields_of(row.headers)
        asked, succeeded = fields.msrp_reports, _succeeded(row.state)
        if asked is None or not (asked.success if succeeded else asked.failure):
            return
        self.counters["reported"] += 1
        own.chat.report(
            OutgoingReport(
                message_id=fields.msrp_message_id,
                octets=asked.octets,
                status=200 if succeeded else row.status or status_of(row.state),
                comment="" if succeeded else row.reason,
            )
        )


def checked_outcome(request: ua_pb2.SettleMessageRequest) -> FinalState:
    """Return what an application says became of a message.

    Raises:
        InvalidRequestError: A field is malformed; names it.
    """
    state = _SETTLED.get(request.state)
    if state is None:
        raise InvalidRequestError("state: delivered, failed, unconfirmed or expired")
    status = request.status
    if state is State.DELIVERED and status not in (0, 200):
        raise InvalidRequestError("status: 200 or 0 for what was delivered")
    if state is not State.DELIVERED and status and not 400 <= status <= 999:
        raise InvalidRequestError("status: between 400 and 999")
    return FinalState(state, status, checked_text("reason", request.reason))


def check_settled_by_application(row: LedgerRow) -> None:
    """Refuse to settle what is none of a message that came, or what its sender was told of at its acceptance.

    Raises:
        ConflictError: It is one of these.
    """
    if row.direction != INBOUND:
        raise ConflictError("the message is the application's own")
    if fields_of(row.headers).msrp_reports is None:
        raise ConflictError("the sender was told when the message was accepted: reports is not application")


def status_of(state: State) -> int:
    """Return the MSRP status that stands for a state when nobody says another."""
    return _STATUSES.get(state, _TIMEOUT)


def _succeeded(state: State) -> bool:
    return state in (State.DELIVERED, State.DISPLAYED)


def same_outcome(row: LedgerRow, wanted: State) -> LedgerRow:
    """Return a row that has an outcome; ConflictError: it is another one."""
    if row.state is wanted or (wanted is State.DELIVERED and row.state is State.DISPLAYED):
        return row
    raise ConflictError(f"the message is {row.state.value} already")
