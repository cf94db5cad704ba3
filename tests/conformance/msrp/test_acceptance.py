"""The chunk that completes a message is answered when the application says so (RFC 4975 sections 7.1.3, 7.2, 7.3.1)."""

from collections.abc import Iterable, Sequence

import pytest

from tests.support.msrp import Endpoint, exchange, send_frame, sender
from wigwag.errors import LocalProtocolError
from wigwag.protocols.msrp import (
    ConnectionGivenUp,
    ConnectionLimits,
    DataReceived,
    DeliveryFailed,
    DeliverySucceeded,
    MessageAborted,
    MessageAccepted,
    MessageCompleted,
    MessageReceived,
    MessageSent,
    MessageStarted,
    ReassemblyLimits,
    RequestRefused,
)

MESSAGE_ID = "12339sdqwer"
WITH_SUCCESS_REPORT = ["Success-Report: yes"]


def deferring(limits: ConnectionLimits | None = None) -> Endpoint:
    endpoint = Endpoint(limits=limits)
    endpoint.session.deferred_acceptance = True
    return endpoint


def chunk(tid: str, start: int, body: bytes, total: int, headers: Iterable[str] = ()) -> bytes:
    """Return a chunk of a message of ``total`` octets."""
    end = start + len(body) - 1
    flag = "$" if end == total else "+"
    return send_frame(body, tid=tid, byte_range=f"{start}-{end}/{total}", flag=flag, headers=headers)


def accept(endpoint: Endpoint) -> bool:
    return endpoint.connection.accept_message(endpoint.session, MESSAGE_ID)


def kinds_of(events: Sequence[object]) -> list[type]:
    return [type(event) for event in events]


def test_nothing_is_answered_before_the_application_accepts() -> None:
    endpoint = deferring()
    (received,) = endpoint.receive(send_frame(b"hello", headers=WITH_SUCCESS_REPORT))
    assert isinstance(received, MessageReceived)
    endpoint.wait(29)
    assert endpoint.kinds() == []
    assert accept(endpoint)
    assert endpoint.kinds() == ["200", "REPORT"]


def test_a_message_is_accepted_once() -> None:
    endpoint = deferring()
    endpoint.receive(send_frame(b"hello"))
    assert [accept(endpoint), accept(endpoint)] == [True, False]
    assert endpoint.kinds() == ["200"]


@pytest.mark.parametrize(
    ("failure_report", "accepted", "refused"),
    [("yes", ["200"], ["415"]), ("partial", [], ["415"]), ("no", [], [])],
)
def test_failure_report_says_whether_acceptance_and_refusal_are_answered(
    failure_report: str, accepted: list[str], refused: list[str]
) -> None:
    for refuse, kinds in ((False, accepted), (True, refused)):
        endpoint = deferring()
        endpoint.receive(send_frame(b"hello", headers=[f"Failure-Report: {failure_report}"]))
        if refuse:
            endpoint.connection.refuse_message(endpoint.session, MESSAGE_ID, 415)
        else:
            accept(endpoint)
        assert endpoint.kinds() == kinds


def test_the_success_report_of_a_message_without_responses_waits_too() -> None:
    endpoint = deferring()
    endpoint.receive(send_frame(b"hello", headers=["Failure-Report: no", *WITH_SUCCESS_REPORT]))
    assert endpoint.kinds() == []
    accept(endpoint)
    (report,) = endpoint.written()
    assert str(report.byte_range) == "1-5/5"


def test_chunks_before_the_last_are_answered_as_they_come() -> None:
    endpoint = deferring()
    endpoint.receive(chunk("t1d1", 1, b"he", 5))
    assert endpoint.kinds() == ["200"]
    endpoint.receive(chunk("t1d2", 3, b"llo", 5))
    assert endpoint.kinds() == []
    accept(endpoint)
    (answer,) = endpoint.written()
    assert (answer.kind, answer.head.transaction_id) == ("200", "t1d2")


def test_the_chunk_that_fills_the_last_hole_is_the_one_that_waits() -> None:
    endpoint = deferring()
    endpoint.receive(chunk("t1d2", 3, b"llo", 5) + chunk("t1d1", 1, b"he", 5))
    (first,) = endpoint.written()
    assert first.head.transaction_id == "t1d2"
    accept(endpoint)
    (second,) = endpoint.written()
    assert second.head.transaction_id == "t1d1"


def test_a_refusal_reaches_the_sender_with_its_comment() -> None:
    alice, bob = sender(), deferring()
    message_id = alice.connection.send_message(alice.session, "text/plain", b"hi", success_report=True)
    exchange(alice, bob)
    (refused,) = bob.connection.refuse_message(bob.session, message_id, 403, "Not today")
    assert isinstance(refused, RequestRefused)
    exchange(alice, bob)
    (failed,) = [event for event in alice.events if isinstance(event, DeliveryFailed)]
    assert (failed.status, failed.comment) == (403, "Not today")
    assert not any(isinstance(event, MessageAccepted | DeliverySucceeded) for event in alice.events)


