"""What is offered, answered and agreed on."""

from dataclasses import replace

import pytest

from wigwag.protocols.sdp import Direction, SdpError, SessionDescription, Setup
from wigwag.ua.endpoint.descriptions import Descriptions
from wigwag.ua.endpoint.model import MediaWish

OURS = ("msrps://relay.example:2855/r1;tcp", "msrps://agents.invalid:2855/s1;tcp")
THEIRS = ("msrps://phone.example:2855/p1;tcp",)
WISH = MediaWish(accept_types=("text/plain", "message/cpim"))


def pair(wish: MediaWish = WISH, other: MediaWish = WISH) -> tuple[Descriptions, Descriptions]:
    """Two sides that have agreed."""
    caller, callee = Descriptions(wish, 1), Descriptions(other, 2)
    callee_says = callee.answer(caller.offer(OURS, listens=True), THEIRS, listens=True)
    caller.take_answer(callee_says)
    return caller, callee


def version(description: SessionDescription | None) -> int:
    assert description is not None
    return description.origin.version


def direction(side: Descriptions) -> Direction:
    assert side.agreement is not None
    return side.agreement.direction


def test_both_sides_agree_on_each_others_paths_and_on_who_connects() -> None:
    caller, callee = pair()
    assert caller.agreement is not None
    assert callee.agreement is not None
    assert caller.agreement.remote.path == THEIRS
    assert callee.agreement.remote.path == OURS
    assert caller.agreement.active is not callee.agreement.active


def test_an_offer_without_a_common_type_is_refused_with_488_and_says_why() -> None:
    caller, callee = Descriptions(replace(WISH, accept_types=("image/png",)), 1), Descriptions(WISH, 2)
    with pytest.raises(SdpError, match="accept-types") as caught:
        callee.answer(caller.offer(OURS, listens=True), THEIRS, listens=True)
    assert caught.value.status == 488
    assert callee.agreement is None


def test_an_answer_that_declines_the_stream_is_no_agreement() -> None:
    caller = Descriptions(WISH, 1)
    offer = caller.offer(OURS, listens=True).decode()
    declined = "\r\n".join(
        line.replace(line.split()[1], "0", 1) if line.startswith("m=") else line for line in offer.split("\r\n")
    )
    with pytest.raises(SdpError, match="declined"):
        caller.take_answer(declined.encode())
    assert caller.agreement is None


def test_what_is_not_sdp_is_an_error_and_changes_nothing() -> None:
    caller, _ = pair()
    before = caller.agreement
    with pytest.raises(SdpError):
        caller.take_answer(b"\x00\x01")
    assert caller.agreement is before


def test_hold_stops_the_peer_and_lets_him_go_on_and_each_change_raises_the_version_by_one() -> None:
    caller, callee = pair()
    before = version(caller.local)
    caller.take_answer(callee.answer(caller.hold(on=True), THEIRS, listens=True))
    assert direction(callee) is Direction.RECVONLY
    assert version(caller.local) == before + 1
    caller.take_answer(callee.answer(caller.hold(on=False), THEIRS, listens=True))
    assert direction(callee) is Direction.SENDRECV
    assert version(caller.local) == before + 2


def test_who_listens_nowhere_is_the_one_that_connects() -> None:
    caller, callee = Descriptions(WISH, 1), Descriptions(WISH, 2)
    caller.take_answer(callee.answer(caller.offer(THEIRS, listens=False), THEIRS, listens=True))
    assert caller.agreement is not None
    assert caller.agreement.active
    assert caller.agreement.local.setup is Setup.ACTIVE


def test_a_session_that_was_stored_goes_on_as_it_was_whoever_offered() -> None:
    for index in (0, 1):
        side = pair()[index]
        assert side.local is not None
        assert side.remote is not None
        restored = Descriptions(WISH, 9)
        restored.restore(bytes(side.local), bytes(side.remote), offerer=side.is_offerer)
        assert restored.agreement == side.agreement
        assert version(SessionDescription.parse(restored.hold(on=True))) == version(side.local) + 1
