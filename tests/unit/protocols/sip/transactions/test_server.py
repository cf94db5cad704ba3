"""Server transactions: RFC 3261 section 17.2, RFC 6026 section 7.1, moment by moment."""

import pytest

from tests.support.sip_transactions import RecordingUser, RecordingWire, request, response, run_until
from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip.transactions import ServerTransaction, State, Transactions, TransactionsFullError


def received(
    method: str, *, reliable: bool = False
) -> tuple[Transactions, RecordingWire, RecordingUser, ServerTransaction]:
    layer, wire, user = Transactions(), RecordingWire(reliable=reliable), RecordingUser()
    server = layer.receive_request(request(method), wire, 0.0)
    assert server is not None
    server.user = user
    return layer, wire, user, server


def test_s02_a_retransmitted_message_is_seen_once_and_answered_for_64_t1() -> None:
    layer, wire, _, server = received("MESSAGE")
    assert layer.receive_request(request(), wire, 0.5) is None
    assert wire.sent == []
    server.respond(response(request(), 200), 1.0)
    for at in (1.5, 20.0, 32.9):
        run_until(layer, at)
        assert layer.receive_request(request(), wire, at) is None
    assert wire.starts == ["200 Because"] * 4
    assert run_until(layer, 100) == [33.0]
    assert layer.receive_request(request(), wire, 33.1) is not None
    assert layer.retransmissions_received == 4
    assert layer.retransmissions_sent == 3


def test_a_retransmission_gets_the_last_provisional_response() -> None:
    for method in ("MESSAGE", "INVITE"):
        layer, wire, _, server = received(method)
        server.respond(response(request(method), 100), 0.1)
        server.respond(response(request(method), 182), 0.15)
        layer.receive_request(request(method), wire, 0.5)
        assert wire.starts == ["100 Because", "182 Because", "182 Because"]


def test_over_a_reliable_wire_a_transaction_ends_with_its_final_response() -> None:
    layer, wire, _, server = received("MESSAGE", reliable=True)
    server.respond(response(request(), 200), 0.1)
    assert wire.starts == ["200 Because"]
    assert not layer.servers
    assert layer.next_timeout() is None


@pytest.mark.parametrize("method", ["MESSAGE", "INVITE"])
def test_a_response_after_the_final_one_is_dropped(method: str) -> None:
    layer, wire, _, server = received(method)
    server.respond(response(request(method), 404), 0.1)
    for status in (180, 200, 500):
        server.respond(response(request(method), status), 0.2)
    assert wire.starts == ["404 Because"]
    assert layer.responses_too_late == 3
    assert server.final_sent


def test_a_request_that_its_user_never_answers_ends_when_nobody_waits_any_more() -> None:
    layer, wire, user, server = received("MESSAGE")
    assert run_until(layer, 100) == [32.0]
    assert len(user.failures) == 1
    server.respond(response(request(), 200), 33.0)
    assert wire.sent == []
    assert not layer.servers


def test_an_invite_is_answered_100_after_200_ms_when_its_user_is_silent() -> None:
    layer, wire, _, _ = received("INVITE")
    assert run_until(layer, 1000) == [0.2]
    assert wire.starts == ["100 Trying"]
    assert b"tag=314159" not in wire.sent[0]


def test_no_100_is_added_to_what_the_user_has_said() -> None:
    layer, wire, _, server = received("INVITE")
    server.respond(response(request("INVITE"), 180), 0.1)
    run_until(layer, 1000)
    assert wire.starts == ["180 Because"]


def test_a_refusal_is_sent_at_t1_doubling_to_t2_until_64_t1() -> None:
    layer, wire, user, server = received("INVITE")
    server.respond(response(request("INVITE"), 486), 0.0)
    assert run_until(layer, 100) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5, 32.0]
    assert wire.starts == ["486 Because"] * 11
    assert len(user.failures) == 1
    assert not layer.servers


