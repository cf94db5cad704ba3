"""How files stand, told to their applications and kept with their sessions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wigwag.api.ua.v1 import message_pb2
from wigwag.database.ledger import State
from wigwag.protocols.msrp.octet_ranges import OctetRanges
from wigwag.ua.endpoint.model import Reported
from wigwag.ua.ports import Events
from wigwag.ua.sessions.ports import OwnedSession, Sessions
from wigwag.ua.sessions.record import SessionRecord

from .delivery import Delivery
from .file_events import file_of
from .flow import Outgoing, Stage
from .telling import session_event
from .wire import octets_of

_PROGRESS: Final = 1.0
"""Seconds between two events of progress."""
_MOST_RANGES: Final = 1024
"""Separate ranges of one file that reports may confirm."""
ENDS: Final = {
    State.DELIVERED: message_pb2.FILE_STATE_COMPLETED,
    State.DISPLAYED: message_pb2.FILE_STATE_COMPLETED,
}
"""What an outcome of a row means for its file; any other: it failed."""
WORDS: Final = {
    message_pb2.FILE_STATE_COMPLETED: "completed",
    message_pb2.FILE_STATE_FAILED: "failed",
    message_pb2.FILE_STATE_DECLINED: "declined",
}
"""Final states, as records have them."""


@dataclass(slots=True)
class _Told:
    at: float
    octets: int


class FileTelling:
    """Hears what becomes of files.

    Args:
        sessions: Those of this pod.
        delivery: Sends files.
        events: Hears how they stand.
        wall: Seconds since 1970, by the store's clock.
    """

    def __init__(self, sessions: Sessions, *, delivery: Delivery, events: Events, wall: Callable[[], float]) -> None:
        self._sessions = sessions
        self._delivery = delivery
        self._events = events
        self._wall = wall
        self._told: dict[str, _Told] = {}
        self._confirmed: dict[str, OctetRanges] = {}
        """Octets of what is sent that the receiver has reported, by session."""
        delivery.outcomes.on_outcome = self.settled

    def settled(self, own: OwnedSession, message: Outgoing, state: State, reason: str) -> None:
        """Take the outcome of a file that was sent; its session has done its work."""
        record = own.record
        if message.id != record.file:
            return
        declined = record.state != "open" and not record.opened
        failed = message_pb2.FILE_STATE_DECLINED if declined else message_pb2.FILE_STATE_FAILED
        ended = ENDS.get(state, failed)
        transferred = message.size if ended == message_pb2.FILE_STATE_COMPLETED else record.file_octets
        file = file_of(
            record, own.transfer, "outbound", state=ended, size=message.size, transferred=transferred, reason=reason
        )
        self.told(own, file)
        if self._sessions.owned(record.id) is own:
            own.chat.end()

    def reported(self, own: OwnedSession, event: Reported) -> None:
        """Take a report on a file that is sent: what the receiver has need not be sent again, whatever comes."""
        record = own.record
        if event.message_id != record.file or event.status != 200 or not event.last_octet:
            return
        ranges = self._confirmed.setdefault(record.id, OctetRanges())
        if len(ranges) >= _MOST_RANGES:
            return
        left_out, _ = octets_of(own, record.file)
        ranges.add(left_out + event.first_octet, left_out + event.last_octet)
        # What this transfer did not have to carry is with the receiver already.
        ranges.add(1, left_out)
        first, last = next(iter(ranges))
        if first == 1 and last > record.file_octets:
            own.change(file_octets=last)

    def ended(self, own: OwnedSession, reason: str) -> None:
        """Hear that the session of a file that was to be sent is over: one that was asked for may never have been."""
        if not own.record.file_state and self._is_unanswered(own.record):
            declined = message_pb2.FILE_STATE_DECLINED
            self.told(own, file_of(own.record, own.transfer, "outbound", state=declined, reason=reason))

    def _is_unanswered(self, record: SessionRecord) -> bool:
        flow = next((flow for flow in self._delivery.flows() if flow.own.record.id == record.id), None)
        return not record.opened and (flow is None or record.file not in flow.known)

    def tick(self) -> None:
        """Tell the progress of what is being sent; to be called every second or so."""
        for flow in self._delivery.flows():
            record = flow.own.record
            message = flow.known.get(record.file) if record.file else None
            if message is None or message.stage is not Stage.SENT or message.staged is None:
                continue
            left_out, _ = octets_of(flow.own, message.id)
            self.progress(flow.own, "outbound", left_out + message.staged.read, message.size)

    def progress(self, own: OwnedSession, direction: str, octets: int, size: int) -> None:
        """Tell how far a file is, at most once a second."""
        record, now = own.record, self._wall()
        told = self._told.get(record.id)
        if told is not None and (now - told.at < _PROGRESS or told.octets == octets):
            return
        self._told[record.id] = _Told(now, octets)
        running = message_pb2.FILE_STATE_RUNNING
        self.tell(record, file_of(record, own.transfer, direction, state=running, transferred=octets, size=size))

    def told(self, own: OwnedSession, file: message_pb2.File) -> None:
        """Tell how a file of a session ended, and keep it with the session."""
        self._told.pop(own.record.id, None)
        self._confirmed.pop(own.record.id, None)
        # Written with the session's next change, or its end, which comes soon.
        own.record = own.record.changed(file_state=WORDS.get(file.state, ""), file_octets=file.transferred)
        self.tell(own.record, file)

    def tell(self, record: SessionRecord, file: message_pb2.File) -> message_pb2.File:
        """Tell how a file stands."""
        self._events.tell(session_event(record, self._wall(), file_changed=file))
        return file
