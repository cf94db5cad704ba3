"""The pod link's frames: what is written is read, cut anywhere; anything else is a protocol error."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wigwag.errors import RemoteProtocolError
from wigwag.relay.cluster import frames
from wigwag.relay.cluster.frames import FrameReader

WRITTEN = [
    (frames.hello(b"n" * 16, "pod-1"), frames.Hello(1, b"n" * 16, "pod-1")),
    (frames.challenge(b"n" * 16, "A", b"m" * 32, "pod-2"), frames.Challenge(b"n" * 16, "A", b"m" * 32, "pod-2")),
    (frames.proof("A", b"m" * 32), frames.Proof("A", b"m" * 32)),
    (frames.PING, frames.Beat(answer=False)),
    (frames.PONG, frames.Beat(answer=True)),
    (
        frames.open_stream(7, frames.Toward.PEER, 1 << 40, "session", "peer"),
        frames.Open(7, frames.Toward.PEER, 1 << 40, "session", "peer"),
    ),
    (
        frames.data_head(7, frames.TRANSACTION, b"t" * 16, 5, 9) + b"MSRP frame"[:9],
        frames.Data(7, frames.TRANSACTION, b"t" * 16, 5, b"", b"MSRP fram"),
    ),
    (
        frames.data_head(7, frames.TRACED, b"t" * 16, 5, 59) + b"p" * 55 + b"MSRP",
        frames.Data(7, frames.TRACED, b"t" * 16, 5, b"p" * 55, b"MSRP"),
    ),
    (frames.stop(7), frames.Stop(7)),
    (frames.taken(7, 1 << 40), frames.Taken(7, 1 << 40)),
    (frames.answered(7, [b"t" * 16, b"u" * 16]), frames.Answered(7, (b"t" * 16, b"u" * 16))),
    (
        frames.failed(7, b"t" * 16, 413, "zu groß", refused=True),
        frames.Failed(7, b"t" * 16, 413, True, "zu groß"),
    ),
    (frames.response(7, b"MSRP x 200"), frames.Response(7, b"MSRP x 200")),
    (
        frames.closed(7, frames.Ending.MOVED, 3, 9, "pod-3"),
        frames.Closed(7, frames.Ending.MOVED, 3, 9, "pod-3"),
    ),
    (frames.superseded(9, "session", "pod-3"), frames.Superseded(9, "session", "pod-3")),
]


@pytest.mark.parametrize(("octets", "frame"), WRITTEN, ids=[type(frame).__name__ for _, frame in WRITTEN])
def test_a_frame_is_read_as_it_was_written(octets: bytes, frame: frames.Frame) -> None:
    assert list(FrameReader().feed(octets)) == [frame]


@given(st.lists(st.integers(1, 400), max_size=30))
def test_frames_may_be_cut_anywhere(sizes: list[int]) -> None:
    octets, reader, found, position = b"".join(octets for octets, _ in WRITTEN), FrameReader(), [], 0
    for size in [*sizes, len(octets)]:
        found += list(reader.feed(octets[position : position + size]))
        position += size
    assert found == [frame for _, frame in WRITTEN]


@given(st.binary(max_size=600))
def test_hostile_bytes_raise_a_protocol_error_or_parse(octets: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        list(FrameReader().feed(octets))


def test_a_stranger_may_not_announce_a_large_frame() -> None:
    with pytest.raises(RemoteProtocolError, match="of 600 octets"):
        list(FrameReader().feed(frames.data_head(1, 0, b"t" * 16, 0, 575)))
