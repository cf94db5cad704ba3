"""REPORTs of peers on messages of applications (RFC 4975 section 7.1.2)."""

from collections.abc import Callable

from wigwag.api.ua.v1 import event_pb2, message_pb2
from wigwag.runtime.ua_messages import reports_of
from wigwag.ua.endpoint.model import Reported
from wigwag.ua.ports import Events
from wigwag.ua.sessions.ports import OwnedSession

from .delivery import Delivery
from .telling import session_event


class PeerReports:
    """Tells applications of REPORTs.

    Args:
        delivery: Knows which are wanted.
        events: Where they go.
        wall: Seconds since 1970, by the store's clock.
    """

    def __init__(self, delivery: Delivery, events: Events, wall: Callable[[], float]) -> None:
        self._delivery = delivery
        self._events = events
        self._wall = wall

    def tell(self, own: OwnedSession, event: Reported) -> None:
        """Tell those that the application wants; else what is no outcome by itself: a part, or no success."""
        wanted = self._delivery.reports(own.record.id, event.message_id)
        if not _is_told(event, wanted):
            return
        report = event_pb2.Report(
            message_id=event.message_id,
            status=event.status,
            reason=event.reason,
            first_octet=event.first_octet,
            last_octet=event.last_octet,
            total=event.total,
        )
        self._events.tell(session_event(own.record, self._wall(), report=report))


def _is_told(event: Reported, wanted: str) -> bool:
    if not wanted:
        whole = event.first_octet <= 1 and event.total and event.last_octet == event.total
        return event.status != 200 or not (whole or not event.last_octet)
    reports = reports_of(wanted)
    return reports.success if event.status == 200 else reports.failure != message_pb2.FAILURE_REPORTS_NO
