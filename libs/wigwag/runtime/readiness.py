"""Readiness, derived from the status tree: whether this pod can serve at least one hosted function.

What all pods share (store, bus, database) has no part in it: its loss would take every pod out of service at once,
while each could still do what does not need it. It shows in its own groups.
"""

from collections.abc import Callable, Iterable, Mapping

from .status import MAIN, StatusChanged, StatusTree

CORE = "core"
WHOLE = ""
"""Stands for the pod, as in the gRPC health protocol."""

ReadinessObserver = Callable[[str, bool], None]


class Readiness:
    """Whether the pod and each of its services are ready.

    A service is ready when the process runs and the service's own group (``main``) is above 0; the pod, when any
    service is.

    Args:
        tree: Where it is read.
        services: Names of the hosted services, which are those of their groups.
    """

    def __init__(self, tree: StatusTree, services: Iterable[str]) -> None:
        self._tree = tree
        self._names = tuple(services)
        self._observers: list[ReadinessObserver] = []
        self._told: dict[str, bool] = {}
        tree.observe(self._on_change)

    @property
    def ready(self) -> bool:
        """Of the pod."""
        return any(self.services().values())

    def services(self) -> Mapping[str, bool]:
        """Of each service, by name."""
        return {name: self.is_ready(name) for name in self._names}

    def is_ready(self, service: str) -> bool:
        """Of one service; False for one that never told anything."""
        return self._main(CORE) and self._main(service)

    def observe(self, observer: ReadinessObserver) -> None:
        """Call with a service's name, or an empty one for the pod, and its readiness: now, and whenever it changes."""
        self._observers.append(observer)
        self._told = self._all()
        for name, ready in self._told.items():
            observer(name, ready)

    def _all(self) -> dict[str, bool]:
        services = self.services()
        return {WHOLE: any(services.values()), **services}

    def _on_change(self, change: StatusChanged) -> None:
        before, self._told = self._told, self._all()
        for name, ready in self._told.items():
            if before.get(name) != ready:
                for observer in self._observers:
                    observer(name, ready)

    def _main(self, group: str) -> bool:
        found = self._tree.find(group)
        main = found.find(MAIN) if found is not None else None
        return main is not None and main.ready
