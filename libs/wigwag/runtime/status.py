"""Status and reports: how each part of the process is, and what happened to it lately (OpenSIPS's Status/Report).

Theory of operation. A group belongs to a component and has identifiers, ``main`` unless it has parts of its own. Each
has a status number (below 0: not ready, above: ready), details in words, and a ring of timestamped reports. Names are
compared without regard to case, as OpenSIPS does. All of it is used from one event loop; ``StatusTree.now`` is a wall
clock, because operators compare these times with their own watch.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

import structlog

from .clock import WallClock

MAIN = "main"
"""The identifier of a group that has no parts."""
ALL = "all"
"""Stands for all identifiers of a group: its aggregate."""

REPORTS = 20
CORE_REPORTS = 10
EVENT_REPORTS = 200
"""For identifiers that tell of traffic rather than of loading."""
PUBLIC_REPORTS = 50
"""For groups that operators write to."""
LONGEST_TEXT = 1_000
"""Characters of a report or of details; more is cut, because every pod shows them."""

logger = structlog.get_logger(__name__)


class Severity(IntEnum):
    """How much a report matters."""

    INFO = 1
    WARNING = 2
    """Somebody should look at it, nothing is refused yet."""
    ERROR = 3
    """Something is refused, or was not done."""

    @property
    def label(self) -> str:
        """Its name in lower case."""
        return self.name.lower()


class CoreStatus(IntEnum):
    """Status of the group ``core``: the process as a whole."""

    NONE = -100
    TERMINATING = -2
    INITIALISING = -1
    RUNNING = 1


class ModuleStatus(IntEnum):
    """Status of any other group."""

    NO_DATA = -2
    NOT_READY = -1
    """Loading, or failed; the details say which."""
    READY = 1
    RELOADING = 2


@dataclass(frozen=True, slots=True)
class Report:
    """Something that happened."""

    time: float
    """Wall clock seconds."""
    severity: Severity
    text: str
    number: int
    """Grows with each report of this process, whatever the clock does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChanged:
    """The status number of an identifier is another now (OpenSIPS: E_CORE_SR_STATUS_CHANGED)."""

    time: float
    group: str
    identifier: str
    status: int
    details: str
    old_status: int
    number: int
    """Grows with each change and report of this process, whatever the clock does."""


Observer = Callable[[StatusChanged], None]


class Identifier:
    """One part of a group; made by ``Group.identifier``.

    Attributes:
        name: As it was registered.
        status: Never 0.
        details: In words, may be empty.
        since: When the number became what it is.
        reports: Oldest first.
    """

    def __init__(self, group: "Group", name: str, *, status: int, details: str, size: int) -> None:
        self.name = name
        self.status = _number(status)
        self.details = details
        self.since = group.tree.now()
        self.reports: deque[Report] = deque(maxlen=size)
        self._group = group

    @property
    def ready(self) -> bool:
        """Whether the number says so."""
        return self.status > 0

    def set(self, status: int, details: str = "") -> None:
        """Take a status; observers hear of it when the number is another.

        Args:
            status: Below 0: not ready; above: ready; 0 becomes 1.
            details: In words, for people.
        """
        old_status, self.status, self.details = self.status, _number(status), _short(details)
        tree = self._group.tree
        if self.status == old_status:
            tree.touched()
            return
        self.since = tree.now()
        tree.changed(
            StatusChanged(
                time=self.since,
                group=self._group.name,
                identifier=self.name,
                status=self.status,
                details=self.details,
                old_status=old_status,
                number=tree.next_number(),
            )
        )

    def report(self, text: str, severity: Severity = Severity.INFO) -> None:
        """Note what happened; the oldest report goes when the ring is full."""
        tree = self._group.tree
        self.reports.append(Report(tree.now(), severity, _short(text), tree.next_number()))
        tree.touched()

    def become(self, status: int, details: str, severity: Severity = Severity.INFO) -> None:
        """Take a status and report the details, unless both are what they were."""
        if (_number(status), _short(details)) == (self.status, self.details):
            return
        self.report(details, severity)
        self.set(status, details)


class Group:
    """What one component tells; made by ``StatusTree.group``.

    Attributes:
        name: As it was registered.
        public: Whether operators may write to it, through MI.
    """

    def __init__(self, tree: "StatusTree", name: str, *, public: bool) -> None:
        self.tree = tree
        self.name = name
        self.public = public
        self._identifiers: dict[str, Identifier] = {}

    def identifier(
        self, name: str = MAIN, *, status: int = ModuleStatus.NOT_READY, details: str = "", reports: int | None = None
    ) -> Identifier:
        """Return the identifier of this name, registered when it is not there yet.

        Args:
            name: Its name.
            status: What a new one begins with.
            details: Likewise.
            reports: Size of a new one's ring; None: 20, in a public group 50.
        """
        found = self._identifiers.get(name.lower())
        if found is None:
            size = reports if reports is not None else (PUBLIC_REPORTS if self.public else REPORTS)
            found = Identifier(self, name, status=status, details=_short(details), size=size)
            self._identifiers[name.lower()] = found
            self.tree.touched()
        return found

    def find(self, name: str) -> Identifier | None:
        """Return the identifier of this name, if there is one."""
        return self._identifiers.get(name.lower())

    def remove(self, name: str) -> None:
        """Forget an identifier: the part that it stood for is gone."""
        if self._identifiers.pop(name.lower(), None) is not None:
            self.tree.touched()

    def __iter__(self) -> Iterator[Identifier]:
        return iter(self._identifiers.values())

    @property
    def aggregate(self) -> int:
        """1, or -1 when any identifier is below 0."""
        return ModuleStatus.READY if all(identifier.ready for identifier in self) else ModuleStatus.NOT_READY


class StatusTree:
    """All groups of a process.

    Args:
        now: Wall clock.
    """

    def __init__(self, now: WallClock) -> None:
        self.now = now
        self._groups: dict[str, Group] = {}
        self._number = 0
        self._observers: list[Observer] = []
        self._watchers: list[Callable[[], None]] = []

    def group(self, name: str, *, public: bool = False) -> Group:
        """Return the group of this name, registered when it is not there yet."""
        return self._groups.setdefault(name.lower(), Group(self, name, public=public))

    def find(self, name: str) -> Group | None:
        """Return the group of this name, if there is one."""
        return self._groups.get(name.lower())

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups.values())

    def observe(self, observer: Observer) -> None:
        """Call ``observer`` for each status number that changes."""
        self._observers.append(observer)

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call ``watcher`` for whatever changes, reports and details included."""
        self._watchers.append(watcher)

    # For identifiers

    def next_number(self) -> int:
        """Return the number of the next report or change."""
        self._number += 1
        return self._number

    def touched(self) -> None:
        """Something is other than it was."""
        for watcher in self._watchers:
            watcher()

    def changed(self, change: StatusChanged) -> None:
        """Tell observers; one that fails takes nothing from the others, nor from the component that published."""
        self.touched()
        for observer in tuple(self._observers):
            try:
                observer(change)
            except Exception:
                logger.exception("an observer of the status failed", group=change.group, identifier=change.identifier)


def _number(status: int) -> int:
    return int(status) or 1


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
