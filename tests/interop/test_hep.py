"""HEP3 as Kamailio's capture module understands it."""

import pytest

from tests.support.hep_capture import running_capture_server
from wigwag.runtime.hep import HepSender

REQUEST = (
    b"MESSAGE sip:bob@example.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx\r\n"
    b"From: <sip:alice@example.test>;tag=1\r\nTo: <sip:bob@example.test>\r\nCall-ID: abc\r\nCSeq: 1 MESSAGE\r\n"
    b"Max-Forwards: 70\r\nContent-Length: 5\r\n\r\nhello"
)


@pytest.mark.peer("kamailio")
async def test_kamailio_understands_every_chunk() -> None:
    with running_capture_server() as server:
        sender = HepSender("127.0.0.1", server.port, capture_id=2001, node="pod-a", password="secret")
        await sender.start()
        sender.send(
            ("192.0.2.1", 5060), ("198.51.100.2", 40_000), REQUEST, 1_700_000_000.25, protocol="tcp",
            correlation_id="abc",
        )  # fmt: skip
        sender.send(("2001:db8::1", 5061), ("2001:db8::2", 65_535), REQUEST, 1.5, protocol="udp")
        sender.close()
        first, second = server.understood(2)
    assert first.version == second.version == "3"
    assert first.payload == second.payload == REQUEST.decode()
    assert first.chunks == {
        0x0001: "2", 0x0002: "6", 0x0003: "192.0.2.1", 0x0004: "198.51.100.2", 0x0005: "", 0x0006: "",
        0x0007: "5060", 0x0008: "40000", 0x0009: "1700000000", 0x000A: "250000", 0x000B: "1", 0x000C: "2001",
        0x000E: "secret", 0x0011: "abc",
    }  # fmt: skip
    assert second.chunks == {
        0x0001: "10", 0x0002: "17", 0x0003: "", 0x0004: "", 0x0005: "2001:db8::1", 0x0006: "2001:db8::2",
        0x0007: "5061", 0x0008: "65535", 0x0009: "1", 0x000A: "500000", 0x000B: "1", 0x000C: "2001",
        0x000E: "secret", 0x0011: "",
    }  # fmt: skip
