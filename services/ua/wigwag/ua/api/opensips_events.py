"""Events as OpenSIPS's msrp_ua raises them, in the JSON-RPC notifications of its event_stream."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final

from wigwag.api.ua.v1 import event_pb2, message_pb2, session_pb2, ua_pb2

_REMEMBERED: Final = 10_000
_JUST_NOW: Final = 1.0
"""Seconds between the opening of a session and the event that tells it."""

_TIMEOUTS: Final = (message_pb2.FAILURE_REPORTS_UNSPECIFIED, message_pb2.FAILURE_REPORTS_YES)
"""Of messages with these it is told that nobody answered in time (RFC 4975 section 7.1.2)."""


class OpensipsFormat:
    """One client's events: E_MSRP_SESSION_NEW, E_MSRP_SESSION_END, E_MSRP_MSG_RECEIVED, E_MSRP_REPORT_RECEIVED."""

    def __init__(self) -> None:
        self._told: OrderedDict[str, None] = OrderedDict()
        """Sessions that were told as new, and messages whose outcome was told."""

    def frames(self, response: ua_pb2.WatchResponse) -> list[dict[str, Any]]:
        """Return a notification for each event that OpenSIPS has too."""
        return [
            {"jsonrpc": "2.0", "method": method, "params": params}
            for event in response.events
            for method, params in self._notifications(event)
        ]

    def _notifications(self, event: event_pb2.Event) -> Iterator[tuple[str, dict[str, str]]]:
        what = event.WhichOneof("what")
        if what == "session_changed":
            yield from self._session(event, event.session_changed)
        elif what == "message_received":
            yield from _received(event.message_received)
        elif what == "report":
            yield from self._report(event.session_id, event.report)
        elif what == "message_changed":
            yield from self._outcome(event.message_changed)

    def _session(self, event: event_pb2.Event, session: session_pb2.Session) -> Iterator[tuple[str, dict[str, str]]]:
        if session.state == session_pb2.SESSION_STATE_OPEN:
            since = event.occurred_at.ToNanoseconds() - session.opened_at.ToNanoseconds()
            if since < _JUST_NOW * 1e9 and self._is_first(f"session {session.session_id}"):
                yield "E_MSRP_SESSION_NEW", _new(session)
        # As there, neither is told: that a session ended which never was open, nor what was ended by the command.
        elif _has_ended(session) and session.end_cause != session_pb2.END_CAUSE_ENDED_HERE:
            yield "E_MSRP_SESSION_END", {"session_id": session.session_id}

    def _report(self, session_id: str, report: event_pb2.Report) -> Iterator[tuple[str, dict[str, str]]]:
        if report.status >= 300 or _is_whole(report):
            self._is_first(f"message {report.message_id}")
        status = f"000 {report.status:03d} {report.reason}".rstrip()
        last = str(report.last_octet) if report.last_octet else "*"
        total = str(report.total) if report.total else "*"
        byte_range = f"{report.first_octet or 1}-{last}/{total}"
        yield "E_MSRP_REPORT_RECEIVED", _reported(session_id, report.message_id, status, byte_range)

    def _outcome(self, message: message_pb2.Message) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield what no report told and is asked for: a success, a negative response, or none in time."""
        if message.direction != message_pb2.MESSAGE_DIRECTION_OUTBOUND:
            return
        failure = message.reports.failure
        if message.state == message_pb2.DELIVERY_STATE_DELIVERED and message.reports.success:
            status = "000 200 OK"
        elif message.state == message_pb2.DELIVERY_STATE_FAILED and failure != message_pb2.FAILURE_REPORTS_NO:
            status = f"{message.status or 408} {message.reason}".rstrip()
        elif message.state == message_pb2.DELIVERY_STATE_UNCONFIRMED and failure in _TIMEOUTS:
            status = "408"
        else:
            return
        if self._is_first(f"message {message.message_id}"):
            byte_range = f"1-{message.size}/{message.size}"
            yield "E_MSRP_REPORT_RECEIVED", _reported(message.session_id, message.message_id, status, byte_range)

    def _is_first(self, what: str) -> bool:
        if what in self._told:
            return False
        self._told[what] = None
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return True


def _is_whole(report: event_pb2.Report) -> bool:
    return report.first_octet <= 1 and report.last_octet == report.total


def _has_ended(session: session_pb2.Session) -> bool:
    return session.state == session_pb2.SESSION_STATE_ENDED and session.HasField("opened_at")


def _new(session: session_pb2.Session) -> dict[str, str]:
    is_ours = session.direction == session_pb2.SESSION_DIRECTION_OUTBOUND
    caller, called = (session.local_uri, session.remote_uri) if is_ours else (session.remote_uri, session.local_uri)
    return {
        "from_uri": caller,
        "to_uri": called,
        "ruri": called,
        "session_id": session.session_id,
        "content_types": " ".join(session.accept_types),
    }


def _received(message: message_pb2.Message) -> Iterator[tuple[str, dict[str, str]]]:
    if not message.size:
        return
    params = {
        "session_id": message.session_id,
        "content_type": message.content_type,
        "body": message.body.decode(errors="replace"),
    }
    if message.blob_id:
        # There it would be in the event; a body of any size is not.
        params["blob_id"] = message.blob_id
    yield "E_MSRP_MSG_RECEIVED", params


def _reported(session_id: str, message_id: str, status: str, byte_range: str) -> dict[str, str]:
    return {"session_id": session_id, "message_id": message_id, "status": status, "byte_range": byte_range}
