"""Message headers, and those that RFC 3862 itself defines (sections 2.2, 3.1 to 3.3, 4)."""

from datetime import UTC, datetime, timedelta, timezone
from time import process_time

import pytest

from wigwag.errors import LocalProtocolError
from wigwag.protocols.cpim import (
    ContentHeader,
    CpimAddress,
    CpimError,
    CpimHeader,
    CpimLimits,
    CpimMessage,
    format_date_time,
    parse_date_time,
)

ALICE = CpimAddress("sip:alice@example.com", "Alice")
BOB = CpimAddress("sip:bob@example.com")


def message_of(*lines: str) -> CpimMessage:
    """Parse a message with these headers."""
    head = "".join(f"{line}\r\n" for line in lines)
    return CpimMessage.parse(f"{head}\r\nContent-Type: text/plain\r\n\r\nHello".encode())


def test_a_message_is_written_in_the_words_of_the_rfc() -> None:
    message = CpimMessage.of(
        ALICE,
        [BOB],
        "text/plain; charset=utf-8",
        b"Hello",
        copies=[CpimAddress("im:carol@example.com")],
        date_time=datetime(2024, 2, 29, 12, 0, tzinfo=UTC),
        subject="Two\nlines",
        headers=[CpimHeader("NS", "x <urn:x:y>"), CpimHeader.of("x.Mood", "fine", "en")],
        content_headers=[ContentHeader("Content-ID", "<1@example.com>")],
    )
    assert bytes(message) == (
        b"From: Alice <sip:alice@example.com>\r\n"
        b"To: <sip:bob@example.com>\r\n"
        b"cc: <im:carol@example.com>\r\n"
        b"DateTime: 2024-02-29T12:00:00Z\r\n"
        b"Subject: Two\\nlines\r\n"
        b"NS: x <urn:x:y>\r\n"
        b"x.Mood:;lang=en fine\r\n"
        b"\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-ID: <1@example.com>\r\n"
        b"\r\n"
        b"Hello"
    )
    assert CpimMessage.parse(bytes(message)) == message


def test_headers_keep_their_order_and_octets() -> None:
    lines = ["To: <x:b>", "X-One:  two  blanks ", "From:<x:a>", "X-one:;p=1 other"]
    message = message_of(*lines)
    assert [str(header) for header in message.headers] == lines
    assert (message.sender, message.recipients) == (CpimAddress("x:a"), (CpimAddress("x:b"),))


def test_names_match_exactly() -> None:
    message = message_of("from: <x:a>", "TO: <x:b>", "Cc: <x:c>")
    assert (message.sender, message.recipients, message.copies) == (None, (), ())


def test_a_message_may_have_many_recipients() -> None:
    message = message_of("To: <x:a>", "cc: C <x:c>", "To: B <x:b>", "cc: <x:d>")
    assert message.recipients == (CpimAddress("x:a"), CpimAddress("x:b", "B"))
    assert message.copies == (CpimAddress("x:c", "C"), CpimAddress("x:d"))


def test_a_subject_tells_its_language() -> None:
    message = message_of("Subject: the weather", "Subject:;lang=fr le temps")
    assert message.subject == "the weather"
    assert [header.language for header in message.find_all("Subject")] == [None, "fr"]


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2001-02-01T12:16:49-05:00", datetime(2001, 2, 1, 12, 16, 49, tzinfo=timezone(timedelta(hours=-5)))),
        ("2001-02-01t12:16:49.5z", datetime(2001, 2, 1, 12, 16, 49, 500_000, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2001-02-01T12:16:49.123456789Z", datetime(2001, 2, 1, 12, 16, 49, 123_456, tzinfo=UTC)),
    ],
)
def test_a_date_and_time_is_read(text: str, time: datetime) -> None:
    assert message_of(f"DateTime: {text}").date_time == time


