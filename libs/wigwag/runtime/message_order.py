"""The order in which what one user said to another has to be shown around the gateway.

In page mode, and within a session, it is that of sending. A sender who goes on in another session knows of no order
until he is told what became of a message: what he says after that has to come later. Of all that he says in sessions
what was accepted first is shown first: nobody can know of what still waits elsewhere on its way.
"""

from dataclasses import dataclass, field

from .message_evidence import Message
from .message_recording import PageReceived, PageSent, TalkReceived, TalkSent

Shown = PageReceived | TalkReceived


@dataclass(slots=True)
class Order:
    """What was shown so far of what one user said to another."""

    _furthest: dict[str, Shown] = field(default_factory=dict)
    """Session, empty in page mode -> of the highest sequence."""
    _said_last: tuple[int, Shown] | None = None
    _accepted_last: tuple[int, Shown] | None = None

    def overtook(self, message: Message, record: Shown) -> Shown | None:
        """Note that a message is shown; return one that was shown before and has to come behind it, None: none.

        Args:
            message: It, with its one sending.
            record: That it is shown.
        """
        sent = message.sent[0]
        if isinstance(sent, PageSent):
            return self._in_session("", record)
        return self._in_session(sent.session, record) or self._between_sessions(message, sent, record)

    def _in_session(self, session: str, record: Shown) -> Shown | None:
        before = self._furthest.setdefault(session, record)
        if before.sequence > record.sequence:
            return before
        self._furthest[session] = record
        return None

    def _between_sessions(self, message: Message, sent: TalkSent, record: Shown) -> Shown | None:
        found = None
        outcome = min((one.number for one in message.settled), default=None)
        if self._said_last is not None and outcome is not None and self._said_last[0] > outcome:
            found = self._said_last[1]
        self._said_last = max(self._said_last or (0, record), (sent.number, record), key=_number)
        accepted = min((one.number for one in message.rows), default=None)
        if accepted is not None:
            if self._accepted_last is not None and self._accepted_last[0] > accepted:
                found = found or self._accepted_last[1]
            self._accepted_last = max(self._accepted_last or (0, record), (accepted, record), key=_number)
        return found


def _number(pair: tuple[int, Shown]) -> int:
    return pair[0]
