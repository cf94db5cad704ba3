"""Looks after the SIP routing table of a running edge: loading, what operators see and change, status, metrics."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wigwag.database import Database
from wigwag.runtime.names import RELAY_SIP_OUTBOUND, RELAY_SIP_POOL_MEMBERS, RELAY_SIP_ROUTING_COUNTERS
from wigwag.runtime.status import ModuleStatus, Severity, StatusTree
from wigwag.runtime.status_loading import loading
from wigwag.runtime.telemetry import Reading

from .pools import Member, MemberState, Pool
from .router import Router

if TYPE_CHECKING:
    from wigwag.relay.sip.flows.outbound import Outbound


@dataclass(frozen=True, slots=True, kw_only=True)
class SipMemberView:
    """A server of a pool, as this pod sees it."""

    uri: str
    state: MemberState
    weight: int
    priority: int
    failures: int
    """In a row."""
    chosen: int
    """Requests for which it was the first to be tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SipPoolView:
    """A pool, as this pod sees it."""

    name: str
    members: tuple[SipMemberView, ...]


class RoutingWork:
    """What is done around the router.

    Args:
        router: The table in force.
        database: Where its rows are; None: they are all in the settings.
        status: The process's status tree.
    """

    def __init__(self, router: Router, *, database: Database | None, status: StatusTree) -> None:
        self._router = router
        self._database = database
        self._status = status
        self._hook = (0, 0)
        self._told: dict[tuple[str, str], MemberState] = {}

    async def reload(self) -> int:
        """Read the table and the pools again; returns how many rows there are.

        Raises:
            ConfigurationError: A row makes no sense; everything stays as it was.
            DatabaseError: The database cannot be reached; likewise.
        """
        with loading(self._status.group("sip_routes").identifier(), "SIP routes") as attempt:
            count = await self._router.load(self._database)
            attempt.result = f"{count} SIP routes and {len(self._router.pools)} pools loaded"
        self.look()
        return count

    def look(self) -> None:
        """Tell of members that went down or came back, and how the hook answers."""
        self._look_at_hook()
        group = self._status.group("sip_pools")
        for identifier in list(group):
            if identifier.name not in self._router.pools:
                group.remove(identifier.name)
        for pool in self._router.pools.values():
            identifier = group.identifier(pool.name)
            for member in pool.members:
                if self._told.get((pool.name, member.name), MemberState.ACTIVE) is not member.state:
                    up = member.state is MemberState.ACTIVE
                    identifier.report(f"{member.name} is {member.state}", Severity.INFO if up else Severity.WARNING)
                self._told[pool.name, member.name] = member.state
            up_now = sum(member.state is MemberState.ACTIVE for member in pool.members)
            number = ModuleStatus.READY if up_now else ModuleStatus.NOT_READY
            identifier.set(number, f"{up_now} of {len(pool.members)} members are up")

    def _look_at_hook(self) -> None:
        before, self._hook = self._hook, (self._router.hook_answers, self._router.hook_failures)
        identifier = "hook"
        if self._hook[1] > before[1]:
            self._status.group("sip_routes").identifier(identifier).become(
                ModuleStatus.NOT_READY, "gives no usable answers", Severity.ERROR
            )
        elif self._hook[0] > before[0]:
            self._status.group("sip_routes").identifier(identifier).become(ModuleStatus.READY, "answers")

    # For operators

    def routes(self) -> list[dict[str, Any]]:
        """Return the rows in force, in the order in which they are tried, without what is not set."""
        rows = []
        for number, row in enumerate(self._router.table.rows, 1):
            rows.append({"number": number, **row.settings.model_dump(mode="json", exclude_defaults=True)})
        return rows

    def pools(self) -> list[SipPoolView]:
        """Return all pools."""
        return [_pool_view(pool) for pool in self._router.pools.values()]

    def set_state(self, pool: str, uri: str, state: MemberState) -> None:
        """Take a member of a pool out or back in, at this pod; NotFoundError."""
        self._router.set_state(pool, uri, state)
        self.look()


def _pool_view(pool: Pool) -> SipPoolView:
    return SipPoolView(name=pool.name, members=tuple(map(_member_view, pool.members)))


def _member_view(member: Member) -> SipMemberView:
    return SipMemberView(
        uri=member.name,
        state=member.state,
        weight=member.settings.weight,
        priority=member.settings.priority,
        failures=member.failures,
        chosen=member.chosen,
    )


def routing_readings(router: Router, outbound: "Outbound") -> Iterable[Reading]:
    """Yield the metrics of routing and of next hops."""
    yield RELAY_SIP_OUTBOUND.read(len(outbound.flows))
    counted = {
        "routes_refused": router.refused,
        "route_hook_failures": router.hook_failures,
        "outbound_connections": outbound.opened,
        "outbound_failures": outbound.failures,
        "outbound_forbidden": outbound.refused,
    }
    for metric in RELAY_SIP_ROUTING_COUNTERS:
        yield metric.read(counted[metric.name.rpartition(".")[2]])
    for pool in router.pools.values():
        for state in MemberState:
            count = sum(member.state is state for member in pool.members)
            yield RELAY_SIP_POOL_MEMBERS.read(count, pool=pool.name, state=state.value)
