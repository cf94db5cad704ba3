"""Rows M68 to M80: sessions, URIs, connections (RFC 4975 sections 5.4, 6.1, 7.3)."""

import io
import tracemalloc

import pytest

from tests.support.msrp import (
    ALICE,
    BOB,
    CAROL,
    RELAY,
    Endpoint,
    exchange,
    response_frame,
    send_frame,
    sender,
)
from wigwag.errors import ConflictError, RemoteProtocolError
from wigwag.protocols.msrp import (
    ConnectionGivenUp,
    DeliveryFailed,
    MessageAborted,
    MsrpUri,
    Session,
    SessionFailed,
    SessionTable,
)


def equal(one: str, other: str) -> bool:
    first, second = MsrpUri.parse(one), MsrpUri.parse(other)
    assert first.matches(second) == second.matches(first) == (first.key == second.key)
    return first.matches(second)


def test_m68_an_unknown_session_is_481() -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(b"hello", to_path="msrp://bob.example.com:8888/unknown;tcp"))
    assert endpoint.kinds() == ["481"]


def test_m68_a_second_connection_for_a_bound_session_gets_506() -> None:
    sessions = SessionTable()
    first = Endpoint(sessions=sessions)
    second = Endpoint(CAROL, sessions=sessions)
    first.receive(send_frame(b"hello"))
    second.receive(send_frame(b"hello again", message_id="another1"))
    assert first.kinds() == ["200"]
    assert second.kinds() == ["506"]
    assert second.bodies() == []


def test_m68_a_session_whose_active_side_we_are_is_481_on_a_connection_from_outside() -> None:
    sessions = SessionTable()
    sessions.add(Session(local_uri=BOB, remote_path=(ALICE,)))
    endpoint = Endpoint(CAROL, sessions=sessions)
    endpoint.receive(send_frame(b"hello"))
    assert endpoint.kinds() == ["481"]


def test_m68_a_lost_connection_frees_a_passive_session_for_the_next() -> None:
    sessions = SessionTable()
    first, second = Endpoint(sessions=sessions), Endpoint(CAROL, sessions=sessions)
    first.receive(send_frame(b"hello"))
    first.connection.connection_lost()
    second.receive(send_frame(b"hello again", message_id="another1"))
    assert second.bodies() == [b"hello again"]


@pytest.mark.parametrize(
    "other",
    [
        "MSRP://host.example.com:2855/aBc;tcp",
        "msrp://HOST.Example.com:2855/aBc;tcp",
        "msrp://user@host.example.com:2855/aBc;tcp",
        "msrp://h%6Fst.example.com:2855/aBc;tcp",
        "msrp://host.example.com:2855/aBc;TCP",
        "msrp://host.example.com:02855/aBc;tcp",
    ],
)
def test_m69_uris_are_equal_in_spite_of_case_userinfo_and_escapes(other: str) -> None:
    assert equal("msrp://host.example.com:2855/aBc;tcp", other)


@pytest.mark.parametrize(
    "other",
    [
        "msrps://host.example.com:2855/aBc;tcp",
        "msrp://host.example.com:2855/abc;tcp",
        "msrp://host.example.com/aBc;tcp",
        "msrp://host.example.com:2856/aBc;tcp",
        "msrp://host.example.com:2855/aBc;ws",
        "msrp://host.example.com:2855;tcp",
        "msrp://host%2Eexample.net:2855/aBc;tcp",
    ],
)
def test_m69_uris_differ_by_scheme_session_port_host_and_transport(other: str) -> None:
    assert not equal("msrp://host.example.com:2855/aBc;tcp", other)


@pytest.mark.parametrize(
    "other",
    ["[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::1%25eth0]", "[::1%eth0]", "[::0.0.0.1]"],
)
def test_m70_ipv6_addresses_are_compared_as_addresses(other: str) -> None:
    assert equal("msrp://[::1]:2855/x;tcp", f"msrp://{other}:2855/x;tcp")
    assert not equal("msrp://[::2]:2855/x;tcp", f"msrp://{other}:2855/x;tcp")


