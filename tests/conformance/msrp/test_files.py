"""Files, and ranges of them, as messages (RFC 5547 section 8.7)."""

import io

import pytest

from tests.support.msrp import Endpoint, exchange, send_frame, sender
from wigwag.protocols.cpim import CpimAddress, CpimMessage, head_length
from wigwag.protocols.msrp import (
    BodyPart,
    ConnectionLimits,
    DataReceived,
    DeliveryFailed,
    MessageAborted,
    MessageCompleted,
    MessageReceived,
    MessageStarted,
    ReassemblyLimits,
)

FILE = bytes(index % 251 for index in range(20_000))
ALICE = CpimAddress("sip:alice@example.com")
BOB = CpimAddress("sip:bob@example.com")


def opened(offset: int) -> io.BytesIO:
    file = io.BytesIO(FILE)
    file.seek(offset)
    return file


def test_a_range_of_a_file_is_a_message_whose_first_octet_is_1() -> None:
    alice, bob = sender(), Endpoint()
    part = BodyPart(opened(5000), 10_000)
    alice.connection.send_message(
        alice.session,
        "image/png",
        part,
        total=part.total,
        fields=(("Content-Disposition", 'attachment; filename="a.png"'),),
    )
    frames = alice.written()
    assert str(frames[0].byte_range) == "1-*/10000"
    assert b"".join(frame.body for frame in frames) == FILE[5000:15_000]
    alice.connection.send_message(alice.session, "image/png", BodyPart(opened(5000), 10_000), total=10_000)
    exchange(alice, bob)
    assert bob.bodies() == [FILE[5000:15_000]]


def test_the_receiver_is_told_the_disposition() -> None:
    alice, bob = sender(), Endpoint()
    disposition = ("content-disposition", "attachment")
    alice.connection.send_message(alice.session, "image/png", b"x" * 3, fields=(disposition,))
    exchange(alice, bob)
    (event,) = [event for event in bob.events if isinstance(event, MessageReceived)]
    assert event.get("Content-Disposition") == "attachment"
    assert event.get("Content-Description") is None


def test_a_file_that_ends_before_its_range_aborts_the_message() -> None:
    alice, bob = sender(), Endpoint()
    part = BodyPart(opened(15_000), 10_000)
    alice.connection.send_message(alice.session, "image/png", part, total=part.total)
    for _ in range(10):
        bob.receive(alice.write(2000))
    alice.wait(0)
    assert any(isinstance(event, DeliveryFailed) for event in alice.events)
    assert any(isinstance(event, MessageAborted) for event in bob.events)
    assert bob.bodies() == []


@pytest.mark.parametrize("octets", [1, 7, 100_000])
def test_a_part_is_read_whole_however_it_is_cut(octets: int) -> None:
    part = BodyPart(opened(100), 300, b"head")
    pieces = []
    while piece := part.read(octets):
        assert len(piece) <= octets
        pieces.append(piece)
    assert b"".join(pieces) == b"head" + FILE[100:400]
    assert len(b"".join(pieces)) == part.total


def test_a_file_within_a_cpim_message_streams_in_and_out() -> None:
    head = CpimMessage.of(ALICE, [BOB], "image/png", b"").head()
    alice = sender()
    bob = Endpoint(limits=ConnectionLimits(reassembly=ReassemblyLimits(largest_whole=1000)))
    part = BodyPart(opened(0), len(FILE), head)
    alice.connection.send_message(alice.session, "message/cpim", part, total=part.total)
    exchange(alice, bob, max_bytes=3000)
    started, *pieces, completed = [
        event for event in bob.events if isinstance(event, MessageStarted | DataReceived | MessageCompleted)
    ]
    assert isinstance(started, MessageStarted)
    assert isinstance(completed, MessageCompleted)
    assert started.total == completed.total == len(head) + len(FILE)
    whole = b"".join(event.data for event in pieces if isinstance(event, DataReceived))
    length = head_length(whole[:2000])
    assert length == len(head)
    assert CpimMessage.parse(whole[:length]).sender == ALICE
    assert whole[length:] == FILE


def test_message_whose_beginning_came_elsewhere_is_complete_with_its_rest() -> None:
    endpoint = Endpoint()
    endpoint.session.continues = True
    endpoint.receive(send_frame(b"45", byte_range="4-*/8", flag="+"))
    endpoint.receive(send_frame(b"678", byte_range="6-8/8"))
    data = [(event.offset, event.data) for event in endpoint.events if isinstance(event, DataReceived)]
    assert data == [(3, b"45"), (5, b"678")]
    assert isinstance(endpoint.events[-1], MessageCompleted)


def test_message_that_begins_here_is_like_any_other_in_a_session_that_continues() -> None:
    endpoint = Endpoint()
    endpoint.session.continues = True
    endpoint.receive(send_frame(b"123", byte_range="1-*/8", flag="+"))
    endpoint.receive(send_frame(b"678", byte_range="6-8/8"))
    assert endpoint.events == []
    endpoint.receive(send_frame(b"45", byte_range="4-5/8", flag="+"))
    assert endpoint.bodies() == [b"12345678"]
