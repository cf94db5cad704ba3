"""The status of all pods: this one's is written to the store, the others' are read there."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from wigwag.errors import WigwagError

from .clock import MonotonicClock, WallClock, monotonic
from .status import StatusTree
from .status_document import PodDocument, UnreadableStatusError, decode, document_of, encode

INTERVAL = 1.0
"""Seconds between two writes, at least."""
REFRESH = 10.0
"""Seconds between two writes, at most: the age tells whether a pod lives, and a store that lost it has it again."""

logger = structlog.get_logger(__name__)


class StatusStore(Protocol):
    """What is needed of the store."""

    async def put_status(self, pod_id: str, document: bytes) -> None:
        """Show a pod's status to all pods."""

    async def statuses(self) -> Mapping[str, bytes]:
        """The documents of all pods, by pod id."""


class WriteSchedule:
    """When to write: soon after a change, at most once an interval, and at least once a refresh.

    Args:
        interval: Seconds.
        refresh: Seconds.
    """

    def __init__(self, interval: float = INTERVAL, refresh: float = REFRESH) -> None:
        self._interval = interval
        self._refresh = refresh
        self._changed = True
        self._last = float("-inf")

    def changed(self) -> None:
        """There is something new."""
        self._changed = True

    def due(self, now: float) -> float:
        """Return in how many seconds the next write is due; 0 or less: now."""
        return self._last + (self._interval if self._changed else self._refresh) - now

    def begun(self, now: float) -> None:
        """A write begins: what changes from now on is for the next one."""
        self._changed = False
        self._last = now

    def failed(self) -> None:
        """The write that began came to nothing; the next one is due after an interval."""
        self._changed = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PodStatus:
    """One pod as it is shown."""

    document: PodDocument
    age: float
    """Seconds since it was written, by the clocks of both pods; 0 for this pod."""
    own: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """All pods, this one first; ``problem`` says why some may be missing, empty when none are."""

    pods: tuple[PodStatus, ...]
    problem: str = ""


class StatusSharing:
    """Shows this pod's status to the others, and theirs here.

    Args:
        tree: This pod's.
        pod: Its id.
        store: Where all write; None: there are no others.
        now: Wall clock.
        clock: Monotonic clock, for the pace.
        schedule: The pace.
    """

    def __init__(
        self,
        tree: StatusTree,
        pod: str,
        store: StatusStore | None = None,
        *,
        now: WallClock,
        clock: MonotonicClock = monotonic,
        schedule: WriteSchedule | None = None,
    ) -> None:
        self.pod = pod
        self._tree = tree
        self._store = store
        self._now = now
        self._clock = clock
        self._started = now()
        self._schedule = schedule or WriteSchedule()
        self._changed = asyncio.Event()
        tree.watch(self._on_change)

    def own(self) -> PodDocument:
        """This pod's status now."""
        return document_of(self._tree, pod=self.pod, started=self._started)

    async def cluster(self) -> ClusterStatus:
        """All pods; when the store is away this one, and why."""
        own = PodStatus(document=self.own(), age=0.0, own=True)
        if self._store is None:
            return ClusterStatus(pods=(own,))
        try:
            found = await self._store.statuses()
        except WigwagError as error:
            return ClusterStatus(pods=(own,), problem=f"other pods can't be seen: {error}")
        others, unreadable = self._others(found)
        problem = f"no status that can be read: {', '.join(unreadable)}" if unreadable else ""
        return ClusterStatus(pods=(own, *others), problem=problem)

    def _others(self, found: Mapping[str, bytes]) -> tuple[list[PodStatus], list[str]]:
        others, unreadable = [], []
        for pod in sorted(found.keys() - {self.pod}):
            try:
                document = decode(found[pod])
            except UnreadableStatusError:
                unreadable.append(pod)
                continue
            age = max(0.0, self._now() - document.written)
            others.append(PodStatus(document=document, age=age, own=False))
        return others, unreadable

    async def run(self) -> None:
        """Write until cancelled; a store that is away is tried again at the same pace."""
        if self._store is None:
            return
        while True:
            due = self._schedule.due(self._clock())
            if due <= 0:
                await self.write()
                continue
            await self._wait(due)

    async def write(self) -> None:
        """Write this pod's document now."""
        if self._store is None:
            return
        self._schedule.begun(self._clock())
        try:
            await self._store.put_status(self.pod, encode(self.own()))
        except WigwagError as error:
            self._schedule.failed()
            logger.debug("the status could not be shown to other pods", reason=str(error))
        except Exception:
            # A bug of an adapter must not end the showing for good.
            self._schedule.failed()
            logger.exception("the status could not be shown to other pods")

    async def _wait(self, seconds: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def _on_change(self) -> None:
        self._schedule.changed()
        self._changed.set()
