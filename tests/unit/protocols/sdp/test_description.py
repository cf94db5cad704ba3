"""Lines, limits, changes (RFC 8866 section 5)."""

import pytest

from tests.support.sdp import described, stream
from wigwag.errors import LocalProtocolError
from wigwag.protocols.sdp import (
    Connection,
    Line,
    MediaDescription,
    MediaLine,
    Origin,
    SdpAttribute,
    SdpError,
    SdpLimits,
    SessionDescription,
    Setup,
)

HEAD = b"v=0\r\no=- 1 1 IN IP4 a.example\r\ns=-\r\nt=0 0\r\n"


def refused(data: bytes, limits: SdpLimits | None = None) -> SdpError:
    with pytest.raises(SdpError) as caught:
        SessionDescription.parse(data, limits)
    return caught.value


@pytest.mark.parametrize(
    "data",
    [
        HEAD,
        HEAD.replace(b"\r\n", b"\n"),
        HEAD.removesuffix(b"\r\n"),
        HEAD + b"\r\n\r\n",
        HEAD.replace(b"s=-\r\n", b"s=caf\xe9\n"),
        HEAD.replace(b"s=-\r\n", b"Q=what?\r\n"),
        HEAD.replace(b"o=- ", b"o=Alice B. "),
        HEAD + b"m=message 7394 TCP/MSRP * \r\nx=1\r\na=:\xff\r\n".replace(b":\xff", b"y:\xff"),
    ],
)
def test_every_octet_is_kept(data: bytes) -> None:
    assert bytes(SessionDescription.parse(data)) == data


@pytest.mark.parametrize(
    ("data", "line", "cause"),
    [
        (b"", 0, "empty"),
        (b"\r\n\r\n", 0, "empty"),
        (b"v=1\r\n", 1, "v= is not 0"),
        (HEAD[5:], 1, "does not begin with v="),
        (b"m=message 1 TCP/MSRP *\r\n" + HEAD, 1, "does not begin with v="),
        (b"v=0\r\ns=-\r\n", 0, "no o="),
        (HEAD + b"o=- 1 1 IN IP4 a.example\r\n", 5, "more than one o="),
        (HEAD + b"v=0\r\n", 5, "more than one v="),
        (HEAD + b"s=-\r\n", 5, "more than one s="),
        (HEAD + b"c=IN IP4 a\r\nc=IN IP4 b\r\n", 6, "more than one c="),
        (HEAD + b"a=\r\n", 5, "a= without a name"),
        (HEAD + b"a=:x\r\n", 5, "a= without a name"),
        (HEAD + b"m=audio 1 RTP/AVP 0\r\na=\r\n", 6, "a= without a name"),
        (HEAD + b"m=message\r\n", 5, "m= is not <media> <port> <proto> <format> ..."),
        (HEAD + b"m=message 7394 TCP/MSRP\r\n", 5, "m= is not <media> <port> <proto> <format> ..."),
        (HEAD + b"m=message -1 TCP/MSRP *\r\n", 5, "m= is not <media> <port> <proto> <format> ..."),
        (HEAD + b"m=message 65536 TCP/MSRP *\r\n", 5, "m= with a port above 65535"),
        (HEAD + b"x\r\n", 5, "not <type>=<value>"),
        (HEAD + b" a=x\r\n", 5, "not <type>=<value>"),
        (HEAD + b"a =x\r\n", 5, "not <type>=<value>"),
        (HEAD + b"\r\na=x\r\n", 5, "blank line"),
        (HEAD + b"a=x\0y\r\n", 5, "NUL or CR within a line"),
        (HEAD + b"a=x\ry\r\n", 5, "NUL or CR within a line"),
        (HEAD + b"a=x\r\r\n", 0, "CR without LF at the end"),
        (HEAD + b"a=x\r", 0, "CR without LF at the end"),
        (b"v=0\no=- 1 1 IN IP4\n", 2, "o= has not six fields"),
        (b"v=0\no=- x 1 IN IP4 a\n", 2, "o= with a session id or version that is not of 1 to 20 digits"),
        (b"v=0\no=- 1 -1 IN IP4 a\n", 2, "o= with a session id or version that is not of 1 to 20 digits"),
        (
            b"v=0\no=- 1 " + b"9" * 21 + b" IN IP4 a\n",
            2,
            "o= with a session id or version that is not of 1 to 20 digits",
        ),
    ],
)
def test_an_error_names_line_and_cause(data: bytes, line: int, cause: str) -> None:
    error = refused(data)
    assert (error.line, error.cause, error.status) == (line, cause, 400)
    assert error.reason == (f"SDP line {line}: {cause}" if line else f"SDP: {cause}")
    assert error.warning.code == 399


