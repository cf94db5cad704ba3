"""Rows M01 to M33: framing and grammar (RFC 4975 sections 7.1 and 9)."""

import tracemalloc

import pytest

from tests.support.msrp import (
    ALICE,
    BOB,
    Endpoint,
    frames_of,
    parse_pieces,
    report_frame,
    request_frame,
    response_frame,
    send_frame,
    sender,
)
from wigwag.errors import RemoteProtocolError
from wigwag.protocols.msrp import (
    BodyReceived,
    ConnectionGivenUp,
    FrameEnded,
    FrameParser,
    HeadReceived,
    MalformedReceived,
    MessageAborted,
    MessageReceived,
    RequestHead,
    RequestRefused,
    ResponseHead,
)

NASTY = bytes(range(256)) + b"\r\n-------" + b"\0\0" + b"\r\n-------d93ksw\r\n"


def refused_with(data: bytes) -> list[str]:
    """Return what an endpoint answers to ``data``, and check that it goes on working afterwards."""
    endpoint = Endpoint()
    endpoint.receive(data)
    answers = endpoint.kinds()
    assert not any(isinstance(event, MessageReceived) for event in endpoint.events)
    endpoint.receive(send_frame(b"still there", tid="later001", message_id="later001"))
    assert endpoint.bodies() == [b"still there"]
    assert endpoint.kinds() == ["200"]
    return answers


def gives_up_on(data: bytes) -> list[str]:
    """Return what an endpoint answers to ``data`` before it gives the connection up."""
    endpoint = Endpoint()
    endpoint.receive(data)
    assert isinstance(endpoint.events[-1], ConnectionGivenUp)
    return endpoint.kinds()


def test_m01_a_binary_message_written_one_octet_per_segment_is_one_message_and_gets_one_200() -> None:
    endpoint = Endpoint()
    for octet in send_frame(NASTY):
        endpoint.receive(bytes([octet]))
    assert endpoint.bodies() == [NASTY]
    assert endpoint.kinds() == ["200"]


def test_m02_several_frames_in_one_segment_are_handled_in_order_and_the_report_gets_no_answer() -> None:
    endpoint = Endpoint()
    segment = (
        send_frame(b"one", tid="tid00001", message_id="mid00001")
        + send_frame(b"two", tid="tid00002", message_id="mid00002")
        + report_frame("mid00003", to_path=str(BOB), from_path=str(ALICE))
        + response_frame("tid00004", to_path=str(BOB), from_path=str(ALICE))
    )
    endpoint.receive(segment)
    assert endpoint.bodies() == [b"one", b"two"]
    assert [(frame.kind, frame.head.transaction_id) for frame in endpoint.written()] == [
        ("200", "tid00001"),
        ("200", "tid00002"),
    ]


@pytest.mark.parametrize("body", [b"hello", b"", b"ends in CR\r", NASTY])
def test_m03_the_end_line_may_be_split_anywhere(body: bytes) -> None:
    frame = send_frame(body)
    whole = parse_pieces([frame])
    end_line = len("\r\n-------d93kswow$\r\n")
    for cut in range(len(frame) - end_line, len(frame)):
        assert parse_pieces([frame[:cut], frame[cut:]]) == whole


def test_m04_an_end_line_of_another_transaction_is_body() -> None:
    body = b"before\r\n-------otherTid$\r\nafter"
    endpoint = Endpoint()
    endpoint.receive(send_frame(body))
    assert endpoint.bodies() == [body]


@pytest.mark.parametrize("decoy", [b"x\r\n", b"$", b"$ \r\n", b"$\n", b"$\r", b"$\r\r\n", b"$$\r\n", b"", b"\r\n"])
def test_m05_hyphens_and_the_own_identifier_without_flag_and_crlf_are_body(decoy: bytes) -> None:
    body = b"before\r\n-------d93kswow" + decoy + b"after"
    frame = send_frame(body)
    for pieces in ([frame], [bytes([octet]) for octet in frame]):
        assert BodyReceived(body) in parse_pieces(pieces)


