"""Rows M136 and M137: connections through middleboxes (RFC 6714 section 4)."""

from dataclasses import replace

import pytest

from tests.support.sdp import ALICE, ALICE_ORIGIN, BOB, BOB_ORIGIN, RELAY, described, only, own, stream
from wigwag.protocols.sdp import Agreement, MsrpMedia, Role, SdpError, SessionDescription, Setup, agreed, answer, offer

MIDDLEBOX = ("192.0.2.7", 30004)
RELAYED_ALICE, RELAYED_BOB = f"{RELAY} {ALICE}", f"{RELAY} {BOB}"


def cema(path: str, setup: Setup | None = None) -> MsrpMedia:
    return replace(own(path), cema=True, setup=setup)


def through_middlebox(description: SessionDescription) -> SessionDescription:
    """Return what a middlebox makes of a description: its own address in c= and m=."""
    text = bytes(description).decode()
    text = text.replace(f"c={description.connection}", f"c=IN IP4 {MIDDLEBOX[0]}")
    port = description.media[0].port
    return SessionDescription.parse(text.replace(f"m=message {port} ", f"m=message {MIDDLEBOX[1]} ").encode())


def offered_by(media: MsrpMedia, middlebox: bool = True) -> SessionDescription:
    description = offer(media, origin=ALICE_ORIGIN)
    return through_middlebox(description) if middlebox else description


def answered_by(offered: SessionDescription, media: MsrpMedia) -> SessionDescription:
    return answer(offered, media, origin=BOB_ORIGIN, resolved=NAMES)


NAMES = {
    "alice.example.com": ["198.51.100.1"],
    "bob.example.com": ["198.51.100.2"],
    "relay.example.com": ["198.51.100.3"],
}


def test_m136_with_cema_on_both_sides_the_offerer_connects_to_the_middlebox() -> None:
    offered = offer(cema(ALICE), origin=ALICE_ORIGIN)
    answered = through_middlebox(answered_by(through_middlebox(offered), cema(BOB)))
    agreement = only(offered, answered, Role.OFFERER)
    assert (agreement.cema, agreement.cema_failed) == (True, False)
    assert agreement.connect_to == MIDDLEBOX
    assert agreement.remote.path == (BOB,)


def test_m136_with_cema_on_both_sides_the_answerer_connects_to_the_middlebox() -> None:
    offered = offered_by(cema(ALICE))
    agreement = only(offered, answered_by(offered, cema(BOB, Setup.ACTIVE)), Role.ANSWERER)
    assert agreement.cema
    assert agreement.connect_to == MIDDLEBOX


def test_an_offer_with_cema_and_a_relay_names_the_relay_and_is_actpass() -> None:
    offered = offer(cema(RELAYED_ALICE, Setup.ACTIVE), origin=ALICE_ORIGIN)
    assert str(offered.connection) == "IN IP4 relay.example.com"
    assert offered.media[0].port == 2855
    assert offered.media[0].attribute("setup") == "actpass"


def test_an_answer_with_cema_and_a_relay_names_the_relay_and_is_passive() -> None:
    answered = answered_by(offered_by(cema(ALICE)), cema(RELAYED_BOB, Setup.ACTIVE))
    assert answered.media[0].attribute("msrp-cema") == ""
    assert answered.media[0].attribute("setup") == "passive"
    assert (str(answered.connection), answered.media[0].port) == ("IN IP4 relay.example.com", 2855)


def test_the_answerer_connects_when_only_the_offerer_has_a_relay() -> None:
    offered = offered_by(cema(RELAYED_ALICE))
    answered = answered_by(offered, cema(BOB))
    assert (answered.media[0].attribute("msrp-cema"), answered.media[0].attribute("setup")) == ("", "active")
    assert only(offered, answered, Role.ANSWERER).connect_to == MIDDLEBOX


@pytest.mark.parametrize(
    ("offering", "answering"),
    [
        (cema(RELAYED_ALICE), cema(RELAYED_BOB)),
        (cema(RELAYED_ALICE), cema(BOB, Setup.PASSIVE)),
    ],
)
def test_without_a_passive_side_behind_the_relay_the_answer_has_no_cema(
    offering: MsrpMedia, answering: MsrpMedia
) -> None:
    answered = answered_by(offered_by(offering, middlebox=False), answering)
    assert answered.media[0].attribute("msrp-cema") is None
    # RFC 4975 section 8.1 again: the endpoint's own address.
    assert (str(answered.connection), answered.media[0].port) == ("IN IP4 bob.example.com", 8493)


def test_an_offerer_with_a_relay_that_will_be_active_gets_no_cema() -> None:
    offered = described(stream("msrp-cema", "setup:active", path=RELAYED_ALICE))
    assert answered_by(offered, cema(BOB)).media[0].attribute("msrp-cema") is None


