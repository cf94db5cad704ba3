"""Rows S29, M127, M133 to M135 and chat rooms: offers, answers and what they come to (RFC 3264, RFC 4975 section 8)."""

from dataclasses import replace

import pytest

from tests.support.sdp import ALICE, ALICE_ORIGIN, BOB, BOB_ORIGIN, RELAY, described, only, own, stream
from wigwag.errors import LocalProtocolError
from wigwag.protocols.sdp import (
    Chatroom,
    Direction,
    Fingerprint,
    MediaTypes,
    MsrpMedia,
    Origin,
    Role,
    SdpError,
    SessionDescription,
    agreed,
    answer,
    offer,
)


def answered(offered: SessionDescription, *wishes: MsrpMedia) -> SessionDescription:
    return answer(offered, wishes or own(), origin=BOB_ORIGIN)


def test_s29_an_msrp_offer_is_answered() -> None:
    text = bytes(answered(described(stream()))).decode()
    assert text.split("\r\n") == [
        "v=0",
        "o=- 2890844612 2890844612 IN IP4 bob.example.com",
        "s=-",
        "c=IN IP4 bob.example.com",
        "t=0 0",
        "m=message 8493 TCP/MSRP *",
        "a=accept-types:text/plain",
        f"a=path:{BOB}",
        "a=setup:passive",
        "a=sendrecv",
        "",
    ]


def test_s29_without_sdp_ours_is_the_offer_and_the_answer_comes_in_the_ack() -> None:
    offered = offer(own(), origin=BOB_ORIGIN)
    assert offered.media[0].attribute("setup") == "actpass"
    in_ack = SessionDescription.parse(bytes(answer(offered, own(ALICE), origin=ALICE_ORIGIN)))
    agreement = only(offered, in_ack, Role.OFFERER)
    assert agreement.active
    assert agreement.connect_to == ("alice.example.com", 7394)


def test_s29_unknown_streams_are_answered_by_port_0_in_the_same_order() -> None:
    offered = described(
        ["m=audio 49170/2 RTP/AVP 0 8", "a=rtpmap:0 PCMU/8000"],
        ["m=x-new 5 a/b/c z"],
        stream(),
        ["m=video 0 RTP/AVP 31"],
    )
    lines = [str(media.lines[0]) for media in answered(offered).media]
    assert lines == ["m=audio 0 RTP/AVP 0 8", "m=x-new 0 a/b/c z", "m=message 8493 TCP/MSRP *", "m=video 0 RTP/AVP 31"]
    assert [agreement.index for agreement in agreed(offered, answered(offered), Role.ANSWERER)] == [2]


def test_the_first_usable_of_several_msrp_streams_is_taken() -> None:
    offered = described(stream(path=""), stream(types="x/y"), stream(), stream())
    assert [media.port for media in answered(offered).media] == [0, 0, 8493, 0]


def test_each_wish_is_used_for_one_stream() -> None:
    second = replace(own(BOB.replace("si438dsaodes", "other")), accept_types=MediaTypes.parse("message/cpim"))
    offered = described(stream(types="message/cpim"), stream(), stream())
    description = answered(offered, own(), second)
    assert [media.attribute("path") for media in description.media] == [second.path[0], BOB, None]


def test_the_times_of_the_offer_are_repeated() -> None:
    offered = SessionDescription.parse(bytes(described(stream())).replace(b"t=0 0", b"t=2873397496 2873404696"))
    assert b"\r\nt=2873397496 2873404696\r\n" in bytes(answered(offered))


def test_no_stream_is_connected_to_itself_in_either_view() -> None:
    offered = offer(own(ALICE), origin=ALICE_ORIGIN)
    description = answered(offered)
    alice, bob = only(offered, description, Role.OFFERER), only(offered, description, Role.ANSWERER)
    assert (alice.active, bob.active) == (True, False)
    assert (alice.local.path, alice.remote.path) == (bob.remote.path, bob.local.path) == ((ALICE,), (BOB,))
    assert bob.connect_to is None


def test_m127_a_path_that_ends_in_ws_is_accepted() -> None:
    path = "msrps://relay.example.com:9892/98cjs;tcp msrps://df7jal23ls0d.invalid:2855/98cjs;ws"
    offered = described(stream(path=path, line="message 2855 TCP/TLS/MSRP *"))
    description = answered(offered, own(BOB.replace("msrp:", "msrps:")))
    agreement = only(offered, description, Role.ANSWERER)
    assert agreement.remote.uris[-1].transport == "ws"
    assert agreement.remote.uris[0].host == "relay.example.com"


def test_m127_our_websocket_client_says_tls_and_its_own_address() -> None:
    path = ("msrps://relay.example.com:9892/98cjs;ws", "msrps://df7jal23ls0d.invalid:2855/98cjs;ws")
    described_by_us = offer(MsrpMedia(path=path), origin=ALICE_ORIGIN)
    assert str(described_by_us.media[0].lines[0]) == "m=message 2855 TCP/TLS/MSRP *"
    assert str(described_by_us.connection) == "IN IP4 df7jal23ls0d.invalid"


def test_behind_a_relay_this_side_connects_to_no_peer() -> None:
    offered = offer(own(f"{RELAY} {ALICE}"), origin=ALICE_ORIGIN)
    assert str(offered.media[0].lines[0]) == "m=message 7394 TCP/MSRP *"
    agreement = only(offered, answered(offered), Role.OFFERER)
    assert agreement.active
    assert agreement.connect_to is None


