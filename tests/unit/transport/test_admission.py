"""Bounds on open connections."""

from wigwag.transport.admission import Admission, PeerAdmission


def test_who_shows_a_certificate_is_bounded_by_the_total_only() -> None:
    shared = Admission(connections=4, per_address=1)
    peers = PeerAdmission(shared)
    assert [peers.admit("127.0.0.1") for _ in range(3)] == [None] * 3
    assert shared.admit("127.0.0.1") is None
    assert peers.admit("127.0.0.1") == "too many connections"
    assert (shared.open, shared.refused_total, shared.open_from("127.0.0.1")) == (4, 1, 1)
    for _ in range(3):
        peers.release("127.0.0.1")
    shared.release("127.0.0.1")
    assert shared.open == 0