@pytest.mark.parametrize("body", [b"text\r\n", b"text\r", b"\r\ntext", b"\r\n", b"-------", b"\r\n\r\n", b"\r", b"\n"])
def test_m07_only_the_last_crlf_before_the_end_line_is_framing(body: bytes) -> None:
    frame = send_frame(body)
    for pieces in ([frame], [bytes([octet]) for octet in frame]):
        assert BodyReceived(body) in parse_pieces(pieces)


def test_m08_every_octet_value_is_kept() -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(NASTY * 3, content_type="application/octet-stream"))
    assert endpoint.bodies() == [NASTY * 3]


def test_m09_an_empty_message_is_delivered_and_reported_on_as_1_0_0() -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(b"", headers=["Success-Report: yes"]))
    assert endpoint.bodies() == [b""]
    answer, report = endpoint.written()
    assert answer.kind == "200"
    assert str(report.byte_range) == "1-0/0"


def test_m10_a_send_without_body_is_answered_and_nothing_is_delivered() -> None:
    endpoint = Endpoint()
    assert endpoint.receive(send_frame(None)) == []
    assert endpoint.kinds() == ["200"]


def test_m11_a_blank_line_without_body_is_refused_and_the_connection_kept() -> None:
    frame = request_frame("SEND", "d93kswow", ["Message-ID: 12339sdqwer"]).replace(b"\r\n----", b"\r\n\r\n----")
    assert refused_with(frame) == ["400"]


def test_m12_a_body_without_content_type_is_refused() -> None:
    assert refused_with(request_frame("SEND", "d93kswow", ["Message-ID: 12339sdqwer"], b"hello")) == ["400"]


def test_m13_each_flag_means_what_it_says_and_is_answered_200() -> None:
    for flag, expected in (("$", [MessageReceived]), ("+", []), ("#", [MessageAborted])):
        endpoint = Endpoint()
        events = endpoint.receive(send_frame(b"hello", byte_range="1-*/10", flag=flag))
        assert [type(event) for event in events] == expected
        assert endpoint.kinds() == ["200"]


def test_m13_an_aborted_message_is_dropped_with_what_had_come_of_it() -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(b"hello", tid="tid00001", byte_range="1-*/10", flag="+"))
    events = endpoint.receive(send_frame(b"", tid="tid00002", byte_range="6-*/10", flag="#"))
    assert [type(event) for event in events] == [MessageAborted]
    endpoint.receive(send_frame(b"world", tid="tid00003", byte_range="6-10/10"))
    assert endpoint.bodies() == []


def test_m14_an_unknown_flag_does_not_end_a_frame() -> None:
    events = parse_pieces([send_frame(b"hello", flag="!") + b"more\r\n-------d93kswow$\r\n"])
    assert events[1:] == [BodyReceived(b"hello\r\n-------d93kswow!\r\nmore"), FrameEnded("$")]


@pytest.mark.parametrize("tid", ["abcd", "a.+%=-z", "A" * 32, "0---", "1.++"])
def test_m15_identifiers_of_4_to_32_characters_are_taken_literally(tid: str) -> None:
    decoy = b"\r\n-------1xxx$\r\n"
    endpoint = Endpoint()
    endpoint.receive(send_frame(decoy, tid=tid))
    assert endpoint.bodies() == [decoy]
    assert endpoint.written()[0].head.transaction_id == tid


@pytest.mark.parametrize("tid", ["abc", "A" * 33, ".abc", "-abcd", "ab cd", "ab*cd", "äbcd"])
def test_m15_other_identifiers_close_the_connection(tid: str) -> None:
    assert gives_up_on(send_frame(b"hello", tid=tid)) == []


