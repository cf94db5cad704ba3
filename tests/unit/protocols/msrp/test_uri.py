"""MSRP URIs."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.msrp_strategies import uris
from wigwag.errors import RemoteProtocolError
from wigwag.protocols.msrp import MsrpUri, format_path, parse_path


@given(uris())
def test_a_uri_written_and_read_is_the_same(uri: MsrpUri) -> None:
    again = MsrpUri.parse(str(uri))
    assert again == uri
    assert again.key == uri.key


@settings(max_examples=30)
@given(st.lists(uris(), min_size=1, max_size=4))
def test_a_path_written_and_read_is_the_same(path: list[MsrpUri]) -> None:
    assert parse_path(format_path(tuple(path)).encode()) == tuple(path)


@given(st.text())
def test_any_text_is_a_uri_or_refused(text: str) -> None:
    with suppress(RemoteProtocolError):
        MsrpUri.parse(text)


@given(st.binary(max_size=2000))
def test_any_octets_are_a_path_or_refused(raw: bytes) -> None:
    with suppress(RemoteProtocolError):
        parse_path(raw)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "msrp:",
        "msrp://",
        "msrp://;tcp",
        "msrp://h",
        "msrp://h;",
        "msrp://h:;tcp",
        "msrp://h:65536/x;tcp",
        "msrp://h:123456/x;tcp",
        "msrp://h:-1/x;tcp",
        "msrp://h/x",
        "msrp://h/;tcp",
        "msrp://h/x y;tcp",
        "msrp://h/x;t-cp",
        "msrp://h/x;tcp;",
        "msrp://h/x;tcp;=1",
        "msrp://h/x;tcp;a=",
        "msrp://h%2/x;tcp",
        "msrp://h%zz/x;tcp",
        "msrp://[::1/x;tcp",
        "msrp://::1/x;tcp",
        "msrp://[::1]x/x;tcp",
        "msrp://[1.2.3.4]:1/x;tcp",
        "msrp://[fe80::1%]:1/x;tcp",
        "msrp://a@b@c/x;tcp",
        "msrp://ü.example.com:1/x;tcp",
        "msrp://h:２/x;tcp",
        "sip:bob@example.com",
        "tel:+15550100",
        " msrp://h:1/x;tcp",
        "msrp://h:1/x;tcp\r\n",
    ],
)
def test_what_breaks_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        MsrpUri.parse(text)
    assert refused.value.status == 400


def test_the_parts_of_a_uri() -> None:
    uri = MsrpUri.parse("MSRPS://alice:x@[FE80::1%25eth0]:02855/a/b+=;WS;one=1;two")
    assert (uri.scheme, uri.user, uri.host, uri.port) == ("msrps", "alice:x", "FE80::1%eth0", 2855)
    assert (uri.session_id, uri.transport) == ("a/b+=", "ws")
    assert uri.parameters == (("one", "1"), ("two", None))
    assert uri.secure
    assert not MsrpUri.parse("msrp://h;tcp").secure


def test_an_ipv4_address_is_compared_as_an_address_and_a_name_of_digits_is_not() -> None:
    assert MsrpUri.parse("msrp://127.0.0.1:1/x;tcp").matches(MsrpUri.parse("msrp://127.0.0%2E1:1/x;tcp"))
    assert not MsrpUri.parse("msrp://127.0.0.1:1/x;tcp").matches(MsrpUri.parse("msrp://127.0.0.01:1/x;tcp"))


def test_several_blanks_between_uris_are_tolerated_and_no_uri_is_not() -> None:
    assert len(parse_path(b"msrp://a;tcp   msrp://b;tcp")) == 2
    for raw in (b"", b"   "):
        with pytest.raises(RemoteProtocolError):
            parse_path(raw)


def test_long_paths_are_parsed_without_being_remembered() -> None:
    raw = b" ".join(b"msrp://relay%d.example.com:2855/session;tcp" % number for number in range(60))
    assert len(parse_path(raw)) == 60
