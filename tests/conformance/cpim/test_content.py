"""The encapsulated MIME object (RFC 3862 section 2.4)."""

import pytest

from wigwag.errors import LocalProtocolError
from wigwag.protocols.cpim import ContentHeader, CpimAddress, CpimError, CpimLimits, CpimMessage, head_length

ALICE = CpimAddress("sip:alice@example.com")


def message_of(*lines: str, body: bytes = b"Hello") -> CpimMessage:
    """Parse a message whose content has these headers."""
    head = "".join(f"{line}\r\n" for line in lines)
    return CpimMessage.parse(f"From: <sip:alice@example.com>\r\n\r\n{head}\r\n".encode() + body)


def test_names_of_mime_headers_match_in_any_case() -> None:
    message = message_of("CONTENT-TYPE: Text/Plain;charset=utf-8", "content-disposition: Notification; x=y")
    assert message.content_type == "Text/Plain;charset=utf-8"
    assert (message.media_type, message.content_disposition) == ("text/plain", "notification")


def test_a_folded_header_is_read_in_one_line_and_written_as_it_came() -> None:
    message = message_of("Content-Type: text/plain;", "\tcharset=utf-8", " ;x=y")
    assert message.content_type == "text/plain;\tcharset=utf-8 ;x=y"
    assert b"text/plain;\r\n\tcharset=utf-8\r\n ;x=y\r\n" in bytes(message)


@pytest.mark.parametrize(
    ("encoding", "body", "content"),
    [
        ("binary", b"\x00\xff", b"\x00\xff"),
        ("7bit", b"Hello", b"Hello"),
        ("8Bit", "Bär".encode(), "Bär".encode()),
        ("BASE64", b"SGVs\r\nbG8=\r\n", b"Hello"),
        ("quoted-printable", b"a=3Db=\r\nc", b"a=bc"),
    ],
)
def test_the_content_is_given_without_its_encoding_and_kept_in_it(encoding: str, body: bytes, content: bytes) -> None:
    message = message_of("Content-Type: text/plain", f"Content-Transfer-Encoding: {encoding}", body=body)
    assert (message.content, message.body) == (content, body)


def test_content_in_no_encoding_is_what_it_is() -> None:
    assert message_of("Content-Type: text/plain").content == b"Hello"


@pytest.mark.parametrize(("encoding", "status"), [("base64", 400), ("x-uuencode", 415)])
def test_content_that_is_not_in_its_encoding_is_an_error(encoding: str, status: int) -> None:
    message = message_of("Content-Type: text/plain", f"Content-Transfer-Encoding: {encoding}", body=b"A")
    with pytest.raises(CpimError) as caught:
        assert message.content
    assert caught.value.status == status


@pytest.mark.parametrize(
    "header",
    [
        ContentHeader("Content ID", "x"),
        ContentHeader("Content-ID", "x\r\nContent-Type: text/html"),
        ContentHeader("Content-ID", "x\r\n\r\n"),
        ContentHeader("Content-ID", "x\x00"),
        ContentHeader("Content-ID", "\ud83d"),
    ],
)
def test_a_mime_header_that_would_break_the_grammar_is_a_bug_of_ours(header: ContentHeader) -> None:
    with pytest.raises(LocalProtocolError):
        CpimMessage.of(ALICE, [ALICE], "text/plain", b"", content_headers=[header])


@pytest.mark.parametrize("content_type", ["", "text", "text/", ";charset=utf-8", "text/plain\r\nX: y"])
def test_content_without_a_type_is_a_bug_of_ours(content_type: str) -> None:
    with pytest.raises(LocalProtocolError):
        CpimMessage.of(ALICE, [ALICE], content_type, b"")


def test_what_is_not_separated_has_its_type_first() -> None:
    for name in ("Content-ID", "Content-Type"):
        headers = (ContentHeader(name, "text/plain"), ContentHeader("Content-Type", "text/plain"))
        message = CpimMessage(content_headers=headers[: 1 if name == "Content-Type" else 2], body=b"", separated=False)
        if name == "Content-Type":
            assert CpimMessage.parse(bytes(message)) == message
        else:
            with pytest.raises(LocalProtocolError):
                bytes(message)


@pytest.mark.parametrize("separator", [b"\r\n\r\n", b"\r\n"])
def test_of_a_message_in_pieces_the_end_of_its_headers_is_found(separator: bytes) -> None:
    head = b"From: <sip:alice@example.com>" + separator + b"Content-Type: text/plain\r\nContent-ID: <1>\r\n\r\n"
    for end in range(len(head)):
        assert head_length(head[:end]) is None
    for body in (b"", b"H", b"Hello\r\n\r\n"):
        assert head_length(head + body) == len(head)


def test_headers_in_pieces_that_have_no_end_or_break_the_grammar_are_an_error() -> None:
    with pytest.raises(CpimError) as caught:
        head_length(b"X: " + b"x" * 2000, CpimLimits(largest_head=1000))
    assert caught.value.status == 413
    with pytest.raises(CpimError):
        head_length(b"nonsense\r\n\r\nContent-Type: text/plain\r\n\r\n")
