"""Rows M34 to M52: Byte-Range, chunks and reassembly (RFC 4975 sections 7.1.1 and 7.3.1)."""

import io
import tracemalloc

import pytest

from tests.support.msrp import (
    ALICE,
    BOB,
    CAROL,
    Endpoint,
    Frame,
    exchange,
    frames_of,
    response_frame,
    send_frame,
    sender,
)
from wigwag.protocols.msrp import (
    ConnectionLimits,
    DataReceived,
    DeliveryFailed,
    DeliverySucceeded,
    MessageAborted,
    MessageCompleted,
    MessageReceived,
    MessageStarted,
    MsrpUri,
    ReassemblyLimits,
    Session,
)

TEXT = bytes(range(32, 127)) * 60


def chunk(
    start: int, data: bytes, *, flag: str = "+", total: int | str = "*", tid: str = "d93kswow", **more: object
) -> bytes:
    """Return a chunk with an open range-end."""
    return send_frame(data, tid=tid, byte_range=f"{start}-*/{total}", flag=flag, **more)  # type: ignore[arg-type]


def test_m34_a_message_of_unknown_length_is_as_long_as_its_data() -> None:
    endpoint = Endpoint()
    endpoint.receive(chunk(1, b"hello", flag="$"))
    assert endpoint.bodies() == [b"hello"]


def test_m35_an_interrupted_chunk_goes_on_in_the_next() -> None:
    endpoint = Endpoint()
    endpoint.receive(chunk(1, TEXT[:2100], total=5000))
    endpoint.receive(chunk(2101, TEXT[2100:5000], total=5000, flag="$"))
    assert endpoint.bodies() == [TEXT[:5000]]
    assert endpoint.kinds() == ["200", "200"]


def test_m36_the_body_is_as_long_as_it_is_whatever_range_end_says() -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(TEXT[:7], byte_range="1-10/20", flag="+"))
    endpoint.receive(send_frame(TEXT[7:20], byte_range="8-20/20"))
    assert endpoint.bodies() == [TEXT[:20]]


def test_m38_of_overlapping_octets_the_later_arrival_holds() -> None:
    endpoint = Endpoint()
    endpoint.receive(chunk(1, b"a" * 100))
    endpoint.receive(chunk(50, b"b" * 101, flag="$"))
    assert endpoint.bodies() == [b"a" * 49 + b"b" * 101]


def test_m38_an_earlier_range_that_arrives_later_holds_too() -> None:
    endpoint = Endpoint()
    endpoint.receive(chunk(50, b"b" * 101, flag="$"))
    endpoint.receive(chunk(1, b"a" * 100))
    assert endpoint.bodies() == [b"a" * 100 + b"b" * 50]


def test_m39_a_duplicate_chunk_changes_nothing_and_is_answered_each_time() -> None:
    endpoint = Endpoint()
    first, second = chunk(1, b"hello "), chunk(7, b"world", flag="$")
    for frame in (first, first, second, second, first, first):
        endpoint.receive(frame)
    assert endpoint.bodies() == [b"hello world"]
    assert endpoint.kinds() == ["200"] * 6


def test_m39_a_whole_message_that_comes_again_is_reported_again_but_not_delivered() -> None:
    endpoint = Endpoint()
    frame = send_frame(b"hello", headers=["Success-Report: yes"])
    for _ in range(3):
        endpoint.receive(frame)
    assert endpoint.bodies() == [b"hello"]
    assert endpoint.kinds() == ["200", "REPORT"] * 3


def test_m39_a_large_message_that_comes_again_is_not_delivered_again() -> None:
    limits = ConnectionLimits(reassembly=ReassemblyLimits(largest_whole=100))
    endpoint = Endpoint(limits=limits)
    frame = send_frame(TEXT, headers=["Success-Report: yes"])
    endpoint.receive(frame)
    assert [type(event) for event in endpoint.events] == [MessageStarted, DataReceived, MessageCompleted]
    assert endpoint.receive(frame) == []
    assert endpoint.kinds() == ["200", "REPORT"] * 2


def test_m40_a_message_with_a_hole_is_dropped_in_time_and_never_reported() -> None:
    endpoint = Endpoint()
    endpoint.receive(chunk(1, b"hello", headers=["Success-Report: yes"]))
    endpoint.receive(chunk(10, b"world", flag="$", headers=["Success-Report: yes"]))
    assert endpoint.kinds() == ["200", "200"]
    assert endpoint.wait(119.9) == []
    (event,) = endpoint.wait(0.2)
    assert isinstance(event, MessageAborted)
    assert endpoint.bodies() == []
    assert endpoint.kinds() == []