def test_m70_an_ipv6_path_is_accepted_in_to_path() -> None:
    here, there = MsrpUri.parse("msrp://[2001:db8::1]:2855/x;tcp"), MsrpUri.parse("msrp://[2001:db8::2]:2855/y;tcp")
    endpoint = Endpoint(here, (there,))
    endpoint.receive(send_frame(b"hello", to_path="msrp://[2001:DB8:0::1]:2855/x;tcp", from_path=str(there)))
    assert endpoint.bodies() == [b"hello"]


def test_m71_session_ids_may_hold_what_the_grammar_allows_and_parameters_do_not_count() -> None:
    uri = "msrp://host:2855/a+b=c/d~e._-f/;tcp"
    assert MsrpUri.parse(uri).session_id == "a+b=c/d~e._-f/"
    assert equal(uri, uri + ";one=1;two")
    assert str(MsrpUri.parse(uri + ";one=1;two")) == uri + ";one=1;two"


def test_m73_two_uris_in_to_path_are_481_at_an_endpoint() -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(b"hello", to_path=f"{BOB} {CAROL}"))
    endpoint.receive(send_frame(b"hello", to_path=f"{CAROL} {BOB}"))
    assert endpoint.kinds() == ["481", "481"]


def test_m74_a_from_path_other_than_the_negotiated_one_is_481() -> None:
    endpoint = Endpoint(remote_path=(RELAY, ALICE))
    for from_path in (str(ALICE), f"{ALICE} {RELAY}", f"{RELAY} {CAROL}", str(RELAY)):
        endpoint.receive(send_frame(b"hello", from_path=from_path))
    assert endpoint.kinds() == ["481"] * 4
    endpoint.receive(send_frame(b"hello", from_path=f"{RELAY} {ALICE}"))
    assert endpoint.bodies() == [b"hello"]


def test_m74_who_does_not_know_the_path_can_not_bind_the_session() -> None:
    sessions = SessionTable()
    stranger, peer = Endpoint(CAROL, sessions=sessions), Endpoint(sessions=sessions)
    stranger.receive(send_frame(b"mine", from_path=str(CAROL)))
    peer.receive(send_frame(b"hello"))
    assert peer.bodies() == [b"hello"]


def test_m75_one_of_two_sessions_on_a_connection_ends_and_the_other_goes_on() -> None:
    endpoint = Endpoint()
    other_uri = MsrpUri.parse("msrp://bob.example.com:8888/second;tcp")
    other = Session(local_uri=other_uri, remote_path=(CAROL,), passive=True)
    endpoint.connection.add_session(other)
    endpoint.receive(send_frame(b"one"))
    endpoint.receive(send_frame(b"two", to_path=str(other_uri), from_path=str(CAROL)))
    endpoint.receive(send_frame(b"half", message_id="halfway1", byte_range="1-*/8", flag="+"))
    (aborted,) = endpoint.connection.end_session(endpoint.session)
    assert isinstance(aborted, MessageAborted)
    endpoint.receive(send_frame(b"three", message_id="third001"))
    endpoint.receive(send_frame(b"four", message_id="fourth01", to_path=str(other_uri), from_path=str(CAROL)))
    assert endpoint.kinds() == ["200", "200", "200", "481", "200"]
    assert endpoint.bodies() == [b"one", b"two", b"four"]


def test_m75_a_session_may_end_in_the_middle_of_a_chunk() -> None:
    endpoint = Endpoint()
    frame = send_frame(b"hello world")
    endpoint.receive(frame[:-25])
    endpoint.connection.end_session(endpoint.session)
    assert endpoint.receive(frame[-25:]) == []
    assert endpoint.kinds() == []


