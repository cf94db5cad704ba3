"""A short, seeded run of the MSRP fuzz target."""

import pytest

from tests.fuzz.fuzz_msrp import load_corpus, parsed, run
from wigwag.protocols.msrp import MalformedReceived


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_hostile_bytes_raise_remote_protocol_error_or_parse(seed: int) -> None:
    run(seed, 1500)


def test_the_corpus_is_well_formed() -> None:
    corpus = load_corpus()
    assert len(corpus) >= 15
    for data in corpus:
        assert not any(isinstance(event, MalformedReceived) for event in parsed([data]))
