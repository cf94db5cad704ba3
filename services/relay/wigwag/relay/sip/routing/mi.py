"""OpenSIPS's MI commands for pools (module dispatcher), and reloading the SIP routing table."""

from typing import Any, Final

from wigwag.errors import NotFoundError
from wigwag.runtime.management import ArgumentError, Arguments, Command

from .pools import MemberState
from .work import RoutingWork, SipMemberView, SipPoolView

PARTITION: Final = "default"
"""The only partition that there is."""
_STATES: Final = {"a": MemberState.ACTIVE, "i": MemberState.INACTIVE, "p": MemberState.PROBING}


def routing_commands(work: RoutingWork) -> list[Command]:
    """Return the commands."""

    async def reload(arguments: Arguments) -> None:
        _check_partition(arguments)
        await work.reload()

    async def reload_routes(arguments: Arguments) -> dict[str, int]:
        return {"routes": await work.reload()}

    def list_pools(arguments: Arguments) -> dict[str, Any]:
        _check_partition(arguments)
        return {"PARTITIONS": [{"name": PARTITION, "SETS": [_set(pool) for pool in work.pools()]}]}

    def set_state(arguments: Arguments) -> None:
        state = _STATES.get(arguments["state"])
        if state is None:
            raise ArgumentError("state has to be a (active), i (inactive) or p (probing)")
        work.set_state(arguments["group"], arguments["address"], state)

    return [
        Command(
            name="dispatcher:list",
            run=list_pools,
            aliases=("ds_list",),
            optional=("partition",),
            changes=False,
            summary="Pools and their members, as this pod sees them.",
        ),
        Command(
            name="dispatcher:set_state",
            run=set_state,
            aliases=("ds_set_state",),
            required=("state", "group", "address"),
            summary="Make a member (its URI) of a pool active, inactive or probing, at this pod.",
        ),
        Command(
            name="dispatcher:reload",
            run=reload,
            aliases=("ds_reload",),
            optional=("partition",),
            summary="Read pools and the SIP routing table again.",
        ),
        Command(
            name="wigwag:reload_sip_routes",
            run=reload_routes,
            aliases=("sip_route_reload",),
            summary="Read the SIP routing table and its pools again; how many rows there are.",
        ),
    ]


def _check_partition(arguments: Arguments) -> None:
    if arguments.get("partition", PARTITION) != PARTITION:
        raise NotFoundError(f"no partition {arguments['partition']!r}; there is {PARTITION!r}")


def _set(pool: SipPoolView) -> dict[str, Any]:
    return {"id": pool.name, "Destinations": [_destination(member) for member in pool.members]}


def _destination(member: SipMemberView) -> dict[str, Any]:
    return {
        "URI": member.uri,
        "state": member.state.capitalize(),
        "first_hit_counter": member.chosen,
        "weight": member.weight,
        "priority": member.priority,
    }
