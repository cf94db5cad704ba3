"""What comes from the peer over MSRP: whole messages, pieces of large ones, and REPORTs."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from wigwag.protocols.msrp import (
    ByteRange,
    DataReceived,
    Event,
    MessageAborted,
    MessageCompleted,
    MessageReceived,
    MessageStarted,
    ReportReceived,
    SessionFailed,
    Status,
)

from .line import MediaLine
from .media import TRACEPARENT
from .model import EndpointEvent, Received, Reported, StreamBegan, StreamEnded, StreamPiece
from .reports import Reports

if TYPE_CHECKING:
    from .session import ChatSession


class Arrivals:
    """Turns the engine's events into those of the endpoint.

    Args:
        session: Whose.
        tell: Told of them.
    """

    def __init__(self, session: "ChatSession", tell: Callable[[EndpointEvent], None]) -> None:
        self._session = session
        self._tell = tell
        self.reports = Reports()
        """What the peer is told of it, later than by its answer."""
        self._streams: dict[str, int] = {}
        """Octets that came of each message in pieces."""

    def receive(self, event: Event, line: MediaLine) -> bool:
        """Take an event; False: it is about a message of ours."""
        match event:
            case MessageReceived():
                self._whole(event, line)
            case MessageStarted():
                self._began(event, line)
            case DataReceived():
                self._piece(event)
            case MessageCompleted(message_id=message_id, total=total):
                self._ended(message_id, line, total=total)
            case MessageAborted(message_id=message_id, reason=reason):
                self._ended(message_id, line, reason=reason)
            case ReportReceived(message_id=message_id, byte_range=octets, status=status):
                first, last, total = (0, 0, 0) if octets is None else (octets.start, octets.end or 0, octets.total or 0)
                self._tell(
                    Reported(
                        session=self._session,
                        message_id=message_id,
                        status=status.code,
                        reason=status.comment or "",
                        first_octet=first,
                        last_octet=last,
                        total=total,
                    )
                )
                return False
            case SessionFailed(status=status_code, reason=reason):
                self._session.peer_denies(f"{status_code} {reason}")
            case _:
                return False
        return True

    def connection_lost(self, reason: str) -> None:
        """What came of messages in pieces is void: they come again from their beginning, files perhaps from later."""
        self.reports.connection_lost()
        self._give_all_up(reason, lost=True)

    def end(self, reason: str) -> None:
        """The session is over."""
        self._give_all_up(reason, lost=False)

    def _give_all_up(self, reason: str, *, lost: bool) -> None:
        for message_id in list(self._streams):
            self._give_up(message_id, reason, lost=lost)

    def _whole(self, event: MessageReceived, line: MediaLine) -> None:
        accept, refuse = _answers(event.message_id, line)
        self._tell(
            Received(
                session=self._session,
                message_id=event.message_id,
                content_type=event.content_type,
                body=event.body,
                fields=event.fields,
                accept=accept,
                refuse=refuse,
                success_report=event.success_report,
                failure_report=event.failure_report,
                traceparent=(event.get(TRACEPARENT) or "") if line.carries_traces else "",
            )
        )

    def _began(self, event: MessageStarted, line: MediaLine) -> None:
        self._streams[event.message_id] = 0
        self._tell(
            StreamBegan(
                session=self._session,
                message_id=event.message_id,
                content_type=event.content_type,
                total=event.total,
                fields=event.fields,
                refuse=_answers(event.message_id, line)[1],
                pause=lambda on: _pause(line, on),
                success_report=event.success_report,
                failure_report=event.failure_report,
                report=_reports(event, line),
            )
        )

    def _piece(self, event: DataReceived) -> None:
        if event.message_id in self._streams:
            self._streams[event.message_id] += len(event.data)
            self._tell(
                StreamPiece(session=self._session, message_id=event.message_id, offset=event.offset, data=event.data)
            )

    def _ended(self, message_id: str, line: MediaLine, *, total: int | None = None, reason: str = "") -> None:
        octets = self._streams.pop(message_id, None)
        if octets is None:
            return
        accept, refuse = _answers(message_id, line)
        self._tell(
            StreamEnded(
                session=self._session,
                message_id=message_id,
                total=octets if total is None else total,
                complete=total is not None,
                reason=reason,
                accept=accept,
                refuse=refuse,
            )
        )

    def _give_up(self, message_id: str, reason: str, *, lost: bool) -> None:
        octets = self._streams.pop(message_id)
        self._tell(
            StreamEnded(
                session=self._session,
                message_id=message_id,
                total=octets,
                complete=False,
                reason=reason,
                accept=lambda: None,
                refuse=lambda status, comment: None,
                lost=lost,
            )
        )


def _answers(message_id: str, line: MediaLine) -> tuple[Callable[[], None], Callable[[int, str], None]]:
    """Return how a message is answered, on the connection that it came over."""
    client, session = line.client, line.session

    def accept() -> None:
        if client is not None and session is not None:
            client.accept_message(session, message_id)

    def refuse(status: int, comment: str) -> None:
        if client is not None and session is not None:
            client.refuse_message(session, message_id, status, comment or None)

    return accept, refuse


def _reports(event: MessageStarted, line: MediaLine) -> Callable[[int], None]:
    """Return how octets are reported on before all have come (RFC 4975 section 7.1.2)."""
    client, session = line.client, line.session

    def report(octets: int) -> None:
        if client is not None and session is not None and event.success_report:
            octet_range = ByteRange(1, octets, event.total)
            client.send_report(session, event.message_id, event.from_path, octet_range, Status(200))

    return report


def _pause(line: MediaLine, on: bool) -> None:
    if line.client is not None:
        line.client.hold_reading(on=on)
