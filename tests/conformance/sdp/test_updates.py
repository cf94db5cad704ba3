"""Row M132, hold, and versions: later descriptions of a dialog (RFC 3264 section 8, RFC 4975 section 8.4)."""

from dataclasses import replace

import pytest

from tests.support.sdp import ALICE, ALICE_ORIGIN, BOB, BOB_ORIGIN, described, only, own, stream
from wigwag.protocols.sdp import (
    Direction,
    MediaTypes,
    MsrpMedia,
    Role,
    SdpAttribute,
    SdpError,
    SessionDescription,
    Setup,
    answer,
    held,
    offer,
)

FIRST = offer(own(ALICE), origin=ALICE_ORIGIN)


def version(description: SessionDescription) -> int:
    return SessionDescription.parse(bytes(description)).origin.version - ALICE_ORIGIN.version


def test_m132_an_offer_that_changes_nothing_has_the_same_octets() -> None:
    again = offer(own(ALICE), previous=SessionDescription.parse(bytes(FIRST)))
    assert bytes(again) == bytes(FIRST)
    assert version(again) == 0


def test_m132_an_answer_that_changes_nothing_has_the_same_octets() -> None:
    offered = described(stream(), ["m=audio 9 RTP/AVP 0"])
    first = answer(offered, own(), origin=BOB_ORIGIN)
    assert bytes(answer(offered, own(), previous=first)) == bytes(first)


def test_m132_a_new_path_is_agreed_on_and_the_version_grows_by_one() -> None:
    moved = ALICE.replace("alice.", "elsewhere.")
    again = offer(own(moved), previous=FIRST)
    assert version(again) == 1
    assert again.origin.session_id == FIRST.origin.session_id
    answered = answer(again, own(), origin=BOB_ORIGIN)
    assert only(again, answered, Role.ANSWERER).remote.path == (moved,)


@pytest.mark.parametrize(
    "change",
    [
        {"accept_types": MediaTypes.parse("text/plain text/html")},
        {"max_size": 1},
        {"setup": Setup.ACTIVE},
        {"direction": Direction.INACTIVE},
        {"cema": True},
        {"port": 9},
        {"others": (SdpAttribute("x"),)},
    ],
)
def test_the_version_grows_by_one_with_each_change_and_only_then(change: dict[str, object]) -> None:
    changed = offer(replace(own(ALICE), **change), previous=FIRST)  # type: ignore[arg-type]
    assert version(changed) == 1
    assert offer(replace(own(ALICE), **change), previous=changed) is changed  # type: ignore[arg-type]
    assert version(offer(own(ALICE), previous=changed)) == 2


def test_a_stream_that_ends_keeps_its_place() -> None:
    both = offer([own(ALICE), own(ALICE.replace("2s93i9ek2a", "second"))], origin=ALICE_ORIGIN)
    one = offer([None, own(ALICE.replace("2s93i9ek2a", "second"))], previous=both)
    assert [media.port for media in one.media] == [0, 7394]
    assert [media.port for media in offer([], previous=one).media] == [0, 0]
    assert version(one) == 1


def test_lines_of_other_media_and_of_the_session_are_kept_in_a_new_offer() -> None:
    previous = described(["m=audio 9 RTP/AVP 0", "a=x"], stream("setup:actpass"), session=["a=tool:x"])
    again = offer([previous.media[0], own(ALICE.replace("2s93i9ek2a", "new"))], previous=previous)
    assert again.media[0] == previous.media[0]
    assert again.attribute("tool") == "x"
    assert version(again) == 1


def test_an_update_that_ends_the_only_stream_is_answered() -> None:
    first = answer(described(stream()), own(), origin=BOB_ORIGIN)
    ended = answer(described(["m=message 0 TCP/MSRP *"]), own(), previous=first)
    assert [media.port for media in ended.media] == [0]
    assert ended.origin.version == first.origin.version + 1


def test_an_update_that_can_not_be_accepted_is_488_and_leaves_the_session() -> None:
    first = answer(described(stream()), own(), origin=BOB_ORIGIN)
    with pytest.raises(SdpError) as caught:
        answer(described(stream(types="x/y")), own(), previous=first)
    assert caught.value.status == 488


@pytest.mark.parametrize(
    ("before", "on_hold"),
    [("sendrecv", "sendonly"), ("recvonly", "inactive"), ("sendonly", "sendonly"), ("inactive", "inactive")],
)
def test_hold_stops_what_the_peer_sends(before: str, on_hold: str) -> None:
    first = offer(replace(own(ALICE), direction=Direction(before)), origin=ALICE_ORIGIN)
    holding = held(first)
    assert holding.media[0].attribute(on_hold) == ""
    assert version(holding) == (0 if before == on_hold else 1)
    answered = answer(holding, own(), origin=BOB_ORIGIN)
    assert not only(holding, answered, Role.ANSWERER).may_send("text/plain")


def test_resume_brings_back_what_the_peer_sent() -> None:
    holding = held(FIRST)
    resumed = held(holding, on=False)
    assert resumed.media == FIRST.media
    assert (version(holding), version(resumed)) == (1, 2)


def test_hold_by_the_answerer_is_an_offer_with_a_role_that_offers_may_have() -> None:
    first = answer(described(stream("setup:actpass"), ["m=audio 9 RTP/AVP 0"]), own(), origin=BOB_ORIGIN)
    holding = held(SessionDescription.parse(bytes(first)))
    assert holding.media[0].attribute("setup") == "actpass"
    assert [media.port for media in holding.media] == [8493, 0]
    active = answer(described(stream("setup:passive")), own(BOB), origin=BOB_ORIGIN)
    assert held(active).media[0].attribute("setup") == "active"


def test_hold_leaves_other_media_and_unknown_attributes_alone() -> None:
    previous = described(["m=audio 9 RTP/AVP 0", "a=sendrecv"], stream("setup:actpass", "x-unknown:1"))
    holding = held(previous)
    assert holding.media[0] == previous.media[0]
    assert holding.media[1].attribute("x-unknown") == "1"
    assert holding.media[1].attribute("sendonly") == ""


def test_hold_goes_before_a_direction_of_the_session() -> None:
    previous = described(stream("setup:actpass", "sendrecv"), session=["a=recvonly"])
    holding = held(previous)
    assert MsrpMedia.of(holding, 0).direction is Direction.SENDONLY
    assert MsrpMedia.of(held(holding, on=False), 0).direction is Direction.SENDRECV
