"""Values of attributes: path, media types, roles, directions, chat rooms."""

import pytest

from wigwag.errors import LocalProtocolError
from wigwag.protocols.sdp import Chatroom, Direction, MediaTypes, MsrpMedia, PathUri, SdpError, Setup, parse_path


def test_a_uri_tells_what_other_lines_have_to_agree_with() -> None:
    uri = PathUri.parse("MSRPS://bob@[2001:db8::1%25eth0]:2855/aGk/x+1=;WS;a=b;c")
    assert (uri.secure, uri.host, uri.port, uri.transport) == (True, "2001:db8::1", 2855, "ws")


@pytest.mark.parametrize(
    "path",
    [
        "",
        " ",
        "sip:bob@example.com",
        "msrp://bob.example.com/x;tcp",
        "msrp://bob.example.com:65536/x;tcp",
        "msrp://bob.example.com:-1/x;tcp",
        "msrp://bob.example.com:1/x",
        "msrp://:1/x;tcp",
        "msrp://[1::2::3]:1/x;tcp",
        "msrp://bob.example.com:1/x;tcp,msrp://carol.example.com:1/x;tcp",
        "msrp://bob.example.com:1/x;tcp;",
        "msrp://bob.example.com:1/é;tcp",
        "msrp://bob.example.com:1/x;tcp\tmsrp://bob.example.com:1/x;tcp",
    ],
)
def test_a_path_is_of_uris_with_ports(path: str) -> None:
    with pytest.raises(SdpError):
        parse_path(path)


def test_a_path_of_64_uris_is_taken() -> None:
    assert len(parse_path(" ".join(f"msrp://r{hop}.example.com:2855/s;tcp" for hop in range(64)))) == 64


@pytest.mark.parametrize(
    ("types", "content_type", "accepted"),
    [
        ("text/plain", "text/plain", True),
        ("text/plain", "Text/PLAIN; charset=utf-8", True),
        ("text/plain;charset=utf-8", "text/plain", True),
        ("text/plain", "text/html", False),
        ("text/*", "text/html", True),
        ("text/*", "textual/html", False),
        ("*", "application/octet-stream", True),
        ("message/cpim text/html", "text/html", True),
        ('text/plain;x="a b" image/*', "image/png", True),
        ("text/plain", "", False),
    ],
)
def test_a_type_is_accepted_by_name_or_wildcard(types: str, content_type: str, accepted: bool) -> None:
    assert MediaTypes.parse(types).accepts(content_type) is accepted


@pytest.mark.parametrize(
    "value", ["", " ", "text", "text/", "/plain", "text/plain,text/html", 'a/b;c="d', "a/b;c", "*/"]
)
def test_a_malformed_list_of_types_is_refused(value: str) -> None:
    with pytest.raises(SdpError):
        MediaTypes.parse(value)


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        ("text/plain", "text/html text/plain", True),
        ("text/*", "text/plain", True),
        ("text/plain", "text/*", True),
        ("*", "a/b", True),
        ("text/*", "image/*", False),
        ("text/plain", "message/cpim", False),
    ],
)
def test_two_lists_have_a_type_in_common_or_not(one: str, other: str, common: bool) -> None:
    assert MediaTypes.parse(one).common_with(MediaTypes.parse(other)) is common
    assert MediaTypes.parse(other).common_with(MediaTypes.parse(one)) is common


def test_roles_are_of_four_words() -> None:
    assert Setup.parse("ActPass ") is Setup.ACTPASS
    with pytest.raises(SdpError):
        Setup.parse("either")


@pytest.mark.parametrize(
    ("offered", "wanted", "answered"),
    [
        ("sendrecv", "sendrecv", "sendrecv"),
        ("sendonly", "sendrecv", "recvonly"),
        ("recvonly", "sendrecv", "sendonly"),
        ("inactive", "sendrecv", "inactive"),
        ("sendrecv", "recvonly", "recvonly"),
        ("sendonly", "sendonly", "inactive"),
    ],
)
def test_an_answered_direction_never_exceeds_the_offered_one(offered: str, wanted: str, answered: str) -> None:
    assert Direction(offered).answered(Direction(wanted)) is Direction(answered)


def test_a_chat_room_tells_what_it_supports() -> None:
    room = Chatroom.parse("nickname private-messages x")
    assert (room.nickname, room.private_messages, str(room)) == (True, True, "nickname private-messages x")
    assert not Chatroom.parse("").nickname
    with pytest.raises(SdpError):
        Chatroom.parse("nick\x01name")


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": ()},
        {"path": ("msrp://a.example.com/x;tcp",)},
        {"path": ("msrp://a.example.com:1/x;tcp msrp://b.example.com:1/x;tcp",)},
        {"path": ("msrp://a.example.com:0/x;tcp",)},
        {"path": ("msrp://a.example.com:1/x;tcp",), "port": 65_536},
        {"path": ("msrp://a.example.com:1/x;tcp",), "proto": "UDP/MSRP"},
    ],
)
def test_a_stream_of_ours_has_a_path_and_a_port(arguments: dict[str, object]) -> None:
    with pytest.raises(LocalProtocolError):
        MsrpMedia(**arguments)  # type: ignore[arg-type]
