"""The load generators ``msrpload`` and ``sipload``: built when their sources have changed, run as processes."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

MSRPLOAD, SIPLOAD = "msrpload", "sipload"
_BENCH = Path(__file__).parent
LONGEST_RUN = 900.0
"""Seconds after which a run counts as hung."""

Report = Mapping[str, str | float | list[float] | None]
"""What the generator prints; ``error`` says why a run does not count, or is None."""


class GeneratorError(Exception):
    """The generator could not be built or broke; a relay's refusal is not that but the report's ``error``."""


def build(name: str = MSRPLOAD) -> None:
    """Compile a generator.

    Raises:
        GeneratorError: make, gcc or OpenSSL's headers are missing; the text says what the compiler said.
    """
    try:
        command: list[str | Path] = ["make", "-s", "-C", _BENCH / name, f"BUILD={_program(name).parent}"]
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise GeneratorError("make is not installed: make peers") from error
    except subprocess.CalledProcessError as error:
        raise GeneratorError(f"the load generator does not build (make peers installs gcc):\n{error.stderr}") from error


def run(arguments: Sequence[str], name: str = MSRPLOAD) -> Report:
    """Run a generator to its end.

    Raises:
        GeneratorError: It ended without a report.
    """
    command = [str(_program(name)), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_RUN, check=False)
    try:
        report: Report = json.loads(ended.stdout)
    except ValueError as error:
        raise GeneratorError(f"no report from {name} {' '.join(arguments)}: {ended.stderr}") from error
    return report


def _program(name: str) -> Path:
    return _BENCH / ".build" / name / name


def number(report: Report, name: str) -> float:
    """Return one of the report's figures."""
    value = report[name]
    assert isinstance(value, int | float), name
    return float(value)
