"""A short, seeded run of the SIP fuzz target."""

import pytest

from tests.fuzz.fuzz_sip import load_corpus, run


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_hostile_bytes_raise_sip_error_or_parse(seed: int) -> None:
    run(seed, 1500)


def test_the_corpus_is_large() -> None:
    assert len(load_corpus()) >= 250