def test_m76_a_connection_on_which_nothing_comes_in_30_seconds_is_given_up() -> None:
    endpoint = Endpoint()
    assert endpoint.wait(29.9) == []
    assert [type(event) for event in endpoint.wait(0.2)] == [ConnectionGivenUp]
    with pytest.raises(RemoteProtocolError):
        endpoint.receive(send_frame(b"late"))


def test_m77_the_active_side_sends_at_once_without_a_body_if_it_has_nothing_to_say() -> None:
    alice = Endpoint(ALICE, (BOB,), passive=False)
    (greeting,) = alice.written()
    assert (greeting.kind, greeting.request.has_body, str(greeting.byte_range)) == ("SEND", False, "1-0/0")
    talkative = Endpoint(ALICE, (BOB,), passive=False)
    talkative.connection.send_message(talkative.session, "text/plain", b"hi")
    assert [frame.body for frame in talkative.written()] == [b"hi"]


def test_m77_a_greeting_that_is_refused_or_not_answered_fails_the_session() -> None:
    for refused in (True, False):
        alice = Endpoint(ALICE, (BOB,), passive=False)
        (greeting,) = alice.written()
        answer = response_frame(greeting.head.transaction_id, "481 Who?")
        events = alice.receive(answer) if refused else alice.wait(30.1)
        assert isinstance(events[0], SessionFailed)


def test_m77_the_passive_side_waits_for_the_first_request() -> None:
    bob = Endpoint()
    with pytest.raises(ConflictError):
        bob.connection.send_message(bob.session, "text/plain", b"hi")
    exchange(Endpoint(ALICE, (BOB,), passive=False), bob)
    bob.connection.send_message(bob.session, "text/plain", b"hi")
    assert bob.kinds() == ["SEND"]


def test_m79_a_peer_that_stops_reading_costs_no_more_than_what_was_handed_out() -> None:
    class Endless(io.RawIOBase):
        octets = 0

        def read(self, size: int = -1, /) -> bytes:
            self.octets += size
            return b"x" * size

    alice = sender()
    source = Endless()
    tracemalloc.start()
    try:
        alice.connection.send_message(alice.session, "text/plain", source, total=50_000_000)
        alice.write(65_536)
        assert alice.connection.data_to_send(alice.now, 0) == []
        assert source.octets <= 65_536
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()


def test_m79_a_peer_that_sends_but_does_not_read_answers_is_throttled_and_then_given_up() -> None:
    endpoint = Endpoint()
    frame = send_frame(None)
    count = 0
    while not endpoint.connection.congested:
        endpoint.receive(frame)
        count += 1
    assert count > 100
    while not any(isinstance(event, ConnectionGivenUp) for event in endpoint.events):
        endpoint.receive(frame)
        count += 1
    assert count < 20_000


def test_m80_a_response_is_still_written_after_the_peer_has_finished() -> None:
    endpoint = Endpoint()
    endpoint.receive(send_frame(b"hello") + send_frame(b"half", message_id="half0001")[:-10])
    events = endpoint.connection.receive_eof(endpoint.now)
    assert [type(event) for event in events] == [MessageAborted, ConnectionGivenUp]
    assert endpoint.kinds() == ["200"]


def test_m80_a_connection_lost_with_messages_on_their_way_tells_of_each_of_them() -> None:
    alice = sender()
    alice.connection.send_message(alice.session, "text/plain", b"x" * 100_000)
    alice.write(10_000)
    events = alice.connection.connection_lost()
    assert [type(event) for event in events] == [ConnectionGivenUp, DeliveryFailed]
    assert alice.connection.next_timeout() is None
    assert alice.connection.connection_lost() == []


def test_two_sessions_can_not_have_the_same_uri() -> None:
    endpoint = Endpoint()
    with pytest.raises(ConflictError):
        endpoint.connection.add_session(Session(local_uri=BOB, remote_path=(CAROL,)))
