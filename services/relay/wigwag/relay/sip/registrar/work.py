"""What looks after registrations beside the requests: tasks, notices of the store, pods that died, block lists."""

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from wigwag.database import BlockRow, Blocks
from wigwag.errors import DatabaseError
from wigwag.relay.sip.protection.screening import Block
from wigwag.runtime.status import Identifier, ModuleStatus, StatusTree
from wigwag.runtime.status_loading import Answering, loading
from wigwag.store import Gap, RegistrationChanged, Store, StoreError

if TYPE_CHECKING:
    from wigwag.relay.cluster import Cluster
    from wigwag.relay.sip.assembly import SipParts

BLOCK_LISTS_HOLD: Final = 30.0
"""Seconds after which it is looked whether block lists have changed."""
SETTLE: Final = 5.0
"""Seconds from when a pod is missed until its bindings are let go: after an outage of the store all are missed."""
LOOK: Final = 1.0
"""Seconds between two looks at the other pods, and at what the status says."""
_LEASE: Final = "sip-registrations-of-"
_LEASE_SECONDS: Final = 300.0
_BEFORE_THE_START: Final = "before"
"""Stands for pods that died before this one was there."""
_FLUSH: Final = 5.0

logger = structlog.get_logger("wigwag.relay.sip")


class RegistrationWork:
    """Runs it; to be closed after the listeners, so that what their connections leave behind is let go.

    Args:
        parts: The edge and what stands beside it.
        store: Where registrations are.
        cluster: The other pods; None: there can be none.
        pod: Id of this pod.
        blocks: Where block lists are; None: there are none.
        status: Where it tells how it is.
    """

    def __init__(
        self,
        parts: "SipParts",
        *,
        store: Store,
        cluster: "Cluster | None",
        pod: str,
        blocks: Blocks | None,
        status: StatusTree,
    ) -> None:
        self._registrations = parts.registrations
        self._locations = parts.locations
        self._block_lists = parts.block_lists
        self._waker = parts.edge.waker
        self._store = store
        self._cluster = cluster
        self._pod = pod
        self._blocks = blocks
        self._status = status
        self._stamp: tuple[int, int] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._told = status.group("registrations").identifier()
        self._answering = Answering(status.group("registrations").identifier("store"), "the store answers")

    async def start(self) -> None:
        """Load what is stored, and begin.

        Raises:
            DatabaseError: Block lists can't be read.
        """
        await self.reload_block_lists()
        work = [self._registrations.upkeep.run(), self._registrations.events.run(), self._keep_block_lists()]
        work += [self._tell()]
        if self._cluster is not None:
            work += [self._clear_after_pods(self._cluster)]
        self._tasks = [asyncio.create_task(each) for each in work]

    async def close(self) -> None:
        """End; what can be done within seconds is done."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._registrations.upkeep.flush(_FLUSH)
        await self._registrations.events.flush()

    def noticed(self, change: RegistrationChanged | Gap) -> None:
        """The store tells of a change at another pod, or that it may have lost everything."""
        self._locations.changed(change)
        if isinstance(change, Gap):
            self._registrations.upkeep.write_again()
            return
        self._registrations.upkeep.doubt(change.aor)
        if self._waker is not None:
            self._waker.registered(change.aor)

    # Block lists

    async def reload_block_lists(self) -> int:
        """Read block lists again if they have changed; returns how many entries there are.

        Raises:
            DatabaseError: They can't be read; the old ones hold.
        """
        if self._blocks is not None:
            stamp = await self._blocks.stamp()
            if stamp != self._stamp:
                with loading(self._status.group("block_lists").identifier(), "block lists") as attempt:
                    self._block_lists.replace(map(_block, await self._blocks.all()))
                    attempt.result = f"{self._block_lists.entries} entries of block lists loaded"
                self._stamp = stamp
        return self._block_lists.entries

    async def _keep_block_lists(self) -> None:
        while True:
            await asyncio.sleep(BLOCK_LISTS_HOLD)
            try:
                await self.reload_block_lists()
            except DatabaseError as error:
                logger.debug("block lists stay as they were", reason=str(error))

    # Other pods

    async def _clear_after_pods(self, cluster: "Cluster") -> None:
        """Let bindings go whose pod is gone; at the start too, when nobody knows who died before."""
        generation = cluster.members.generation
        known = {pod.id for pod in cluster.members.others()}
        missing, due = {_BEFORE_THE_START}, SETTLE
        while True:
            await asyncio.sleep(LOOK)
            generation = self._compare(generation, cluster.members.generation)
            others = {pod.id for pod in cluster.members.others()}
            if known - others:
                missing |= known - others
                due = SETTLE
            known = others
            due -= LOOK
            if missing and due <= 0 and await self._clear(cluster, missing):
                missing.clear()

    def _compare(self, before: str | None, now: str | None) -> str | None:
        """Write everything again when the store has lost it, which it does not tell of by itself."""
        if now is not None and before not in (None, now):
            self._locations.emptied()
            self._registrations.upkeep.write_again()
        return now or before

    async def _clear(self, cluster: "Cluster", missing: set[str]) -> bool:
        """Do it unless another pod does; False: it has to be tried again."""

        def is_dead(pod: str) -> bool:
            return not cluster.members.alive(pod) and not cluster.links.stands(pod)

        if cluster.members.stale:
            return False
        try:
            if not await self._is_up_to_us(missing):
                return True
            count = await self._registrations.upkeep.clear_after(is_dead)
        except StoreError:
            return False
        if count:
            logger.info("connections of pods that are gone: their bindings are let go", found=count)
        return True

    async def _is_up_to_us(self, missing: set[str]) -> bool:
        """Tell whether this pod is the first that wants to clear after one of these.

        Should it die before it has, it is missed itself, and who clears after it clears after all.
        """
        leases = [
            await self._store.acquire_lease(f"{_LEASE}{pod}", self._pod, seconds=_LEASE_SECONDS) for pod in missing
        ]
        return any(lease is not None for lease in leases)

    # Status

    async def _tell(self) -> None:
        while True:
            _tell_count(self._told, len(self._registrations.own), self._registrations.upkeep.waiting)
            reason = self._registrations.upkeep.away
            if reason:
                self._answering.failed(reason, self._status.now())
            else:
                self._answering.answered(self._status.now())
            await asyncio.sleep(LOOK)


def _tell_count(identifier: Identifier, count: int, waiting: int) -> None:
    more = f", {waiting} to be looked at" if waiting else ""
    identifier.set(ModuleStatus.READY, f"bindings of this pod: {count}{more}")


def _block(row: BlockRow) -> Block:
    return Block(aor=f"sip:{row.username}@{row.domain}", pattern=row.pattern)
