from hypothesis import given
from hypothesis import strategies as st

from wigwag.runtime.traceparent import (
    LENGTH,
    Traceparent,
    as_header,
    as_metadata,
    from_headers,
    from_metadata,
    parse,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{SPAN}-01"
HOSTILE = [
    "",
    "x" * LENGTH,
    VALID.upper(),
    VALID + " ",
    " " + VALID[:-1],
    VALID + "-00",
    VALID.replace("00-", "01-", 1),
    VALID.replace("00-", "ff-", 1),
    VALID.replace(TRACE, "0" * 32),
    VALID.replace(SPAN, "0" * 16),
    VALID.replace("-", "_"),
    VALID[:-1] + "\n",
    VALID[:-2] + "٠١",  # digits, but not ASCII ones
    VALID[:-2] + "+1",
]


def test_a_traceparent_is_what_it_says() -> None:
    assert parse(VALID) == Traceparent(int(TRACE, 16), int(SPAN, 16), 1)
    assert parse(VALID.encode()) == parse(VALID)
    assert str(parse(VALID)) == VALID


def test_only_the_flag_sampled_decides_over_sampling() -> None:
    assert [
        parsed.sampled for flags in ("00", "01", "02", "03", "fe") if (parsed := parse(VALID[:-2] + flags)) is not None
    ] == [False, True, False, True, False]


def test_what_is_malformed_is_no_traceparent() -> None:
    assert [value for value in HOSTILE if parse(value) is not None] == []
    assert [value for value in HOSTILE if parse(value.encode()) is not None] == []
    assert parse(None) is None


@given(st.one_of(st.text(), st.binary(), st.binary(min_size=LENGTH, max_size=LENGTH)))
def test_nothing_that_anybody_sends_raises(value: str | bytes) -> None:
    parsed = parse(value)
    assert parsed is None or str(parsed).encode() == (value if isinstance(value, bytes) else value.encode())


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 255))
def test_what_is_written_is_read_back(trace_id: int, span_id: int, flags: int) -> None:
    traceparent = Traceparent(trace_id, span_id, flags)
    assert len(str(traceparent)) == LENGTH
    assert parse(str(traceparent)) == traceparent


def test_records_and_calls_carry_it_as_a_header() -> None:
    assert from_headers(as_header(VALID)) == VALID
    assert from_headers(dict(as_header(VALID))) == VALID
    assert from_metadata(as_metadata(VALID)) == VALID
    assert (as_header(""), as_metadata("")) == ([], ())


def test_headers_without_a_valid_one_have_none() -> None:
    assert from_headers({"other": VALID.encode(), "traceparent": b"\xff" * LENGTH}) is None
    assert from_metadata(None) is None
    assert from_metadata((("traceparent", "nonsense"), ("traceparent", VALID))) is None
