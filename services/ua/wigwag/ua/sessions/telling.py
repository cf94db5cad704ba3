"""What applications are told of their sessions."""

from collections.abc import Callable

from wigwag.api.ua.v1 import event_pb2
from wigwag.protocols.sdp import FileTransfer
from wigwag.ua.messages.file_events import file_of
from wigwag.ua.messages.telling import change_event, session_event
from wigwag.ua.ports import Events

from .record import SessionRecord


class SessionTelling:
    """Makes the events of sessions.

    Args:
        events: Where they go.
        pod: Id of this pod.
        wall: Seconds since 1970, by the store's clock.
    """

    def __init__(self, events: Events, pod: str, wall: Callable[[], float]) -> None:
        self._events = events
        self._pod = pod
        self._wall = wall

    def changed(self, record: SessionRecord) -> None:
        """Tell a session's new state."""
        self._events.tell(change_event(record, self._pod, self._wall()))

    def progress(self, record: SessionRecord, status: int, reason: str) -> None:
        """Tell that a call makes progress."""
        progress = event_pb2.Progress(sip_status=status, sip_reason=reason)
        self._events.tell(session_event(record, self._wall(), progress=progress))

    def file_offered(self, record: SessionRecord, file: FileTransfer) -> None:
        """Tell of a file that a call offers, or asks for."""
        state = "FILE_STATE_REQUESTED" if record.file_direction == "outbound" else "FILE_STATE_OFFERED"
        changed = file_of(record, file, record.file_direction, state=state)
        self._events.tell(session_event(record, self._wall(), file_changed=changed))
