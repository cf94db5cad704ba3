"""The load generator in ``msrpload``: built when its sources have changed, run as a process."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

SOURCES = Path(__file__).with_name("msrpload")
PROGRAM = Path(__file__).parent / ".build" / "msrpload" / "msrpload"
LONGEST_RUN = 900.0
"""Seconds after which a run counts as hung."""

Report = Mapping[str, str | float | None]
"""What the generator prints; ``error`` says why a run does not count, or is None."""


class GeneratorError(Exception):
    """The generator could not be built or broke; a relay's refusal is not that but the report's ``error``."""


def build() -> None:
    """Compile the generator.

    Raises:
        GeneratorError: make, gcc or OpenSSL's headers are missing; the text says what the compiler said.
    """
    try:
        subprocess.run(
            ["make", "-s", "-C", SOURCES, f"BUILD={PROGRAM.parent}"], check=True, capture_output=True, text=True
        )
    except FileNotFoundError as error:
        raise GeneratorError("make is not installed: make peers") from error
    except subprocess.CalledProcessError as error:
        raise GeneratorError(f"the load generator does not build (make peers installs gcc):\n{error.stderr}") from error


def run(arguments: Sequence[str]) -> Report:
    """Run the generator to its end.

    Raises:
        GeneratorError: It ended without a report.
    """
    ended = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=LONGEST_RUN, check=False)
    try:
        report: Report = json.loads(ended.stdout)
    except ValueError as error:
        raise GeneratorError(f"no report from msrpload {' '.join(arguments)}: {ended.stderr}") from error
    return report


def number(report: Report, name: str) -> float:
    """Return one of the report's figures."""
    value = report[name]
    assert isinstance(value, int | float), name
    return float(value)
