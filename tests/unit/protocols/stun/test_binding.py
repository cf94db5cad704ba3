"""STUN Binding: the worked examples of RFC 5769, and what gets no answer."""

import struct
import zlib

import pytest

from wigwag.protocols.stun import binding_request, binding_response, is_stun

COOKIE = bytes.fromhex("2112a442")
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")

SAMPLE_REQUEST = bytes.fromhex(
    "00010058 2112a442 b7e7a701bc34d686fa87dfae 80220010 5354554e207465737420636c69656e74 00240004 6e0001ff"
    "80290008 932ff9b151263b36 00060009 6576746a3a68367659202020 00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004 e57a3bcf"
)
"""RFC 5769 section 2.1; PRIORITY (0x0024) is for ICE agents, which we are not."""


def request(*attributes: tuple[int, bytes], kind: int = 1, fingerprint: bool = False) -> bytes:
    body = b"".join(
        struct.pack("!HH", type_, len(value)) + value + bytes(-len(value) % 4) for type_, value in attributes
    )
    message = struct.pack("!HH", kind, len(body) + 8 * fingerprint) + COOKIE + TRANSACTION + body
    if fingerprint:
        message += struct.pack("!HHI", 0x8028, 4, zlib.crc32(message) ^ 0x5354554E)
    return message


def attributes(message: bytes) -> dict[int, bytes]:
    found = {}
    position = 20
    while position < len(message):
        type_, length = struct.unpack_from("!HH", message, position)
        found[type_] = message[position + 4 : position + 4 + length]
        position += 4 + (length + 3) // 4 * 4
    assert position == len(message) == 20 + struct.unpack_from("!H", message, 2)[0]
    return found


@pytest.mark.parametrize(
    ("address", "mapped"),
    [
        ("192.0.2.1", "0001a147e112a643"),
        ("2001:db8:1234:5678:11:2233:4455:6677", "0002a1470113a9faa5d3f179bc25f4b5bed2b9d9"),
    ],
)
def test_the_mapped_address_is_that_of_the_rfcs_examples(address: str, mapped: str) -> None:
    answer = binding_response(request(), address, 32853)
    assert answer is not None
    assert answer[:2] == b"\x01\x01"
    assert answer[4:20] == COOKIE + TRANSACTION
    assert attributes(answer) == {0x0020: bytes.fromhex(mapped)}


def test_a_request_with_a_fingerprint_gets_one_back() -> None:
    answer = binding_response(request(fingerprint=True), "192.0.2.1", 1)
    assert answer is not None
    assert attributes(answer)[0x8028] == (zlib.crc32(answer[:-8]) ^ 0x5354554E).to_bytes(4, "big")


def test_the_rfcs_sample_request_has_a_good_fingerprint_and_an_attribute_we_do_not_know() -> None:
    answer = binding_response(SAMPLE_REQUEST, "192.0.2.1", 32853)
    assert answer is not None
    assert answer[:2] == b"\x01\x11"
    found = attributes(answer)
    assert found[0x0009] == bytes((0, 0, 4, 20))
    assert found[0x000A] == bytes.fromhex("0024")
    assert 0x8028 in found


def test_a_broken_fingerprint_gets_no_answer() -> None:
    kind = len(SAMPLE_REQUEST) - 8
    for position in (*range(20, kind), *range(kind + 2, len(SAMPLE_REQUEST))):
        data = bytearray(SAMPLE_REQUEST)
        data[position] ^= 1
        assert binding_response(bytes(data), "192.0.2.1", 1) is None, position


def test_what_is_known_or_optional_is_no_reason_to_refuse() -> None:
    answer = binding_response(request((0x0006, b"user"), (0x8022, b"client"), (0x8FFF, b"")), "192.0.2.1", 1)
    assert answer is not None
    assert list(attributes(answer)) == [0x0020]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"MESSAGE sip:a@b SIP/2.0\r\n\r\n",
        request()[:19],
        request() + b"1234",
        request(kind=0x0011),  # an indication
        request(kind=0x0101),  # a response: answering one would make two servers talk for ever
        request(kind=0x0003),  # Allocate
        request().replace(COOKIE, bytes(4)),  # RFC 3489, which had no cookie
        bytes((0x40,)) + request()[1:],
        struct.pack("!HH", 1, 4) + COOKIE + TRANSACTION + struct.pack("!HH", 0x8022, 8),
    ],
)
def test_everything_else_gets_no_answer(data: bytes) -> None:
    assert binding_response(data, "192.0.2.1", 1) is None


def test_the_same_request_gets_the_same_answer() -> None:
    assert binding_response(request(), "192.0.2.1", 1) == binding_response(request(), "192.0.2.1", 1)


@pytest.mark.parametrize("number", [0, 1, 2, 8, 9, 300])
@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_an_answer_is_at_most_three_times_its_request(number: int, address: str) -> None:
    data = request(*[(0x0100 + index, b"") for index in range(number)], fingerprint=True)
    answer = binding_response(data, address, 1)
    assert answer is not None
    assert len(answer) <= 3 * len(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [(request(), True), (request(kind=0x0101), True), (b"\r\n" * 20, False), (b"OPTIONS " * 10, False)],
)
def test_stun_is_told_apart_from_sip(data: bytes, expected: bool) -> None:
    assert is_stun(data) is expected


def test_request_of_ours_is_answered_with_where_it_came_from() -> None:
    answer = binding_response(binding_request(b"0123456789ab"), "192.0.2.7", 5060)
    assert answer is not None
    assert is_stun(answer)
    assert answer[8:20] == b"0123456789ab"
