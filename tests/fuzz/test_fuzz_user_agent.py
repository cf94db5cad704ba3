"""A short, seeded run of the user agent's fuzz target."""

import pytest

from tests.fuzz.fuzz_user_agent import run


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_hostile_servers_cause_no_exception(seed: int) -> None:
    run(seed, 150)
