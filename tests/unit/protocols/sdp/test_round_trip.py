"""Properties: nothing that is read is lost when it is written."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.support.sdp_strategies import attributes, descriptions, msrp_media, origins
from wigwag.errors import RemoteProtocolError
from wigwag.protocols.msrp import parse_path as parse_msrp_path
from wigwag.protocols.sdp import (
    MsrpMedia,
    Origin,
    PathUri,
    SdpAttribute,
    SdpError,
    SessionDescription,
    offer,
    parse_path,
)


@given(descriptions())
def test_a_description_that_is_not_touched_is_written_as_it_was_read(data: bytes) -> None:
    description = SessionDescription.parse(data)
    assert bytes(description) == data
    assert SessionDescription.parse(bytes(description)) == description


@given(descriptions(), attributes())
def test_a_changed_attribute_changes_nothing_else(data: bytes, attribute: SdpAttribute) -> None:
    description = SessionDescription.parse(data)
    changed = SessionDescription.parse(bytes(description.with_attribute(attribute.name, attribute.value)))
    assert changed.attribute(attribute.name) == (attribute.value or "")
    assert changed.without_attribute(attribute.name) == description.without_attribute(attribute.name)


@given(msrp_media(), origins())
def test_a_stream_is_read_as_it_was_written(media: MsrpMedia, origin: Origin) -> None:
    described = offer(own := replace(media, setup=None), origin=origin).with_media([media.describe()])
    read = MsrpMedia.of(SessionDescription.parse(bytes(described)), 0)
    assert read == media
    assert read.uris == own.uris


@given(msrp_media())
def test_each_accepted_path_is_one_for_msrp(media: MsrpMedia) -> None:
    uris = parse_msrp_path(" ".join(media.path).encode())
    assert [(uri.secure, uri.port, uri.transport) for uri in uris] == [
        (uri.secure, uri.port, uri.transport) for uri in media.uris
    ]


@given(
    st.text(st.sampled_from("msrp:/ex.10[]%25;tcpws@+=-_~é2855"), max_size=40) | st.from_regex(r"msrps?://.{1,30};tcp")
)
def test_whatever_is_accepted_in_a_path_is_accepted_by_msrp(text: str) -> None:
    try:
        uris: tuple[PathUri, ...] = parse_path(text)
    except SdpError:
        return
    for uri in uris:
        try:
            parse_msrp_path(uri.text.encode())
        except RemoteProtocolError as error:
            raise AssertionError(uri.text) from error