def test_over_a_reliable_wire_a_refusal_is_sent_once_and_still_waits_for_its_ack() -> None:
    layer, wire, user, server = received("INVITE", reliable=True)
    server.respond(response(request("INVITE"), 486), 0.0)
    assert run_until(layer, 31.0) == []
    assert layer.receive_ack(request("ACK"), 31.0)
    assert user.acks == 1
    assert wire.starts == ["486 Because"]
    assert not layer.servers


def test_the_ack_of_a_refusal_ends_its_retransmission_and_is_told_once() -> None:
    layer, wire, user, server = received("INVITE")
    server.respond(response(request("INVITE"), 486), 0.0)
    run_until(layer, 0.5)
    assert layer.receive_ack(request("ACK"), 0.6)
    assert layer.receive_ack(request("ACK"), 0.7)
    assert layer.receive_request(request("ACK"), wire, 0.8) is None
    assert user.acks == 1
    assert server.state is State.CONFIRMED
    assert run_until(layer, 100) == [5.6]
    assert wire.starts == ["486 Because"] * 2
    assert not layer.servers


def test_s32_an_ack_with_a_wrong_cseq_is_ignored() -> None:
    layer, _, user, server = received("INVITE")
    server.respond(response(request("INVITE"), 486), 0.0)
    assert layer.receive_ack(request("ACK", number=2), 0.1)
    assert server.state is State.COMPLETED
    assert user.acks == 0


def test_an_ack_before_the_final_response_is_ignored() -> None:
    layer, _, user, server = received("INVITE")
    assert layer.receive_ack(request("ACK"), 0.1)
    assert server.state is State.PROCEEDING
    assert user.acks == 0


def test_s32_the_ack_of_a_2xx_is_left_to_the_user_and_makes_no_transaction() -> None:
    layer, wire, user, server = received("INVITE")
    server.respond(response(request("INVITE"), 200), 0.0)
    assert not layer.receive_ack(request("ACK", branch="z9hG4bKack"), 0.1)
    assert not layer.receive_ack(request("ACK"), 0.1)
    with pytest.raises(LocalProtocolError):
        layer.receive_request(request("ACK", branch="z9hG4bKack"), wire, 0.1)
    assert user.acks == 0


def test_after_a_2xx_retransmitted_invites_are_absorbed_and_every_2xx_of_the_user_is_sent() -> None:
    layer, wire, _, server = received("INVITE")
    server.respond(response(request("INVITE"), 200, to_tag="a"), 0.1)
    assert layer.receive_request(request("INVITE"), wire, 0.5) is None
    server.respond(response(request("INVITE"), 200, to_tag="a"), 0.6)
    server.respond(response(request("INVITE"), 200, to_tag="b"), 0.7)
    server.respond(response(request("INVITE"), 486), 0.8)
    assert wire.starts == ["200 Because"] * 3
    assert run_until(layer, 100) == [32.1]
    assert not layer.servers


def test_s34_a_cancel_finds_its_invite_before_and_after_the_answer_and_no_other() -> None:
    layer, wire, _, server = received("INVITE")
    assert layer.find_invite(request("CANCEL")) is server
    assert layer.find_invite(request("CANCEL", branch="z9hG4bKtwo")) is None
    assert layer.find_invite(request("CANCEL", sent_by="other.example.com")) is None
    cancelling = layer.receive_request(request("CANCEL"), wire, 0.1)
    assert cancelling is not None
    cancelling.respond(response(request("CANCEL"), 200), 0.1)
    assert layer.receive_request(request("CANCEL"), wire, 0.2) is None
    server.respond(response(request("INVITE"), 487), 0.2)
    assert wire.starts == ["200 Because", "200 Because", "487 Because"]
    found = layer.find_invite(request("CANCEL"))
    assert found is server
    assert found.final_sent


def test_the_same_branch_from_elsewhere_is_another_transaction() -> None:
    layer, wire, _, _ = received("MESSAGE")
    assert layer.receive_request(request(sent_by="client.example.com:5070"), wire, 0.1) is not None
    assert layer.receive_request(request(sent_by="other.example.com"), wire, 0.1) is not None


def test_find_server_knows_a_retransmission_without_counting_it() -> None:
    layer, _, _, server = received("MESSAGE")
    assert layer.find_server(request()) is server
    assert layer.find_server(request("OPTIONS")) is None
    assert layer.retransmissions_received == 0


