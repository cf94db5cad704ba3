"""A session goes on over another connection, and what was on its way is sent again (RFC 4975 sections 5.4, 7.3.1)."""

import pytest

from tests.support.msrp import ALICE, BOB, Endpoint, counting_random, exchange, frames_of, send_frame, sender
from wigwag.errors import ConflictError
from wigwag.protocols.msrp import (
    Connection,
    ConnectionLimits,
    DataReceived,
    DeliveryFailed,
    DeliverySucceeded,
    MessageAccepted,
    MessageCompleted,
    MessageReceived,
    MessageStarted,
    ReassemblyLimits,
    Session,
    SessionState,
)


def successor(former: Endpoint) -> Endpoint:
    """Return an endpoint of another process that goes on with the session of ``former``."""
    endpoint = Endpoint(ALICE, (BOB,), passive=False)
    endpoint.now = former.now
    return endpoint


def received(endpoint: Endpoint) -> list[bytes]:
    return [event.body for event in endpoint.events if isinstance(event, MessageReceived)]


def test_it_greets_unless_it_has_something_to_say() -> None:
    resumed = successor(sender())
    (greeting,) = resumed.written()
    assert (greeting.request.has_body, str(greeting.byte_range)) == (False, "1-0/0")
    resumed = successor(sender())
    resumed.connection.send_message(resumed.session, "text/plain", b"hi")
    (frame,) = resumed.written()
    assert frame.body == b"hi"


def test_the_peer_takes_the_greeting_for_traffic_and_tells_nobody() -> None:
    alice, bob = sender(), Endpoint()
    alice.connection.send_message(alice.session, "text/plain", b"hi")
    exchange(alice, bob)
    told = len(bob.events)
    alice.connection.connection_lost()
    resumed = successor(alice)
    exchange(resumed, bob)
    assert len(bob.events) == told
    assert resumed.session.state is SessionState.OPEN
    bob.connection.send_message(bob.session, "text/plain", b"welcome back")
    exchange(resumed, bob)
    assert received(resumed) == [b"welcome back"]


def test_a_message_whose_end_is_unknown_is_sent_again_and_shown_once() -> None:
    alice, bob = sender(), Endpoint()
    bob.session.deferred_acceptance = True
    arguments = ("text/plain", b"hello")
    alice.connection.send_message(alice.session, *arguments, message_id="same-one", success_report=True)
    first = alice.write()
    bob.receive(first)
    assert any(isinstance(event, DeliveryFailed) for event in alice.connection.connection_lost())

    resumed = successor(alice)
    resumed.connection.send_message(resumed.session, *arguments, message_id="same-one", success_report=True)
    (before,), (after,) = frames_of(first), resumed.written()
    assert (after.request.message_id, after.byte_range, after.body) == (
        before.request.message_id,
        before.byte_range,
        before.body,
    )
    bob.receive(first.replace(before.head.transaction_id.encode(), after.head.transaction_id.encode()))
    assert bob.connection.accept_message(bob.session, "same-one")
    exchange(resumed, bob)
    assert received(bob) == [b"hello"]
    assert any(isinstance(event, MessageAccepted) for event in resumed.events)
    assert any(isinstance(event, DeliverySucceeded) for event in resumed.events)


@pytest.mark.parametrize("largest_whole", [100_000, 1000])
def test_a_message_of_which_chunks_came_is_made_whole_by_sending_it_again(largest_whole: int) -> None:
    body = bytes(index % 251 for index in range(50_000))
    alice = sender()
    bob = Endpoint(limits=ConnectionLimits(reassembly=ReassemblyLimits(largest_whole=largest_whole)))
    alice.connection.send_message(alice.session, "image/png", body, message_id="same-one", success_report=True)
    for _ in range(5):
        bob.receive(alice.write(3000))
    bob.written()
    alice.connection.connection_lost()

    resumed = successor(alice)
    resumed.connection.send_message(resumed.session, "image/png", body, message_id="same-one", success_report=True)
    exchange(resumed, bob, max_bytes=7000)
    whole = bytearray(len(body))
    for event in bob.events:
        if isinstance(event, DataReceived):
            whole[event.offset : event.offset + len(event.data)] = event.data
    assert received(bob) == [body] or bytes(whole) == body
    assert len([event for event in bob.events if isinstance(event, MessageStarted)]) == (largest_whole == 1000)
    assert len([event for event in bob.events if isinstance(event, MessageReceived | MessageCompleted)]) == 1
    assert any(isinstance(event, DeliverySucceeded) for event in resumed.events)


def test_a_session_of_the_same_process_goes_on_once_the_former_one_is_out_of_the_way() -> None:
    alice = sender()
    connection = Connection(counting_random(), alice.now, alice.connection.sessions)
    again = Session(local_uri=ALICE, remote_path=(BOB,))
    with pytest.raises(ConflictError):
        connection.add_session(again)
    alice.connection.connection_lost()
    alice.connection.end_session(alice.session)
    connection.add_session(again)
    assert again.binding is connection


def take_chunks(endpoint: Endpoint, *chunks: tuple[str, str]) -> list[str]:
    """Receive chunks of five octets, by Message-ID and Byte-Range; returns what each is answered."""
    for number, (message_id, byte_range) in enumerate(chunks):
        last, total = byte_range.partition("-")[2].split("/")
        flag = "$" if last == total else "+"
        tid = f"tid{number:03}"
        endpoint.receive(send_frame(b"x" * 5, tid=tid, message_id=message_id, byte_range=byte_range, flag=flag))
    return endpoint.kinds()


def test_the_rest_of_a_message_whose_beginning_was_answered_elsewhere_is_refused_and_others_are_taken() -> None:
    bob = Endpoint()
    bob.session.continued = True
    answers = take_chunks(
        bob, ("cut-off", "6-10/15"), ("whole", "1-5/10"), ("cut-off", "11-15/15"), ("whole", "6-10/10")
    )
    assert answers == ["413", "200", "413", "200"]
    assert received(bob) == [b"x" * 10]


def test_repeating_a_message_on_a_connection_that_came_later_is_no_reason_to_refuse() -> None:
    bob = Endpoint()
    bob.session.continued = True
    assert take_chunks(bob, ("whole", "1-5/10"), ("whole", "6-10/10"), ("whole", "6-10/10")) == ["200"] * 3
    assert received(bob) == [b"x" * 10]


def test_on_the_first_connection_chunks_come_in_any_order() -> None:
    bob = Endpoint()
    assert take_chunks(bob, ("mixed", "6-10/10"), ("mixed", "1-5/10")) == ["200", "200"]
    assert received(bob) == [b"x" * 10]
