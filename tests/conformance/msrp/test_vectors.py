"""Every file in ``vectors/``: what public defects of SIP and MSRP parsers teach, replayed on ours.

``accepted`` parses; ``refused`` is a malformed frame after which the connection goes on; ``closed`` ends it. The names
begin with the defect that they stand for. Each file is fed whole, octet by octet, cut in two anywhere, and cut off
anywhere.
"""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support.msrp import Endpoint, send_frame
from wigwag.errors import RemoteProtocolError
from wigwag.protocols.msrp import (
    BodyReceived,
    ConnectionGivenUp,
    FrameEnded,
    FrameEvent,
    FrameParser,
    HeadReceived,
    MalformedReceived,
    MessageReceived,
)

VECTORS = sorted((Path(__file__).parent / "vectors").glob("*/*.msrp"))
IDS = [f"{path.parent.name}-{path.stem}" for path in VECTORS]
every_vector = pytest.mark.parametrize("path", VECTORS, ids=IDS)


def outcome(pieces: Iterable[bytes]) -> tuple[list[FrameEvent], str | None]:
    """Return the events of a new parser and why it gave up; what it said of a frame cut off by that is left out."""
    parser = FrameParser()
    finished: list[FrameEvent] = []
    frame: list[FrameEvent] = []
    failure = None
    try:
        for piece in pieces:
            position = 0
            while position < len(piece):
                events, position = parser.feed(piece, position)
                for event in events:
                    if isinstance(event, BodyReceived) and frame and isinstance(frame[-1], BodyReceived):
                        frame[-1] = BodyReceived(frame[-1].data + event.data)
                    else:
                        frame.append(event)
                    if isinstance(event, FrameEnded | MalformedReceived):
                        finished += frame
                        frame = []
    except RemoteProtocolError as error:
        failure = error.reason
        frame = []
    return finished + frame, failure


@every_vector
def test_a_vector_is_accepted_refused_or_closes_the_connection_as_its_folder_says(path: Path) -> None:
    data = path.read_bytes()
    events, failure = outcome([data])
    malformed = [event for event in events if isinstance(event, MalformedReceived)]
    fatal = failure is not None or any(event.fatal for event in malformed)
    match path.parent.name:
        case "accepted":
            assert not malformed
            assert not fatal
            assert isinstance(events[-1], FrameEnded)
        case "refused":
            assert len(malformed) == len(events) == 1
            assert not fatal
            good = send_frame(b"still there")
            assert outcome([data + good])[0][1:] == outcome([good])[0]
        case "closed":
            assert fatal
            assert not any(isinstance(event, HeadReceived) for event in events)


@every_vector
def test_octet_by_octet_a_vector_means_the_same(path: Path) -> None:
    data = path.read_bytes()
    expected, failure = outcome([data])
    events, reason = outcome(bytes([octet]) for octet in data)
    fatal = any(isinstance(event, MalformedReceived) and event.fatal for event in expected)
    assert events == expected
    # After a fatal answer the parser refuses what follows, which a single read does not have.
    assert reason == failure or fatal


@every_vector
def test_cut_in_two_anywhere_a_vector_means_the_same(path: Path) -> None:
    data = path.read_bytes()
    expected, _ = outcome([data])
    step = 1 if len(data) < 600 else len(data) // 50
    for cut in range(1, len(data), step):
        assert outcome([data[:cut], data[cut:]])[0] == expected


@every_vector
def test_cut_off_anywhere_a_vector_raises_nothing_but_remote_protocol_errors(path: Path) -> None:
    data = path.read_bytes()
    step = 1 if len(data) < 600 else len(data) // 50
    whole = outcome([data])[0]
    for length in range(0, len(data), step):
        events, _ = outcome([data[:length]])
        complete = [event for event in events if isinstance(event, FrameEnded | MalformedReceived)]
        assert (
            complete == [event for event in whole if isinstance(event, FrameEnded | MalformedReceived)][: len(complete)]
        )


@every_vector
def test_an_endpoint_survives_a_vector_and_keeps_to_what_it_means(path: Path) -> None:
    endpoint = Endpoint()
    endpoint.receive(path.read_bytes())
    given_up = any(isinstance(event, ConnectionGivenUp) for event in endpoint.events)
    assert given_up is (path.parent.name == "closed")
    if path.parent.name != "accepted":
        assert not any(isinstance(event, MessageReceived) for event in endpoint.events)
    assert set(endpoint.kinds()) <= {"200", "400", "415", "481", "501"}
