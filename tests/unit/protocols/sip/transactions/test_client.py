"""Client transactions: RFC 3261 section 17.1, RFC 6026 section 7.2, moment by moment."""

import pytest

from tests.support.sip_transactions import RecordingUser, RecordingWire, request, response, run_until
from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip import Response, parse_datagram, validate
from wigwag.protocols.sip.transactions import (
    ClientTransaction,
    SipTimers,
    State,
    Transactions,
    TransactionsFullError,
)


def sent(method: str, *, reliable: bool = False) -> tuple[Transactions, RecordingWire, RecordingUser]:
    layer, wire, user = Transactions(), RecordingWire(reliable=reliable), RecordingUser()
    layer.send_request(request(method), wire, user, 0.0)
    return layer, wire, user


def test_s04_an_unanswered_message_is_sent_at_t1_doubling_to_t2_and_times_out_after_64_t1() -> None:
    layer, wire, user = sent("MESSAGE")
    assert run_until(layer, 100) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5, 32.0]
    assert len(wire.sent) == 11
    assert set(wire.sent) == {bytes(request("MESSAGE"))}
    assert user.timeouts == [32.0]
    assert not layer.clients


def test_an_unanswered_invite_is_sent_with_doubling_intervals_and_times_out_after_64_t1() -> None:
    layer, wire, user = sent("INVITE")
    assert run_until(layer, 100) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 32.0]
    assert len(wire.sent) == 7
    assert user.timeouts == [32.0]
    assert not layer.clients


@pytest.mark.parametrize("method", ["MESSAGE", "INVITE"])
def test_nothing_is_sent_again_over_a_reliable_wire(method: str) -> None:
    layer, wire, user = sent(method, reliable=True)
    assert run_until(layer, 100) == [32.0]
    assert len(wire.sent) == 1
    assert user.timeouts == [32.0]


def test_after_a_provisional_response_a_message_is_sent_again_every_t2() -> None:
    layer, _, user = sent("MESSAGE")
    assert run_until(layer, 0.6) == [0.5]
    layer.receive_response(response(request(), 100), 0.7)
    # The interval that was running ends as it would have.
    assert run_until(layer, 100) == [1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5, 32.0]
    assert user.statuses == [100]
    assert user.timeouts == [32.0]


def test_a_provisional_response_ends_the_retransmission_and_the_timeout_of_an_invite() -> None:
    layer, wire, _ = sent("INVITE")
    layer.receive_response(response(request("INVITE"), 180), 0.4)
    assert run_until(layer, 1000) == []
    assert len(wire.sent) == 1
    assert len(layer.clients) == 1


def test_a_final_response_is_told_once_and_repetitions_are_absorbed_for_t4() -> None:
    layer, _, user = sent("MESSAGE")
    for at in (0.1, 0.2, 5.0):
        assert layer.receive_response(response(request(), 200), at) is not None
    assert run_until(layer, 100) == [5.1]
    assert user.statuses == [200]
    assert layer.receive_response(response(request(), 200), 5.2) is None
    assert layer.stray_responses == 1


def test_over_a_reliable_wire_a_transaction_ends_with_its_final_response() -> None:
    layer, _, user = sent("MESSAGE", reliable=True)
    layer.receive_response(response(request(), 404), 0.1)
    assert user.statuses == [404]
    assert not layer.clients
    assert layer.next_timeout() is None


def test_a_refusal_of_an_invite_is_acknowledged_each_time_and_told_once() -> None:
    layer, wire, user = sent("INVITE")
    for at in (0.1, 0.6, 31.0):
        layer.receive_response(response(request("INVITE"), 486), at)
    assert wire.starts[1:] == ["ACK sip:bob@example.com"] * 3
    assert user.statuses == [486]
    assert run_until(layer, 100) == [32.1]
    assert not layer.clients


def test_the_ack_of_a_refusal_is_made_of_the_invite_and_the_responses_to() -> None:
    layer, wire = Transactions(), RecordingWire()
    invite = request("INVITE", number=77, routes=("<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"))
    layer.send_request(invite, wire, RecordingUser(), 0.0)
    layer.receive_response(response(invite, 486), 0.1)
    ack = parse_datagram(wire.sent[1])
    validate(ack)
    assert (ack.cseq.number, ack.cseq.method) == (77, "ACK")
    assert ack.to.tag == "314159"
    assert ack.get_all("via") == invite.get_all("via")
    assert ack.get_all("route") == invite.get_all("route")
    assert (ack.call_id, ack.get("from")) == (invite.call_id, invite.get("from"))