def test_an_answerer_with_a_relay_that_can_not_be_passive_has_no_cema() -> None:
    offered = described(stream("msrp-cema", "setup:passive"))
    assert answered_by(offered, cema(RELAYED_BOB)).media[0].attribute("msrp-cema") is None


def test_m137_without_cema_here_the_path_is_used_whatever_c_and_m_say() -> None:
    offered = offer(own(ALICE), origin=ALICE_ORIGIN)
    agreement = only(offered, through_middlebox(answered_by(offered, own(BOB))), Role.OFFERER)
    assert agreement.connect_to == ("bob.example.com", 8493)
    foreign = offered_by(own(ALICE))
    answerer = only(foreign, answered_by(foreign, replace(own(BOB), setup=Setup.ACTIVE)), Role.ANSWERER)
    assert answerer.connect_to == ("alice.example.com", 7394)


def test_m137_an_offer_without_cema_changed_by_a_middlebox_is_refused_by_one_with_cema() -> None:
    with pytest.raises(SdpError) as caught:
        answered_by(offered_by(own(ALICE)), cema(BOB))
    assert caught.value.status == 488


def test_an_offer_without_cema_and_unchanged_is_answered_without_cema() -> None:
    answered = answered_by(offered_by(own(ALICE), middlebox=False), cema(BOB))
    assert answered.media[0].attribute("msrp-cema") is None


def agreement_of(offering: MsrpMedia, answering: MsrpMedia, *, middlebox: bool = True) -> Agreement:
    """Return what an offerer with CEMA makes of an answer without it."""
    offered = offer(offering, origin=ALICE_ORIGIN)
    answered = answer(offered, answering, origin=BOB_ORIGIN)
    if middlebox:
        answered = through_middlebox(answered)
    (agreement,) = agreed(offered, answered, Role.OFFERER, resolved=NAMES)
    return agreement


@pytest.mark.parametrize(
    ("offering", "answering"),
    [
        (cema(ALICE), replace(own(BOB), setup=Setup.ACTIVE)),
        (cema(RELAYED_ALICE), own(BOB)),
        (cema(ALICE), own(RELAYED_BOB)),
    ],
)
def test_m137_an_answer_without_cema_changed_by_a_middlebox_asks_for_an_offer_without(
    offering: MsrpMedia, answering: MsrpMedia
) -> None:
    agreement = agreement_of(offering, answering)
    assert agreement.cema_failed
    assert not agreement.cema
    again = offer(
        replace(agreement.local, cema=False, address="", port=0), previous=offer(offering, origin=ALICE_ORIGIN)
    )
    assert again.media[0].attribute("msrp-cema") is None


def test_m137_without_relays_the_active_offerer_connects_to_the_middlebox_all_the_same() -> None:
    agreement = agreement_of(cema(ALICE), own(BOB))
    assert not agreement.cema_failed
    assert agreement.connect_to == MIDDLEBOX


@pytest.mark.parametrize("answering", [own(BOB), own(RELAYED_BOB)])
def test_m137_without_a_middlebox_the_path_is_used(answering: MsrpMedia) -> None:
    agreement = agreement_of(cema(ALICE), answering, middlebox=False)
    assert (agreement.cema, agreement.cema_failed) == (False, False)
    assert agreement.connect_to == (answering.uris[0].host, answering.uris[0].port)


@pytest.mark.parametrize(
    ("connection", "line", "refused"),
    [
        ("IN IP4 198.51.100.1", "message 7394 TCP/MSRP *", False),
        ("IN IP4 Alice.example.com.", "message 7394 TCP/MSRP *", False),
        ("IN IP4 unresolved.example.com", "message 7394 TCP/MSRP *", False),
        ("IN IP4 192.0.2.7", "message 7394 TCP/MSRP *", True),
        ("IN IP4 alice.example.com", "message 7395 TCP/MSRP *", True),
    ],
)
def test_addresses_are_compared_after_resolution(connection: str, line: str, refused: bool) -> None:
    offered = described([*stream(line=line), f"c={connection}"])
    if not refused:
        assert answered_by(offered, cema(BOB)).media[0].port == 8493
        return
    with pytest.raises(SdpError):
        answered_by(offered, cema(BOB))


def test_addresses_of_ip_6_are_compared_as_addresses() -> None:
    path = "msrp://[2001:0db8:0:0::7]:7394/2s93i9ek2a;tcp"
    offered = described([*stream(path=path), "c=IN IP6 2001:DB8::7"])
    assert answered_by(offered, cema(BOB)).media[0].port == 8493
