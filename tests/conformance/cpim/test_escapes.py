"""Characters that headers can't hold as they are (RFC 3862 section 2.3)."""

import pytest

from wigwag.errors import LocalProtocolError
from wigwag.protocols.cpim import CpimAddress, CpimHeader, CpimMessage


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a\\b", "a\\\\b"),
        ("\b\t\n\r", "\\b\\t\\n\\r"),
        ("\x00\x07\x0b\x1f\x7f", "\\u0000\\u0007\\u000b\\u001f\\u007f"),
        ('"quoted" it\'s', '"quoted" it\'s'),
        ("Bär \U0001f43b", "Bär \U0001f43b"),
    ],
)
def test_the_characters_that_must_be_escaped_are_and_no_others(text: str, value: str) -> None:
    header = CpimHeader.of("Subject", text)
    assert str(header) == f"Subject: {value}"
    assert header.text == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("\\\" \\'", "\" '"),
        ("\\u0041\\u00e4\\u20AC", "Aä€"),
        ("\\ud83d\\udc3b", "\U0001f43b"),
        ("\\ud83d alone", "\ufffd alone"),
        ("\\x\\u12", "xu12"),
        ("at the end\\", "at the end"),
        ("\\\\n", "\\n"),
    ],
)
def test_every_escape_is_recognised_and_an_unknown_one_is_its_character(value: str, text: str) -> None:
    assert CpimHeader("Subject", value).text == text


def test_escapes_stay_as_they_came() -> None:
    data = b"Subject: \\u0041\\x\r\n\r\nContent-Type: text/plain\r\n\r\n"
    assert bytes(CpimMessage.parse(data)) == data


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Winnie the Pooh", "Winnie the Pooh <im:pooh@example.com>"),
        ("Pu der Bär", "Pu der Bär <im:pooh@example.com>"),
        ('Winnie "the" Pooh', '"Winnie \\"the\\" Pooh"<im:pooh@example.com>'),
        ("Pooh, W.", '"Pooh, W."<im:pooh@example.com>'),
        (
            "a\\b\r\nFrom: <sip:mallory@example.com>",
            '"a\\\\b\\r\\nFrom: <sip:mallory@example.com>"<im:pooh@example.com>',
        ),
        (" two  blanks ", '" two  blanks "<im:pooh@example.com>'),
        (None, "<im:pooh@example.com>"),
    ],
)
def test_a_name_that_is_no_row_of_tokens_is_quoted(name: str | None, written: str) -> None:
    address = CpimAddress("im:pooh@example.com", name)
    assert str(address) == written
    assert CpimAddress.parse(written) == address


def test_lone_surrogates_are_a_bug_of_ours() -> None:
    with pytest.raises(LocalProtocolError):
        CpimHeader.of("Subject", "\ud83d")
    with pytest.raises(LocalProtocolError):
        str(CpimAddress("im:pooh@example.com", "\ud83d"))
