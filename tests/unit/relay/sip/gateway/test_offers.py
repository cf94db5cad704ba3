"""Which INVITEs ask for a session of messages and nothing else."""

import pytest

from wigwag.protocols.sip import Request
from wigwag.relay.sip.gateway.offers import asks_for_messages

CHAT = b"v=0\r\nm=message 2855 TCP/MSRP *\r\na=accept-types:text/plain\r\n"
SECURE = b"v=0\r\nm=message 2855 TCP/TLS/MSRP *\r\n"


def invite(body: bytes = b"", accept_contact: str = "") -> Request:
    fields = [
        ("Via", "SIP/2.0/TCP a.example;branch=z9hG4bK1"),
        ("From", "<sip:alice@example.com>;tag=1"),
        ("To", "<sip:bob@example.com>"),
        ("Call-ID", "1"),
        ("CSeq", "1 INVITE"),
    ]
    if accept_contact:
        fields.append(("Accept-Contact", accept_contact))
    return Request.create("INVITE", "sip:bob@example.com", fields, body)


@pytest.mark.parametrize(
    ("body", "asks"),
    [
        (CHAT, True),
        (SECURE, True),
        (b"v=0\nm=message 2855 tcp/tls/msrp *\n", True),
        (b"--b\r\nContent-Type: application/sdp\r\n\r\n" + SECURE + b"\r\n--b--", True),
        (CHAT + b"m=audio 0 RTP/AVP 0\r\n", True),
        (CHAT + b"m=audio 4000 RTP/AVP 0\r\n", False),
        (CHAT + b'a=file-selector:name:"a.jpg"\r\n', False),
        (b"v=0\r\nm=audio 4000 RTP/AVP 0\r\n", False),
        (b"v=0\r\nm=message 0 TCP/MSRP *\r\n", False),
        (b"v=0\r\nm=message 5060 udp sip:null\r\n", False),
        (b"v=0\r\n", False),
        (b"m=message", False),
        (b"\xff\xfe\x00m=message 1 TCP/MSRP *", False),
        (b"m=message 1 \xff\xff *", False),
    ],
)
def test_offer_of_messages_alone_asks_for_messages(body: bytes, asks: bool) -> None:
    assert asks_for_messages(invite(body)) is asks


@pytest.mark.parametrize(
    ("accept_contact", "asks"),
    [
        ("", False),
        ("*;+sip.message", True),
        ("*;+g.oma.sip-im;require;explicit", True),
        ('*;audio, *;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"', True),
        ("*;audio", False),
        ("*", False),
    ],
)
def test_call_without_an_offer_is_known_by_what_it_looks_for(accept_contact: str, asks: bool) -> None:
    assert asks_for_messages(invite(accept_contact=accept_contact)) is asks
