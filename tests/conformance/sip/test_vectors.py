"""Every file in ``vectors/``: the torture tests of RFC 4475 and RFC 5118, and what public defects of parsers teach.

``expected.toml`` beside the files says what comes of each, in a datagram and over a stream. Each is fed whole, octet by
octet, cut in two anywhere, and cut off anywhere.
"""

from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from tests.support.sip_vectors import (
    IDS,
    PATHS,
    VECTORS,
    datagram_outcome,
    expected,
    read_everything,
    stream_outcome,
)
from wigwag.protocols.sip import Message, Request, Response, SipError, StreamFramer, parse_datagram

every_vector = pytest.mark.parametrize("path", PATHS, ids=IDS)
SMALL = 4000
"""Octets of a file that is cut everywhere; a larger one is cut in some places."""


def places(data: bytes) -> list[int]:
    if len(data) <= SMALL:
        return list(range(len(data) + 1))
    end = data.find(b"\r\n\r\n")
    return sorted({*Random(7).sample(range(len(data)), 24), *range(max(end - 2, 0), end + 6), len(data) - 1})


def test_all_49_messages_of_rfc_4475_and_all_of_rfc_5118_are_there() -> None:
    assert len(list((VECTORS / "rfc4475").glob("*.sip"))) == 49
    assert len(list((VECTORS / "rfc5118").glob("*.sip"))) == 12


@every_vector
def test_a_datagram_is_accepted_refused_or_dropped_as_expected(path: Path) -> None:
    assert datagram_outcome(path.read_bytes()) == expected(path)["datagram"]


@every_vector
def test_a_stream_brings_what_is_expected(path: Path) -> None:
    wanted = expected(path)
    assert stream_outcome([path.read_bytes()]) == wanted.get("stream", [wanted["datagram"]])


@every_vector
def test_a_stream_means_the_same_however_it_is_cut(path: Path) -> None:
    data = path.read_bytes()
    whole = stream_outcome([data])
    assert stream_outcome([data[index : index + 1] for index in range(len(data))]) == whole
    for place in places(data):
        assert stream_outcome([data[:place], data[place:]]) == whole


@every_vector
def test_a_message_that_is_cut_off_anywhere_is_refused_or_read(path: Path) -> None:
    data = path.read_bytes()
    for place in places(data):
        try:
            message = parse_datagram(data[:place])
        except SipError:
            continue
        read_everything(message)


@every_vector
def test_what_is_read_is_written_again_octet_by_octet(path: Path) -> None:
    data = path.read_bytes()
    try:
        message = parse_datagram(data)
    except SipError:
        return
    assert bytes(message) == data[: len(bytes(message))]
    assert len(bytes(message)) == data.find(b"\r\n\r\n") + 4 + len(message.body)
    assert bytes(message.copy()) == bytes(message)


@every_vector
def test_the_answer_to_what_is_refused_is_a_response_that_we_would_read_ourselves(path: Path) -> None:
    for received in StreamFramer().receive_data(path.read_bytes()):
        if isinstance(received, SipError) and received.request is not None:
            answer = Response.to_request(received.request, received.status, received.reason, to_tag="ours")
            again = parse_datagram(bytes(answer))
            assert isinstance(again, Response)
            assert again.status == received.status
            for name in ("to", "from", "call-id", "cseq"):
                assert again.names.count(name) <= 1


def test_all_accepted_vectors_in_one_stream_come_out_one_by_one() -> None:
    accepted = [path.read_bytes() for path in PATHS if expected(path).get("stream", "accepted") == "accepted"]
    accepted = [data for data in accepted if stream_outcome([data]) == ["accepted"]]
    data = b"\r\n\r\n".join(accepted)
    random = Random(3)
    for _ in range(5):
        cuts = sorted(random.choices(range(len(data)), k=400))
        framer, found = StreamFramer(), []
        for start, end in pairwise([0, *cuts, len(data)]):
            found += framer.receive_data(data[start:end])
        assert [bytes(each) for each in found if isinstance(each, Message)] == accepted
        assert len(found) == 2 * len(accepted) - 1


def test_what_was_read_before_an_error_is_not_lost() -> None:
    good = (VECTORS / "rfc4475" / "semiuri.sip").read_bytes()
    framer = StreamFramer()
    first, second, error = framer.receive_data(good + good + b"nonsense\r\n\r\n" + good)
    assert isinstance(first, Request)
    assert isinstance(second, Request)
    assert isinstance(error, SipError)
    assert framer.failed
    assert framer.receive_data(good) == []
    assert framer.buffered == 0
