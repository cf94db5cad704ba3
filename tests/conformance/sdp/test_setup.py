"""Rows M130 and M131: who opens the connection (RFC 4145, RFC 6135 section 4.2)."""

from dataclasses import replace

import pytest

from tests.support.sdp import ALICE, ALICE_ORIGIN, BOB, BOB_ORIGIN, RELAY, described, only, own, stream
from wigwag.errors import LocalProtocolError
from wigwag.protocols.sdp import Role, SdpError, Setup, answer, offer


def test_m130_without_setup_in_the_answer_the_offerer_connects() -> None:
    offered = offer(own(ALICE), origin=ALICE_ORIGIN)
    assert only(offered, described(stream(path=BOB)), Role.OFFERER).active


def test_m130_without_setup_in_the_offer_the_offerer_connects() -> None:
    offered = described(stream())
    description = answer(offered, replace(own(), setup=Setup.ACTPASS), origin=BOB_ORIGIN)
    assert description.media[0].attribute("setup") == "passive"
    assert not only(offered, description, Role.ANSWERER).active


@pytest.mark.parametrize(
    ("offered_setup", "own_setup", "answered_setup"),
    [
        ("actpass", None, "passive"),
        ("actpass", Setup.ACTPASS, "passive"),
        ("actpass", Setup.PASSIVE, "passive"),
        ("actpass", Setup.ACTIVE, "active"),
        ("active", None, "passive"),
        ("passive", None, "active"),
        ("passive", Setup.ACTIVE, "active"),
        ("holdconn", None, "passive"),
    ],
)
def test_m131_the_answer_takes_the_other_role(offered_setup: str, own_setup: Setup | None, answered_setup: str) -> None:
    offered = described(stream(f"setup:{offered_setup}"))
    description = answer(offered, replace(own(), setup=own_setup), origin=BOB_ORIGIN)
    assert description.media[0].attribute("setup") == answered_setup
    agreement = only(offered, description, Role.ANSWERER)
    assert agreement.active is (answered_setup == "active")
    assert agreement.connect_to == (("alice.example.com", 7394) if agreement.active else None)


@pytest.mark.parametrize(
    ("offered_setup", "own_setup"),
    [("active", Setup.ACTIVE), ("holdconn", Setup.ACTIVE), ("passive", Setup.PASSIVE)],
)
def test_m131_two_that_can_only_do_the_same_are_488(offered_setup: str, own_setup: Setup) -> None:
    with pytest.raises(SdpError) as caught:
        answer(described(stream(f"setup:{offered_setup}")), replace(own(), setup=own_setup), origin=BOB_ORIGIN)
    assert caught.value.status == 488


def test_m131_behind_a_relay_even_one_that_can_not_be_reached_is_passive() -> None:
    offered = described(stream("setup:active"))
    description = answer(offered, replace(own(f"{RELAY} {BOB}"), setup=Setup.ACTIVE), origin=BOB_ORIGIN)
    assert description.media[0].attribute("setup") == "passive"


@pytest.mark.parametrize(
    ("offered_setup", "answered_setup", "offerer_active"),
    [
        (Setup.ACTPASS, "active", False),
        (Setup.ACTPASS, "passive", True),
        (Setup.ACTPASS, "holdconn", True),
        (Setup.ACTPASS, "actpass", True),
        (Setup.ACTIVE, "passive", True),
    ],
)
def test_m131_offerers_and_answerers_agree_on_who_connects(
    offered_setup: Setup, answered_setup: str, offerer_active: bool
) -> None:
    offered = offer(replace(own(ALICE), setup=offered_setup), origin=ALICE_ORIGIN)
    answered = described(stream(f"setup:{answered_setup}", path=BOB))
    assert only(offered, answered, Role.OFFERER).active is offerer_active
    assert only(offered, answered, Role.ANSWERER).active is not offerer_active


def test_m131_active_answered_by_active_is_a_failure_and_no_double_connect() -> None:
    offered = offer(replace(own(ALICE), setup=Setup.ACTIVE), origin=ALICE_ORIGIN)
    with pytest.raises(SdpError, match="both sides are active"):
        only(offered, described(stream("setup:active", path=BOB)), Role.OFFERER)


def test_m131_passive_answered_by_passive_is_a_failure() -> None:
    with pytest.raises(SdpError, match="no side is active"):
        only(described(stream("setup:passive")), described(stream("setup:passive", path=BOB)), Role.OFFERER)


@pytest.mark.parametrize("setup", [Setup.PASSIVE, Setup.HOLDCONN])
def test_an_offer_never_says_passive_or_holdconn(setup: Setup) -> None:
    with pytest.raises(LocalProtocolError):
        offer(replace(own(ALICE), setup=setup), origin=ALICE_ORIGIN)


def test_a_connection_attribute_is_ignored_and_never_written() -> None:
    offered = described(stream("setup:actpass", "connection:existing"))
    description = answer(offered, own(), origin=BOB_ORIGIN)
    assert description.media[0].attribute("connection") is None
