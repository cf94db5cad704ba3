"""SIPp, with scenarios of its own making, registers, writes and calls through the edge over UDP and TCP."""

import pytest

from tests.support.edge_under_test import SipEdge
from tests.support.sipp import run_sipp, sipp_agent

TRANSPORTS = ("udp", "tcp")
CROSSED = [("udp", "udp"), ("udp", "tcp"), ("tcp", "udp"), ("tcp", "tcp")]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_phone_registers_with_digest_and_removes_its_binding(edge: SipEdge, transport: str) -> None:
    result = run_sipp("register", edge, "alice", transport=transport)
    result.expect_success()
    assert [status for status in result.statuses if status != 100] == [401, 200, 401, 200]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("user", ["alice", "nobody"])
def test_a_wrong_password_and_an_unknown_user_are_refused_alike(edge: SipEdge, user: str, transport: str) -> None:
    result = run_sipp("register", edge, user, transport=transport, password="wrong")
    assert (result.successful, result.failed) == (0, 1)
    assert result.statuses in ([401, 401], [401, 403])


@pytest.mark.parametrize(("sending", "receiving"), CROSSED)
def test_a_message_is_delivered_whatever_the_transports(edge: SipEdge, sending: str, receiving: str) -> None:
    with sipp_agent(edge, "bob", transport=receiving) as bob:
        run_sipp("message", edge, "alice", peer="bob", transport=sending, text="hello").expect_success()
        bob.wait_for("received hello 1")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_each_of_many_messages_is_delivered_once(edge: SipEdge, transport: str) -> None:
    with sipp_agent(edge, "bob", transport=transport) as bob:
        result = run_sipp("message", edge, "alice", peer="bob", transport=transport, calls=100, rate=100, text="no")
        result.expect_success(100)
        assert sorted(bob.log[1:]) == sorted(f"received no {number}" for number in range(1, 101))


def test_a_message_is_delivered_once_when_datagrams_are_lost(edge: SipEdge) -> None:
    with sipp_agent(edge, "bob") as bob:
        run_sipp("message", edge, "alice", peer="bob", calls=20, lost=5, seconds=40.0, text="no").expect_success(20)
        assert sorted(bob.log[1:]) == sorted(f"received no {number}" for number in range(1, 21))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_message_to_a_user_without_a_phone_is_answered_480(edge: SipEdge, transport: str) -> None:
    result = run_sipp("message", edge, "alice", peer="carol", transport=transport, text="hello")
    assert result.statuses[-1] == 480


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_message_with_a_wrong_password_reaches_nobody(edge: SipEdge, transport: str) -> None:
    with sipp_agent(edge, "bob", transport=transport) as bob:
        result = run_sipp("message", edge, "alice", peer="bob", transport=transport, password="wrong", text="spam")
        assert result.statuses in ([407, 407], [407, 403])
        run_sipp("message", edge, "carol", peer="bob", transport=transport, text="hello").expect_success()
        bob.wait_for("received hello 1")
        assert not [line for line in bob.log if "spam" in line]


@pytest.mark.parametrize(("scenario", "answers"), [("invite", "answer"), ("reinvite", "answer_twice")])
@pytest.mark.parametrize(("calling", "called"), CROSSED)
def test_a_session_is_set_up_and_ended_whatever_the_transports(
    edge: SipEdge, scenario: str, answers: str, calling: str, called: str
) -> None:
    with sipp_agent(edge, "bob", answers, transport=called) as bob:
        run_sipp(scenario, edge, "alice", peer="bob", transport=calling).expect_success()
        bob.wait_for("ended")
        assert "a=path:msrp://127.0.0.1:2855/alice;tcp" in bob.log
        assert ("renegotiated" in bob.log) == (scenario == "reinvite")


@pytest.mark.parametrize(("calling", "called"), CROSSED)
def test_a_cancelled_call_ends_with_487_and_the_phone_stops_ringing(edge: SipEdge, calling: str, called: str) -> None:
    with sipp_agent(edge, "bob", "ring", transport=called) as bob:
        result = run_sipp("cancel", edge, "alice", peer="bob", transport=calling)
        result.expect_success()
        assert result.statuses[-1] == 487
        bob.wait_for("cancelled")
