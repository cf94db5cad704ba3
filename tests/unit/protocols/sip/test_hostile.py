"""No input makes the codec slow: what grew with the square of the length would take minutes here, not a second.

The deadlines are in the process's own time and far above what is needed, so that a busy machine fails nothing.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from tests.support.sip_vectors import read_everything
from wigwag.protocols.sip import (
    KeepAlive,
    Request,
    Response,
    SipError,
    StreamFramer,
    parse_datagram,
    parse_name_address,
    parse_uri,
    parse_via,
    parts,
    split_list,
    validate,
)

LENGTH = 60_000
DEADLINE = 5.0
"""Seconds; linear time is about a hundredth of a second."""

REPEATED = [
    " ", "\t", "a", "a ", " a", ",", ";", ";a", ";a=b", "; ", " ;", '"', '""', '"a" ', "\\", '\\"', '"\\', "<", ">",
    "<>", "<a>", "><", "<a", ":", "::", "/", "@", "@a", "%", "%4", "%41", "=", "= ", "a=", "a@", "a:", "[", "]", "[:",
    "(", ")", "?", "&", "a.", ".", "-", "a-", "+", "0", "9", "é", "sip:", "sip:a@", "<sip:a>,", '"a" <sip:a>, ',
    "SIP/2.0/UDP ", "SIP / 2.0 / UDP a, ", " \r\n ", "\r\n ", "\r\n \r\n", "a\r\n ",
]  # fmt: skip
PREFIXES = [
    "",
    '"',
    "<",
    "<sip:",
    "sip:",
    "sip:a@",
    '"a" <sip:a>',
    "<sip:a>;",
    "SIP/2.0/UDP ",
    "SIP/2.0/UDP a;",
    "1 ",
    "Digest ",
]
PARSERS: list[Callable[[str], object]] = [parse_name_address, parse_via, parse_uri, split_list]


def read_datagram(data: bytes) -> None:
    message = parse_datagram(data)
    read_everything(message)
    validate(message)


def within_the_deadline(action: Callable[[], object]) -> None:
    begun = time.process_time()
    with suppress(SipError):
        action()
    assert time.process_time() - begun < DEADLINE


@pytest.mark.parametrize("repeated", REPEATED, ids=ascii)
def test_a_value_of_nothing_but_one_repetition_is_read_in_linear_time(repeated: str) -> None:
    bare = (repeated * LENGTH)[:LENGTH]
    for prefix in PREFIXES:
        value = prefix + bare + "x"
        for parse in PARSERS:
            within_the_deadline(partial(parse, value.replace("\r\n", "")))
        data = f"OPTIONS sip:a SIP/2.0\r\nVia: {value}\r\nTo: {value}\r\n".encode()[:LENGTH] + b"\r\n\r\n"
        within_the_deadline(partial(read_datagram, data))


@pytest.mark.parametrize(
    "repeated", [*REPEATED, "\r", "\n", "\0", "a: b\r\n", "Via: SIP/2.0/UDP a\r\n", "a\r\n"], ids=ascii
)
def test_a_head_of_nothing_but_one_repetition_is_read_in_linear_time(repeated: str) -> None:
    bare = (repeated * LENGTH)[:LENGTH].encode()[:LENGTH]
    for start in (b"", b"OPTIONS ", b"OPTIONS sip:a SIP/2.0\r\n", b"SIP/2.0 200 ", b"OPTIONS sip:a SIP/2.0\r\nA: b"):
        data = start + bare + b"x SIP/2.0\r\n\r\n"
        within_the_deadline(partial(read_datagram, data))
        within_the_deadline(partial(StreamFramer().receive_data, data))


@pytest.mark.parametrize(
    "repeated", [b"--b", b"\r\n--b", b"\r\n--b ", b"\r\n--b\r\n", b" ", b"\r\n", b"a: b\r\n", b"\r\n--b--", b"-"]
)
def test_a_body_of_nothing_but_one_repetition_is_taken_apart_in_linear_time(repeated: bytes) -> None:
    for start in (b"", b"--b", b"--b\r\n"):
        body = start + (repeated * 1_000_000)[:1_000_000]
        request = Request.create("MESSAGE", "sip:a", [("Content-Type", "multipart/mixed;boundary=b")], body)
        within_the_deadline(partial(parts, request))


def test_a_body_that_comes_octet_by_octet_takes_linear_time() -> None:
    length = 300_000
    data = b"SIP/2.0 200 OK\r\nContent-Length: %d\r\n\r\n" % length + b"\r\n" * (length // 2)
    framer, found = StreamFramer(), []
    begun = time.process_time()
    for at in range(len(data)):
        found += framer.receive_data(data[at : at + 1])
    assert time.process_time() - begun < DEADLINE
    (response,) = found
    assert isinstance(response, Response)
    assert len(response.body) == length


def test_a_head_that_comes_octet_by_octet_takes_linear_time() -> None:
    framer = StreamFramer()
    data = b"OPTIONS sip:a SIP/2.0\r\n" + b"a: b\r\n\r" * 8000
    begun = time.process_time()
    for at in range(len(data)):
        assert framer.receive_data(data[at : at + 1]) == []
    assert time.process_time() - begun < DEADLINE
    assert framer.buffered == len(data)


@pytest.mark.parametrize("size", [1, 3, 65_536, 2_000_000])
def test_a_stream_of_empty_lines_takes_linear_time_and_no_memory(size: int) -> None:
    framer, count = StreamFramer(), 0
    data = b"\r\n" * (1_000_000 if size > 3 else 100_000)
    begun = time.process_time()
    for at in range(0, len(data), size):
        found = framer.receive_data(data[at : at + size])
        assert all(isinstance(each, KeepAlive) for each in found)
        count += len(found)
        assert framer.buffered <= 1
    assert time.process_time() - begun < DEADLINE
    assert count == len(data) // 4


def test_many_small_messages_in_one_read_take_linear_time() -> None:
    one = b"SIP/2.0 200 OK\r\nl:0\r\n\r\n"
    begun = time.process_time()
    assert len(StreamFramer().receive_data(one * 20_000)) == 20_000
    assert time.process_time() - begun < DEADLINE
