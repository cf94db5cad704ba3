"""Framing: segmentation does not matter, nothing is waited for that will not come, work and memory are bounded."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.msrp import parse_pieces, request_frame, response_frame, send_frame
from tests.support.msrp_strategies import bodies, cuts
from wigwag.errors import RemoteProtocolError
from wigwag.protocols.msrp import (
    BodyReceived,
    EndLineScanner,
    FrameEnded,
    FrameEvent,
    FrameParser,
    HeadReceived,
    Limits,
    MalformedReceived,
)


@given(st.data())
def test_segmentation_does_not_matter(data: st.DataObject) -> None:
    frames = data.draw(
        st.lists(
            st.one_of(
                bodies().map(lambda body: send_frame(body, byte_range="1-*/*")),
                st.just(send_frame(None)),
                st.just(response_frame("d93kswow")),
                st.just(send_frame(b"bad", byte_range="0-0/0")),
                st.just(b"\r\n" + send_frame(b"after a blank line")),
                st.just(request_frame("AUTH", "d93kswow", ["Expires: 1"])),
            ),
            min_size=1,
            max_size=4,
        )
    )
    stream = b"".join(frames)
    assert parse_pieces(data.draw(cuts(stream))) == parse_pieces([stream])


@given(bodies())
def test_a_body_without_its_end_line_comes_out_as_it_went_in(body: bytes) -> None:
    for hostile in (b"\r\n-------d93kswow" + flag + b"\r\n" for flag in (b"$", b"+", b"#")):
        if hostile in b"\r\n" + body + b"\r\n":
            return
    events = parse_pieces([send_frame(body, byte_range="1-*/*")])
    assert b"".join(event.data for event in events if isinstance(event, BodyReceived)) == body


@given(st.data())
def test_any_bytes_parse_or_raise_remote_protocol_error(data: st.DataObject) -> None:
    start = data.draw(st.sampled_from([b"", b"MSRP d93kswow SEND\r\n"]))
    pieces = data.draw(cuts(start + data.draw(st.binary(max_size=300))))
    with suppress(RemoteProtocolError):
        parse_pieces(pieces)


def test_one_call_consumes_one_frame_at_most() -> None:
    parser = FrameParser()
    stream = send_frame(b"one") + send_frame(b"two") + send_frame(None)
    events, position = parser.feed(stream)
    assert position == len(send_frame(b"one"))
    assert [type(event) for event in events] == [HeadReceived, BodyReceived, FrameEnded]
    events, position = parser.feed(stream, position)
    assert events[1] == BodyReceived(b"two")
    events, position = parser.feed(stream, position)
    assert [type(event) for event in events] == [HeadReceived, FrameEnded]
    assert position == len(stream)


def test_idle_means_between_frames_with_nothing_held() -> None:
    parser = FrameParser()
    frame = send_frame(b"hello")
    assert parser.idle
    for octet in frame[:-1]:
        parser.feed(bytes([octet]))
        assert not parser.idle
    parser.feed(frame[-1:])
    assert parser.idle
    parser.feed(b"\r\n")
    assert parser.idle
    parser.feed(b"\r")
    assert not parser.idle


def test_body_octets_are_passed_on_as_soon_as_they_are_certain() -> None:
    parser = FrameParser()
    head, _ = send_frame(b"?", byte_range="1-*/*").split(b"?")
    parser.feed(head)
    assert parser.feed(b"certain") == ([BodyReceived(b"certain")], 7)
    assert parser.feed(b"yes\r\n-------d93") == ([BodyReceived(b"yes")], 15)
    assert parser.feed(b"kswow!")[0] == [BodyReceived(b"\r\n-------d93"), BodyReceived(b"kswow!")]
    assert parser.feed(b"\r\n-------d93kswow+\r\nMSRP") == ([FrameEnded("+")], 20)


def test_a_whole_read_of_body_is_passed_on_without_copying() -> None:
    scanner = EndLineScanner(b"d93kswow")
    scanner.scan(b"x" * 50, 0)
    read = b"y" * 65_536
    ((piece,), _) = scanner.scan(read, 0)
    assert piece is read


def test_a_held_beginning_of_an_end_line_is_never_long() -> None:
    scanner = EndLineScanner(b"d93kswow")
    total = 0
    teaser = b"\r\n-------d93kswow\r\n-------d93kswow$\r\r\n------"
    for octet in teaser * 20:
        pieces, _ = scanner.scan(bytes([octet]), 0)
        total += sum(map(len, pieces))
        assert len(scanner._held) <= len("\r\n-------d93kswow$\r")
    assert scanner.flag is None
    assert total >= len(teaser) * 19


@pytest.mark.parametrize("limit", [200, 250])
def test_the_limit_on_headers_holds_however_they_arrive(limit: int) -> None:
    frame = send_frame(b"x", headers=["X-Long: " + "a" * 200])
    for pieces in ([frame], [bytes([octet]) for octet in frame]):
        parser = FrameParser(Limits(max_header_bytes=limit))
        events: list[FrameEvent] = []
        for piece in pieces:
            if not events:
                events = parser.feed(piece)[0]
        (refused,) = events
        with pytest.raises(RemoteProtocolError):
            parser.feed(b"x")
        assert isinstance(refused, MalformedReceived)
        assert refused.fatal
        assert refused.response is not None


def test_headers_exactly_as_long_as_the_limit_are_accepted() -> None:
    frame = send_frame(None)
    head = len(frame) - len("-------d93kswow$\r\n")
    assert isinstance(parse_pieces([frame], Limits(max_header_bytes=head))[0], HeadReceived)
    assert isinstance(parse_pieces([frame], Limits(max_header_bytes=head - 1))[0], MalformedReceived)
    assert isinstance(parse_pieces([frame], Limits(max_uris=1))[0], HeadReceived)


def test_an_empty_body_may_lack_its_own_line_end() -> None:
    frame = send_frame(b"").replace(b"\r\n\r\n\r\n-------", b"\r\n\r\n-------")
    for pieces in ([frame], [bytes([octet]) for octet in frame]):
        assert [type(event) for event in parse_pieces(pieces)] == [HeadReceived, FrameEnded]


def test_a_slow_head_costs_no_more_per_octet_the_longer_it_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = 0
    parser = FrameParser()
    parser.feed(b"MSRP d93kswow SEND\r\nX-Slow: ")

    class Counting:
        def search(self, source: bytearray, start: int) -> None:
            nonlocal searched
            searched += len(source) - start

    monkeypatch.setattr("wigwag.protocols.msrp.framing._END_OF_HEAD", Counting())
    for _ in range(10_000):
        parser.feed(b"a")
    assert searched <= 10_000 * 10
