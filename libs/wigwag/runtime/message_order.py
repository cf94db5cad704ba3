"""The order in which what one user said to another has to be shown around the gateway.

In page mode, and within a session, it is that of sending. Between two sessions it is that of sending too, as far as
messages were accepted in it: a relay may still hold what was said in an earlier session when the next one is there, and
who has not heard of it can't let it go first. Nor was its sender told of an order: it has no REPORT yet.
"""

from dataclasses import dataclass, field

from .message_evidence import Message
from .message_recording import PageReceived, PageSent, TalkReceived

Shown = PageReceived | TalkReceived


@dataclass(frozen=True, slots=True)
class _Place:
    """Of a message that was shown."""

    said: int
    """Its number among what its sender said."""
    accepted: int
    """Its number among what was accepted."""
    record: Shown

    def is_behind(self, other: "_Place") -> bool:
        return self.said > other.said and self.accepted > other.accepted


@dataclass(slots=True)
class Order:
    """What was shown so far of what one user said to another."""

    _in_session: dict[str, Shown] = field(default_factory=dict)
    """Session, empty in page mode -> what was said last of what was shown."""
    _last: list[_Place] = field(default_factory=list)
    """Of all sessions: what nothing that was shown has to come behind."""

    def shown(self, message: Message, record: Shown) -> Shown | None:
        """Note that a message is shown; return one that was shown before and has to come behind it, None: none.

        Args:
            message: It, with its one sending.
            record: That it is shown.
        """
        sent = message.sent[0]
        if isinstance(sent, PageSent):
            return self._within("", record)
        before = self._within(sent.session, record)
        return self._between_sessions(message, record) or before

    def _within(self, session: str, record: Shown) -> Shown | None:
        before = self._in_session.setdefault(session, record)
        if before.sequence > record.sequence:
            return before
        self._in_session[session] = record
        return None

    def _between_sessions(self, message: Message, record: Shown) -> Shown | None:
        if not message.rows:
            return None
        place = _Place(record.sequence, message.rows[0].number, record)
        before = next((one.record for one in self._last if one.is_behind(place)), None)
        if before is None:
            self._last = [*(one for one in self._last if not place.is_behind(one)), place]
        return before
