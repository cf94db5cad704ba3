"""What is loaded tells of it, and a failure leaves what is in force."""

import pytest

from wigwag.errors import DatabaseError
from wigwag.runtime.status import Identifier, Severity, StatusTree
from wigwag.runtime.status_loading import RECOVERY, Answering, loading


@pytest.fixture
def identifier() -> Identifier:
    return StatusTree(lambda: 0.0).group("routes").identifier()


def texts(identifier: Identifier) -> list[str]:
    return [report.text for report in identifier.reports]


def test_loading_is_told_as_in_the_deck(identifier: Identifier) -> None:
    with loading(identifier, "routes") as attempt:
        assert identifier.status == -1
        attempt.discarded("row 3: no such listener")
        attempt.result = "2 routes loaded (1 discarded)"
    assert (identifier.status, identifier.details) == (1, "2 routes loaded (1 discarded)")
    assert texts(identifier) == ["loading routes", "row 3: no such listener", "2 routes loaded (1 discarded)"]
    assert [report.severity for report in identifier.reports][1] is Severity.WARNING


def test_loading_again_is_status_two(identifier: Identifier) -> None:
    with loading(identifier, "routes"):
        pass
    with loading(identifier, "routes"):
        assert identifier.status == 2
    assert identifier.status == 1


def test_a_first_load_that_fails_leaves_it_not_ready(identifier: Identifier) -> None:
    with pytest.raises(DatabaseError), loading(identifier, "routes"):
        raise DatabaseError("no such table")
    assert (identifier.status, identifier.details) == (-1, "routes could not be loaded: no such table")
    assert identifier.reports[-1].severity is Severity.ERROR


def test_a_reload_that_fails_leaves_the_old_ones_in_force(identifier: Identifier) -> None:
    with loading(identifier, "routes"):
        pass
    with pytest.raises(DatabaseError), loading(identifier, "routes"):
        raise DatabaseError("gone")
    assert identifier.status == 1
    assert identifier.details == "routes could not be loaded: gone; the old ones hold"


def test_a_source_that_comes_and_goes_makes_no_storm(identifier: Identifier) -> None:
    source = Answering(identifier, "table subscriber")
    now = 100.0
    for _ in range(1_000):
        source.failed("timeout", now)
        source.answered(now + 0.001)
        now += 0.002
    assert texts(identifier) == ["timeout"]
    assert identifier.status == -1
    source.answered(now + RECOVERY)
    assert (identifier.status, identifier.details) == (1, "table subscriber")
    assert texts(identifier) == ["timeout", "answers again"]


def test_a_clock_set_back_an_hour_delays_no_recovery(identifier: Identifier) -> None:
    source = Answering(identifier, "table subscriber")
    source.failed("timeout", 10_000.0)
    source.answered(10_000.0 - 3_600.0)
    assert identifier.status == 1
