"""The relay's MI commands: OpenSIPS's where it has the same, else ours."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from wigwag.runtime.management import ArgumentError, Arguments, Command

from .drain_control import DrainControl
from .selection import LARGEST_PAGE, SessionFilter, page_of
from .web import RelayOperations, RelayUseCases

LONGEST_GRACE = 86_400.0


def drain_commands(drain: DrainControl) -> list[Command]:
    """Return the commands by which an operator empties this pod."""

    async def begin(arguments: Arguments) -> dict[str, Any]:
        await drain.start(_grace(arguments))
        return asdict(drain.view())

    async def take_back(arguments: Arguments) -> dict[str, Any]:
        await drain.cancel()
        return asdict(drain.view())

    return [
        Command(
            name="wigwag:drain",
            run=begin,
            optional=("grace",),
            summary="Take nothing new and send clients away; returns at once, asked again it says how far it is.",
        ),
        Command(name="wigwag:undrain", run=take_back, summary="Take a drain back, also one that is done."),
    ]


def _grace(arguments: Arguments) -> float | None:
    if "grace" not in arguments:
        return None
    try:
        grace = float(arguments["grace"])
    except ValueError:
        grace = -1.0
    if not 0 <= grace < LONGEST_GRACE:
        raise ArgumentError(f"grace has to be 0 to {LONGEST_GRACE:g} seconds")
    return grace


def relay_commands(relay: RelayUseCases, operations: RelayOperations) -> list[Command]:
    """Return the commands.

    Args:
        relay: The use cases.
        operations: What an operator may do beside.
    """

    async def reload_profiles(arguments: Arguments) -> None:
        await operations.reload_profiles(dry_run=False)

    async def reload_routes(arguments: Arguments) -> dict[str, int]:
        return {"routes": await operations.reload_routes()}

    def end_session(arguments: Arguments) -> None:
        relay.end_session(arguments["session"])

    return [
        _command("tcp_mgm:reload", reload_profiles, "Read tcp_mgm again, for live connections too.", ("tcp_reload",)),
        _command("wigwag:reload_routes", reload_routes, "Read the routing table again."),
        _command(
            "wigwag:reload_certificates",
            lambda arguments: operations.reload_certificates(),
            "Load all certificates again; by listener what came of it.",
        ),
        Command(
            name="wigwag:end_session",
            run=end_session,
            required=("session",),
            summary="End a session: its URI answers 481 from now on.",
        ),
        Command(
            name="wigwag:sessions",
            run=lambda arguments: _sessions(relay, arguments),
            optional=("user", "limit", "after"),
            changes=False,
            summary=f"Sessions of everybody or of a user, a page of {LARGEST_PAGE} at most, after a session's id.",
        ),
    ]


def _command(name: str, run: Callable[[Arguments], Any], summary: str, aliases: tuple[str, ...] = ()) -> Command:
    return Command(name=name, run=run, summary=summary, aliases=aliases)


def _sessions(relay: RelayUseCases, arguments: Arguments) -> dict[str, Any]:
    found = relay.find_sessions(SessionFilter(user=arguments.get("user", "")))
    page, more = page_of(found, after=arguments.get("after", ""), size=_limit(arguments))
    result: dict[str, Any] = {"Sessions": [asdict(view) for view in page]}
    return result | {"Next": page[-1].id} if more else result


def _limit(arguments: Arguments) -> int:
    text = arguments.get("limit", str(LARGEST_PAGE))
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= LARGEST_PAGE):
        raise ArgumentError(f"limit has to be 1 to {LARGEST_PAGE}")
    return int(text)
