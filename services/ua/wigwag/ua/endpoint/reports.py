"""REPORTs on messages of the peer that are sent when it is known what became of them (RFC 4975 section 7.1.2)."""

from collections import deque
from typing import Final

from wigwag.errors import LocalProtocolError
from wigwag.protocols.msrp import ByteRange, Status

from .line import MediaLine
from .model import OutgoingReport

_MOST_WAITING: Final = 1_000
"""More at once would be taken for a peer that does not read."""

_LAST: Final = 64
"""REPORTs that are sent again after a connection was lost."""


class Reports:
    """What the peer of one session has to be told of his messages: at once, or once there is a connection again.

    Theory of operation. Nothing answers a REPORT: of those that were written shortly before a connection was lost
    nobody knows whether they arrived, so the last ones are sent again on the next. A peer passes over what he has had.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, OutgoingReport] = {}
        self._sent: deque[OutgoingReport] = deque(maxlen=_LAST)
        """The last ones on the present connection."""

    def __len__(self) -> int:
        """REPORTs that wait for a connection."""
        return len(self._waiting)

    def add(self, report: OutgoingReport, line: MediaLine | None) -> None:
        """Send a REPORT; of more than wait usually, the oldest is given up: it can be asked for again."""
        if line is not None and line.is_up and not self._waiting:
            self._send(report, line)
        else:
            self._wait(report)

    def connection_lost(self) -> None:
        """Let wait what may not have arrived."""
        later, self._waiting = self._waiting, {}
        for report in (*self._sent, *later.values()):
            self._wait(report)
        self._sent.clear()

    def _wait(self, report: OutgoingReport) -> None:
        self._waiting[report.message_id] = report
        if len(self._waiting) > _MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]

    def send_all(self, line: MediaLine) -> None:
        """Send what waits, in order."""
        waiting, self._waiting = self._waiting, {}
        for report in waiting.values():
            self._send(report, line)

    def _send(self, report: OutgoingReport, line: MediaLine) -> None:
        _send(report, line)
        self._sent.append(report)


def _send(report: OutgoingReport, line: MediaLine) -> None:
    client, session = line.client, line.session
    if client is None or session is None:
        return
    byte_range = ByteRange(1, report.octets, report.octets)
    # The path of the session is the From-Path of all that came in it (section 8.1).
    path = session.remote_path
    try:
        client.send_report(session, report.message_id, path, byte_range, Status(report.status, report.comment or None))
    except LocalProtocolError:
        # A comment of somebody that MSRP can't carry: the status is what counts.
        client.send_report(session, report.message_id, path, byte_range, Status(report.status))