def test_a_peer_behind_a_relay_is_reached_by_the_first_uri() -> None:
    offered = offer(own(ALICE), origin=ALICE_ORIGIN)
    description = answered(offered, own(f"{RELAY} {BOB}"))
    assert only(offered, description, Role.OFFERER).connect_to == ("relay.example.com", 2855)


def test_m133_port_0_in_the_answer_declines() -> None:
    offered = offer(own(ALICE), origin=ALICE_ORIGIN)
    assert agreed(offered, described(["m=message 0 TCP/MSRP *"]), Role.OFFERER) == ()


@pytest.mark.parametrize("missing", ["path", "accept-types"])
def test_m133_an_answer_without_path_or_types_is_an_error(missing: str) -> None:
    offered = offer(own(ALICE), origin=ALICE_ORIGIN)
    description = answered(offered)
    broken = description.with_media([description.media[0].without_attribute(missing)])
    with pytest.raises(SdpError, match=f"MSRP stream without a={missing}"):
        agreed(offered, broken, Role.OFFERER)


def test_an_answer_has_the_streams_of_its_offer() -> None:
    offered = offer(own(ALICE), origin=ALICE_ORIGIN)
    for streams in ([], [stream(), stream()], [["m=audio 9 RTP/AVP 0"]], [stream(line="message 9 TCP/TLS/MSRP *")]):
        with pytest.raises(SdpError) as caught:
            agreed(offered, described(*streams), Role.OFFERER)
        assert caught.value.status == 488
    with pytest.raises(SdpError, match="not offered"):
        agreed(described(["m=message 0 TCP/MSRP *"]), described(stream()), Role.OFFERER)


def test_m134_types_within_a_container_are_not_for_the_whole_body() -> None:
    wish = replace(own(), accept_types=MediaTypes.parse("message/cpim text/html"))
    offered = described(stream("accept-wrapped-types:text/plain", types="message/cpim"))
    agreement = only(offered, answered(offered, wish), Role.ANSWERER)
    assert agreement.may_send("message/cpim")
    assert not agreement.may_send("text/plain")
    assert agreement.may_send("text/plain", wrapped=True)
    assert not agreement.may_send("text/html", wrapped=True)
    assert not agreement.local.accepts("text/plain")


@pytest.mark.parametrize(
    ("offered_direction", "wanted", "expected", "may_send"),
    [
        ("sendonly", Direction.SENDRECV, "recvonly", False),
        ("recvonly", Direction.SENDRECV, "sendonly", True),
        ("inactive", Direction.SENDRECV, "inactive", False),
        ("sendrecv", Direction.SENDRECV, "sendrecv", True),
        ("sendrecv", Direction.SENDONLY, "sendonly", True),
    ],
)
def test_m135_nothing_is_sent_against_the_direction(
    offered_direction: str, wanted: Direction, expected: str, may_send: bool
) -> None:
    offered = described(stream(offered_direction))
    description = answered(offered, replace(own(), direction=wanted))
    written = [
        direction.value for direction in Direction if description.media[0].attribute(direction.value) is not None
    ]
    assert written == [expected]
    assert only(offered, description, Role.ANSWERER).may_send("text/plain") is may_send


def test_m135_an_answer_that_ignores_the_direction_is_held_to_it() -> None:
    offered = offer(replace(own(ALICE), direction=Direction.SENDONLY), origin=ALICE_ORIGIN)
    agreement = only(offered, described(stream("setup:passive")), Role.OFFERER)
    assert agreement.direction is Direction.SENDONLY


def test_a_direction_of_the_session_holds_for_streams_without_one() -> None:
    offered = described(stream(), stream("sendrecv"), session=["a=recvonly"])
    directions = [MsrpMedia.of(offered, index).direction for index in range(2)]
    assert directions == [Direction.RECVONLY, Direction.SENDRECV]


def test_attributes_of_both_sides_reach_the_other() -> None:
    fingerprint = Fingerprint.of(b"certificate")
    wish = replace(own(), max_size=5000, fingerprints=(fingerprint,), chatroom=Chatroom(("nickname",)))
    offered = described(stream("max-size:1000", "chatroom", "x-unknown:1"))
    agreement = only(offered, answered(offered, wish), Role.ANSWERER)
    assert (agreement.remote.max_size, agreement.local.max_size) == (1000, 5000)
    assert agreement.remote.chatroom == Chatroom()
    assert agreement.local.chatroom == Chatroom(("nickname",))
    assert agreement.local.fingerprints == (fingerprint,)
    assert [str(attribute) for attribute in agreement.remote.others] == ["x-unknown:1"]


def test_streams_with_addresses_of_their_own_say_so() -> None:
    here = MsrpMedia(path=("msrp://[2001:db8::1]:2855/a;tcp",))
    description = offer([own(), here], origin=Origin.at("192.0.2.1", 1))
    assert [str(line) for line in description.media[1].lines][:2] == [
        "m=message 2855 TCP/MSRP *",
        "c=IN IP6 2001:db8::1",
    ]
    assert [MsrpMedia.of(description, index).connection_address for index in range(2)] == [
        "bob.example.com",
        "2001:db8::1",
    ]


def test_a_first_description_needs_an_origin() -> None:
    with pytest.raises(LocalProtocolError):
        offer(own())
    with pytest.raises(LocalProtocolError):
        answer(described(stream()), own())
    with pytest.raises(LocalProtocolError):
        offer([None], origin=ALICE_ORIGIN)