def test_m17_a_request_with_the_identifier_of_one_of_ours_is_not_its_response() -> None:
    alice = sender()
    message_id = alice.connection.send_message(alice.session, "text/plain", b"hi")
    (ours,) = alice.written()
    alice.receive(send_frame(b"yo", tid=ours.head.transaction_id, to_path=str(ALICE), from_path=str(BOB)))
    assert alice.bodies() == [b"yo"]
    assert alice.kinds() == ["200"]
    accepted = alice.receive(response_frame(ours.head.transaction_id))
    assert [getattr(event, "message_id", None) for event in accepted][-1] == message_id


def test_m18_a_response_to_nothing_and_a_second_response_are_ignored() -> None:
    alice = sender()
    alice.connection.send_message(alice.session, "text/plain", b"hi")
    (ours,) = alice.written()
    alice.wait(0)
    assert alice.receive(response_frame("unknown1", "481 No")) == []
    alice.receive(response_frame(ours.head.transaction_id))
    assert alice.receive(response_frame(ours.head.transaction_id, "413 Late")) == []
    assert alice.receive(response_frame(ours.head.transaction_id)) == []


@pytest.mark.parametrize(
    "start", ["MSRP d93kswow send", "MSRP d93kswow", "MSRP d93kswow SEND now", "MSRP d93kswow S3ND"]
)
def test_m19_an_unintelligible_start_line_with_an_identifier_is_answered_400(start: str) -> None:
    assert refused_with(send_frame(b"hello").replace(b"MSRP d93kswow SEND", start.encode())) == ["400"]


@pytest.mark.parametrize(
    "start", ["msrp d93kswow SEND", "MSRP  d93kswow SEND", "MSRP d93kswow SEND\n", " MSRP d93kswow SEND"]
)
def test_m19_without_a_readable_identifier_the_connection_is_closed(start: str) -> None:
    assert gives_up_on(send_frame(b"hello").replace(b"MSRP d93kswow SEND", start.encode())) == []


def test_m19_bare_line_feeds_close_the_connection() -> None:
    assert gives_up_on(send_frame(b"hello").replace(b"\r\n", b"\n")) == []


@pytest.mark.parametrize("method", ["FROB", "AUTH", "NICKNAME"])
def test_m20_an_endpoint_answers_501_to_a_method_it_does_not_know(method: str) -> None:
    endpoint = Endpoint()
    endpoint.receive(request_frame(method, "d93kswow", ["Message-ID: 12339sdqwer"]))
    assert endpoint.kinds() == ["501"]


def test_m20_the_parser_passes_an_unknown_method_on() -> None:
    (received, ended) = parse_pieces([request_frame("FROB", "d93kswow", ["X-One: 1"])])
    assert isinstance(received, HeadReceived)
    assert isinstance(received.head, RequestHead)
    assert (received.head.method, received.head.get("x-one"), ended) == ("FROB", "1", FrameEnded("$"))


def test_m21_from_path_before_to_path_is_refused() -> None:
    lines = send_frame(b"hello").split(b"\r\n")
    lines[1], lines[2] = lines[2], lines[1]
    assert refused_with(b"\r\n".join(lines)) == ["400"]


def test_m21_another_header_before_the_paths_is_refused() -> None:
    lines = send_frame(b"hello").split(b"\r\n")
    lines[1], lines[3] = lines[3], lines[1]
    assert refused_with(b"\r\n".join(lines)) == ["400"]


@pytest.mark.parametrize("change", [bytes.lower, bytes.upper])
def test_m22_header_names_are_case_insensitive(change: object) -> None:
    names = [b"To-Path:", b"From-Path:", b"Message-ID:", b"Byte-Range:", b"Content-Type:", b"Failure-Report:"]
    frame = send_frame(b"hello", headers=["Failure-Report: partial"])
    for name in names:
        frame = frame.replace(name, change(name))  # type: ignore[operator]
    endpoint = Endpoint()
    endpoint.receive(frame)
    assert endpoint.bodies() == [b"hello"]
    assert endpoint.kinds() == []


