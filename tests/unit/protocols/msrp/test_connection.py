"""AUTH over a connection, its clock, and what it says of itself."""

import pytest

from tests.support.msrp import ALICE, RELAY, Endpoint, counting_random, frames_of, response_frame, sender
from wigwag.errors import ConflictError, LocalProtocolError, NotFoundError
from wigwag.protocols.msrp import (
    Authenticated,
    AuthenticationFailed,
    Connection,
    MsrpUri,
    RelayAuthentication,
    Status,
    answer,
)

RELAY_DEVICE = MsrpUri.parse("msrps://relay.example.com:2855;tcp")


def authentication() -> RelayAuthentication:
    return RelayAuthentication("alice", "secret", (RELAY_DEVICE,), ALICE, expires=600, random=counting_random())


def test_an_auth_is_challenged_answered_and_granted_over_the_connection() -> None:
    connection = Connection(counting_random(), 0.0)
    connection.authenticate(authentication(), 0.0)
    (first,) = frames_of(b"".join(connection.data_to_send(0.0)))
    assert first.kind == "AUTH"
    challenge = ("WWW-Authenticate", 'Digest realm="example.com", nonce="n0nce", qop="auth", opaque="o"')
    assert connection.receive_data(answer(first.request, 401, None, [challenge]), 1.0) == []
    (second,) = frames_of(b"".join(connection.data_to_send(1.0)))
    assert "n0nce" in (second.request.get("Authorization") or "")
    granted = [("Use-Path", str(RELAY)), ("Expires", "600")]
    (event,) = connection.receive_data(answer(second.request, 200, None, granted), 2.0)
    assert isinstance(event, Authenticated)
    assert (event.use_path, event.expires) == ((RELAY,), 600)
    assert connection.next_timeout() is None


def test_an_auth_without_an_answer_fails_after_30_seconds() -> None:
    connection = Connection(counting_random(), 0.0)
    connection.receive_data(response_frame("unknown1"), 5.0)
    connection.authenticate(authentication(), 10.0)
    with pytest.raises(ConflictError):
        connection.authenticate(authentication(), 10.0)
    assert connection.next_timeout() == 40.0
    (event,) = connection.handle_timeout(40.0)
    assert isinstance(event, AuthenticationFailed)
    connection.authenticate(authentication(), 41.0)
    assert isinstance(connection.connection_lost()[0], AuthenticationFailed)


def test_a_clock_that_has_nothing_to_wait_for_says_so() -> None:
    alice = sender()
    assert alice.connection.next_timeout() is None
    alice.connection.send_message(alice.session, "text/plain", b"hi")
    assert alice.connection.has_data_to_send
    (frame,) = alice.written()
    assert not alice.connection.has_data_to_send
    alice.wait(0)
    assert alice.connection.next_timeout() == alice.now + 30
    alice.receive(response_frame(frame.head.transaction_id))
    assert alice.connection.next_timeout() is None


def test_misuse_is_refused_in_words() -> None:
    alice = sender()
    alice.connection.send_message(alice.session, "text/plain", b"hi", message_id="same-one")
    with pytest.raises(ConflictError, match="same-one"):
        alice.connection.send_message(alice.session, "text/plain", b"hi", message_id="same-one")
    with pytest.raises(NotFoundError):
        alice.connection.abort_message(alice.session, "unknown1")
    with pytest.raises(NotFoundError):
        alice.connection.refuse_message(alice.session, "unknown1")
    for misfit in ({"message_id": "a b c d"}, {"fields": (("X", "a\r\nb"),)}):
        with pytest.raises(LocalProtocolError):
            alice.connection.send_message(alice.session, "text/plain", b"hi", **misfit)
    with pytest.raises(LocalProtocolError):
        alice.connection.send_message(alice.session, "text/plain\r\nX: 1", b"hi")
    alice.connection.end_session(alice.session)
    with pytest.raises(ConflictError):
        alice.connection.send_message(alice.session, "text/plain", b"hi")


def test_a_failure_report_can_be_sent_later() -> None:
    endpoint = Endpoint()
    endpoint.connection.send_report(endpoint.session, "12339sdqwer", (RELAY, ALICE), None, Status(403))
    (frame,) = endpoint.written()
    assert frame.request.status == Status(403, "Forbidden")
    assert frame.head.to_path == (RELAY, ALICE)
