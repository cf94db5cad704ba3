"""Requests, responses and their values."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.msrp import ALICE, BOB, RELAY, frames_of, parse_pieces, send_frame
from tests.support.msrp_strategies import byte_ranges, extension_fields, idents, paths, statuses
from wigwag.errors import LocalProtocolError, RemoteProtocolError
from wigwag.protocols.msrp import (
    COMMENTS,
    ByteRange,
    FailureReport,
    HeadReceived,
    Path,
    RequestHead,
    Status,
    answer,
    end_line,
    report,
    request,
    response,
)

REPORTS = (st.booleans(), st.sampled_from(FailureReport))


@settings(max_examples=30)
@given(idents(), paths(), paths(), idents(), byte_ranges(), *REPORTS, extension_fields())
def test_a_send_written_and_read_is_the_same(
    tid: str,
    to_path: Path,
    from_path: Path,
    message_id: str,
    byte_range: ByteRange,
    success_report: bool,
    failure_report: FailureReport,
    extensions: list[tuple[str, str]],
) -> None:
    fields = [
        ("Message-ID", message_id),
        ("Byte-Range", str(byte_range)),
        ("Success-Report", "yes" if success_report else "no"),
        ("Failure-Report", failure_report.value),
        *extensions,
    ]
    written = request(tid, "SEND", to_path, from_path, fields, content_type="text/plain")
    (frame,) = frames_of(written + b"body\r\n" + end_line(tid, "+"))
    head = frame.request
    assert (head.transaction_id, head.method, head.to_path, head.from_path) == (tid, "SEND", to_path, from_path)
    assert (head.message_id, head.byte_range, head.success_report) == (message_id, byte_range, success_report)
    assert (head.failure_report, head.content_type, head.has_body) == (failure_report, "text/plain", True)
    assert head.fields == (*fields, ("Content-Type", "text/plain"))
    assert (frame.body, frame.flag) == (b"body", "+")
    path_lines = b"To-Path: " + head.raw_to_path + b"\r\nFrom-Path: " + head.raw_from_path + b"\r\n"
    assert f"MSRP {tid} SEND\r\n".encode() + path_lines + head.raw_fields + b"\r\n" == written


@settings(max_examples=30)
@given(idents(), st.integers(100, 999), paths(), paths(), extension_fields())
def test_a_response_written_and_read_is_the_same(
    tid: str, code: int, to_path: Path, from_path: Path, extensions: list[tuple[str, str]]
) -> None:
    (frame,) = frames_of(response(tid, code, None, to_path, from_path, extensions))
    head = frame.response
    assert (head.transaction_id, head.status_code, head.comment) == (tid, code, COMMENTS.get(code))
    assert (head.to_path, head.from_path, head.fields) == (to_path, from_path, tuple(extensions))


@settings(max_examples=30)
@given(idents(), paths(), paths(), idents(), st.none() | byte_ranges(), statuses())
def test_a_report_written_and_read_is_the_same(
    tid: str, to_path: Path, from_path: Path, message_id: str, byte_range: ByteRange | None, status: Status
) -> None:
    (frame,) = frames_of(report(tid, to_path, from_path, message_id, byte_range, status))
    head = frame.request
    assert (head.method, head.message_id, head.byte_range) == ("REPORT", message_id, byte_range)
    assert head.status is not None
    assert (head.status.code, head.status.namespace) == (status.code, status.namespace)
    if status.comment:
        assert head.status.comment == status.comment


@given(st.text(max_size=30))
def test_any_text_is_a_byte_range_or_refused(text: str) -> None:
    with suppress(RemoteProtocolError):
        assert ByteRange.parse(text).start >= 1


@pytest.mark.parametrize("text", ["", "200", "0 200", "000 20", "000 200OK", "0000 200", "abc def", "٠٠٠ 200"])
def test_a_malformed_status_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Status.parse(text)


@pytest.mark.parametrize(
    ("tid", "method", "fields"),
    [
        ("abc", "SEND", []),
        ("abcd\r\n", "SEND", []),
        ("abcd", "send", []),
        ("abcd", "SEND\r\nTo-Path: x", []),
        ("abcd", "SEND", [("X", "a\r\nb")]),
        ("abcd", "SEND", [("X", "a\0")]),
        ("abcd", "SEND", [("X", "\ud800")]),
        ("abcd", "SEND", [("X:", "a")]),
        ("abcd", "SEND", [("", "a")]),
    ],
)
def test_what_would_break_the_grammar_is_not_written(tid: str, method: str, fields: list[tuple[str, str]]) -> None:
    with pytest.raises(LocalProtocolError):
        request(tid, method, (BOB,), (ALICE,), fields)


def test_no_header_can_be_smuggled_in_by_a_content_type_comment_or_empty_path() -> None:
    with pytest.raises(LocalProtocolError):
        request("abcd", "SEND", (BOB,), (ALICE,), content_type="text/plain\r\nX: 1")
    with pytest.raises(LocalProtocolError):
        response("abcd", 200, "OK\r\nX: 1", (BOB,), (ALICE,))
    with pytest.raises(LocalProtocolError):
        response("abcd", 99, None, (BOB,), (ALICE,))
    with pytest.raises(LocalProtocolError):
        request("abcd", "SEND", (), (ALICE,))


def test_a_response_to_send_goes_to_the_previous_hop_and_any_other_all_the_way_back() -> None:
    (received, *_) = parse_pieces([send_frame(b"x", from_path=f"{RELAY} {ALICE}")])
    assert isinstance(received, HeadReceived)
    assert isinstance(received.head, RequestHead)
    assert frames_of(answer(received.head, 200))[0].head.to_path == (RELAY,)
    received.head.method = "AUTH"
    answered = frames_of(answer(received.head, 401, "Who?", [("WWW-Authenticate", "Digest x")]))[0].response
    assert (answered.to_path, answered.from_path) == ((RELAY, ALICE), (BOB,))
    assert (answered.comment, answered.get("www-authenticate")) == ("Who?", "Digest x")


def test_headers_are_found_in_any_case_and_only_when_they_are_there() -> None:
    (frame,) = frames_of(send_frame(b"x", headers=["X-One: 1", "x-one: 2"]))
    assert frame.request.get("X-ONE") == "1"
    assert frame.request.get_all("x-One") == ["1", "2"]
    assert frame.request.get("X-Two") is None