def test_limits_are_413() -> None:
    assert refused(HEAD, SdpLimits(max_size=len(HEAD) - 1)).status == 413
    assert refused(HEAD, SdpLimits(max_lines=3)).status == 413
    assert refused(HEAD + b"\n" * 70_000).status == 413
    assert bytes(SessionDescription.parse(HEAD, SdpLimits(max_size=len(HEAD), max_lines=4))) == HEAD


def test_attributes_are_found_at_their_level() -> None:
    description = described(stream("setup:active"), session=["a=tool:x y", "a=recvonly"])
    assert description.attribute("tool") == "x y"
    assert description.attribute("recvonly") == ""
    assert description.attribute("setup") is None
    assert description.media[0].one("setup", Setup.parse) is Setup.ACTIVE
    assert description.media[0].attributes[-1] == SdpAttribute("setup", "active")
    assert description.attribute("rec") is None
    assert described(session=["a=x:1", "a=y", "a=x:2"]).attribute_values("x") == ("1", "2")


def test_an_attribute_that_counts_once_and_comes_twice_is_refused() -> None:
    description = described(stream("setup:active", "setup:passive"))
    with pytest.raises(SdpError) as caught:
        description.media[0].one("setup", Setup.parse)
    assert (caught.value.line, caught.value.status) == (10, 488)


def test_a_change_keeps_order_and_endings_of_the_rest() -> None:
    data = HEAD + b"a=x:1\na=y\r\na=x:2\r\n"
    description = SessionDescription.parse(data.removesuffix(b"\r\n"))
    assert bytes(description.with_attribute("x", "3")) == HEAD + b"a=x:3\r\na=y\r\n"
    assert bytes(description.with_attribute("z")) == data + b"a=z\r\n"
    assert bytes(description.without_attribute("x")) == HEAD + b"a=y\r\n"
    assert bytes(description.with_origin(Origin.at("::1", 7))) == data.removesuffix(b"\r\n").replace(
        b"- 1 1 IN IP4 a.example", b"- 7 7 IN IP6 ::1"
    )


@pytest.mark.parametrize("value", ["x\r\na=y", "x\ny", "x\0", "\ud800"])
def test_s53_a_value_can_not_add_a_line(value: str) -> None:
    with pytest.raises(LocalProtocolError):
        described().with_attribute("x", value)
    with pytest.raises(LocalProtocolError):
        described().with_attribute(f"x{value}")
    with pytest.raises(LocalProtocolError):
        Line("a", value)


@pytest.mark.parametrize("build", [lambda: Line("ab", "x"), lambda: Line("1", "x"), lambda: Line("é", "x")])
def test_a_line_has_a_letter_as_type(build: object) -> None:
    assert callable(build)
    with pytest.raises(LocalProtocolError):
        build()


@pytest.mark.parametrize("arguments", [("a b", 1), ("", 1), ("a", -1), ("a", 1, 1, " ")])
def test_an_origin_that_would_break_its_line_is_ours_to_avoid(arguments: tuple[str, int]) -> None:
    with pytest.raises(LocalProtocolError):
        Origin.at(*arguments)


def test_an_odd_name_of_an_attribute_is_kept_and_one_that_would_be_another_is_not_written() -> None:
    odd = described(stream("m=audio 9 RTP/AVP 0")).media[0].attributes[-1]
    assert str(odd.line()) == "a=m=audio 9 RTP/AVP 0"
    for name in ("", "a:b"):
        with pytest.raises(LocalProtocolError):
            described().with_attribute(name, "x")


def test_a_media_description_begins_with_its_line() -> None:
    with pytest.raises(LocalProtocolError):
        MediaDescription((Line("a", "x"),))


def test_a_connection_of_the_stream_goes_before_that_of_the_session() -> None:
    first, second = stream(), [*stream(), "c=IN IP6 2001:db8::1"]
    description = described(first, second)
    assert description.connection_of(description.media[0]) == Connection("alice.example.com")
    assert description.connection_of(description.media[1]) == Connection.to("2001:db8::1")


def test_a_stream_has_one_connection() -> None:
    description = described([*stream(), "c=IN IP4 a", "c=IN IP4 b"])
    with pytest.raises(SdpError) as caught:
        description.connection_of(description.media[0])
    assert (caught.value.line, caught.value.cause) == (10, "more than one c=")


@pytest.mark.parametrize("value", ["IN IP4", "IN IP4 a b", "", "IN\tIP4\ta"])
def test_a_connection_has_three_fields(value: str) -> None:
    description = SessionDescription.parse(HEAD + f"c={value}\r\n".encode())
    with pytest.raises(SdpError) as caught:
        _ = description.connection
    assert (caught.value.line, caught.value.status) == (5, 488)


def test_a_media_line_keeps_its_count_and_formats() -> None:
    line = MediaLine.parse("audio 49170/2 RTP/AVP 0 8  97 ")
    assert (line.port, line.port_count, line.formats) == (49170, 2, ("0", "8", "97"))
    assert str(line) == "audio 49170/2 RTP/AVP 0 8 97"
