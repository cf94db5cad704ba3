"""What fuzz targets have in common: a seeded run that ends at the first input that breaks a sentence, and their command
line."""

import argparse
from collections.abc import Callable
from random import Random
from typing import TypeVar

T = TypeVar("T")


def fuzz(seed: int, runs: int, make: Callable[[Random], T], check: Callable[[Random, T], int | None]) -> int:
    """Check inputs that follow from a seed.

    Args:
        seed: The same gives the same inputs.
        runs: How many.
        make: Makes an input.
        check: Raises if an input breaks a sentence; may return a number.

    Returns:
        The sum of the numbers.
    """
    random = Random(seed)
    total = 0
    for number in range(runs):
        data = make(random)
        try:
            total += check(random, data) or 0
        except BaseException:
            print(f"seed {seed}, run {number}: {data.hex() if isinstance(data, bytes) else repr(data)}")
            raise
    return total


def command_line(description: str | None, run: Callable[[int, int], int | None]) -> None:
    """Run a target from the command line; ``run`` takes a seed and a number of runs."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--runs", type=int, default=100_000)
    options = arguments.parse_args()
    total = run(options.seed, options.runs)
    if total is not None:
        print(f"{total} of {options.runs}")
