"""Flows are kept alive, a dead one is found out, and attempts come back ever more slowly."""

from collections.abc import Callable

import pytest

from wigwag.protocols.sip.user_agent import BackOff, KeepAlive


def least(size: int) -> bytes:
    return bytes(size)


def most(size: int) -> bytes:
    return b"\xff" * size


def due(keep_alive: KeepAlive) -> float:
    return round(keep_alive.next_timeout(), 6)


@pytest.mark.parametrize(("random", "expected"), [(least, 80), (most, 99.9)])
def test_keep_alive_is_due_in_the_last_fifth_of_the_interval(random: Callable[[int], bytes], expected: float) -> None:
    assert KeepAlive(100, 0.0, random).next_timeout() == pytest.approx(expected, abs=0.1)


def test_nothing_is_sent_before_it_is_due() -> None:
    assert KeepAlive(100, 0.0, least).handle_timeout(79.9) is False


def test_server_that_answers_may_go_on() -> None:
    keep_alive = KeepAlive(100, 0.0, least)
    for number in range(1, 4):
        assert keep_alive.handle_timeout(80.0 * number) is True
        keep_alive.heard(80.0 * number)
        assert due(keep_alive) == 80 * (number + 1)


def test_server_that_has_answered_once_and_falls_silent_is_dead() -> None:
    keep_alive = KeepAlive(100, 0.0, least)
    keep_alive.handle_timeout(80)
    keep_alive.heard(80.1)
    assert keep_alive.handle_timeout(160) is True
    assert due(keep_alive) == 170
    assert keep_alive.handle_timeout(170) is None


def test_answer_that_is_noticed_late_puts_the_next_one_off_by_nothing() -> None:
    keep_alive = KeepAlive(100, 0.0, least)
    keep_alive.handle_timeout(80)
    assert keep_alive.heard(90)
    assert due(keep_alive) == 160
    assert not keep_alive.heard(91)


def test_server_that_never_answers_any_is_not_dead_for_that() -> None:
    keep_alive = KeepAlive(100, 0.0, least)
    assert [keep_alive.handle_timeout(due(keep_alive)) for _ in range(5)] == [True] * 5


def test_server_that_promised_and_never_answers_is_dead() -> None:
    keep_alive = KeepAlive(100, 0.0, least)
    keep_alive.promised(None, 0.0)
    assert keep_alive.handle_timeout(80) is True
    assert keep_alive.handle_timeout(90) is None


def test_time_that_the_server_names_holds_from_then_on() -> None:
    keep_alive = KeepAlive(100, 0.0, least)
    keep_alive.promised(30, 10.0)
    assert due(keep_alive) == 34
    keep_alive.promised(0, 10.0)
    assert due(keep_alive) == 34


def test_what_comes_unasked_puts_nothing_off() -> None:
    keep_alive = KeepAlive(100, 0.0, least)
    keep_alive.heard(79)
    assert due(keep_alive) == 80


def test_waits_double_up_to_a_bound_and_begin_anew_after_success() -> None:
    back_off = BackOff(1, 10, least)
    assert [back_off.next_wait() for _ in range(6)] == [0.5, 1, 2, 4, 5, 5]
    back_off.succeeded()
    assert back_off.next_wait() == 0.5


def test_wait_is_drawn_from_the_upper_half() -> None:
    assert BackOff(1, 10, most).next_wait() == pytest.approx(1, abs=0.01)


def test_time_that_the_server_asks_for_is_given_to_it() -> None:
    assert BackOff(1, 10, least).next_wait(at_least=17) == 17


def test_thousands_of_failures_are_no_overflow() -> None:
    back_off = BackOff(1, 10, least)
    assert {back_off.next_wait() for _ in range(5000)} == {0.5, 1, 2, 4, 5}