@pytest.mark.parametrize("branch", ["", "390skdjuw"])
def test_a_client_without_unique_branches_is_matched_by_all_fields(branch: str) -> None:
    layer, wire, user = Transactions(), RecordingWire(), RecordingUser()
    invite = request("INVITE", branch=branch)
    server = layer.receive_request(invite, wire, 0.0)
    assert server is not None
    server.user = user
    assert layer.receive_request(request("INVITE", branch=branch), wire, 0.1) is None
    assert layer.receive_request(request("INVITE", branch=branch, number=2), wire, 0.1) is not None
    assert layer.receive_request(request("INVITE", branch=branch, call_id="other"), wire, 0.1) is not None
    assert layer.find_invite(request("CANCEL", branch=branch)) is server
    server.respond(response(invite, 486), 0.2)
    assert not layer.receive_ack(request("ACK", branch=branch, to_tag="other"), 0.3)
    assert layer.receive_ack(request("ACK", branch=branch, to_tag="314159"), 0.4)
    assert user.acks == 1


def test_the_ack_of_a_2xx_from_a_client_without_unique_branches_is_left_to_the_user() -> None:
    layer, wire = Transactions(), RecordingWire()
    server = layer.receive_request(request("INVITE", branch=""), wire, 0.0)
    assert server is not None
    server.respond(response(request("INVITE", branch=""), 200), 0.1)
    assert not layer.receive_ack(request("ACK", branch="", to_tag="314159"), 0.2)


def test_requests_in_two_dialogs_of_a_client_without_unique_branches_are_two() -> None:
    layer, wire = Transactions(), RecordingWire()
    for tag in ("a", "b"):
        assert layer.receive_request(request("BYE", branch="", to_tag=tag), wire, 0.0) is not None


def test_a_request_that_came_by_another_path_is_merged_only_where_it_is_answered() -> None:
    layer, _, _, server = received("MESSAGE")
    again = request(branch="z9hG4bKtwo")
    assert not layer.is_merged(again)
    server.as_uas()
    server.as_uas()
    assert layer.is_merged(again)
    assert not layer.is_merged(request())
    assert not layer.is_merged(request(branch="z9hG4bKtwo", number=2))
    assert not layer.is_merged(request(branch="z9hG4bKtwo", to_tag="dialog"))
    server.respond(response(request(), 200), 0.1)
    assert layer.is_merged(again)
    run_until(layer, 100)
    assert not layer.is_merged(again)
    assert not layer.merged


def test_s44_a_response_goes_to_the_connection_that_the_request_came_again_on() -> None:
    layer, lost, user, server = received("MESSAGE", reliable=True)
    layer.wire_lost(lost, "reset", 0.1)
    assert user.failures == ["reset"]
    again = RecordingWire(reliable=True)
    assert layer.receive_request(request(), again, 0.2) is None
    server.respond(response(request(), 200), 0.3)
    assert lost.sent == []
    assert again.starts == ["200 Because"]


def test_s44_a_response_after_the_connection_was_lost_is_left_to_the_wire() -> None:
    for method in ("MESSAGE", "INVITE"):
        layer, lost, _, server = received(method, reliable=True)
        layer.wire_lost(lost, "reset", 0.1)
        server.respond(response(request(method), 200), 0.3)
        assert lost.starts == ["200 Because"]


def test_a_retransmission_over_another_wire_is_answered_there_and_moves_nothing() -> None:
    layer, first, _, server = received("MESSAGE")
    server.respond(response(request(), 100), 0.1)
    second = RecordingWire()
    layer.receive_request(request(), second, 0.5)
    server.respond(response(request(), 200), 0.6)
    assert first.starts == ["100 Because", "200 Because"]
    assert second.starts == ["100 Because"]