@pytest.mark.parametrize(
    "byte_range",
    [
        *["0-1/2", "3-4/2", "-1-2/3", "1-2", "*-2/3", "1-5/3", "5-3/9", "+1-5/5", "１-5/5"],
        "1" * 30 + "-*/*",
        "1-" + "9" * 30 + "/*",
        "",
        "1-2/3 x",
        "1 -5/5",
    ],
)
def test_m42_an_impossible_byte_range_is_refused(byte_range: str) -> None:
    endpoint = Endpoint()
    lines = send_frame(b"hello", byte_range="1-5/5").replace(b"Byte-Range: 1-5/5", f"Byte-Range: {byte_range}".encode())
    endpoint.receive(lines)
    assert endpoint.kinds() == ["400"]
    assert endpoint.bodies() == []


def test_m42_nothing_is_allocated_for_a_claimed_size() -> None:
    endpoint = Endpoint()
    tracemalloc.start()
    try:
        for number in range(60):
            claims = f"{10**17}-*/{10**17 + 10}"
            endpoint.receive(send_frame(b"x", message_id=f"large{number:03}", byte_range=claims, flag="+"))
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()


def test_m44_without_byte_range_a_final_chunk_is_a_message() -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(b"hello", byte_range=None))
    assert endpoint.bodies() == [b"hello"]


def test_m44_without_byte_range_a_first_chunk_starts_at_1_and_a_further_one_is_refused() -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(b"hello", byte_range=None, flag="+"))
    endpoint.receive(send_frame(b"world", byte_range=None))
    endpoint.receive(send_frame(b" world", byte_range="6-11/11"))
    assert endpoint.kinds() == ["200", "400", "200"]
    assert endpoint.bodies() == [b"hello world"]


def test_m45_a_send_without_message_id_is_refused() -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(b"hello").replace(b"Message-ID: 12339sdqwer\r\n", b""))
    assert endpoint.kinds() == ["400"]
    assert endpoint.bodies() == []


def test_m46_interleaved_messages_of_two_sessions_are_put_together() -> None:
    endpoint = Endpoint()
    other = MsrpUri.parse("msrp://bob.example.com:8888/second;tcp")
    endpoint.connection.add_session(Session(local_uri=other, remote_path=(CAROL,), passive=True))
    here, there = (str(BOB), str(ALICE)), (str(other), str(CAROL))
    parts = {"first001": here, "first002": here, "first001x": there}
    for start, flag in ((1, "+"), (4, "+"), (7, "$")):
        for message_id, (to_path, from_path) in parts.items():
            body = message_id[start - 1 : start + 2].encode()
            endpoint.receive(
                chunk(start, body, flag=flag, message_id=message_id[:8], to_path=to_path, from_path=from_path)
            )
    received = [event for event in endpoint.events if isinstance(event, MessageReceived)]
    assert [(event.session.local_uri, event.body) for event in received] == [
        (BOB, b"first001"),
        (BOB, b"first002"),
        (other, b"first001x"),
    ]


def test_m47_5000_chunks_of_one_octet_make_a_message_in_any_order() -> None:
    for order in (range(5000), range(4999, -1, -1)):
        endpoint = Endpoint()
        for index in order:
            flag = "$" if index == 4999 else "+"
            endpoint.receive(chunk(index + 1, TEXT[index : index + 1], flag=flag, total=5000))
            endpoint.write()
        assert endpoint.bodies() == [TEXT[:5000]]


