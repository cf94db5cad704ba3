"""Every file in ``vectors/``: what public defects of SDP parsers teach, and what MSRP endpoints write.

``accepted`` parses and is written again octet by octet; ``refused`` is an error that names the line. The names begin
with the defect that they stand for. Each file is also cut off anywhere.
"""

from pathlib import Path

import pytest

from wigwag.protocols.sdp import DcMap, DcSa, MsrpMedia, SdpError, SessionDescription

VECTORS = sorted((Path(__file__).parent / "vectors").glob("*/*.sdp"))
IDS = [f"{path.parent.name}-{path.stem}" for path in VECTORS]
ACCEPTED = [path for path in VECTORS if path.parent.name == "accepted"]
REFUSED = [path for path in VECTORS if path.parent.name == "refused"]


def names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


@pytest.mark.parametrize("path", ACCEPTED, ids=names(ACCEPTED))
def test_an_accepted_vector_is_written_as_it_was_read(path: Path) -> None:
    data = path.read_bytes()
    assert bytes(SessionDescription.parse(data)) == data


@pytest.mark.parametrize("path", ACCEPTED, ids=names(ACCEPTED))
def test_each_msrp_stream_of_an_accepted_vector_is_read_and_written(path: Path) -> None:
    description = SessionDescription.parse(path.read_bytes())
    for index, media in enumerate(description.media):
        if media.is_msrp:
            stream = MsrpMedia.of(description, index)
            written = description.with_media([stream.describe()])
            assert MsrpMedia.of(SessionDescription.parse(bytes(written)), 0) == stream
        media.every("dcmap", DcMap.parse)
        media.every("dcsa", DcSa.parse)


@pytest.mark.parametrize("path", REFUSED, ids=names(REFUSED))
def test_a_refused_vector_is_an_error_that_names_the_line(path: Path) -> None:
    with pytest.raises(SdpError) as caught:
        SessionDescription.parse(path.read_bytes())
    assert caught.value.line > 0
    assert caught.value.status == 400


@pytest.mark.parametrize("path", VECTORS, ids=IDS)
def test_a_vector_cut_off_anywhere_is_an_error_or_parses(path: Path) -> None:
    data = path.read_bytes()
    for end in range(len(data)):
        try:
            description = SessionDescription.parse(data[:end])
        except SdpError:
            continue
        assert bytes(description) == data[:end]


def test_there_are_vectors_of_both_kinds() -> None:
    assert len(ACCEPTED) >= 15
    assert len(REFUSED) >= 15
