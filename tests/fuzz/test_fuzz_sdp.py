"""A short, seeded run of the SDP fuzz target."""

from random import Random

import pytest

from tests.fuzz.fuzz_sdp import check, load_corpus, mutated, run
from wigwag.errors import RemoteProtocolError
from wigwag.protocols.sdp import MsrpMedia as Media
from wigwag.protocols.sdp import Origin, SessionDescription, answer


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_hostile_bytes_raise_remote_protocol_error_or_parse(seed: int) -> None:
    run(seed, 1500)


def test_random_octets_raise_remote_protocol_error_or_parse() -> None:
    random = Random(4)
    for _ in range(500):
        check(random, b"v=0\no=- 1 1 IN IP4 a\n" + random.randbytes(random.randint(0, 60)))


def test_mutations_still_reach_an_answer_often_enough() -> None:
    random, corpus, answered = Random(5), load_corpus(), 0
    wishes = [Media(path=(f"{scheme}://bob.example.com:1/b;tcp",)) for scheme in ("msrp", "msrps")]
    for _ in range(300):
        try:
            answer(SessionDescription.parse(mutated(random, corpus)), wishes, origin=Origin.at("b", 1))
        except RemoteProtocolError:
            continue
        answered += 1
    assert answered > 30
