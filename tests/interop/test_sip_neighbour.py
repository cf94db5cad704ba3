"""Kamailio as the neighbour: the proxy and registrar of another domain, whose users reach ours."""

from collections.abc import Iterator

import pytest

from tests.support.edge_under_test import SipEdge
from tests.support.kamailio_sip import kamailio_edge
from tests.support.peers import require_peer
from tests.support.sipp import run_sipp, sipp_agent
from tests.support.wigwag_sip import wigwag_edge

NEIGHBOUR = "127.0.0.2"


@pytest.fixture(scope="module")
def edge() -> Iterator[SipEdge]:
    """Our edge, which trusts the neighbour's address."""
    with wigwag_edge(("MD5",), trusted=(f"{NEIGHBOUR}/32",)) as running:
        yield running


@pytest.fixture(scope="module")
def neighbour(edge: SipEdge) -> Iterator[SipEdge]:
    """Kamailio, whose users' requests to other domains go to our edge."""
    require_peer("kamailio")
    with kamailio_edge(host=NEIGHBOUR, domain="neighbour.example", next_hop=edge.address("udp")) as running:
        yield running


@pytest.mark.parametrize("receiving", ["udp", "tcp"])
def test_a_message_of_the_neighbours_user_reaches_ours(edge: SipEdge, neighbour: SipEdge, receiving: str) -> None:
    with sipp_agent(edge, "bob", transport=receiving) as bob:
        result = run_sipp("message", neighbour, "alice", peer="bob", peer_domain=edge.domain, calls=20, text="no")
        result.expect_success(20)
        assert sorted(bob.log[1:]) == sorted(f"received no {number}" for number in range(1, 21))


def test_the_neighbours_user_is_told_that_ours_is_absent(edge: SipEdge, neighbour: SipEdge) -> None:
    result = run_sipp("message", neighbour, "alice", peer="carol", peer_domain=edge.domain, text="hello")
    assert result.statuses[-1] == 480


@pytest.mark.parametrize(
    ("scenario", "answers"), [("invite", "answer"), ("reinvite", "answer_twice"), ("cancel", "ring")]
)
@pytest.mark.parametrize("called", ["udp", "tcp"])
def test_a_call_of_the_neighbours_user_passes_both_proxies(
    edge: SipEdge, neighbour: SipEdge, scenario: str, answers: str, called: str
) -> None:
    with sipp_agent(edge, "bob", answers, transport=called) as bob:
        run_sipp(scenario, neighbour, "alice", peer="bob", peer_domain=edge.domain).expect_success()
        bob.wait_for("cancelled" if scenario == "cancel" else "ended")


def test_nobody_gets_through_the_neighbour_without_his_password(edge: SipEdge, neighbour: SipEdge) -> None:
    result = run_sipp("message", neighbour, "alice", peer="bob", peer_domain=edge.domain, password="wrong", text="no")
    assert result.statuses == [407, 407]
