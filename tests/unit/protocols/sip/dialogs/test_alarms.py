"""Alarms ring in order, once, and cost nothing after they were called off."""

from wigwag.protocols.sip.dialogs.alarms import Alarms


def test_alarms_ring_in_order_and_those_of_one_moment_as_they_were_set() -> None:
    alarms, rung = Alarms(), list[str]()
    for at, name in ((2.0, "c"), (1.0, "a"), (1.0, "b"), (9.0, "d")):
        alarms.set(at, lambda now, name=name: rung.append(name))  # type: ignore[misc]
    assert alarms.next_timeout() == 1.0
    alarms.handle_timeout(5.0)
    assert rung == ["a", "b", "c"]
    assert alarms.next_timeout() == 9.0


def test_what_was_called_off_does_not_ring() -> None:
    alarms, rung = Alarms(), list[float]()
    alarm = alarms.set(1.0, rung.append)
    alarm.cancel()
    alarm.cancel()
    assert len(alarms) == 0
    assert alarms.next_timeout() is None
    alarms.handle_timeout(2.0)
    assert rung == []


def test_an_alarm_may_call_off_another_of_the_same_moment() -> None:
    alarms, rung = Alarms(), list[float]()
    alarms.set(1.0, lambda now: second.cancel())
    second = alarms.set(1.0, rung.append)
    alarms.handle_timeout(1.0)
    assert rung == []


def test_a_hundred_thousand_that_were_called_off_are_not_kept() -> None:
    alarms = Alarms()
    kept = alarms.set(5.0, lambda now: None)
    for _ in range(100_000):
        alarms.set(1_000.0, lambda now: None).cancel()
    assert len(alarms._heap) < 200
    assert len(alarms) == 1
    kept.cancel()
    assert alarms.next_timeout() is None
    assert len(alarms) == 0
