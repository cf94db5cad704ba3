"""Lines that were typed, until it is known what became of each."""

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass


class LineState(enum.Enum):
    """Where a line is."""

    WAITING = "waits"
    """Not sent yet, or to be sent again: there is no session at the moment."""
    SENT = "sent"
    DELIVERED = "delivered ✓"
    DISPLAYED = "displayed ✓✓"
    ACCEPTED = "accepted for later"
    """Somebody keeps it for the peer (RFC 3428 section 7)."""
    FAILED = "failed"
    UNCONFIRMED = "unconfirmed"
    """It may have arrived."""


_OPEN = (LineState.WAITING, LineState.SENT)


@dataclass(slots=True)
class Line:
    """A line."""

    number: int
    """From 1, as it is shown."""
    text: str
    message_id: str
    """In MSRP and in IMDN, the same whenever it is sent again."""
    state: LineState = LineState.WAITING


class Lines:
    """All lines of a conversation that somebody may still say something about.

    Args:
        show: Shows a line of text.
        token: Returns a text that nobody can guess.
        most: Lines with an outcome that are remembered for notifications of their display.
    """

    def __init__(self, show: Callable[[str], None], token: Callable[[], str], most: int = 10_000) -> None:
        self._show = show
        self._token = token
        self._most = most
        self._number = 0
        self._open: dict[str, Line] = {}
        self._settled: dict[str, Line] = {}
        self._seen: set[LineState] = set()

    def add(self, text: str) -> Line:
        """Take a line."""
        self._number += 1
        line = Line(self._number, text, self._token())
        self._open[line.message_id] = line
        return line

    def open(self) -> Iterator[Line]:
        """Yield those without an outcome, in order."""
        yield from list(self._open.values())

    def __len__(self) -> int:
        """How many have no outcome."""
        return len(self._open)

    def find(self, message_id: str) -> Line | None:
        """Return a line."""
        return self._open.get(message_id) or self._settled.get(message_id)

    def mark(self, line: Line, state: LineState, reason: str = "") -> None:
        """Show what became of a line, unless that, or better, was shown."""
        if line.state is state or (line.message_id not in self._open and state is not LineState.DISPLAYED):
            return
        line.state = state
        self._show(f"  #{line.number} {state.value}{f': {reason}' if reason else ''}")
        if state in _OPEN:
            return
        self._seen.add(state)
        self._open.pop(line.message_id, None)
        self._settled[line.message_id] = line
        if len(self._settled) > self._most:
            del self._settled[next(iter(self._settled))]

    def ended_as(self, state: LineState) -> bool:
        """Tell whether a line had this outcome."""
        return state in self._seen