@pytest.mark.parametrize("colon", [b":", b":  ", b":\t"])
def test_m23_blanks_around_a_value_do_not_belong_to_it(colon: bytes) -> None:
    frame = send_frame(b"hello").replace(b": ", colon).replace(b"text/plain", b"text/plain \t ")
    endpoint = Endpoint(accept_types=("text/plain",))
    endpoint.receive(frame)
    assert endpoint.bodies() == [b"hello"]
    (event,) = [event for event in endpoint.events if isinstance(event, MessageReceived)]
    assert (event.message_id, event.content_type) == ("12339sdqwer", "text/plain")


def test_m24_up_to_64_unknown_headers_are_ignored_by_an_endpoint_and_kept_in_order_by_the_parser() -> None:
    headers = [f"X-Header-{number}: wert é {number}" for number in range(64)]
    frame = send_frame(b"hello", headers=headers)
    endpoint = Endpoint()
    endpoint.receive(frame)
    assert endpoint.bodies() == [b"hello"]
    (received, *_) = parse_pieces([frame])
    assert isinstance(received, HeadReceived)
    assert [f"{name}: {value}" for name, value in received.head.fields[2:66]] == headers
    assert received.head.raw_fields.splitlines(keepends=True)[2:66] == [f"{line}\r\n".encode() for line in headers]


@pytest.mark.parametrize("blank", [" ", "\t"])
def test_m25_a_folded_header_line_is_refused(blank: str) -> None:
    assert refused_with(send_frame(b"hello", headers=["X-Folded: one", f"{blank}two"])) == ["400"]


@pytest.mark.parametrize(
    "flood", [b"X-Long: " + b"a" * 65_536, b"X-Long: " + b"a" * 10_485_760, b"X: 1\r\n" * 10_000, b"X: 1\r\n" * 65]
)
def test_m26_headers_beyond_the_limits_are_answered_400_and_the_connection_given_up(flood: bytes) -> None:
    head = send_frame(None)[: -len("-------d93kswow$\r\n")]
    assert gives_up_on(head + flood + b"\r\n-------d93kswow$\r\n") == ["400"]


def test_m26_memory_for_a_header_that_never_ends_is_bounded() -> None:
    parser = FrameParser()
    parser.feed(b"MSRP d93kswow SEND\r\nTo-Path: ")
    piece = b"a" * 4096
    tracemalloc.start()
    try:
        for _ in range(2560):
            try:
                parser.feed(piece)
            except RemoteProtocolError:
                continue
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "header",
    [
        f"To-Path: {BOB}",
        f"From-Path: {ALICE}",
        "Message-ID: 12339sdqwer",
        "Byte-Range: 1-5/5",
        "Content-Type: text/html",
        "content-type: text/plain",
        "Success-Report: no",
        "Failure-Report: yes",
    ],
)
def test_m27_a_header_that_may_occur_once_is_refused_twice(header: str) -> None:
    once = ["Success-Report: no", "Failure-Report: yes"]
    assert refused_with(send_frame(b"hello", headers=[*once, header])) == ["400"]


@pytest.mark.parametrize("value", [b"\xff\xfe", b"nul\0", b"esc\x1b[2J", b"del\x7f", b"overlong\xc0\xaf", b"cr\rlf"])
def test_m28_headers_that_are_not_utf8_text_are_refused(value: bytes) -> None:
    assert refused_with(send_frame(b"hello", headers=["X-Text: ?"]).replace(b"?", value)) == ["400"]


def test_m29_content_type_need_not_come_last_but_ours_does() -> None:
    frame = request_frame(
        "SEND", "d93kswow", ["Content-Type: text/plain", "Message-ID: 12339sdqwer", "X-Last: 1"], b"hello"
    )
    endpoint = Endpoint()
    endpoint.receive(frame)
    assert endpoint.bodies() == [b"hello"]
    alice = sender()
    alice.connection.send_message(
        alice.session, "text/plain", b"hi", success_report=True, fields=(("Content-Disposition", "render"),)
    )
    assert alice.written()[0].head.fields[-1] == ("Content-Type", "text/plain")


