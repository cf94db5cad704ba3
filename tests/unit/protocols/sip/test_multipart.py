"""Bodies of several parts: what is in them, what is refused, and within which bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip import Part, Request, SipError, build_multipart, find_part, parts
from wigwag.protocols.sip.multipart import MAX_DEPTH, MAX_PART_HEAD, MAX_PARTS

SDP = b"v=0\r\ns=-\r\n"


def request(body: bytes, content_type: str = "multipart/mixed;boundary=b") -> Request:
    return Request.create("MESSAGE", "sip:bob@example.com", [("Content-Type", content_type)], body)


def of(body: bytes, content_type: str = "multipart/mixed;boundary=b") -> list[Part]:
    return parts(request(body, content_type))


def test_a_body_that_is_no_multipart_is_the_only_part() -> None:
    (part,) = of(b"hi", "text/plain;charset=utf-8")
    assert (part.content_type, part.body, part.within) == ("text/plain", b"hi", "")
    assert of(b"") == []


def test_preamble_and_epilogue_are_nobodys() -> None:
    found = of(
        b"look here\r\n--b\r\n\r\none\r\n--b  \r\nContent-Type: A/B; c=d\r\nFoo: y\r\n z\r\n\r\ntwo\r\n\r\n--b--\r\nbye"
    )
    assert [(part.content_type, part.body) for part in found] == [("text/plain", b"one"), ("a/b", b"two\r\n")]
    assert found[1].get("foo") == "y z"
    assert found[1].within == "multipart/mixed"


def test_multiparts_within_multiparts_are_taken_apart_in_order() -> None:
    inner = b"--i\r\n\r\n2\r\n--i\r\n\r\n3\r\n--i--"
    body = (
        b'--b\r\n\r\n1\r\n--b\r\nContent-Type: multipart/alternative; boundary="i"\r\n\r\n'
        + inner
        + b"\r\n--b\r\n\r\n4\r\n--b--"
    )
    assert [part.body for part in of(body)] == [b"1", b"2", b"3", b"4"]


def test_sdp_is_found_and_of_alternatives_the_last() -> None:
    body = (
        b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b\r\nContent-Type: Application/SDP\r\n\r\n" + SDP + b"\r\n--b--"
    )
    found = find_part(request(body), "application/sdp")
    assert found is not None
    assert found.content == SDP
    assert find_part(request(body), "image/png") is None
    two = b"--b\r\nContent-Type: text/plain\r\n\r\n1\r\n--b\r\nContent-Type: text/html\r\n\r\n2\r\n--b--"
    wanted = ("text/plain", "text/html")
    first = find_part(request(two), *wanted)
    last = find_part(request(two, "multipart/alternative;boundary=b"), *wanted)
    assert first is not None
    assert last is not None
    assert (first.body, last.body) == (b"1", b"2")


@pytest.mark.parametrize(
    ("encoding", "body", "content"),
    [("base64", b"SGVsbG8=\r\n", b"Hello"), ("Quoted-Printable", b"a=3Db", b"a=b"), ("binary", b"\0", b"\0")],
)
def test_transfer_encodings_are_undone(encoding: str, body: bytes, content: bytes) -> None:
    (part,) = of(b"--b\r\nContent-Transfer-Encoding: " + encoding.encode() + b"\r\n\r\n" + body + b"\r\n--b--")
    assert part.content == content


def test_a_transfer_encoding_that_is_unknown_or_broken_is_refused() -> None:
    for encoding, status in (("rot13", 415), ("base64", 400)):
        (part,) = of(f"--b\r\nContent-Transfer-Encoding: {encoding}\r\n\r\nabcde\r\n--b--".encode())
        with pytest.raises(SipError) as caught:
            _ = part.content
        assert caught.value.status == status


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"--b\r\n\r\nx\r\n--b--", "multipart/mixed"),
        (b"--b\r\n\r\nx\r\n--b--", 'multipart/mixed;boundary=""'),
        (b"--b\r\n\r\nx\r\n--b--", f"multipart/mixed;boundary={'b' * 71}"),
        (b"--b\r\n\r\nx\r\n--b--", 'multipart/mixed;boundary="b'),
        (b"--b\r\n\r\nx\r\n--b--", 'multipart/mixed;boundary="b "'),
        (b"--b\r\n\r\nx\r\n--b--", "multipart/mixed;boundary=bb"),
        (b"--bb\r\n\r\nx\r\n--bb--", "multipart/mixed;boundary=b"),
        (b"--b\r\n\r\nx\r\n", "multipart/mixed;boundary=b"),
        (b"--b\r\n\r\nx--b--", "multipart/mixed;boundary=b"),
        (b"--b--", "multipart/mixed;boundary=b"),
        (b"--b\r\nno header\r\n\r\nx\r\n--b--", "multipart/mixed;boundary=b"),
        (b"--b\r\n:\r\n--b--", "multipart/mixed;boundary=b"),
        (b"--b\r\n folded: first\r\n\r\nx\r\n--b--", "multipart/mixed;boundary=b"),
    ],
)
def test_a_malformed_multipart_is_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(SipError) as caught:
        of(body, content_type)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("part", "fields", "body"),
    [
        (b"", 0, b""),
        (b"\r\n", 0, b""),
        (b"\r\n\r\n", 0, b""),
        (b"\r\n\r\na", 0, b"a"),
        (b"\r\nA: b", 1, b""),
        (b"\r\nA: b\r\n\r\n", 1, b""),
        (b"\r\nA: b\r\n\r\n\r\n", 1, b"\r\n"),
    ],
)
def test_a_part_may_lack_body_or_header(part: bytes, fields: int, body: bytes) -> None:
    (found,) = of(b"--b" + part + b"\r\n--b--")
    assert (len(found.fields), found.body) == (fields, body)


def nested(depth: int) -> tuple[str, bytes]:
    content_type, body = "text/plain", b"x"
    for level in range(depth):
        content_type, body = build_multipart([([("Content-Type", content_type)], body)], f"level{level}")
    return content_type, body


def test_depth_parts_and_headers_of_parts_are_bounded() -> None:
    content_type, body = nested(MAX_DEPTH)
    assert [part.body for part in of(body, content_type)] == [b"x"]
    for content_type, body in (
        nested(MAX_DEPTH + 1),
        build_multipart([((), b"x")] * (MAX_PARTS + 1), "b"),
        build_multipart([([("Content-Type", nested(1)[0])], nested(1)[1])] * (MAX_PARTS // 2 + 1), "b"),
        build_multipart([([("X", "y" * MAX_PART_HEAD)], b"x")], "b"),
    ):
        with pytest.raises(SipError) as caught:
            of(body, content_type)
        assert caught.value.status == 413
    assert len(of(build_multipart([((), b"x")] * MAX_PARTS, "b")[1], 'multipart/mixed;boundary="b"')) == MAX_PARTS


@given(st.lists(st.binary(max_size=40) | st.just(b"\r\n--b\r\n") | st.just(b"--b1--"), min_size=1, max_size=6))
def test_what_is_built_is_read_again_whatever_the_parts_hold(bodies: list[bytes]) -> None:
    fields = [("Content-Type", "application/octet-stream"), ("Content-ID", "<1>")]
    content_type, body = build_multipart([(fields, each) for each in bodies], "b")
    assert [part.body for part in of(body, content_type)] == bodies


def test_what_can_not_be_built_is_our_own_error() -> None:
    for boundary in ("", "a" * 61, "b\r\n", "ä", "b "):
        with pytest.raises(LocalProtocolError):
            build_multipart([((), b"x")], boundary)
    with pytest.raises(LocalProtocolError):
        build_multipart([], "b")


@given(st.binary(max_size=300))
def test_hostile_bodies_are_read_or_refused(body: bytes) -> None:
    for data in (body, b"--b\r\n" + body, b"--b\r\n" + body + b"\r\n--b--"):
        try:
            for part in of(data):
                _ = part.content_type
        except SipError:
            continue
