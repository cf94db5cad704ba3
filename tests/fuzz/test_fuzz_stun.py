"""A short, seeded run of the STUN fuzz target."""

import pytest

from tests.fuzz.fuzz_stun import run


@pytest.mark.parametrize("seed", [1, 2])
def test_hostile_datagrams_get_no_answer_or_a_small_well_formed_one(seed: int) -> None:
    assert run(seed, 3000) > 300
