"""A short, seeded run of the Digest fuzz target."""

import pytest

from tests.fuzz.fuzz_digest import load_corpus, run


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_hostile_header_fields_are_refused_and_let_nobody_in(seed: int) -> None:
    run(seed, 700)


def test_the_corpus_is_there() -> None:
    assert len(load_corpus()) >= 15
