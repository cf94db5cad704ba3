"""A short, seeded run of the XML fuzz target."""

import pytest

from tests.fuzz.fuzz_xml import run


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_hostile_bytes_raise_an_error_or_parse(seed: int) -> None:
    assert run(seed, 2000) > 100