def test_a_lost_connection_is_told_while_an_ack_is_missing_and_the_invite_stays_known() -> None:
    layer, wire, user, server = received("INVITE", reliable=True)
    server.respond(response(request("INVITE"), 486), 0.1)
    layer.wire_lost(wire, "reset", 0.2)
    assert user.failures == ["reset"]
    assert layer.find_server(request("INVITE")) is server
    assert run_until(layer, 100) == [32.1]


def test_more_server_transactions_than_the_limit_are_refused_and_retransmissions_are_not() -> None:
    layer, wire = Transactions(limit=1), RecordingWire()
    server = layer.receive_request(request(), wire, 0.0)
    assert server is not None
    with pytest.raises(TransactionsFullError):
        layer.receive_request(request(branch="z9hG4bKtwo"), wire, 0.0)
    server.respond(response(request(), 200), 0.0)
    assert layer.receive_request(request(), wire, 0.1) is None
    run_until(layer, 100)
    assert layer.receive_request(request(branch="z9hG4bKtwo"), wire, 100.0) is not None


def test_at_the_limit_the_oldest_finished_transactions_make_room_and_those_under_way_never_do() -> None:
    layer, wire = Transactions(limit=200), RecordingWire()
    under_way = layer.receive_request(request(branch="z9hG4bKopen"), wire, 0.0)
    for number in range(1_000):
        server = layer.receive_request(request(branch=f"z9hG4bK{number}"), wire, 0.001 * number)
        assert server is not None
        server.respond(response(request(branch=f"z9hG4bK{number}"), 200), 0.001 * number)
        assert len(layer.servers) <= 200
    assert layer.find_server(request(branch="z9hG4bKopen")) is under_way
    assert layer.receive_request(request(branch="z9hG4bK999"), wire, 1.0) is None
    assert layer.receive_request(request(branch="z9hG4bK0"), wire, 1.0) is not None
    assert layer.refused == 0
    run_until(layer, 100)
    assert not layer.servers


def test_a_branch_of_64_kib_is_matched_and_its_key_is_short() -> None:
    layer, wire = Transactions(), RecordingWire()
    long = "z9hG4bK" + "x" * 65_000
    server = layer.receive_request(request("INVITE", branch=long), wire, 0.0)
    assert server is not None
    assert len(server.key) < 100
    assert layer.receive_request(request("INVITE", branch=long), wire, 0.1) is None
    assert layer.receive_request(request("INVITE", branch=long + "y"), wire, 0.1) is not None
    assert layer.find_invite(request("CANCEL", branch=long)) is server


def test_a_finished_transaction_holds_neither_request_nor_user() -> None:
    _, _, user, server = received("MESSAGE")
    server.respond(response(request(), 200), 0.1)
    assert server.user is not user
    with pytest.raises(LocalProtocolError):
        _ = server.request


def test_nothing_is_left_of_connections_whose_transactions_have_ended() -> None:
    layer, wire, _, server = received("MESSAGE", reliable=True)
    assert layer.waits_on(wire, server)
    server.respond(response(request(), 200), 0.1)
    assert not layer.waits_on(wire, server)
    assert layer.lost(wire) == []


def test_a_response_that_cant_be_written_leaves_the_transaction_to_be_answered() -> None:
    layer, wire, _, server = received("MESSAGE")
    broken = response(request(), 200)
    broken.append("Subject", "\ud800")
    with pytest.raises(UnicodeEncodeError):
        server.respond(broken, 0.1)
    server.respond(response(request(), 500), 0.2)
    assert wire.starts == ["500 Because"]
    assert run_until(layer, 100) == [32.2]


def test_every_transaction_of_a_lost_connection_hears_of_it_when_a_user_fails() -> None:
    class FailingUser(RecordingUser):
        def server_failed(self, server: ServerTransaction, reason: str, now: float) -> None:
            super().server_failed(server, reason, now)
            raise RuntimeError(server.key)

    layer, wire, _, first = received("MESSAGE", reliable=True)
    second = layer.receive_request(request(branch="z9hG4bKtwo"), wire, 0.0)
    assert second is not None
    failing = first.user = second.user = FailingUser()
    with pytest.raises(RuntimeError):
        layer.wire_lost(wire, "reset", 0.1)
    assert failing.failures == ["reset", "reset"]