def test_an_acceptance_reaches_the_sender() -> None:
    alice, bob = sender(), deferring()
    message_id = alice.connection.send_message(alice.session, "text/plain", b"hi", success_report=True)
    exchange(alice, bob)
    assert not any(isinstance(event, MessageAccepted | DeliverySucceeded) for event in alice.events)
    assert bob.connection.accept_message(bob.session, message_id)
    exchange(alice, bob)
    outcomes = [event for event in alice.events if isinstance(event, MessageAccepted | DeliverySucceeded)]
    assert kinds_of(outcomes) == [MessageAccepted, DeliverySucceeded]


@pytest.mark.parametrize(("status", "comment"), [(200, None), (399, None), (600, None), (413, "a\r\nb")])
def test_a_refusal_that_is_none_changes_nothing(status: int, comment: str | None) -> None:
    endpoint = deferring()
    endpoint.receive(send_frame(b"hello"))
    with pytest.raises(LocalProtocolError):
        endpoint.connection.refuse_message(endpoint.session, MESSAGE_ID, status, comment)
    assert accept(endpoint)
    assert endpoint.kinds() == ["200"]


def test_a_repetition_of_a_message_that_waits_is_not_told_and_gets_the_same_answer() -> None:
    for refuse, kind in ((False, "200"), (True, "500")):
        endpoint = deferring()
        endpoint.receive(send_frame(b"hello", tid="t1d1"))
        assert endpoint.receive(send_frame(b"hello", tid="t1d2")) == []
        assert endpoint.kinds() == []
        if refuse:
            endpoint.connection.refuse_message(endpoint.session, MESSAGE_ID, 500)
        else:
            accept(endpoint)
        answers = [(frame.kind, frame.head.transaction_id) for frame in endpoint.written()]
        assert answers == [(kind, "t1d1"), (kind, "t1d2")]


def test_a_repetition_after_acceptance_is_answered_and_reported_on_at_once() -> None:
    endpoint = deferring()
    endpoint.receive(send_frame(b"hello", headers=WITH_SUCCESS_REPORT))
    accept(endpoint)
    endpoint.written()
    assert endpoint.receive(send_frame(b"hello", tid="t1d2", headers=WITH_SUCCESS_REPORT)) == []
    assert endpoint.kinds() == ["200", "REPORT"]


def test_a_repetition_after_refusal_is_refused_as_before() -> None:
    endpoint = deferring()
    endpoint.receive(send_frame(b"hello"))
    endpoint.connection.refuse_message(endpoint.session, MESSAGE_ID, 415)
    endpoint.receive(send_frame(b"hello", tid="t1d2"))
    assert endpoint.kinds() == ["415", "415"]
    assert len(endpoint.bodies()) == 1


def test_repetitions_that_wait_are_bounded() -> None:
    endpoint = deferring()
    for number in range(40):
        endpoint.receive(send_frame(b"hello", tid=f"tid{number}"))
    accept(endpoint)
    assert [frame.head.transaction_id for frame in endpoint.written()] == [f"tid{number}" for number in range(24, 40)]


def test_another_message_under_the_id_of_one_that_waits_is_refused() -> None:
    endpoint = deferring()
    endpoint.receive(send_frame(b"hello", tid="t1d1"))
    (refused,) = endpoint.receive(send_frame(b"other", tid="t1d2"))
    assert isinstance(refused, RequestRefused)
    accept(endpoint)
    assert endpoint.kinds() == ["400", "200"]
    assert endpoint.bodies() == [b"hello"]


def test_messages_that_wait_are_told_apart_by_their_ids_and_accepted_in_any_order() -> None:
    endpoint = deferring()
    for message_id in ("first", "second"):
        endpoint.receive(send_frame(b"hello", tid=message_id, message_id=message_id))
    for message_id in ("second", "first"):
        assert endpoint.connection.accept_message(endpoint.session, message_id)
    assert [frame.head.transaction_id for frame in endpoint.written()] == ["second", "first"]


@pytest.mark.parametrize("lost", [True, False])
def test_nothing_is_sent_after_the_session_or_the_connection_has_ended(lost: bool) -> None:
    endpoint = deferring()
    endpoint.receive(send_frame(b"hello"))
    if lost:
        endpoint.connection.connection_lost()
    else:
        endpoint.connection.end_session(endpoint.session)
    assert not accept(endpoint)
    assert endpoint.kinds() == []


