"""The order in which what one user said to another has to be shown around the gateway.

In page mode, and within a session, it is that of sending. A sender who goes on in another session knows of no order
until he is told what became of a message: what he says after that has to come later. Of all that he says in sessions
what was accepted first is shown first: nobody can know of what still waits elsewhere on its way.
"""

from dataclasses import dataclass, field

from .message_evidence import Message
from .message_recording import PageReceived, PageSent, TalkReceived

Shown = PageReceived | TalkReceived


@dataclass(slots=True)
class _Furthest:
    """Of all that was shown so far, what has the highest number in some order."""

    number: int = 0
    record: Shown | None = None

    def overtook(self, number: int | None) -> Shown | None:
        return self.record if number is not None and number < self.number else None

    def shown(self, number: int, record: Shown) -> None:
        if number > self.number:
            self.number, self.record = number, record


@dataclass(slots=True)
class Order:
    """What was shown so far of what one user said to another."""

    _in_session: dict[str, _Furthest] = field(default_factory=dict)
    """By session, empty in page mode: in the order of sending."""
    _said: _Furthest = field(default_factory=_Furthest)
    """In the order in which the sender did things, in all his sessions."""
    _accepted: _Furthest = field(default_factory=_Furthest)
    """In the order of acceptance, likewise."""

    def shown(self, message: Message, record: Shown) -> Shown | None:
        """Note that a message is shown; return one that was shown before and has to come behind it, None: none.

        Args:
            message: It, with its one sending.
            record: That it is shown.
        """
        sent = message.sent[0]
        if isinstance(sent, PageSent):
            return self._within("", sent.sequence, record)
        return self._within(sent.session, sent.sequence, record) or self._between_sessions(message, record)

    def _within(self, session: str, sequence: int, record: Shown) -> Shown | None:
        furthest = self._in_session.setdefault(session, _Furthest())
        before = furthest.overtook(sequence)
        furthest.shown(sequence, record)
        return before

    def _between_sessions(self, message: Message, record: Shown) -> Shown | None:
        outcome = min((one.number for one in message.settled), default=None)
        accepted = min((one.number for one in message.rows), default=None)
        before = self._said.overtook(outcome) or self._accepted.overtook(accepted)
        self._said.shown(message.sent[0].number, record)
        if accepted is not None:
            self._accepted.shown(accepted, record)
        return before
