"""What went by MESSAGE last, of each sender in a lane: what he says next must not overtake it (``PagerRequest``).

Theory of operation. The edge handles what it is asked for in order, but an attempt that reached nobody is made again
later, when others behind it are on their way already. So each attempt names the one before it, and fails with it. In
a clean lane that is the one that was sent last. A look begins anew: it goes through the rows in the order of
acceptance, and finds attempts that are under way before, between and behind those that are to be sent.
"""

from dataclasses import dataclass, field

from wigwag.database.ledger import LedgerRow
from wigwag.runtime.pager_events import attempt_id


@dataclass(slots=True, eq=False)
class Look:
    """Rows of a lane that are gone through, each of them once, in the order of acceptance."""

    between: dict[str, str] = field(default_factory=dict)
    """Message that is to be sent -> attempt that is under way directly before it."""
    behind: dict[str, str] = field(default_factory=dict)
    """Sender -> attempt that is under way behind all of his that are to be sent so far."""
    held_up: set[str] = field(default_factory=set)
    """Messages that are to be sent, but into no session before it is known what becomes of an attempt before them."""
    _may_come_back: set[str] = field(default_factory=set)
    _tried: dict[str, str] = field(default_factory=dict)

    def under_way(self, row: LedgerRow, attempt: str, *, may_come_back: bool = False) -> None:
        """Pass a row that was handed on as an attempt with this id."""
        self.behind[row.sender] = self._tried[row.sender] = attempt
        if may_come_back:
            self._may_come_back.add(row.sender)

    def to_be_sent(self, row: LedgerRow) -> None:
        """Pass a row that is to be sent."""
        if row.sender in self._may_come_back:
            self.held_up.add(row.id)
        if row.sender in self.behind:
            self.between[row.id] = self.behind.pop(row.sender)
        if row.attempt:
            self._tried[row.sender] = attempt_id(row.id, row.attempt)

    def last_tried(self, sender: str) -> str:
        """Return the last attempt with the row before the present one, over or not; empty: there is none."""
        return self._tried.get(sender, "")


class Succession:
    """What each sender's next attempt follows, in one lane."""

    __slots__ = ("_between", "_held_up", "_last")

    def __init__(self) -> None:
        self._last: dict[str, str] = {}
        self._between: dict[str, str] = {}
        self._held_up: set[str] = set()

    def begin(self, look: Look) -> None:
        """Forget what was known: a look goes through all there is."""
        self._last, self._between, self._held_up = {}, look.between, look.held_up

    def end(self, look: Look) -> None:
        """Note what is under way behind all that was sent after a look."""
        self._last |= look.behind
        self._between, self._held_up = {}, set()

    def may_go_into_session(self, message_id: str) -> bool:
        """Tell whether a message overtakes none that goes by MESSAGE when it goes into a session."""
        return message_id not in self._held_up

    def before(self, sender: str, message_id: str) -> str:
        """Return the attempt that one with a message follows; to be asked in order. Empty: there is none."""
        if message_id in self._between:
            self._last[sender] = self._between.pop(message_id)
        return self._last.get(sender, "")

    def sent(self, sender: str, attempt: str) -> None:
        """Note an attempt that was handed on."""
        self._last[sender] = attempt