def test_a_date_and_time_is_written_with_its_offset() -> None:
    time = datetime(2001, 2, 1, 12, 16, 49, 120_000, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert format_date_time(time) == "2001-02-01T12:16:49.120+05:30"
    assert parse_date_time(format_date_time(time)) == time
    for vague in (datetime(2001, 2, 1), datetime(2001, 2, 1, tzinfo=timezone(timedelta(seconds=1)))):
        with pytest.raises(ValueError, match="offset"):
            format_date_time(vague)


def test_an_error_names_the_line() -> None:
    for lines, number in (
        (["From: <x:a>", "nonsense"], 2),
        (["From: <x:a>", "X: 1", "From: <x:b>"], 3),
        (["X: 1", "DateTime: never"], 2),
        (["NS: broken"], 1),
    ):
        with pytest.raises(CpimError) as caught:
            message_of(*lines)
        assert (caught.value.line, caught.value.status) == (number, 400)


def test_an_error_holds_nothing_that_the_peer_wrote() -> None:
    with pytest.raises(CpimError) as caught:
        message_of("From: <SECRET>")
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "header",
    [
        CpimHeader("Sub ject", "x"),
        CpimHeader("", "x"),
        CpimHeader("Subject", "a\r\nFrom: <x:m>"),
        CpimHeader("Subject", "a\nb"),
        CpimHeader("Subject", "a\x00"),
        CpimHeader("Subject", "a", ";lang=en\r\nFrom: <x:m>"),
        CpimHeader("Subject", "a", "lang=en"),
        CpimHeader("Subject", "x", blank="\r\n"),
        CpimHeader("Subject", ";lang=en x", blank=""),
        CpimHeader.of("Subject", "x", "en fr"),
    ],
)
def test_a_header_that_would_break_the_grammar_is_a_bug_of_ours(header: CpimHeader) -> None:
    with pytest.raises(LocalProtocolError):
        CpimMessage.of(ALICE, [BOB], "text/plain", b"", headers=[header])


@pytest.mark.parametrize("uri", ["", "alice", "sip:a>\r\nTo: <sip:b", "sip:a b", "sip:ä", "sip:"])
def test_an_address_without_an_absolute_uri_is_a_bug_of_ours(uri: str) -> None:
    with pytest.raises(LocalProtocolError):
        CpimMessage.of(CpimAddress(uri), [BOB], "text/plain", b"")


def test_headers_are_bounded() -> None:
    limits = CpimLimits(largest_head=1000, most_headers=10)
    with pytest.raises(CpimError) as caught:
        CpimMessage.parse(b"X: " + b"x" * 2000 + b"\r\n\r\nContent-Type: text/plain\r\n\r\n", limits)
    assert caught.value.status == 413
    with pytest.raises(CpimError) as caught:
        CpimMessage.parse(b"X: 1\r\n" * 10 + b"\r\nContent-Type: text/plain\r\n\r\n", limits)
    assert caught.value.status == 413
    body = b"x" * 100_000
    assert CpimMessage.parse(b"X: 1\r\n\r\nContent-Type: text/plain\r\n\r\n" + body, limits).body == body


@pytest.mark.parametrize(
    "line",
    [
        "From: a" + " " * 60_000 + "b",
        'From: "' + "\\" * 60_000,
        'From: "' + "x " * 30_000,
        "From: <" + "<" * 60_000,
        "X:" + ";a=b" * 15_000 + "\n",
        'X:;a="' + "\\x" * 30_000 + "\x00",
        "NS: " + " " * 60_000 + "x",
        "Require: " + "a," * 30_000,
        "Subject: " + "\\u00" * 15_000,
        "DateTime: " + "2" * 60_000,
        "x" * 60_000,
    ],
)
def test_no_line_takes_long(line: str) -> None:
    began = process_time()
    try:
        message = message_of(line)
        assert message.subject is None or message.subject
    except CpimError:
        pass
    assert process_time() - began < 2
