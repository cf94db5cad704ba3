"""Groups, identifiers, numbers and rings behave as OpenSIPS's do."""

import pytest

from wigwag.runtime.status import (
    CORE_REPORTS,
    EVENT_REPORTS,
    LONGEST_TEXT,
    PUBLIC_REPORTS,
    REPORTS,
    CoreStatus,
    ModuleStatus,
    Severity,
    StatusChanged,
    StatusTree,
)


class Watch:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Watch:
    return Watch()


@pytest.fixture
def tree(clock: Watch) -> StatusTree:
    return StatusTree(clock)


def test_the_standard_numbers_are_those_of_opensips() -> None:
    assert (CoreStatus.NONE, CoreStatus.TERMINATING, CoreStatus.INITIALISING, CoreStatus.RUNNING) == (-100, -2, -1, 1)
    numbers = (ModuleStatus.NO_DATA, ModuleStatus.NOT_READY, ModuleStatus.READY, ModuleStatus.RELOADING)
    assert numbers == (-2, -1, 1, 2)
    assert (CORE_REPORTS, REPORTS, EVENT_REPORTS, PUBLIC_REPORTS) == (10, 20, 200, 50)


def test_zero_becomes_one(tree: StatusTree) -> None:
    identifier = tree.group("drouting").identifier(status=0)
    assert identifier.status == 1
    identifier.set(-5)
    identifier.set(0)
    assert identifier.status == 1


def test_names_are_compared_in_any_case_and_shown_as_registered(tree: StatusTree) -> None:
    group = tree.group("Drouting")
    assert tree.group("drouting") is group
    assert tree.find("DROUTING") is group
    assert group.identifier("Default") is group.identifier("default")
    assert [identifier.name for identifier in group] == ["Default"]


def test_registering_again_keeps_status_and_reports(tree: StatusTree) -> None:
    tree.group("store").identifier(status=1).report("up")
    again = tree.group("store").identifier(status=-1)
    assert (again.status, [report.text for report in again.reports]) == (1, ["up"])


@pytest.mark.parametrize(
    ("public", "asked", "size"), [(False, None, 20), (True, None, 50), (False, 10, 10), (False, 200, 200)]
)
def test_a_full_ring_lets_its_oldest_report_go(tree: StatusTree, public: bool, asked: int | None, size: int) -> None:
    identifier = tree.group("any", public=public).identifier(reports=asked)
    for number in range(size + 3):
        identifier.report(f"report {number}")
    assert [report.text for report in identifier.reports] == [f"report {number}" for number in range(3, size + 3)]


def test_a_report_has_its_time_severity_and_a_number_that_grows_over_all_rings(tree: StatusTree, clock: Watch) -> None:
    tree.group("a").identifier().report("first")
    clock.time = 900.0
    tree.group("b").identifier().report("the clock went back", Severity.ERROR)
    (first,), (second,) = (next(iter(group)).reports for group in tree)
    assert (first.time, first.severity, first.number) == (1_000.0, Severity.INFO, 1)
    assert (second.time, second.severity, second.number) == (900.0, Severity.ERROR, 2)


def test_observers_hear_only_of_another_number(tree: StatusTree, clock: Watch) -> None:
    heard: list[StatusChanged] = []
    tree.observe(heard.append)
    identifier = tree.group("store").identifier(details="connecting")
    clock.time = 1_001.0
    identifier.set(-1, "refused")
    identifier.report("tried")
    assert heard == []
    clock.time = 1_002.0
    identifier.set(1, "connected")
    assert heard == [
        StatusChanged(
            time=1_002.0, group="store", identifier="main", status=1, details="connected", old_status=-1, number=2
        )
    ]
    assert identifier.since == 1_002.0


def test_the_time_of_a_number_is_not_moved_by_other_details(tree: StatusTree, clock: Watch) -> None:
    identifier = tree.group("store").identifier()
    clock.time = 2_000.0
    identifier.set(-1, "still away")
    assert (identifier.since, identifier.details) == (1_000.0, "still away")


def test_watchers_hear_of_everything(tree: StatusTree) -> None:
    calls: list[None] = []
    tree.watch(lambda: calls.append(None))
    identifier = tree.group("store").identifier()
    identifier.report("tried")
    identifier.set(-1, "other details")
    identifier.set(1)
    tree.group("store").remove("MAIN")
    assert len(calls) == 5


def test_an_observer_that_fails_takes_nothing_from_others(tree: StatusTree) -> None:
    heard: list[int] = []

    def failing(change: StatusChanged) -> None:
        raise RuntimeError("broken")

    tree.observe(failing)
    tree.observe(lambda change: heard.append(change.status))
    tree.group("store").identifier().set(1)
    assert heard == [1]


def test_an_observer_may_set_a_status_itself(tree: StatusTree) -> None:
    follower = tree.group("follower").identifier()
    tree.observe(lambda change: follower.set(change.status) if change.group == "leader" else None)
    tree.group("leader").identifier().set(1)
    assert follower.status == 1


def test_become_reports_each_state_once(tree: StatusTree) -> None:
    identifier = tree.group("certificates").identifier()
    for _ in range(3):
        identifier.become(-1, "expired", Severity.ERROR)
    identifier.become(1, "valid")
    assert [(report.text, report.severity) for report in identifier.reports] == [
        ("expired", Severity.ERROR),
        ("valid", Severity.INFO),
    ]


def test_a_long_text_is_cut_once_and_for_all(tree: StatusTree) -> None:
    identifier = tree.group("any").identifier()
    for _ in range(2):
        identifier.become(-1, "x" * 5_000)
    assert [len(report.text) for report in identifier.reports] == [LONGEST_TEXT]
    assert len(identifier.details) == LONGEST_TEXT


@pytest.mark.parametrize(("numbers", "aggregate"), [([], 1), ([1, 2], 1), ([1, -3], -1), ([-100], -1)])
def test_the_aggregate_is_minus_one_when_any_is_below_zero(
    tree: StatusTree, numbers: list[int], aggregate: int
) -> None:
    group = tree.group("any")
    for index, number in enumerate(numbers):
        group.identifier(str(index), status=number)
    assert group.aggregate == aggregate