def test_an_empty_message_waits_too_and_a_greeting_does_not() -> None:
    endpoint = deferring()
    endpoint.receive(send_frame(None, tid="gre1", message_id="greeting", byte_range="1-0/0"))
    assert endpoint.kinds() == ["200"]
    endpoint.receive(send_frame(b"", byte_range="1-0/0"))
    assert endpoint.kinds() == []
    assert accept(endpoint)
    assert endpoint.kinds() == ["200"]


def in_pieces() -> Endpoint:
    return deferring(ConnectionLimits(reassembly=ReassemblyLimits(largest_whole=3)))


def test_a_message_in_pieces_waits_at_its_end() -> None:
    endpoint = in_pieces()
    endpoint.receive(chunk("t1d1", 1, b"he", 5) + chunk("t1d2", 3, b"llo", 5))
    assert kinds_of(endpoint.events) == [MessageStarted, DataReceived, DataReceived, MessageCompleted]
    assert endpoint.kinds() == ["200"]
    assert accept(endpoint)
    assert endpoint.kinds() == ["200"]


def test_a_message_in_pieces_can_be_refused_while_it_comes_and_at_its_end() -> None:
    coming = in_pieces()
    coming.receive(chunk("t1d1", 1, b"he", 5))
    assert kinds_of(coming.connection.refuse_message(coming.session, MESSAGE_ID, 413)) == [MessageAborted]
    coming.receive(chunk("t1d2", 3, b"llo", 5))
    assert coming.kinds() == ["200", "413"]
    complete = in_pieces()
    complete.receive(send_frame(b"hello"))
    assert kinds_of(complete.connection.refuse_message(complete.session, MESSAGE_ID, 413)) == [RequestRefused]
    assert complete.kinds() == ["413"]


@pytest.mark.parametrize("byte_range", ["1-5/5", "1-*/*"])
def test_a_repetition_in_pieces_is_swallowed_while_the_first_waits(byte_range: str) -> None:
    endpoint = in_pieces()
    endpoint.receive(send_frame(b"hello", tid="t1d1"))
    assert endpoint.receive(send_frame(b"hello", tid="t1d2", byte_range=byte_range)) == []
    accept(endpoint)
    assert [frame.head.transaction_id for frame in endpoint.written()] == ["t1d1", "t1d2"]


def test_a_message_that_is_longer_than_the_repetition_it_seemed_to_be_is_refused() -> None:
    for deferred in (True, False):
        endpoint = in_pieces()
        endpoint.session.deferred_acceptance = deferred
        endpoint.receive(send_frame(b"hello", tid="t1d1"))
        endpoint.receive(send_frame(b"hello!", tid="t1d2", byte_range="1-*/5"))
        accept(endpoint)
        assert sorted(endpoint.kinds()) == ["200", "400"]
        assert [event.total for event in endpoint.events if isinstance(event, MessageCompleted)] == [5]


@pytest.mark.parametrize(
    "limits",
    [ConnectionLimits(most_unaccepted=2), ConnectionLimits(most_unaccepted_octets=10)],
    ids=["count", "octets"],
)
def test_reading_stops_while_too_much_waits(limits: ConnectionLimits) -> None:
    endpoint = deferring(limits)
    endpoint.receive(send_frame(b"hello", message_id="first"))
    assert not endpoint.connection.congested
    endpoint.receive(send_frame(b"hello", message_id="second"))
    assert endpoint.connection.congested
    endpoint.connection.accept_message(endpoint.session, "first")
    assert not endpoint.connection.congested


def test_the_peer_owes_nothing_while_too_much_waits() -> None:
    endpoint = deferring(ConnectionLimits(most_unaccepted=1, frame_timeout=30))
    endpoint.receive(send_frame(b"hello") + send_frame(b"again", tid="t1d2", message_id="second")[:-20])
    endpoint.connection.send_message(endpoint.session, "text/plain", b"hi")
    endpoint.written()
    assert kinds_of(endpoint.wait(1000)) == [MessageSent]
    accept(endpoint)
    assert endpoint.wait(29) == []
    endpoint.wait(2)
    assert any(isinstance(event, DeliveryFailed) for event in endpoint.events)
    assert any(isinstance(event, ConnectionGivenUp) for event in endpoint.events)


def test_what_both_sides_defer_comes_to_an_end_on_both_sides() -> None:
    alice, bob = sender(), deferring()
    alice.session.deferred_acceptance = True
    alice.connection.send_message(alice.session, "text/plain", b"hi")
    exchange(alice, bob)
    bob.connection.send_message(bob.session, "text/plain", b"hello")
    exchange(alice, bob)
    for endpoint in (alice, bob):
        (received,) = [event for event in endpoint.events if isinstance(event, MessageReceived)]
        assert endpoint.connection.accept_message(endpoint.session, received.message_id)
    exchange(alice, bob)
    for endpoint in (alice, bob):
        assert len([event for event in endpoint.events if isinstance(event, MessageAccepted)]) == 1
