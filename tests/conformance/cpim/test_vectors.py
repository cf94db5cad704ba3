"""Every file in ``vectors/``: the examples of RFC 3862 and RFC 5438, what peers write, and what hostile ones might.

``accepted`` parses and is written again octet by octet; ``refused`` is an error that can be answered. Each file is also
cut off anywhere.
"""

from pathlib import Path

import pytest

from wigwag.protocols.cpim import CpimError, CpimMessage

VECTORS = sorted((Path(__file__).parent / "vectors").glob("*/*.cpim"))
IDS = [f"{path.parent.name}-{path.stem}" for path in VECTORS]
ACCEPTED = [path for path in VECTORS if path.parent.name == "accepted"]
REFUSED = [path for path in VECTORS if path.parent.name == "refused"]


def names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


def read(message: CpimMessage) -> None:
    """Use every accessor."""
    assert message.sender is None or message.sender.uri
    assert all(address.uri for address in (*message.recipients, *message.copies))
    assert message.date_time is None or message.date_time.tzinfo is not None
    assert message.subject is None or isinstance(message.subject, str)
    assert isinstance(message.required, tuple)
    assert message.media_type
    assert message.content_disposition is None or message.content_disposition == message.content_disposition.lower()


@pytest.mark.parametrize("path", ACCEPTED, ids=names(ACCEPTED))
def test_an_accepted_vector_is_written_as_it_was_read(path: Path) -> None:
    data = path.read_bytes()
    message = CpimMessage.parse(data)
    read(message)
    assert bytes(message) == data


@pytest.mark.parametrize("path", REFUSED, ids=names(REFUSED))
def test_a_refused_vector_is_an_error_that_can_be_answered(path: Path) -> None:
    with pytest.raises(CpimError) as caught:
        CpimMessage.parse(path.read_bytes())
    assert caught.value.status == 400
    assert caught.value.reason.startswith("CPIM")
    assert "\n" not in caught.value.reason


@pytest.mark.parametrize("path", VECTORS, ids=IDS)
def test_a_vector_cut_off_anywhere_is_an_error_or_parses(path: Path) -> None:
    data = path.read_bytes()
    for end in range(len(data)):
        try:
            message = CpimMessage.parse(data[:end])
        except CpimError:
            continue
        read(message)
        assert bytes(message) == data[:end]


def test_there_are_vectors_of_both_kinds() -> None:
    assert len(ACCEPTED) >= 20
    assert len(REFUSED) >= 40
