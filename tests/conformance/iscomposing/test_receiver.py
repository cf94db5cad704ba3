"""The receiver's states and timer (RFC 3994 section 3.3, figure 2)."""

import pytest

from wigwag.protocols.iscomposing import ComposingReceiver, IsComposing, State


def active(refresh: int | None = None) -> IsComposing:
    return IsComposing(State.ACTIVE, refresh=refresh)


def test_a_peer_is_idle_until_he_says_otherwise() -> None:
    receiver = ComposingReceiver()
    assert (receiver.state, receiver.next_timeout()) == (State.IDLE, None)
    assert not receiver.handle_timeout(1000.0)
    assert receiver.status_received(active(), 1000.0)
    assert receiver.state is State.ACTIVE


@pytest.mark.parametrize(("refresh", "seconds"), [(None, 120), (90, 90), (1, 1), (999_999_999, 3600)])
def test_he_is_idle_again_when_his_refresh_does_not_come(refresh: int | None, seconds: int) -> None:
    receiver = ComposingReceiver()
    receiver.status_received(active(refresh), 10.0)
    assert receiver.next_timeout() == 10.0 + seconds
    assert not receiver.handle_timeout(9.9 + seconds)
    assert receiver.handle_timeout(10.0 + seconds)
    assert (receiver.state, receiver.next_timeout()) == (State.IDLE, None)


def test_he_is_idle_when_he_says_so_or_his_message_comes() -> None:
    receiver = ComposingReceiver()
    receiver.status_received(active(), 0.0)
    assert receiver.status_received(IsComposing(State.IDLE), 1.0)
    assert not receiver.status_received(IsComposing(State.IDLE), 2.0)
    receiver.status_received(active(), 3.0)
    assert receiver.content_received()
    assert not receiver.content_received()
    assert receiver.next_timeout() is None


def test_many_active_messages_in_a_row_are_one_and_the_last_one_counts() -> None:
    receiver = ComposingReceiver()
    assert [receiver.status_received(active(60), now) for now in (0.0, 0.1, 50.0)] == [True, False, False]
    assert receiver.next_timeout() == 110.0
    receiver.status_received(active(), 60.0)
    assert receiver.next_timeout() == 180.0