def test_m47_one_chunk_of_16_mib_is_received_in_constant_memory() -> None:
    endpoint = Endpoint()
    size = 16 * 1_048_576
    frame = send_frame(b"?", byte_range=f"1-{size}/{size}", content_type="application/octet-stream")
    head, tail = frame.split(b"?")
    piece = bytes(range(256)) * 256
    tracemalloc.start()
    try:
        endpoint.connection.receive_data(head, 0.0)
        received = 0
        for _ in range(size // len(piece)):
            for event in endpoint.connection.receive_data(piece, 0.0):
                assert isinstance(event, DataReceived)
                assert event.offset == received
                received += len(event.data)
        (*rest, completed) = endpoint.connection.receive_data(tail, 0.0)
        received += sum(len(event.data) for event in rest if isinstance(event, DataReceived))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert isinstance(completed, MessageCompleted)
    assert completed.total == received == size
    assert endpoint.kinds() == ["200"]


def test_m48_a_response_and_a_report_overtake_a_large_message() -> None:
    alice = sender()
    body = TEXT * 18
    alice.connection.send_message(alice.session, "text/plain", body)
    written = alice.connection.data_to_send(alice.now, 8192)
    alice.receive(send_frame(b"hi", to_path=str(ALICE), from_path=str(BOB), headers=["Success-Report: yes"]))
    rest = alice.written()
    assert [frame.kind for frame in rest[:2]] == ["200", "REPORT"]
    chunks = [frame for frame in parse_all(written) + rest if frame.kind == "SEND"]
    assert b"".join(frame.body for frame in chunks) == body
    position = 1
    for frame in chunks:
        assert frame.byte_range.start == position
        position += len(frame.body)
        last = frame is chunks[-1]
        assert frame.flag == ("$" if last else "+")
        assert last or len(frame.body) >= 2048
        assert (frame.byte_range.end is None) == (len(frame.body) > 2048)
        assert frame.byte_range.total == len(body)


def parse_all(frames: list[bytes]) -> list[Frame]:
    return [frame for data in frames for frame in frames_of(data)]


def test_m48_a_chunk_of_2048_octets_or_less_says_where_it_ends() -> None:
    alice = sender()
    for size in (0, 1, 2047, 2048):
        alice.connection.send_message(alice.session, "text/plain", b"x" * size)
    assert [str(frame.byte_range) for frame in alice.written()] == ["1-0/0", "1-1/1", "1-2047/2047", "1-2048/2048"]


def test_m48_messages_take_turns_so_that_a_text_does_not_wait_for_a_file() -> None:
    alice = sender()
    alice.connection.send_message(alice.session, "application/octet-stream", b"f" * 300_000, message_id="file")
    alice.connection.send_message(alice.session, "text/plain", b"t", message_id="text")
    order = [frame.request.message_id for frame in alice.written()]
    assert order == ["file", "text", "file", "file", "file", "file"]


def test_m49_a_message_larger_than_max_size_gets_413_and_nothing_of_it_is_delivered() -> None:
    endpoint = Endpoint(max_size=100)
    endpoint.receive(send_frame(b"x" * 101))
    endpoint.receive(send_frame(b"x" * 10))
    endpoint.receive(chunk(1, b"y" * 60, message_id="unknown1"))
    events = endpoint.receive(chunk(61, b"y" * 60, message_id="unknown1", flag="$"))
    assert isinstance(events[0], MessageAborted)
    endpoint.receive(chunk(61, b"y" * 10, message_id="unknown1", flag="$"))
    endpoint.receive(send_frame(b"z" * 100, message_id="exactly1"))
    assert endpoint.kinds() == ["413", "413", "200", "413", "413", "200"]
    assert endpoint.bodies() == [b"z" * 100]


def test_m49_the_sender_of_a_message_too_large_stops_and_hears_of_it() -> None:
    alice, bob = sender(), Endpoint(max_size=70_000)
    alice.connection.send_message(alice.session, "text/plain", io.BytesIO(b"x" * 1_000_000))
    exchange(alice, bob)
    (failed,) = [event for event in alice.events if isinstance(event, DeliveryFailed)]
    assert failed.status == 413
    assert bob.bodies() == []


def test_m51_new_content_under_the_identifier_of_a_completed_message_is_a_new_message() -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(b"first"))
    endpoint.receive(send_frame(b"other"))
    endpoint.receive(send_frame(b"third one"))
    assert endpoint.bodies() == [b"first", b"other", b"third one"]


def test_m51_a_report_is_about_the_message_now_on_its_way() -> None:
    alice, bob = sender(), Endpoint()
    for body in (b"first", b"second"):
        alice.connection.send_message(alice.session, "text/plain", body, message_id="same-one", success_report=True)
        exchange(alice, bob)
    totals = [event.total for event in alice.events if isinstance(event, DeliverySucceeded)]
    assert totals == [5, 6]


def test_m52_the_first_chunk_says_which_reports_are_wanted() -> None:
    endpoint = Endpoint()
    endpoint.receive(chunk(1, b"hello", headers=["Success-Report: no", "Failure-Report: no"]))
    endpoint.receive(chunk(6, b"world", flag="$", headers=["Success-Report: yes", "Failure-Report: yes"]))
    assert endpoint.kinds() == []
    assert endpoint.bodies() == [b"helloworld"]
    endpoint.receive(chunk(1, b"hello", message_id="other001", headers=["Success-Report: yes"]))
    endpoint.receive(chunk(6, b"world", message_id="other001", flag="$", headers=["Failure-Report: no"]))
    assert endpoint.kinds() == ["200", "200", "REPORT"]


def test_a_message_above_the_limit_for_whole_ones_comes_in_pieces_and_loses_nothing() -> None:
    endpoint = Endpoint(limits=ConnectionLimits(reassembly=ReassemblyLimits(largest_whole=1000)))
    for start, end, flag in ((1, 600, "+"), (3001, 5000, "$"), (601, 2000, "+"), (2001, 3000, "+")):
        endpoint.receive(chunk(start, TEXT[start - 1 : end], flag=flag))
    assert isinstance(endpoint.events[0], MessageStarted)
    file = bytearray(5000)
    for event in endpoint.events:
        if isinstance(event, DataReceived):
            file[event.offset : event.offset + len(event.data)] = event.data
    assert bytes(file) == TEXT[:5000]
    assert isinstance(endpoint.events[-1], MessageCompleted)


