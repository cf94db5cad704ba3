"""``wigwag status``: how all pods are, and what happened to them lately."""

import time
from typing import Annotated, Any, Literal

import typer
from rich.text import Text
from rich.tree import Tree

from wigwag.errors import ConfigurationError, NotFoundError
from wigwag.runtime.logging import escaped
from wigwag.runtime.status_sharing import REFRESH

from .client import AdminClient
from .options import ConfigOption, JsonOption, TokenOption, UrlOption, client_of
from .terminal import console, local_time, print_json

status = typer.Typer(help="Status and reports of all pods.", invoke_without_command=True)

GroupOption = Annotated[str | None, typer.Option("--group", help="Only this group, such as certificates.")]
PodOption = Annotated[str | None, typer.Option("--pod", help="Only this pod.")]
SeverityOption = Annotated[
    Literal["info", "warning", "error"] | None, typer.Option("--severity", help="Only reports at least as severe.")
]
SinceOption = Annotated[
    str | None, typer.Option("--since", help="Only reports since then: 90s, 10m, 2h, 1d ago, or 2026-11-25 19:30.")
]

MISSED = 3 * REFRESH
"""Seconds after which a pod that says nothing is probably gone."""
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")
_STYLES = {"info": "", "warning": "yellow", "error": "red"}

Row = dict[str, Any]


@status.callback()
def show_status(
    context: typer.Context,
    group: GroupOption = None,
    pod: PodOption = None,
    severity: SeverityOption = None,
    since: SinceOption = None,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show groups and identifiers; with --severity or --since those with such reports, and the reports."""
    if context.invoked_subcommand is not None:
        return
    with client_of(config, url, token_file) as client:
        found = client.get("/v1/status", group=group, pod=pod)
        reports = None
        if severity is not None or since is not None:
            reports = _reports(client, group=group, pod=pod, severity=severity, since=moment(since))
    if as_json:
        print_json(found if reports is None else found | {"reports": reports})
        return
    _check_found(found, group=group, pod=pod)
    for item in found["pods"]:
        console().print(_tree(item, reports))
    _warn(found["problem"])


@status.command("reports")
def show_reports(
    group: GroupOption = None,
    identifier: Annotated[str | None, typer.Option("--identifier", help="Only this identifier.")] = None,
    pod: PodOption = None,
    severity: SeverityOption = None,
    since: SinceOption = None,
    config: ConfigOption = None,
    url: UrlOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """List reports of all pods, the latest last."""
    with client_of(config, url, token_file) as client:
        rows = _reports(client, group=group, identifier=identifier, pod=pod, severity=severity, since=moment(since))
    if as_json:
        print_json(rows)
        return
    for row in rows:
        place = f"{row['pod']} {row['group']}/{row['identifier']}"
        text = f"{local_time(row['time'])}  {row['severity']:<7}  {escaped(place)}  {escaped(row['text'])}"
        # A line each, however narrow the terminal is: they are searched with grep.
        console().print(Text(text, style=_STYLES.get(row["severity"], "")), soft_wrap=True)
    if not rows:
        console().print("no reports")


def moment(text: str | None, now: float | None = None) -> float | None:
    """Return the wall clock time that a person wrote: so long ago, or a local date and time.

    Raises:
        ConfigurationError: It is neither.
    """
    if text is None:
        return None
    number, unit = text[:-1], text[-1:]
    if unit in _UNITS and number.isascii() and number.isdigit() and len(number) < 10:
        return (time.time() if now is None else now) - int(number) * _UNITS[unit]
    for form in _FORMATS:
        try:
            return time.mktime(time.strptime(text, form))
        except (ValueError, OverflowError):
            continue
    raise ConfigurationError(f"--since: {text!r} is neither like 10m nor like 2026-11-25 19:30")


def _check_found(found: Row, *, group: str | None, pod: str | None) -> None:
    """A misspelt name must not look like a part without trouble."""
    if pod is not None and not found["pods"]:
        raise NotFoundError(f"no pod {pod}" + (f"; {found['problem']}" if found["problem"] else ""))
    if group is not None and not any(item["groups"] for item in found["pods"]):
        raise NotFoundError(f"no pod has a group {group}")


def _reports(client: AdminClient, **query: Any) -> list[Row]:
    rows: list[Row] = []
    after = None
    while True:
        page = client.get("/v1/status/reports", limit=1_000, after=after, **query)
        rows += page["reports"]
        after = page["next"]
        if after is None:
            _warn(page["problem"])
            return rows


def _tree(pod: Row, reports: list[Row] | None) -> Tree:
    tree = Tree(Text(f"{escaped(pod['pod'])}, since {local_time(pod['started'])}", style="bold").append(_age(pod)))
    for group in pod["groups"]:
        branch = Tree(Text(escaped(group["name"]), style="" if group["ready"] else "red"))
        for identifier in group["identifiers"]:
            own = [row for row in reports or () if _belongs(row, pod, group, identifier)]
            if own or reports is None:
                leaf = branch.add(_line(identifier))
                for row in own:
                    leaf.add(Text(_sentence(row), style=_STYLES.get(row["severity"], "")))
        if branch.children:
            tree.children.append(branch)
    return tree


def _age(pod: Row) -> Text:
    if pod["own"]:
        return Text()
    is_stale = pod["age"] > MISSED
    return Text(
        f", {'not heard of for' if is_stale else 'as of'} {pod['age']:.0f} s", style="red" if is_stale else "dim"
    )


def _belongs(row: Row, pod: Row, group: Row, identifier: Row) -> bool:
    place = (row["pod"], row["group"], row["identifier"])
    return place == (pod["pod"], group["name"], identifier["name"])


def _line(identifier: Row) -> Text:
    style = "green" if identifier["ready"] else "bold red"
    since = local_time(identifier["since"])
    text = Text(f"{escaped(identifier['name'])}  ")
    text.append(f"{identifier['status']}", style=style)
    return text.append(f"  {escaped(identifier['details'])}").append(f"  since {since}", style="dim")


def _sentence(row: Row) -> str:
    return f"{local_time(row['time'])}  {row['severity']}  {escaped(row['text'])}"


def _warn(problem: str | None) -> None:
    if problem:
        console(to_stderr=True).print(Text(escaped(problem), style="yellow"))
