"""Kamailio as next hop: a row of the routing table leads our users to those of another domain."""

from collections.abc import Iterator

import pytest

from tests.support.edge_under_test import SipEdge
from tests.support.kamailio_sip import kamailio_edge
from tests.support.peers import require_peer
from tests.support.sipp import run_sipp, sipp_agent
from tests.support.wigwag_sip import HOST, wigwag_edge

NEIGHBOUR = "127.0.0.2"
DOMAIN = "neighbour.example"


@pytest.fixture(scope="module")
def neighbour() -> Iterator[SipEdge]:
    """Kamailio, which takes what our edge sends for its users."""
    require_peer("kamailio")
    with kamailio_edge(host=NEIGHBOUR, domain=DOMAIN, trusted=HOST) as running:
        yield running


@pytest.fixture(scope="module", params=["udp", "tcp", "tls"])
def edge(request: pytest.FixtureRequest, neighbour: SipEdge) -> Iterator[SipEdge]:
    """Our edge, whose row for the neighbour's domain names a transport; a dead server comes before him."""
    transport = request.param
    hops = [f"sip:{NEIGHBOUR}:9;transport=tcp", f"sip:{NEIGHBOUR}:{neighbour.ports[transport]};transport={transport}"]
    row = {"domain": DOMAIN, "action": "forward", "next_hops": hops, "allow_private": True}
    with wigwag_edge(("MD5",), routes=[row], outbound_ca=neighbour.ca_file) as running:
        yield running


def test_messages_of_our_user_reach_the_neighbours(edge: SipEdge, neighbour: SipEdge) -> None:
    with sipp_agent(neighbour, "bob") as bob:
        result = run_sipp("message", edge, "alice", peer="bob", peer_domain=DOMAIN, calls=20, text="no")
        result.expect_success(20)
        assert sorted(bob.log[1:]) == sorted(f"received no {number}" for number in range(1, 21))


@pytest.mark.parametrize(
    ("scenario", "answers"), [("invite", "answer"), ("reinvite", "answer_twice"), ("cancel", "ring")]
)
def test_a_call_of_our_user_passes_both_proxies(edge: SipEdge, neighbour: SipEdge, scenario: str, answers: str) -> None:
    with sipp_agent(neighbour, "bob", answers) as bob:
        run_sipp(scenario, edge, "alice", peer="bob", peer_domain=DOMAIN).expect_success()
        bob.wait_for("cancelled" if scenario == "cancel" else "ended")


def test_our_user_is_told_that_the_neighbours_is_absent(edge: SipEdge, neighbour: SipEdge) -> None:
    result = run_sipp("message", edge, "alice", peer="carol", peer_domain=DOMAIN, text="hello")
    assert result.statuses[-1] == 480
