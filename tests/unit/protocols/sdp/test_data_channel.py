"""Data channels (RFC 8864 section 5, RFC 8873 section 4)."""

import pytest

from tests.support.sdp import described
from wigwag.protocols.sdp import DcMap, DcSa, SdpAttribute, SdpError

MEDIA = [
    "m=application 54111 UDP/DTLS/SCTP webrtc-datachannel",
    'a=dcmap:0 label="chat";subprotocol="msrp"',
    "a=dcsa:0 msrp-cema",
    "a=dcsa:0 path:msrps://alice.example.com:10001/2s93i93idj;dc",
    'a=dcmap:2 subprotocol="bfcp";ordered=false;max-retr=3;priority=256',
    "a=dcsa:2 confid:42",
]


def test_channels_and_their_attributes_are_read() -> None:
    (media,) = described(MEDIA).media
    chat, other = media.every("dcmap", DcMap.parse)
    assert chat == DcMap(0, "msrp", "chat")
    assert chat.is_msrp
    assert other == DcMap(2, "bfcp", ordered=False, max_retr=3, priority=256)
    assert not media.is_msrp
    assert media.every("dcsa", DcSa.parse)[:2] == (
        DcSa(0, SdpAttribute("msrp-cema")),
        DcSa(0, SdpAttribute("path", "msrps://alice.example.com:10001/2s93i93idj;dc")),
    )
    assert str(media.every("dcsa", DcSa.parse)[2]) == "2 confid:42"


def test_labels_are_decoded() -> None:
    assert DcMap.parse('1 label="50%25 %22off%22"').label == '50% "off"'
    assert DcMap.parse("65535") == DcMap(65_535)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "65536",
        "0 label=chat",
        '0 label="a";',
        '0 label="a";label="b"',
        "0 ordered=maybe",
        "0 max-time=",
        '0;x="y"',
    ],
)
def test_a_malformed_dcmap_is_refused(value: str) -> None:
    with pytest.raises(SdpError):
        DcMap.parse(value)


@pytest.mark.parametrize("value", ["", "0", "0 ", "x path:y", "0 :y"])
def test_a_malformed_dcsa_is_refused(value: str) -> None:
    with pytest.raises(SdpError):
        DcSa.parse(value)
