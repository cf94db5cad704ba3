"""sipsak gets the answers that an operator's monitoring expects."""

import pytest

from tests.support.edge_under_test import RESOLVABLE, SipEdge
from tests.support.kamailio_sip import answers_options
from tests.support.sipsak import register, sipsak


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_ping_of_the_domain_is_answered_200(edge: SipEdge, transport: str) -> None:
    """RFC 3261 section 11: OPTIONS without a user, addressed as a REGISTER is, is for the server itself."""
    result = sipsak(edge, "-s", f"sip:{RESOLVABLE}", transport=transport)
    assert result.returncode == 0, result.stdout
    assert "SIP/2.0 200 OK" in result.stdout


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_contact_is_registered_with_digest(edge: SipEdge, transport: str) -> None:
    result = register(edge, "alice", edge.users["alice"], transport)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("user", ["alice", "nobody"])
def test_a_wrong_password_and_an_unknown_user_are_refused_alike(edge: SipEdge, user: str) -> None:
    result = register(edge, user, "wrong")
    assert result.returncode == 2
    assert "authorization failed" in result.stdout + result.stderr


def test_a_request_at_the_end_of_its_hops_is_answered_483(edge: SipEdge) -> None:
    result = sipsak(edge, "-m", "0", "-s", f"sip:bob@{RESOLVABLE}")
    assert "SIP/2.0 483" in result.stdout


def test_a_stranger_learns_nothing_about_a_user(edge: SipEdge) -> None:
    answers = [sipsak(edge, "-s", f"sip:{user}@{RESOLVABLE}").stdout.split("\n")[0] for user in ("alice", "nobody")]
    assert answers[0].startswith("SIP/2.0 403")
    assert len(set(answers)) == 1


def test_the_edge_survives_requests_with_random_octets_in_them(edge: SipEdge) -> None:
    sipsak(edge, "-R", "-e", "20", "-s", f"sip:{RESOLVABLE}")
    assert answers_options(edge.host, edge.ports["udp"])
