"""The status of this process: its groups, what it derives from them, and who hears of changes."""

from collections.abc import Callable, Iterable, Sequence

import structlog

from wigwag.runtime.clock import WallClock
from wigwag.runtime.names import NODE_READY, NODE_STATUS
from wigwag.runtime.readiness import CORE, Readiness
from wigwag.runtime.status import CORE_REPORTS, CoreStatus, ModuleStatus, Severity, StatusChanged, StatusTree
from wigwag.runtime.telemetry import Reading

STORE, BUS, CLUSTER, LEDGER, BLOBS = "store", "bus", "cluster", "ledger", "blobs"
"""Groups of what all pods share; none of them counts for readiness."""

Availability = Callable[[bool, str], None]
"""``on_availability`` of the store's and the bus's adapters: whether it answers, and what there is to say."""

logger = structlog.get_logger(__name__)


class NodeStatus:
    """The process's status tree with the groups that belong to no service.

    Args:
        services: Names of the hosted services.
        public_groups: Groups that operators write to through MI.
        now: Wall clock.
    """

    def __init__(self, services: Sequence[str], *, public_groups: Iterable[str] = (), now: WallClock) -> None:
        self.tree = StatusTree(now)
        self.readiness = Readiness(self.tree, services)
        self._logs = False
        self._core = self.tree.group(CORE).identifier(status=CoreStatus.NONE, reports=CORE_REPORTS)
        for name in public_groups:
            self.tree.group(name, public=True).identifier(status=ModuleStatus.READY)

    # The process

    def initialising(self) -> None:
        """Services are being opened."""
        self._core.become(CoreStatus.INITIALISING, "initialising")

    def running(self) -> None:
        """All services are open."""
        self._core.become(CoreStatus.RUNNING, "running")
        if not self._logs:
            # A start that fails ends with one line that says why; the way there would bury it.
            self._logs = True
            self.tree.observe(_log)

    def terminating(self) -> None:
        """The process ends."""
        self._core.become(CoreStatus.TERMINATING, "shutting down")

    # What all pods share

    def availability(self, group: str, details: str = "connecting", *, ready: bool = False) -> Availability:
        """Return the function that an adapter calls when it loses or finds its server.

        Args:
            group: ``STORE``, ``BUS``, ``CLUSTER``, or another.
            details: What is shown until it is called for the first time.
            ready: Likewise, for an adapter that only calls when something is wrong.
        """
        status = ModuleStatus.READY if ready else ModuleStatus.NOT_READY
        identifier = self.tree.group(group).identifier(status=status, details=details)

        def on_availability(available: bool, detail: str) -> None:
            if available:
                identifier.become(ModuleStatus.READY, detail or "available")
            else:
                identifier.become(ModuleStatus.NOT_READY, detail or "not available", Severity.ERROR)

        return on_availability

    def readings(self) -> Iterable[Reading]:
        """Yield readiness and every status number, as metrics."""
        yield NODE_READY.read(int(self.readiness.ready))
        for group in self.tree:
            for identifier in group:
                yield NODE_STATUS.read(identifier.status, group=group.name, identifier=identifier.name)


def _log(change: StatusChanged) -> None:
    write = logger.info if change.status > 0 else logger.warning
    write(
        "status changed",
        group=change.group,
        identifier=change.identifier,
        status=change.status,
        was=change.old_status,
        details=change.details,
    )
