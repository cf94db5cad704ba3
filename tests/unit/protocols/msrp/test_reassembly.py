"""Reassembly, held against a plain buffer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.msrp import Endpoint, send_frame
from wigwag.protocols.msrp import (
    ConnectionLimits,
    DataReceived,
    MessageAborted,
    MessageCompleted,
    MessageReceived,
    MessageStarted,
    ReassemblyLimits,
)

TOTAL = 40
CHUNKS = st.tuples(st.integers(1, TOTAL), st.integers(0, 15), st.binary(min_size=1, max_size=1))
"""First octet, number of octets, what they are."""


@pytest.mark.parametrize("largest_whole", [1000, 10])
@settings(max_examples=40)
@given(chunks=st.lists(CHUNKS, max_size=12))
def test_chunks_in_any_order_make_what_the_last_arrivals_say(
    largest_whole: int, chunks: list[tuple[int, int, bytes]]
) -> None:
    endpoint = Endpoint(limits=ConnectionLimits(reassembly=ReassemblyLimits(largest_whole=largest_whole)))
    model = bytearray(TOTAL)
    pieces = [(start, fill * min(length, TOTAL + 1 - start)) for start, length, fill in chunks]
    missing = [(start, b"z") for start in range(1, TOTAL)]
    for start, data in [*pieces, *missing]:
        endpoint.receive(send_frame(data, byte_range=f"{start}-*/*", flag="+"))
        model[start - 1 : start - 1 + len(data)] = data
    assert not any(isinstance(event, MessageReceived | MessageCompleted) for event in endpoint.events)
    endpoint.receive(send_frame(b"$", byte_range=f"{TOTAL}-*/*"))
    model[TOTAL - 1 :] = b"$"
    received = bytearray(TOTAL)
    for event in endpoint.events:
        if isinstance(event, DataReceived):
            received[event.offset : event.offset + len(event.data)] = event.data
    if largest_whole > TOTAL:
        assert endpoint.bodies() == [bytes(model)]
    else:
        assert isinstance(endpoint.events[0], MessageStarted)
        assert isinstance(endpoint.events[-1], MessageCompleted)
        assert received == model


def test_a_repetition_that_never_completes_is_forgotten_in_silence() -> None:
    endpoint = Endpoint(limits=ConnectionLimits(reassembly=ReassemblyLimits(most_incomplete=1)))
    endpoint.receive(send_frame(b"hello", byte_range="1-*/10", flag="+"))
    endpoint.receive(send_frame(b"world", byte_range="6-10/10"))
    endpoint.receive(send_frame(b"hello", byte_range="1-*/10", flag="+"))
    # It makes room for a new message, and time ends it without a word.
    endpoint.receive(send_frame(b"fresh", message_id="another1"))
    assert endpoint.bodies() == [b"helloworld", b"fresh"]
    endpoint.receive(send_frame(b"hello", byte_range="1-*/10", flag="+"))
    assert endpoint.wait(1000) == []


def test_each_chunk_gives_a_message_more_time() -> None:
    endpoint = Endpoint()
    for start in (1, 2, 3):
        endpoint.receive(send_frame(b"x", byte_range=f"{start}-*/*", flag="+"))
        assert endpoint.wait(100) == []
    (aborted,) = endpoint.wait(21)
    assert isinstance(aborted, MessageAborted)


def test_a_message_that_goes_on_after_it_was_given_up_is_not_delivered() -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(b"hello", byte_range="1-*/10", flag="+"))
    frame = send_frame(b"world", byte_range="6-10/10")
    endpoint.receive(frame[:-30])
    endpoint.connection.handle_timeout(endpoint.now + 10)
    endpoint.connection._incoming.handle_timeout(endpoint.now + 500)
    endpoint.receive(frame[-30:])
    assert endpoint.bodies() == []
    assert endpoint.kinds() == ["200", "200"]


def test_completed_messages_are_remembered_up_to_a_bound() -> None:
    endpoint = Endpoint(limits=ConnectionLimits(reassembly=ReassemblyLimits(most_remembered=2)))
    for number in (1, 2, 3, 3, 2, 1):
        endpoint.receive(send_frame(b"same", message_id=f"mid{number:05}"))
    assert len(endpoint.bodies()) == 4