def test_every_2xx_of_an_invite_is_told_for_64_t1_and_none_is_acknowledged_here() -> None:
    layer, wire, user = sent("INVITE")
    for at, tag in ((0.1, "a"), (0.2, "b"), (32.0, "a")):
        layer.receive_response(response(request("INVITE"), 200, to_tag=tag), at)
    assert user.statuses == [200, 200, 200]
    assert len(wire.sent) == 1
    assert run_until(layer, 100) == [32.1]
    assert layer.receive_response(response(request("INVITE"), 200), 33.0) is None


def test_a_refusal_after_a_2xx_is_not_told() -> None:
    layer, wire, user = sent("INVITE")
    layer.receive_response(response(request("INVITE"), 200), 0.1)
    layer.receive_response(response(request("INVITE"), 486), 0.2)
    assert user.statuses == [200]
    assert len(wire.sent) == 1


def test_s34_a_cancel_is_held_until_a_provisional_response_and_sent_once() -> None:
    layer, wire, user = Transactions(), RecordingWire(), RecordingUser()
    invite = request("INVITE", routes=("<sip:p1.example.com;lr>",))
    client = layer.send_request(invite, wire, user, 0.0)
    client.cancel(0.1)
    assert len(wire.sent) == 1
    layer.receive_response(response(invite, 100), 0.2)
    client.cancel(0.3)
    assert wire.starts == ["INVITE sip:bob@example.com", "CANCEL sip:bob@example.com"]
    cancel = parse_datagram(wire.sent[1])
    validate(cancel)
    for name in ("via", "from", "to", "call-id", "route"):
        assert cancel.get_all(name) == invite.get_all(name)
    layer.receive_response(response(request("CANCEL"), 200), 0.4)
    layer.receive_response(response(invite, 487), 0.5)
    assert user.statuses == [100, 487]


def test_a_cancel_is_sent_again_like_every_other_request() -> None:
    layer, wire, _ = sent("INVITE")
    layer.receive_response(response(request("INVITE"), 180), 0.0)
    layer.clients["z9hG4bKone"].cancel(0.0)
    run_until(layer, 3.5)
    assert wire.starts[1:] == ["CANCEL sip:bob@example.com"] * 4


def test_an_invite_without_final_response_64_t1_after_its_cancel_has_timed_out() -> None:
    layer, _, user = sent("INVITE")
    layer.receive_response(response(request("INVITE"), 180), 10.0)
    layer.clients["z9hG4bKone"].cancel(20.0)
    layer.receive_response(response(request("CANCEL"), 200), 20.1)
    assert run_until(layer, 100) == [25.1, 52.0]
    assert user.timeouts == [52.0]


@pytest.mark.parametrize("status", [200, 486])
def test_s34_a_cancel_after_a_final_response_has_no_effect(status: int) -> None:
    layer, wire, _ = sent("INVITE")
    client = layer.receive_response(response(request("INVITE"), status), 0.1)
    before = len(wire.sent)
    assert client is not None
    client.cancel(0.2)
    assert len(wire.sent) == before


def test_a_held_cancel_is_forgotten_when_the_2xx_comes_first() -> None:
    layer, wire, user = sent("INVITE")
    layer.clients["z9hG4bKone"].cancel(0.1)
    layer.receive_response(response(request("INVITE"), 200), 0.2)
    assert wire.starts == ["INVITE sip:bob@example.com"]
    assert user.statuses == [200]


def test_a_response_for_another_sent_by_method_or_branch_is_no_transactions() -> None:
    layer, _, user = sent("MESSAGE")
    for foreign in (request(sent_by="other.example.com"), request("INVITE"), request(branch="z9hG4bKtwo")):
        assert layer.receive_response(response(foreign, 200), 0.1) is None
    assert user.statuses == []
    assert layer.stray_responses == 3


@pytest.mark.parametrize("method", ["MESSAGE", "INVITE"])
def test_s44_a_lost_connection_ends_the_transactions_that_wait_on_it(method: str) -> None:
    layer, wire, user = sent(method, reliable=True)
    other, unhurt = RecordingUser(), RecordingWire(reliable=True)
    layer.send_request(request(method, branch="z9hG4bKtwo"), unhurt, other, 0.0)
    layer.wire_lost(wire, "reset", 1.0)
    layer.wire_lost(wire, "reset", 1.1)
    assert user.failures == ["reset"]
    assert other.failures == []
    assert list(layer.clients) == ["z9hG4bKtwo"]
    assert run_until(layer, 100) == [32.0]


