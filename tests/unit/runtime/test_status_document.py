"""Documents survive the way through the store; reports are found by group, severity and time, a page at a time."""

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wigwag.runtime.status import Severity, StatusTree
from wigwag.runtime.status_document import (
    Filter,
    PodDocument,
    UnreadableStatusError,
    decode,
    document_of,
    encode,
    find_reports,
    page_after,
)

POINTS = st.tuples(
    st.sampled_from(["a", "b"]), st.sampled_from(["main", "x"]), st.integers(0, 9), st.sampled_from(list(Severity))
)


def pod_with(points: list[tuple[str, str, int, Severity]], pod: str = "p1") -> PodDocument:
    times = iter([*(float(time) for *_, time, _ in points), 99.0])
    clock = [0.0]
    tree = StatusTree(lambda: clock[0])
    for group, identifier, _, severity in points:
        clock[0] = next(times)
        tree.group(group).identifier(identifier, reports=500).report(f"{severity.label}", severity)
    return document_of(tree, pod=pod, started=1.0)


@given(st.lists(POINTS, max_size=20), st.text(max_size=20))
def test_a_document_is_read_as_it_was_written(points: list[tuple[str, str, int, Severity]], pod: str) -> None:
    document = pod_with(points, pod)
    assert decode(encode(document)) == document


def test_a_newer_version_may_say_more() -> None:
    content = json.loads(encode(pod_with([("a", "main", 1, Severity.INFO)])))
    content["mood"] = "fine"
    content["groups"][0]["identifiers"][0]["colour"] = "green"
    assert decode(json.dumps(content).encode()).groups[0].name == "a"


@pytest.mark.parametrize(
    "data", [b"", b"null", b"[]", b"{}", b"\xff\xfe", b'{"pod": 1}', b"[" * 100_000, encode(pod_with([]))[:-1]]
)
def test_what_is_no_document_is_refused_with_one_error(data: bytes) -> None:
    with pytest.raises(UnreadableStatusError):
        decode(data)


@given(st.binary(max_size=60))
def test_any_octets_are_a_document_or_refused(data: bytes) -> None:
    try:
        decode(data)
    except UnreadableStatusError:
        return


@given(
    st.lists(POINTS, max_size=30),
    st.sampled_from([None, "a", "A", "none"]),
    st.sampled_from([None, "main", "ALL"]),
    st.sampled_from([None, *Severity]),
    st.one_of(st.none(), st.integers(0, 9)),
    st.one_of(st.none(), st.integers(0, 9)),
)
def test_a_filter_finds_what_a_reader_would(
    points: list[tuple[str, str, int, Severity]],
    group: str | None,
    identifier: str | None,
    severity: Severity | None,
    since: int | None,
    until: int | None,
) -> None:
    wanted = Filter(group=group, identifier=identifier, severity=severity, since=since, until=until)
    found = find_reports([pod_with(points)], wanted)
    expected = [
        point
        for point in points
        if (group is None or point[0] == group.lower())
        and (identifier in (None, "ALL") or point[1] == identifier)
        and (severity is None or point[3] >= severity)
        and (since is None or point[2] >= since)
        and (until is None or point[2] < until)
    ]
    assert [(item.group, item.identifier, item.time, item.severity) for item in found] == [
        (place, name, time, level.label) for place, name, time, level in sorted(expected, key=lambda point: point[2])
    ]


@given(st.lists(POINTS, max_size=30), st.lists(POINTS, max_size=30), st.integers(1, 7))
def test_pages_add_up_to_everything_once(
    ours: list[tuple[str, str, int, Severity]], theirs: list[tuple[str, str, int, Severity]], limit: int
) -> None:
    found = find_reports([pod_with(ours, "p1"), pod_with(theirs, "p~2")], Filter())
    pages: list[object] = []
    page = page_after(found, None, limit)
    while page:
        pages += page
        page = page_after(found, page[-1].cursor, limit)
    assert pages == found


@pytest.mark.parametrize("cursor", ["", "1", "1~2", "x~1~p", "1~x~p"])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ValueError):
        page_after([], cursor, 1)


def test_a_severity_that_is_not_known_counts_as_the_highest() -> None:
    content = asdict(pod_with([("a", "main", 1, Severity.INFO)]))
    content["groups"][0]["identifiers"][0]["reports"][0]["severity"] = "catastrophe"
    document = decode(json.dumps(content).encode())
    assert len(find_reports([document], Filter(severity=Severity.ERROR))) == 1
