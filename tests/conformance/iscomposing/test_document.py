"""application/im-iscomposing+xml: the examples of RFC 3994, every file in ``vectors/``, and what is written."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wigwag.errors import LocalProtocolError
from wigwag.protocols.iscomposing import IsComposing, IsComposingError, State

VECTORS = sorted((Path(__file__).parent / "vectors").glob("*/*.xml"))
ACCEPTED = [path for path in VECTORS if path.parent.name == "accepted"]
REFUSED = [path for path in VECTORS if path.parent.name == "refused"]
ZONES = st.integers(-720, 720).map(lambda minutes: timezone(timedelta(minutes=minutes)))
SAID = {
    "rfc3994-5-active": IsComposing(State.ACTIVE, "text/plain", 90),
    "rfc3994-5-idle": IsComposing(State.IDLE, "audio", None, datetime(2003, 1, 27, 10, 43, tzinfo=UTC)),
    "only-a-state": IsComposing(State.ACTIVE),
    "unknown-state": IsComposing(State.IDLE),
    "state-in-capitals": IsComposing(State.IDLE),
    "elements-of-others": IsComposing(State.ACTIVE),
    "refresh-of-30-digits": IsComposing(State.ACTIVE, refresh=999_999_999),
    "refresh-with-sign-and-zeros": IsComposing(State.ACTIVE, refresh=90),
    "time-without-offset": IsComposing(State.IDLE),
    "time-that-is-none": IsComposing(State.IDLE),
    "blanks-around": IsComposing(State.ACTIVE),
}


def names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


@pytest.mark.parametrize("path", ACCEPTED, ids=names(ACCEPTED))
def test_an_accepted_vector_says_what_it_says(path: Path) -> None:
    assert IsComposing.parse(path.read_bytes()) == SAID[path.stem]


@pytest.mark.parametrize("path", REFUSED, ids=names(REFUSED))
def test_a_refused_vector_is_an_error_that_can_be_answered(path: Path) -> None:
    with pytest.raises(IsComposingError) as caught:
        IsComposing.parse(path.read_bytes())
    assert caught.value.status == 400
    assert caught.value.reason.startswith("isComposing: ")


@pytest.mark.parametrize("path", VECTORS, ids=[f"{path.parent.name}-{path.stem}" for path in VECTORS])
def test_a_vector_cut_off_anywhere_is_an_error_or_parses(path: Path) -> None:
    data = path.read_bytes()
    for end in range(len(data)):
        try:
            assert IsComposing.parse(data[:end]).state in State
        except IsComposingError:
            continue


def test_every_vector_is_run() -> None:
    assert set(SAID) == set(names(ACCEPTED))
    assert len(REFUSED) >= 10


def test_a_document_too_large_is_refused() -> None:
    with pytest.raises(IsComposingError) as caught:
        IsComposing.parse(bytes(IsComposing(State.ACTIVE)) + b" " * 10_000)
    assert caught.value.status == 413


def test_elements_are_written_in_the_order_of_the_schema() -> None:
    written = bytes(IsComposing(State.IDLE, "text/<plain>", 60, datetime(2003, 1, 27, 10, 43, tzinfo=UTC)))
    assert written.decode().split("\n") == [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">',
        "  <state>idle</state>",
        "  <lastactive>2003-01-27T10:43:00Z</lastactive>",
        "  <contenttype>text/&lt;plain&gt;</contenttype>",
        "  <refresh>60</refresh>",
        "</isComposing>",
        "",
    ]


@pytest.mark.parametrize("misfit", [{"refresh": 0}, {"refresh": -1}, {"last_active": datetime(2003, 1, 27)}])
def test_what_the_schema_does_not_allow_is_a_bug_of_ours(misfit: dict[str, object]) -> None:
    with pytest.raises(LocalProtocolError):
        bytes(IsComposing(State.ACTIVE, **misfit))  # type: ignore[arg-type]


@given(
    st.sampled_from(State),
    st.none() | st.sampled_from(["text", "text/html"]),
    st.none() | st.integers(1, 999_999_999),
    st.none() | st.datetimes(timezones=ZONES),
)
def test_a_document_that_is_written_and_read_is_the_same(
    state: State, content_type: str | None, refresh: int | None, last_active: datetime | None
) -> None:
    status = IsComposing(state, content_type, refresh, last_active)
    assert IsComposing.parse(bytes(status)) == status