def test_buffers_have_a_bound_beyond_which_messages_come_in_pieces() -> None:
    limits = ConnectionLimits(reassembly=ReassemblyLimits(largest_whole=1000, largest_buffered=1500))
    endpoint = Endpoint(limits=limits)
    for number in range(3):
        endpoint.receive(chunk(1, b"x" * 900, message_id=f"mid{number:05}"))
    started = [event.message_id for event in endpoint.events if isinstance(event, MessageStarted)]
    assert started == ["mid00001", "mid00002"]


def test_holes_and_incomplete_messages_have_bounds() -> None:
    endpoint = Endpoint(limits=ConnectionLimits(reassembly=ReassemblyLimits(most_holes=3, most_incomplete=2)))
    for start in (1, 3, 5, 7):
        endpoint.receive(chunk(start, b"x"))
    assert endpoint.kinds() == ["200"] * 4
    (aborted, _) = endpoint.receive(chunk(9, b"x"))
    assert isinstance(aborted, MessageAborted)
    endpoint.receive(chunk(2, b"x"))
    assert endpoint.kinds() == ["413", "413"]
    for number in range(3):
        endpoint.receive(chunk(1, b"x", message_id=f"mid{number:05}"))
    assert endpoint.kinds() == ["200", "200", "413"]


def test_the_application_can_refuse_a_message_while_it_comes() -> None:
    endpoint = Endpoint(limits=ConnectionLimits(reassembly=ReassemblyLimits(largest_whole=10)))
    frame = chunk(1, TEXT, total=100_000)
    endpoint.receive(frame[:1000])
    (aborted, _) = endpoint.connection.refuse_message(endpoint.session, "12339sdqwer", 413)
    assert isinstance(aborted, MessageAborted)
    assert endpoint.kinds() == ["413"]
    assert endpoint.receive(frame[1000:]) == []
    endpoint.receive(chunk(len(TEXT) + 1, b"more"))
    assert endpoint.kinds() == ["413"]


def test_a_body_of_unknown_length_is_read_from_its_source_only_as_it_is_written() -> None:
    class Counting(io.BytesIO):
        octets = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.octets += len(data)
            return data

    alice = sender()
    source = Counting(b"x" * 1_000_000)
    alice.connection.send_message(alice.session, "text/plain", source)
    assert source.octets == 0
    (first,) = frames_of(alice.write(10_000))
    assert source.octets <= 10_001
    assert (first.byte_range.total, first.flag) == (None, "+")
    rest = alice.written()
    assert (rest[-1].byte_range.total, rest[-1].flag) == (1_000_000, "$")
    assert sum(len(frame.body) for frame in [first, *rest]) == 1_000_000


def test_a_source_that_ends_early_or_breaks_aborts_its_message() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("gone")

    for source in (io.BytesIO(b"short"), Broken()):
        alice = sender()
        alice.connection.send_message(alice.session, "text/plain", source, total=10)
        assert alice.written()[-1].flag == "#"
        (failed,) = alice.wait(0)
        assert isinstance(failed, DeliveryFailed)
        assert failed.status is None


def test_an_aborted_message_ends_in_an_empty_chunk_flagged_so() -> None:
    alice, bob = sender(), Endpoint()
    message_id = alice.connection.send_message(alice.session, "text/plain", b"x" * 200_000)
    bob.receive(alice.write(10_000))
    alice.connection.abort_message(alice.session, message_id)
    exchange(alice, bob)
    assert any(isinstance(event, MessageAborted) for event in bob.events)
    assert not any(isinstance(event, DeliveryFailed) for event in alice.events)
    unsent = alice.connection.send_message(alice.session, "text/plain", b"never mind")
    alice.connection.abort_message(alice.session, unsent)
    assert alice.written() == []


def test_identifiers_are_unpredictable_and_never_occur_in_the_body() -> None:
    guesses = [b"\x01" * 10, b"\x02" * 10, b"\x03" * 10, b"\x04" * 10]
    alice = sender()
    alice.connection._outbox._random = lambda _octets: guesses.pop(0)
    body = b"hostile \r\n-------" + b"\x02".hex().encode() * 10 + b"$\r\n" + b"\x03".hex().encode() * 10
    alice.connection.send_message(alice.session, "text/plain", body)
    (frame,) = alice.written()
    assert frame.head.transaction_id == "04" * 10
    assert frame.body == body
    alice.receive(response_frame(frame.head.transaction_id))
