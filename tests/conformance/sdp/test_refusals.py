"""Rows M72, M116, M133, S30: what is answered by 488 and what the Warning says (RFC 4975 section 8, RFC 3261 20.43)."""

import pytest

from tests.support.sdp import ALICE, BOB, BOB_ORIGIN, described, own, stream
from wigwag.protocols.sdp import SdpError, SessionDescription, answer

SECURE = ALICE.replace("msrp:", "msrps:")
TLS = "message 7394 TCP/TLS/MSRP *"


def refused(offered: SessionDescription, path: str = BOB) -> SdpError:
    with pytest.raises(SdpError) as caught:
        answer(offered, own(path), origin=BOB_ORIGIN)
    assert caught.value.status == 488
    return caught.value


def test_m72_a_path_without_port_is_488() -> None:
    error = refused(described(stream(path="msrp://alice.example.com/2s93i9ek2a;tcp")))
    assert error.reason == "SDP line 8: MSRP URI without a port in a=path"
    assert error.warning.code == 306


def test_m72_each_uri_of_a_path_needs_a_port() -> None:
    assert refused(described(stream(path=f"msrp://relay.example.com/x;tcp {ALICE}"))).line == 8


def test_m116_tls_without_msrps_and_the_reverse_are_488() -> None:
    for offered in (described(stream(line=TLS)), described(stream(path=SECURE))):
        error = refused(offered)
        assert error.cause == "m= and a=path disagree on TLS"
        assert (error.line, error.warning.code) == (6, 302)


def test_m116_tls_with_msrps_is_accepted() -> None:
    offered = described(stream(line=TLS, path=SECURE))
    answered = answer(offered, own(BOB.replace("msrp:", "msrps:")), origin=BOB_ORIGIN)
    assert answered.media[0].proto == "TCP/TLS/MSRP"


def test_m116_tls_is_not_answered_by_tcp() -> None:
    error = refused(described(stream(line=TLS, path=SECURE)))
    assert (error.cause, error.warning.code) == ("TCP/MSRP is wanted here", 302)


def test_m133_a_stream_without_accept_types_or_path_is_488() -> None:
    assert refused(described(stream(types=""))).cause == "MSRP stream without a=accept-types"
    assert refused(described(stream(path=""))).cause == "MSRP stream without a=path"


@pytest.mark.parametrize("types", ["", " ", "text", "text/plain,text/html"])
def test_a_malformed_list_of_types_is_488(types: str) -> None:
    assert refused(described([*stream(types=""), f"a=accept-types:{types}"])).line == 8


@pytest.mark.parametrize(
    "attribute",
    [
        f"path:{ALICE}",
        "accept-types:text/html",
        "max-size:-1",
        "max-size:1e6",
        "setup:either",
        "fingerprint:sha-1 AB",
        "file-selector:what",
        "accept-wrapped-types:",
    ],
)
def test_a_malformed_or_repeated_attribute_is_488_and_named(attribute: str) -> None:
    error = refused(described(stream(attribute)))
    assert error.line == 9
    assert error.reason.startswith("SDP line 9: ")


def test_contradicting_directions_are_488() -> None:
    assert refused(described(stream("sendonly", "recvonly"))).cause == "more than one direction"


def test_s30_no_usable_type_is_488_with_warning_305() -> None:
    error = refused(described(stream(types="application/x-unknown")))
    assert error.warning.code == 305
    assert error.warning.header("edge.example.com") == (
        '305 edge.example.com "SDP line 6: no common type in a=accept-types"'
    )


def test_s30_no_msrp_stream_is_488_with_warning_304() -> None:
    for offered in (
        described(["m=audio 49170 RTP/AVP 0"]),
        described(["m=message 7394 UDP/MSRP *", f"a=path:{ALICE}", "a=accept-types:text/plain"]),
        described(),
        described(["m=message 0 TCP/MSRP *"]),
    ):
        assert refused(offered).warning.code == 304


def test_s30_the_warning_is_about_the_msrp_stream_when_there_is_one() -> None:
    error = refused(described(["m=audio 49170 RTP/AVP 0"], stream(types="application/x-unknown")))
    assert (error.line, error.warning.code) == (7, 305)


def test_a_warning_holds_nothing_that_the_peer_wrote() -> None:
    for attribute in ('setup:"injected"', 'max-size:"injected"', 'file-selector:"injected"'):
        assert "injected" not in refused(described(stream(attribute))).warning.header("x")


def test_quotes_in_a_warning_are_escaped() -> None:
    error = SdpError('a "quoted\\" cause')
    assert error.warning.header("x") == '399 x "SDP: a \\"quoted\\\\\\" cause"'
