"""What is offered, answered and agreed on."""

from dataclasses import dataclass, replace

import pytest

from wigwag.protocols.sdp import (
    Direction,
    FileRange,
    FileSelector,
    FileTransfer,
    Fingerprint,
    SdpError,
    SessionDescription,
    Setup,
)
from wigwag.ua.endpoint.descriptions import Descriptions
from wigwag.ua.endpoint.model import MediaWish

OURS = ("msrps://relay.example:2855/r1;tcp", "msrps://agents.invalid:2855/s1;tcp")
THEIRS = ("msrps://phone.example:2855/p1;tcp",)


@dataclass(frozen=True)
class Reach:
    """How a side is reached."""

    listens: bool = True
    cema: bool = False
    fingerprints: tuple[Fingerprint, ...] = ()


REACHED, CONNECTS = Reach(), Reach(listens=False)
WISH = MediaWish(accept_types=("text/plain", "message/cpim"))


def pair(wish: MediaWish = WISH, other: MediaWish = WISH) -> tuple[Descriptions, Descriptions]:
    """Two sides that have agreed."""
    caller, callee = Descriptions(wish, 1), Descriptions(other, 2)
    callee_says = callee.answer(caller.offer(OURS, REACHED), THEIRS, REACHED)
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
        callee.answer(caller.offer(OURS, REACHED), THEIRS, REACHED)
    assert caught.value.status == 488
    assert callee.agreement is None


def test_an_answer_that_declines_the_stream_is_no_agreement() -> None:
    caller = Descriptions(WISH, 1)
    offer = caller.offer(OURS, REACHED).decode()
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
    caller.holding = True
    caller.take_answer(callee.answer(caller.offer(OURS, REACHED), THEIRS, REACHED))
    assert direction(callee) is Direction.RECVONLY
    assert version(caller.local) == before + 1
    caller.holding = False
    caller.take_answer(callee.answer(caller.offer(OURS, REACHED), THEIRS, REACHED))
    assert direction(callee) is Direction.SENDRECV
    assert version(caller.local) == before + 2


def test_who_listens_nowhere_is_the_one_that_connects() -> None:
    caller, callee = Descriptions(WISH, 1), Descriptions(WISH, 2)
    caller.take_answer(callee.answer(caller.offer(THEIRS, CONNECTS), THEIRS, REACHED))
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
        restored.holding = True
        path = OURS if index == 0 else THEIRS
        assert version(SessionDescription.parse(restored.offer(path, REACHED))) == version(side.local) + 1


def test_a_change_that_is_refused_leaves_what_was_agreed_on_and_the_next_offer_has_a_higher_version() -> None:
    caller, callee = pair()
    before, local = caller.agreement, caller.local
    caller.holding = True
    refused = SessionDescription.parse(caller.offer(OURS, REACHED))
    caller.changes_refused()
    assert caller.agreement is before
    assert caller.local is local
    assert not caller.holding
    assert version(SessionDescription.parse(caller.offer(OURS, REACHED))) == version(refused) + 1
    assert callee.agreement is not None


def test_an_offer_that_is_asked_for_while_the_peer_holds_says_all_that_we_want() -> None:
    caller, callee = pair()
    caller.holding = True
    callee.answer(caller.offer(OURS, REACHED), THEIRS, REACHED)
    assert direction(callee) is Direction.RECVONLY
    offered = callee.offer(THEIRS, REACHED).decode()
    assert "a=recvonly" not in offered
    assert "a=setup:actpass" in offered


def test_the_answer_to_a_refresh_that_repeats_an_older_description_is_read_with_that_one() -> None:
    caller, callee = pair()
    agreed = bytes(caller.local or b"")
    caller.holding = True
    caller.offer(OURS, REACHED)
    caller.changes_refused()
    caller.take_answer(bytes(callee.local or b""), agreed)
    assert direction(caller) is Direction.SENDRECV
    assert bytes(caller.local or b"") == agreed


def test_a_plain_offer_is_answered_in_kind_although_our_relay_speaks_tls() -> None:
    caller, callee = Descriptions(WISH, 1), Descriptions(WISH, 2)
    path = ("msrps://relay.example:2855/r1;tcp", "msrp://agents.invalid:9/s1;tcp")
    answered = callee.answer(caller.offer(("msrp://phone.example:2855/p1;tcp",), REACHED), path, REACHED)
    caller.take_answer(answered)
    assert " TCP/MSRP *" in answered.decode()
    assert caller.agreement is not None
    assert caller.agreement.remote.path == path


def test_cema_and_fingerprints_are_said_and_cema_is_taken_back_when_a_middlebox_is_in_the_way() -> None:
    given = Fingerprint.of(b"certificate")
    caller, callee = Descriptions(WISH, 1), Descriptions(WISH, 2)
    reach = Reach(cema=True, fingerprints=(given,))
    offered = caller.offer(THEIRS, reach)
    answered = callee.answer(offered, ("msrps://other.example:2855/o;tcp",), REACHED).decode()
    assert callee.agreement is not None
    assert callee.agreement.remote.fingerprints == (given,)
    assert callee.agreement.remote.cema
    moved = answered.replace("other.example", "box.example").replace("a=path:msrps://box.", "a=path:msrps://other.")
    moved = moved.replace(" 2855 TCP", " 2856 TCP").replace("a=setup:passive", "a=setup:active")
    assert caller.take_answer(moved.encode()).cema_failed
    assert "msrp-cema" not in caller.offer(THEIRS, reach).decode()


def file_wish(transfer: FileTransfer, direction: Direction) -> MediaWish:
    return MediaWish(accept_types=("*",), streams=True, file=transfer, direction=direction)


FILE = FileTransfer(selector=FileSelector(size=5, hashes=(("sha-1", b"1"),)), transfer_id="one", range=FileRange(3))


def test_both_sides_of_a_file_agree_on_its_range() -> None:
    caller, callee = pair(file_wish(FILE, Direction.SENDONLY), file_wish(FILE, Direction.RECVONLY))
    assert caller.agreement is not None
    assert callee.agreement is not None
    assert (caller.agreement.remote.file, callee.agreement.remote.file) == (FILE, FILE)


@pytest.mark.parametrize(
    "other",
    [
        replace(FILE, transfer_id="two"),
        replace(FILE, selector=FileSelector(size=6)),
        replace(FILE, selector=FileSelector(hashes=(("sha-1", b"2"),))),
    ],
)
def test_another_file_in_the_same_session_is_refused_with_488(other: FileTransfer) -> None:
    caller, callee = pair(file_wish(FILE, Direction.SENDONLY), file_wish(FILE, Direction.RECVONLY))
    before = callee.agreement
    caller.wish = file_wish(other, Direction.SENDONLY)
    with pytest.raises(SdpError) as caught:
        callee.answer(caller.offer(OURS, REACHED), THEIRS, REACHED)
    assert caught.value.status == 488
    assert callee.agreement is before


def test_same_file_is_agreed_on_again_with_a_hash_more() -> None:
    caller, callee = pair(file_wish(FILE, Direction.SENDONLY), file_wish(FILE, Direction.RECVONLY))
    more = replace(FILE.selector, hashes=(*FILE.selector.hashes, ("sha-256", b"x")))
    caller.wish = file_wish(replace(FILE, selector=more), Direction.SENDONLY)
    caller.take_answer(callee.answer(caller.offer(OURS, REACHED), THEIRS, REACHED))
