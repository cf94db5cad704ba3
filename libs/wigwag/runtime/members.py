"""Which pods there are, as the store saw them last."""

from collections.abc import Callable

from wigwag.store import Membership, Pod, Store

LEASE = 3.0
"""Seconds without a beat after which a pod counts as dead."""

_WORTH_A_TRY = 60.0


class Members:
    """The pods of the cluster.

    What is known stays as it is while the store is away: that nobody is seen then says nothing about anybody.

    Args:
        store: Where pods beat.
        pod: This pod.
        now: Seconds, monotonic.
        wall: Seconds since the epoch.
    """

    def __init__(self, store: Store, pod: Pod, now: Callable[[], float], wall: Callable[[], float]) -> None:
        self.pod = pod
        self.generation: str | None = None
        self.stale = True
        """The last beat failed: what the store holds now may be another generation."""
        self._store = store
        self._now = now
        self._wall = wall
        self._shift: float | None = None
        """What the store's clock was ahead of ours that is monotonic."""
        self._seen: dict[str, tuple[Pod, float, float]] = {}
        """By id: the pod, its age when the store was asked, and its last beat by the store's clock."""
        self._before: dict[str, tuple[Pod, float, float]] = {}
        """What was seen before the store lost what it held."""
        self._before_until = float("-inf")

    async def beat(self) -> bool:
        """Beat, and see who else does; True when the store has lost what it held.

        Raises:
            StoreError: The store is away.
        """
        try:
            membership = await self._store.beat(self.pod)
        except BaseException:
            self.stale = True
            raise
        self.stale = False
        self._take(membership)
        before, self.generation = self.generation, membership.generation
        return before not in (None, self.generation)

    @property
    def are_writing_again(self) -> bool:
        """Whether the store lost what it held a moment ago, so that others may not have written theirs again yet."""
        return self._now() < self._before_until

    def wall(self) -> float:
        """Return the store's time, seconds since the epoch; until the store was reached, that of this pod.

        What pods write down for each other is told by one clock: one of theirs may be wrong.
        """
        return self._wall() if self._shift is None else self._now() + self._shift

    def _take(self, membership: Membership) -> None:
        self._shift = membership.time - self._now()
        wall = self.wall()
        if self.generation not in (None, membership.generation):
            # The others have not had their turn to beat.
            self._before, self._before_until = self._seen, self._now() + LEASE
        seen = {sighting.pod.id: (sighting.pod, sighting.age, wall - sighting.age) for sighting in membership.sightings}
        self._seen = self._before | seen if self._now() < self._before_until else seen

    def others(self) -> list[Pod]:
        """Return the other pods of our kind that live: those that links, or gRPC, lead to as to us."""
        live = [pod for pod, age, _ in self._seen.values() if pod.id != self.pod.id and age < LEASE]
        return [pod for pod in live if bool(pod.address) == bool(self.pod.address)]

    def dead(self) -> list[str]:
        """Return the pods that beat once and do no more."""
        return [pod.id for pod, age, _ in self._seen.values() if pod.id != self.pod.id and age >= LEASE]

    def rpc(self, pod_id: str) -> str:
        """Return where the gRPC of a live pod is reached; empty: it is not known, or serves none."""
        seen = self._seen.get(pod_id)
        return seen[0].rpc if seen is not None and seen[1] < LEASE else ""

    def alive(self, pod_id: str) -> bool:
        """Tell whether the pod beat of late."""
        return pod_id == self.pod.id or (pod_id in self._seen and self._seen[pod_id][1] < LEASE)

    def dead_since(self, pod_id: str) -> float | None:
        """Return when a dead pod beat last, by the store's clock; None: it lives, or nothing is known of it."""
        seen = self._seen.get(pod_id)
        return None if seen is None or self.alive(pod_id) else seen[2]

    def address(self, pod_id: str) -> str:
        """Return where links to the pod are opened; empty: unknown, or it has not been seen for long.

        A pod that does not beat may only be cut off from the store.
        """
        seen = self._seen.get(pod_id)
        return seen[0].address if seen is not None and seen[1] < _WORTH_A_TRY else ""
