"""What the command prints: tables for people, JSON for programs, one clear line for errors."""

import datetime
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wigwag.runtime.logging import escaped

_ENDLESS: Final = 100_000
"""Columns of what is no terminal: there a row is a line, so that ``grep`` and people find ids whole."""


def console(*, to_stderr: bool = False) -> Console:
    """Return a console on the process's current standard output or error."""
    is_terminal = sys.stdout.isatty()
    return Console(
        file=sys.stderr if to_stderr else sys.stdout,
        highlight=False,
        soft_wrap=not is_terminal,
        width=None if is_terminal else _ENDLESS,
    )


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def print_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, empty: str) -> None:
    """Print chosen members of rows; ``empty`` when there are none."""
    rows = list(rows)
    if not rows:
        console().print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    console().print(table)


def print_members(members: Mapping[str, Any]) -> None:
    """Print an object, a member a line."""
    print_table([{"name": name, "value": value} for name, value in members.items()], ("name", "value"), empty="nothing")


def print_error(text: str) -> None:
    """Print an error in red on standard error."""
    console(to_stderr=True).print(Text(text, style="bold red"))


def local_time(seconds: float) -> str:
    """Return a wall clock time in the local zone."""
    return datetime.datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _cell(value: Any) -> Text:
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    # A peer chose some of it: escape sequences must not reach the terminal.
    return Text(escaped(str(value)))


def path_part(text: str) -> str:
    """Return text as one part of a URL's path, or one value of its query."""
    from urllib.parse import quote

    return quote(text, safe="")
