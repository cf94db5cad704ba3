"""What becomes of the rounds of a benchmark."""

from collections.abc import Sequence

import pytest

from bench.generator import Report
from bench.rounds import Rounds, summary
from bench.rows import KIB, ROWS, Kind, Row, Target

ROW = Row(
    name="row", kind=Kind.LOAD, size=KIB, pairs=50, window=16,
    targets=(Target(member="ratio", at_most=0.5, text="ratio ≤ 0.5"),),
)  # fmt: skip


def report(cpu_us: float) -> Report:
    members = ("messages_per_second", "p50_us", "p99_us", "generator_busy")
    return {"error": None, "cpu_us": cpu_us, **dict.fromkeys(members, 1.0)}


def rounds(ours: Sequence[float], theirs: Sequence[float]) -> Rounds:
    return Rounds(ROW, [report(value) for value in ours], [report(value) for value in theirs])


def test_the_ratio_is_the_median_of_the_rounds_ratios_not_the_ratio_of_medians() -> None:
    result = summary(rounds([1, 20, 6], [10, 20, 10]))
    assert result["ratio"] == 0.6
    assert (result["ours_us"], result["peer_us"]) == (6, 10)
    assert result["ratio_quartiles"] == [0.35, 0.8]


@pytest.mark.parametrize(("ours", "met"), [(5.0, True), (5.1, False)])
def test_a_target_is_met_up_to_its_bound(ours: float, met: bool) -> None:
    assert summary(rounds([ours], [10]))["targets"] == [{"text": "ratio ≤ 0.5", "met": met}]


def test_a_peer_that_fails_twice_at_the_beginning_refuses_and_has_no_figure() -> None:
    done = rounds([3, 4, 5], [])
    done.peer_failed("closed by the relay")
    assert done.refusal is None
    done.peer_failed("closed by the relay")
    result = summary(done)
    assert result["peer_refusal"] == "closed by the relay"
    assert (result["ours_us"], result["peer_us"], result["ratio"]) == (4, None, None)
    assert result["targets"] == [{"text": "ratio ≤ 0.5", "met": False}]


def test_a_peer_that_fails_after_good_rounds_keeps_its_figures() -> None:
    done = rounds([3, 4, 5], [6, 8, 10])
    done.peer_failed("TLS handshake failed")
    result = summary(done)
    assert result["ratio"] == 0.5
    assert result["peer_failures"] == ["TLS handshake failed"]
    assert result["peer_refusal"] is None


def test_rows_have_names_of_their_own_and_targets_that_can_be_judged() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    kinds_of_members = {Kind.LOAD: "ratio", Kind.IDLE: "ours_kib"}
    for row in ROWS:
        for target in row.targets:
            assert target.member == kinds_of_members.get(row.kind, target.member)
