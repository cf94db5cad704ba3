from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from redis.exceptions import ReadOnlyError, ResponseError

from wigwag.errors import StoreError
from wigwag.store.redis.breaker import PAUSE, Breaker, Health, is_unfit

Told = list[tuple[bool, str]]


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def health(told: Told) -> Health:
    return Health(lambda *news: told.append(news))


@pytest.fixture
def breaker(clock: Clock, health: Health) -> Breaker:
    return Breaker("r:1", clock, health)


def fail(breaker: Breaker, error: Exception) -> None:
    with pytest.raises(StoreError), breaker.attempt():
        raise error


@contextmanager
def refused_at_once(breaker: Breaker) -> Iterator[None]:
    with pytest.raises(StoreError, match="redis r:1 is away: refused"), breaker.attempt():
        pytest.fail("it was let through")
    yield


def test_after_a_failure_nothing_is_tried_for_a_while(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, ConnectionError("refused"))
    clock.now += PAUSE * 0.9
    with refused_at_once(breaker):
        clock.now += PAUSE * 0.2
    with breaker.attempt():
        pass
    assert not breaker.is_away


def test_one_at_a_time_tries_while_it_is_away(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, ConnectionError("refused"))
    clock.now += PAUSE
    with breaker.attempt(), refused_at_once(breaker):
        pass
    assert not breaker.is_away


def test_a_try_that_fails_begins_the_pause_again(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, ConnectionError("refused"))
    clock.now += PAUSE
    fail(breaker, ConnectionError("refused"))
    with refused_at_once(breaker):
        pass


def test_a_try_that_was_cancelled_lets_another_one_try(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, ConnectionError("refused"))
    clock.now += PAUSE
    with pytest.raises(KeyboardInterrupt), breaker.attempt():
        raise KeyboardInterrupt
    assert breaker.is_away
    with breaker.attempt():
        pass


def test_who_waited_for_his_turn_is_refused_when_it_failed_meanwhile(breaker: Breaker) -> None:
    with breaker.attempt() as check:
        check()
        fail(breaker, ConnectionError("refused"))
        with pytest.raises(StoreError, match="is away: refused"):
            check()


def test_the_text_of_an_error_is_kept_and_its_cause(breaker: Breaker) -> None:
    with pytest.raises(StoreError, match="redis r:1: no answer in time") as failure, breaker.attempt():
        raise TimeoutError
    assert isinstance(failure.value.__cause__, TimeoutError)


def test_servers_are_away_together_and_back_together(clock: Clock, health: Health, told: Told) -> None:
    first, second = Breaker("r:1", clock, health), Breaker("r:2", clock, health)
    with first.attempt(), second.attempt():
        pass
    fail(first, ConnectionError("refused"))
    fail(second, ConnectionError("reset"))
    health.set_present("r:1")
    assert told == [(True, ""), (False, "r:1: refused")]
    health.set_present("r:2")
    assert told[2:] == [(True, "")]


def test_a_server_that_is_not_asked_any_more_is_not_away(breaker: Breaker, told: Told) -> None:
    with breaker.attempt():
        breaker.retire()
        fail(breaker, ConnectionError("closed"))
    assert told == [(True, "")]


@pytest.mark.parametrize(
    ("answer", "is_so"),
    [
        (ReadOnlyError("You can't write against a read only replica."), True),
        (ResponseError("Error running script: -READONLY You can't write"), True),
        (ResponseError("MISCONF Redis is configured to save"), True),
        (ResponseError("WRONGTYPE Operation against a key"), False),
        (ResponseError("user_script:3: attempt to index a nil value"), False),
        (b"OOM", False),
    ],
)
def test_a_server_that_refuses_everything_is_told_from_one_bad_request(answer: object, is_so: bool) -> None:
    assert is_unfit(answer) is is_so