def test_m30_a_transfer_encoding_is_not_decoded() -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(b"aGVsbG8=", headers=["Content-Transfer-Encoding: base64"]))
    assert endpoint.bodies() == [b"aGVsbG8="]


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"INVITE sip:bob@example.com SIP/2.0\r\n",
        b"\0",
        b"M" + b"m",
    ],
)
def test_m31_what_is_not_msrp_closes_the_connection_at_the_first_wrong_octet(garbage: bytes) -> None:
    assert gives_up_on(garbage) == []


def test_m31_what_came_before_the_garbage_is_still_answered() -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(b"hello") + b"GET / HTTP/1.1\r\n")
    assert endpoint.bodies() == [b"hello"]
    assert isinstance(endpoint.events[-1], ConnectionGivenUp)
    assert endpoint.kinds() == ["200"]


def test_m32_up_to_two_empty_lines_between_frames_are_skipped() -> None:
    frames = send_frame(b"one", message_id="mid00001"), send_frame(b"two", message_id="mid00002")
    for between in (b"", b"\r\n", b"\r\n\r\n"):
        for pieces in ([frames[0] + between + frames[1]], [frames[0], *(bytes([c]) for c in between), frames[1]]):
            endpoint = Endpoint()
            for piece in pieces:
                endpoint.receive(piece)
            assert endpoint.bodies() == [b"one", b"two"]


def test_m32_more_empty_lines_close_the_connection() -> None:
    assert gives_up_on(b"\r\n\r\n\r\n") == []
    assert gives_up_on(b"\r\nX") == []


def test_m33_a_body_of_10240_octets_is_accepted_in_other_requests_and_one_more_is_not() -> None:
    def report(octets: int) -> bytes:
        headers = ["Message-ID: 12339sdqwer", "Status: 000 200 OK", "Content-Type: text/plain"]
        return request_frame("REPORT", "rep0rt01", headers, b"x" * octets)

    endpoint = Endpoint()
    endpoint.receive(report(10_240))
    assert endpoint.events == []
    assert gives_up_on(report(10_241)) == []


def test_a_malformed_response_is_neither_answered_nor_fatal() -> None:
    assert refused_with(response_frame("d93kswow").replace(b"To-Path", b"Two-Path")) == []
    assert refused_with(response_frame("d93kswow", "200 \0")) == []


def test_a_malformed_send_that_wants_no_answer_gets_none() -> None:
    assert refused_with(send_frame(b"hello", byte_range="0-1/1", headers=["Failure-Report: no"])) == []


def test_what_is_wrong_is_said_in_the_event_and_in_the_comment() -> None:
    endpoint = Endpoint()
    (event,) = endpoint.receive(send_frame(b"hello", byte_range="0-1/1"))
    assert isinstance(event, RequestRefused)
    (answer,) = endpoint.written()
    assert answer.response.comment == event.reason == "contradictory Byte-Range"
    assert answer.head.to_path == (ALICE,)
    assert answer.head.from_path == (BOB,)


def test_a_line_of_hyphens_among_the_headers_does_not_end_the_frame() -> None:
    frame = send_frame(None).replace(b"-------d93kswow$", b"-------another0$\r\n-------d93kswow$")
    for pieces in ([frame], [bytes([octet]) for octet in frame]):
        (malformed,) = parse_pieces(pieces)
        assert isinstance(malformed, MalformedReceived)
    assert refused_with(frame) == ["400"]


def test_response_heads_tell_code_comment_and_further_headers() -> None:
    frame = response_frame("d93kswow", "401 Unauthorized é").replace(
        b"-------", b"WWW-Authenticate: Digest a\r\nwww-authenticate: Digest b\r\n-------"
    )
    (received, _) = parse_pieces([frame])
    assert isinstance(received, HeadReceived)
    head = received.head
    assert isinstance(head, ResponseHead)
    assert (head.status_code, head.comment) == (401, "Unauthorized é")
    assert head.get_all("WWW-Authenticate") == ["Digest a", "Digest b"]
    assert frames_of(response_frame("d93kswow", "200"))[0].response.comment is None
