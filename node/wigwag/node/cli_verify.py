"""``wigwag verify``: promises, judged by what test endpoints recorded."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import JsonOption
from .terminal import console, print_json, print_table

if TYPE_CHECKING:
    from wigwag.runtime.verification import Verdict

verify = typer.Typer(help="Verify promises by recordings of test endpoints.", no_args_is_help=True)

BROKEN = 3
"""Exit status when a promise was broken; 1 is an error such as a file that can't be read, 2 a wrong option."""
_SHOWN = 20


@verify.command("relay")
def verify_relay(
    endpoints: Annotated[list[Path], typer.Option("--endpoints", help="A recording; may be given several times.")],
    more: Annotated[list[Path] | None, typer.Argument(metavar="[RECORDING]...", help="More recordings.")] = None,
    allow_unfinished: Annotated[
        bool, typer.Option("--allow-unfinished", help="Endpoints may have been killed: recordings may end early.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Verify that the relay lost, doubled, reordered and invented nothing.

    Exit status: 0 every promise was kept; 3 one was broken; 1 a recording can't be read.
    """
    from wigwag.runtime.recording import read_recording
    from wigwag.runtime.verification import verify as judge

    recordings = [read_recording(path) for path in dict.fromkeys([*endpoints, *(more or [])])]
    _conclude(judge(recordings, allow_unfinished=allow_unfinished), as_json)


@verify.command("edge")
def verify_edge(
    endpoints: Annotated[list[Path], typer.Option("--endpoints", help="A recording; may be given several times.")],
    more: Annotated[list[Path] | None, typer.Argument(metavar="[RECORDING]...", help="More recordings.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify that the SIP edge lost, doubled, reordered and invented nothing.

    Exit status: 0 every promise was kept; 3 one was broken; 1 a recording can't be read.
    """
    from wigwag.runtime.edge_recording import read_edge_recording
    from wigwag.runtime.edge_verification import verify_edge as judge

    _conclude(judge([read_edge_recording(path) for path in dict.fromkeys([*endpoints, *(more or [])])]), as_json)


@verify.command("ua")
def verify_ua(
    endpoints: Annotated[list[Path], typer.Option("--endpoints", help="A recording; may be given several times.")],
    more: Annotated[list[Path] | None, typer.Argument(metavar="[RECORDING]...", help="More recordings.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify that the user agent lost, doubled, reordered and invented no message, and told each outcome once.

    Exit status: 0 every promise was kept; 3 one was broken; 1 a recording can't be read.
    """
    from wigwag.runtime.ua_recording import read_ua_recording
    from wigwag.runtime.ua_verification import verify_ua as judge

    _conclude(judge([read_ua_recording(path) for path in dict.fromkeys([*endpoints, *(more or [])])]), as_json)


@verify.command("messages")
def verify_messages(
    endpoints: Annotated[list[Path], typer.Option("--endpoints", help="A recording; may be given several times.")],
    more: Annotated[list[Path] | None, typer.Argument(metavar="[RECORDING]...", help="More recordings.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify that the gateway lost, doubled, reordered and invented no message, and told both sides each outcome once.

    Exit status: 0 every promise was kept; 3 one was broken; 1 a recording can't be read.
    """
    from wigwag.runtime.message_recording import read_message_recording
    from wigwag.runtime.message_verification import verify_messages as judge

    _conclude(judge([read_message_recording(path) for path in dict.fromkeys([*endpoints, *(more or [])])]), as_json)


def _conclude(verdict: "Verdict", as_json: bool) -> None:
    if as_json:
        print_json(_as_json(verdict))
    else:
        _print(verdict)
    if not verdict.kept:
        raise typer.Exit(BROKEN)


def _as_json(verdict: "Verdict") -> dict[str, object]:
    violations = [
        {"kind": violation.kind.value, "text": violation.text, "evidence": list(violation.evidence)}
        for violation in verdict.violations
    ]
    return {"kept": verdict.kept, "counts": verdict.counts, "violations": violations}


def _print(verdict: "Verdict") -> None:
    rows = [{"what": name, "count": count} for name, count in verdict.counts.items()]
    print_table(rows, ("what", "count"), empty="nothing")
    for violation in verdict.violations[:_SHOWN]:
        _print_lines([f"{violation.kind.value}: {violation.text}", *(f"    {line}" for line in violation.evidence)])
    hidden = len(verdict.violations) - _SHOWN
    if hidden > 0:
        _print_lines([f"and {hidden} more; --json has them all"])
    count = len(verdict.violations)
    _print_lines(["every promise was kept" if verdict.kept else f"{count} broken"])


def _print_lines(lines: Sequence[str]) -> None:
    for line in lines:
        console().print(line, markup=False)
