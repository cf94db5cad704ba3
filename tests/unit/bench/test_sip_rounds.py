"""What becomes of the rounds of the SIP benchmark."""

import pytest

from bench.generator import Report
from bench.pairing import PairedRounds
from bench.sip_rounds import summary
from bench.sip_rows import ROWS, Kind

OVERLOAD = next(row for row in ROWS if row.kind is Kind.OVERLOAD)
MESSAGE = next(row for row in ROWS if row.kind is Kind.MESSAGE)


def overload(share: float, recovery: float) -> Report:
    members = {"capacity": 1000, "answered_per_second": 1000 * share, "duplicates": 0}
    return {"error": None, "share": share, "recovery_seconds": recovery, **members}


def message(cpu_us: float) -> Report:
    members = ("messages_per_second", "p50_us", "p99_us", "generator_busy", "retransmissions")
    return {"error": None, "cpu_us": cpu_us, **dict.fromkeys(members, 1.0)}


@pytest.mark.parametrize(
    ("reports", "met"),
    [
        ([(0.8, 5.0)], [True, True]),
        ([(0.79, 0.0)], [False, True]),
        ([(1.0, 0.0), (1.0, 5.1), (1.0, 0.0)], [True, False]),
    ],
    ids=["just enough", "too few answered", "one recovery too long"],
)
def test_an_overload_is_judged_by_its_share_and_its_worst_recovery(
    reports: list[tuple[float, float]], met: list[bool]
) -> None:
    result = summary(PairedRounds(OVERLOAD, [overload(*figures) for figures in reports]))
    targets = result["targets"]
    assert isinstance(targets, list)
    assert [target["met"] for target in targets] == met


@pytest.mark.parametrize(("ours", "met"), [(15.0, True), (15.1, False)])
def test_a_message_may_cost_one_and_a_half_times_what_it_costs_kamailio(ours: float, met: bool) -> None:
    result = summary(PairedRounds(MESSAGE, [message(ours)], [message(10.0)]))
    assert result["ratio"] == pytest.approx(ours / 10, rel=0.01)
    assert result["targets"] == [{"text": "ratio ≤ 1.5", "met": met}]


def test_rows_have_names_of_their_own_and_options_that_say_what_they_are() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        arguments = row.arguments(0.7)
        assert ("--tcp" in arguments) == row.tcp
        assert ("--algorithm" in arguments) == (row.algorithm is not None)


def test_an_overload_is_twice_the_capacity_that_was_measured() -> None:
    arguments = OVERLOAD.overload(1234.4)
    assert arguments[arguments.index("--rate") + 1] == "2469"
