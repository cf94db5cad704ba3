"""The composer's states and timers (RFC 3994 section 3.2, figure 1)."""

import pytest

from wigwag.protocols.iscomposing import ComposingReceiver, ComposingSender, IsComposing, State

ACTIVE = IsComposing(State.ACTIVE, "text/plain", 90)
IDLE = IsComposing(State.IDLE, "text/plain")


def test_the_first_stroke_is_told_and_the_next_ones_are_not() -> None:
    sender = ComposingSender()
    assert sender.next_timeout() is None
    assert [sender.composing(now) for now in (0.0, 1.0, 2.0)] == [ACTIVE, None, None]
    assert sender.state is State.ACTIVE


def test_who_stops_for_15_seconds_is_idle() -> None:
    sender = ComposingSender()
    sender.composing(0.0)
    sender.composing(10.0)
    assert sender.next_timeout() == 25.0
    assert sender.handle_timeout(24.9) is None
    assert sender.handle_timeout(25.0) == IDLE
    assert (sender.state, sender.next_timeout()) == (State.IDLE, None)
    assert sender.handle_timeout(1000.0) is None
    assert sender.composing(1001.0) == ACTIVE


def test_a_message_that_is_sent_says_by_itself_that_nobody_writes() -> None:
    sender = ComposingSender()
    sender.composing(0.0)
    sender.content_sent(5.0)
    assert sender.state is State.IDLE
    assert sender.handle_timeout(1000.0) is None
    sender.content_sent(1001.0)
    assert sender.composing(1002.0) == ACTIVE


def test_who_goes_on_is_told_again_before_the_peer_gives_up() -> None:
    sender = ComposingSender()
    told = [now for now in range(200) if sender.composing(float(now)) or sender.handle_timeout(float(now))]
    assert told == [0, 85, 170]


def test_no_refresh_is_sent_in_idle_state() -> None:
    sender = ComposingSender()
    sender.composing(0.0)
    assert sender.handle_timeout(15.0) == IDLE
    assert all(sender.handle_timeout(float(now)) is None for now in range(16, 300))


def test_a_late_timer_tells_idle_rather_than_active() -> None:
    sender = ComposingSender()
    sender.composing(0.0)
    assert sender.handle_timeout(500.0) == IDLE


def test_without_refresh_only_changes_are_told() -> None:
    sender = ComposingSender(None, refresh=None, idle_timeout=5.0)
    assert sender.composing(0.0) == IsComposing(State.ACTIVE)
    assert sender.next_timeout() == 5.0
    told = [now for now in range(1, 300) if sender.composing(float(now)) or sender.handle_timeout(float(now))]
    assert told == []
    assert sender.handle_timeout(304.0) == IsComposing(State.IDLE)


@pytest.mark.parametrize("refresh", [1, 60, 90, 3600])
def test_a_receiver_sees_one_who_goes_on_as_active_all_the_time(refresh: int) -> None:
    sender, receiver = ComposingSender(refresh=refresh), ComposingReceiver()
    for step in range(40_000):
        now = step / 10
        for status in (sender.composing(now), sender.handle_timeout(now)):
            if status is not None:
                receiver.status_received(IsComposing.parse(bytes(status)), now) if step % 2_000 == 0 else None
                receiver.status_received(status, now)
        receiver.handle_timeout(now)
        assert receiver.state is State.ACTIVE
