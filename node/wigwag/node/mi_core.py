"""MI commands of the process itself: which, help, version, uptime, ps, statistics."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from wigwag.errors import NotFoundError
from wigwag.runtime.clock import WallClock
from wigwag.runtime.management import Arguments, Command, Commands
from wigwag.runtime.telemetry import Reading, Readings

Statistics = dict[str, int | float]


def core_commands(commands: Commands, *, version: str, started: float, now: WallClock) -> list[Command]:
    """Return what every process answers.

    Args:
        commands: All commands, for ``which``.
        version: The program's.
        started: When the process began, wall clock.
        now: Wall clock.
    """

    def which(arguments: Arguments) -> list[Any]:
        if "command" not in arguments:
            return list(commands)
        return _recipes(_known(commands, arguments["command"]))

    def uptime(arguments: Arguments) -> dict[str, str]:
        seconds = max(0, int(now() - started))
        return {"Now": time.ctime(now()), "Up since": time.ctime(started), "Up time": f"{seconds} [sec]"}

    def ps(arguments: Arguments) -> dict[str, Any]:
        return {"Processes": [{"ID": 0, "PID": os.getpid(), "Type": "wigwag"}]}

    return [
        _reading("which", which, "Names of all commands, or the parameters that one takes.", "command"),
        _reading("help", lambda arguments: _help(_known(commands, arguments["mi_cmd"])), "About a command.", "mi_cmd"),
        _reading("version", lambda arguments: {"Server": f"Wigwag ({version})"}, "The program's version."),
        _reading("uptime", uptime, "Since when the process runs."),
        _reading("ps", ps, "Processes: there is one."),
    ]


def _reading(name: str, run: Callable[[Arguments], Any], summary: str, *parameters: str) -> Command:
    is_needed = name == "help"
    return Command(
        name=name,
        run=run,
        summary=summary,
        required=parameters if is_needed else (),
        optional=() if is_needed else parameters,
        changes=False,
    )


def _known(commands: Commands, name: str) -> Command:
    command = commands.find(name)
    if command is None:
        raise NotFoundError("unknown MI command")
    return command


def _recipes(command: Command) -> list[list[str]]:
    """Return each list of parameters that the command may be called with, as OpenSIPS tells them."""
    count = len(command.optional) + 1
    return [[*command.required, *command.optional[:number]] for number in range(count)]


def _help(command: Command) -> dict[str, Any]:
    return {"Help": command.summary, "Names": [command.name, *command.aliases], "Parameters": _recipes(command)}


def statistics_commands(sources: Iterable[Readings], *, started: float, now: WallClock) -> list[Command]:
    """Return the commands that show counters and gauges by OpenSIPS's manner of naming: ``group:name``.

    Args:
        sources: Yield the process's readings.
        started: When the process began, wall clock.
        now: Wall clock.
    """
    sources = tuple(sources)

    def collect() -> Statistics:
        found: Statistics = {"core:timestamp": max(0, int(now() - started))}
        for reading in (reading for source in sources for reading in source()):
            found[_statistic(reading)] = reading.value
        return found

    def get(arguments: Arguments) -> Statistics:
        return _chosen(collect(), arguments["statistics"])

    def names(arguments: Arguments) -> list[str]:
        return list(_chosen(collect(), arguments.get("statistics", ["all"])))

    shared: dict[str, Any] = {"lists": frozenset({"statistics"}), "changes": False}
    return [
        Command(
            name="statistics:get",
            aliases=("get_statistics",),
            run=get,
            required=("statistics",),
            summary="Values: of all, of a group (relay:) or of one (relay:messages).",
            **shared,
        ),
        Command(
            name="statistics:list",
            aliases=("list_statistics",),
            run=names,
            optional=("statistics",),
            summary="Names of all values, or of a group's.",
            **shared,
        ),
    ]


def _statistic(reading: Reading) -> str:
    """Return ``relay:connections.tls`` for ``wigwag.relay.connections`` with the attribute listener=tls."""
    group, _, name = reading.metric.name.removeprefix("wigwag.").partition(".")
    return f"{group}:{'.'.join([name, *reading.attributes.values()])}"


def _chosen(known: Statistics, wanted: Sequence[str]) -> Statistics:
    found: Statistics = {}
    for name in wanted:
        matching = {key: value for key, value in known.items() if _matches(key, name)}
        if not matching:
            raise NotFoundError(f"Statistics Not Found: {name}")
        found |= matching
    return found


def _matches(key: str, wanted: str) -> bool:
    group, _, name = key.partition(":")
    return wanted in ("all", key, f"{group}:", name)