def test_an_abandoned_transaction_absorbs_what_comes() -> None:
    layer, wire, user = sent("INVITE")
    layer.clients["z9hG4bKone"].abandon(0.1)
    layer.receive_response(response(request("INVITE"), 486), 0.2)
    assert user.statuses == []
    assert wire.starts[1:] == ["ACK sip:bob@example.com"]


def test_a_branch_serves_one_request_at_a_time() -> None:
    layer, wire, user = sent("MESSAGE")
    for bad in (request(), request(branch=""), request("ACK", branch="z9hG4bKtwo")):
        with pytest.raises(LocalProtocolError):
            layer.send_request(bad, wire, user, 0.1)


def test_more_client_transactions_than_the_limit_are_refused_with_503() -> None:
    layer = Transactions(limit=1)
    layer.send_request(request(), RecordingWire(), RecordingUser(), 0.0)
    with pytest.raises(TransactionsFullError) as caught:
        layer.send_request(request(branch="z9hG4bKtwo"), RecordingWire(), RecordingUser(), 0.0)
    assert caught.value.status == 503
    assert layer.refused == 1


def test_at_the_limit_the_oldest_answered_transactions_make_room_and_those_that_wait_never_do() -> None:
    layer = Transactions(limit=200)
    waiting = RecordingUser()
    layer.send_request(request(branch="z9hG4bKopen"), RecordingWire(), waiting, 0.0)
    for number in range(1_000):
        made = request(branch=f"z9hG4bK{number}")
        layer.send_request(made, RecordingWire(), RecordingUser(), 0.001 * number)
        layer.receive_response(response(made, 200), 0.001 * number)
        assert len(layer.clients) <= 200
    layer.receive_response(response(request(branch="z9hG4bKopen"), 200), 1.0)
    assert waiting.statuses == [200]
    assert layer.refused == 0


def test_a_late_clock_sends_once_and_times_out_instead_of_catching_up() -> None:
    layer, wire, user = sent("MESSAGE")
    layer.handle_timeout(20.0)
    assert len(wire.sent) == 2
    layer.handle_timeout(40.0)
    assert len(wire.sent) == 2
    assert user.timeouts == [40.0]


def test_other_durations_are_those_of_the_timers_given() -> None:
    layer, wire = Transactions(SipTimers(t1=0.25, t2=0.6, t4=1.0)), RecordingWire()
    layer.send_request(request(), wire, RecordingUser(), 0.0)
    assert run_until(layer, 2.0) == pytest.approx([0.25, 0.75, 1.35, 1.95])


@pytest.mark.parametrize("wrong", [{"t1": 0.0}, {"t1": 5.0}, {"t4": -1.0}])
def test_durations_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="above zero"):
        SipTimers(**wrong)


def test_the_request_is_not_kept_after_the_final_response() -> None:
    layer, _, _ = sent("MESSAGE")
    client = layer.receive_response(response(request(), 200), 0.1)
    assert client is not None
    assert client.state is State.COMPLETED
    with pytest.raises(LocalProtocolError):
        _ = client.request


def test_a_request_that_cant_be_written_makes_no_transaction() -> None:
    layer, wire, broken = Transactions(), RecordingWire(), request()
    broken.append("Subject", "\ud800")
    with pytest.raises(UnicodeEncodeError):
        layer.send_request(broken, wire, RecordingUser(), 0.0)
    assert not layer.clients
    assert layer.next_timeout() is None


@pytest.mark.parametrize("reliable", [False, True])
def test_a_user_that_fails_leaves_nothing_behind(reliable: bool) -> None:
    class FailingUser(RecordingUser):
        def response_received(self, client: ClientTransaction, response: Response, now: float) -> None:
            raise RuntimeError

    for method, status in (("MESSAGE", 200), ("INVITE", 486), ("INVITE", 200)):
        layer = Transactions()
        layer.send_request(request(method), RecordingWire(reliable=reliable), FailingUser(), 0.0)
        with pytest.raises(RuntimeError):
            layer.receive_response(response(request(method), status), 0.1)
        run_until(layer, 100)
        assert not layer.clients
