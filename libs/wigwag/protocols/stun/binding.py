"""The STUN Binding method without authentication (RFC 8489), a function from request to response.

It keeps no state, so a request that comes twice gets the same answer twice, and an answer is at most three times as
large as its request: nobody gains by sending requests in another's name.
"""

import struct
import zlib
from collections.abc import Iterator
from ipaddress import ip_address

MAGIC_COOKIE = 0x2112A442
_COOKIE = MAGIC_COOKIE.to_bytes(4, "big")

_HEADER = struct.Struct("!HHI12s")
_BINDING_REQUEST = 0x0001
_BINDING_SUCCESS = 0x0101
_BINDING_ERROR = 0x0111

_ERROR_CODE = 0x0009
_UNKNOWN_ATTRIBUTES = 0x000A
_XOR_MAPPED_ADDRESS = 0x0020
_FINGERPRINT = 0x8028
_FINGERPRINT_XOR = 0x5354554E
_FINGERPRINT_SIZE = 8

_REQUIRED_BELOW = 0x8000
"""Attribute types below it have to be understood (RFC 8489 section 14)."""
_UNDERSTOOD = frozenset({0x0006, 0x0008, 0x0014, 0x0015, 0x001C, 0x001D, 0x001E})
"""USERNAME, MESSAGE-INTEGRITY, REALM, NONCE, MESSAGE-INTEGRITY-SHA256, PASSWORD-ALGORITHM, USERHASH: known, and of no
consequence where nobody is authenticated (RFC 8489 section 14)."""
_MOST_UNKNOWN = 8
"""Unknown attributes named in an answer."""


def is_stun(data: bytes) -> bool:
    """Whether a datagram is STUN and not SIP: first two bits zero, the magic cookie, whole words (section 5)."""
    return len(data) >= 20 and data[0] < 0x40 and data[4:8] == _COOKIE and len(data) % 4 == 0


def binding_request(transaction: bytes) -> bytes:
    """Return a request that keeps a binding alive (RFC 5626 section 4.4.2); ``transaction`` is 12 random bytes."""
    return _HEADER.pack(_BINDING_REQUEST, 0, MAGIC_COOKIE, transaction)


def binding_response(data: bytes, address: str, port: int) -> bytes | None:
    """Answer a datagram.

    Args:
        data: The datagram.
        address: Where it came from, numeric.
        port: The port there.

    Returns:
        The response; None when none is due: the datagram is no Binding request, or is malformed.
    """
    if not is_stun(data):
        return None
    kind, length, _, transaction = _HEADER.unpack_from(data)
    if kind != _BINDING_REQUEST or length != len(data) - _HEADER.size:
        return None
    try:
        types = list(_attribute_types(data))
    except ValueError:
        return None
    unknown = [type_ for type_ in types if type_ < _REQUIRED_BELOW and type_ not in _UNDERSTOOD]
    if unknown:
        answer = _BINDING_ERROR, _unknown_attributes(unknown[:_MOST_UNKNOWN])
    else:
        answer = _BINDING_SUCCESS, _xor_mapped_address(address, port, transaction)
    return _message(*answer, transaction, fingerprint=_FINGERPRINT in types)


def _attribute_types(data: bytes) -> Iterator[int]:
    """Types of the attributes in order.

    Raises:
        ValueError: An attribute is longer than the message, or the fingerprint is wrong or not the last.
    """
    position = _HEADER.size
    while position < len(data):
        type_, length = struct.unpack_from("!HH", data, position)
        end = position + 4 + (length + 3) // 4 * 4
        if end > len(data):
            raise ValueError("attribute longer than the message")
        if type_ == _FINGERPRINT and (
            end != len(data) or length != 4 or data[-_FINGERPRINT_SIZE:] != _fingerprint(data[:position])
        ):
            raise ValueError("wrong fingerprint")
        yield type_
        position = end


def _message(kind: int, attributes: bytes, transaction: bytes, *, fingerprint: bool) -> bytes:
    size = len(attributes) + _FINGERPRINT_SIZE * fingerprint
    message = _HEADER.pack(kind, size, MAGIC_COOKIE, transaction) + attributes
    return message + _fingerprint(message) if fingerprint else message


def _xor_mapped_address(address: str, port: int, transaction: bytes) -> bytes:
    """Where the request came from, hidden from NATs that rewrite addresses in payloads (section 14.2)."""
    packed = ip_address(address.partition("%")[0]).packed
    mask = (_COOKIE + transaction)[: len(packed)]
    hidden = bytes(octet ^ other for octet, other in zip(packed, mask, strict=True))
    family = 1 if len(packed) == 4 else 2
    value = struct.pack("!BBH", 0, family, port ^ MAGIC_COOKIE >> 16) + hidden
    return struct.pack("!HH", _XOR_MAPPED_ADDRESS, len(value)) + value


def _unknown_attributes(types: list[int]) -> bytes:
    """ERROR-CODE 420, without a reason that would only make it long, and UNKNOWN-ATTRIBUTES (sections 14.8, 14.9)."""
    error = struct.pack("!HHHBB", _ERROR_CODE, 4, 0, 4, 20)
    names = struct.pack(f"!HH{len(types)}H", _UNKNOWN_ATTRIBUTES, 2 * len(types), *types)
    return error + names + b"\0" * (-len(names) % 4)


def _fingerprint(message: bytes) -> bytes:
    """The attribute that goes behind ``message``, whose length field counts it already (section 14.7)."""
    return struct.pack("!HHI", _FINGERPRINT, 4, zlib.crc32(message) ^ _FINGERPRINT_XOR)
