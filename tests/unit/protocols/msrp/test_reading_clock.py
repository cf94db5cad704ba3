"""Deadlines on the peer while this side does not read."""

from tests.support.msrp import BOB, response_frame, send_frame, sender
from wigwag.protocols.msrp import ConnectionGivenUp, DeliveryFailed, MessageAccepted, MessageSent
from wigwag.protocols.msrp.reading_clock import ReadingClock


def test_the_clock_stands_still_while_nothing_is_read() -> None:
    clock = ReadingClock()
    assert clock.run(10.0, reading=True) == 10.0
    assert clock.run(12.0, reading=False) == 12.0
    assert clock.run(50.0, reading=False) == 12.0
    assert clock.run(60.0, reading=True) == 12.0
    assert clock.run(61.0, reading=True) == 13.0
    assert clock.monotonic(15.0) == 63.0


def test_a_response_that_lies_unread_is_not_overdue() -> None:
    alice = sender()
    alice.connection.send_message(alice.session, "text/plain", b"hi")
    (frame,) = alice.written()
    alice.wait(10)
    alice.connection.pause_reading(alice.now)
    assert alice.connection.congested
    assert alice.connection.next_timeout() is None
    alice.wait(500)
    alice.connection.resume_reading(alice.now)
    assert not alice.connection.congested
    assert alice.connection.next_timeout() == alice.now + 20
    assert [type(event) for event in alice.receive(response_frame(frame.head.transaction_id))] == [MessageAccepted]


def test_a_response_that_never_comes_is_overdue_after_the_rest_of_its_time() -> None:
    alice = sender()
    alice.connection.send_message(alice.session, "text/plain", b"hi")
    alice.written()
    assert [type(event) for event in alice.wait(10)] == [MessageSent]
    alice.connection.pause_reading(alice.now)
    alice.wait(500)
    alice.connection.resume_reading(alice.now)
    assert alice.wait(19.9) == []
    assert any(isinstance(event, DeliveryFailed) for event in alice.wait(0.2))


def test_what_is_sent_while_nothing_is_read_has_its_full_time_afterwards() -> None:
    alice = sender()
    alice.connection.pause_reading(alice.now)
    alice.connection.send_message(alice.session, "text/plain", b"hi")
    alice.written()
    alice.wait(100)
    alice.connection.resume_reading(alice.now)
    assert alice.wait(29.9) == []
    assert any(isinstance(event, DeliveryFailed) for event in alice.wait(0.2))


def test_a_body_need_not_grow_while_nothing_is_read() -> None:
    alice = sender()
    alice.receive(send_frame(b"hi", to_path=str(alice.session.local_uri), from_path=str(BOB))[:-10])
    alice.connection.pause_reading(alice.now)
    assert alice.wait(1000) == []
    alice.connection.resume_reading(alice.now)
    assert any(isinstance(event, ConnectionGivenUp) for event in alice.wait(31))


def test_pausing_twice_and_resuming_twice_is_pausing_and_resuming_once() -> None:
    alice = sender()
    alice.connection.send_message(alice.session, "text/plain", b"hi")
    alice.written()
    alice.wait(0)
    for step in (alice.connection.pause_reading, alice.connection.resume_reading):
        step(alice.now)
        alice.wait(5)
        step(alice.now)
    assert alice.connection.next_timeout() == alice.now + 25
