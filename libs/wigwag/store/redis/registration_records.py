"""How bindings are written in Redis: a frame of what the scripts look at around MessagePack that they don't look into.

Text goes as octets, so that what is no UTF-8 comes through unharmed.
"""

from collections.abc import Iterator
from struct import Struct

import msgspec

from wigwag.store import Binding, Flow, Registration

from .records import text, text_of

_HEAD = Struct(">dI")
"""Version, number of bindings."""
_NUMBERS = Struct(">ddd")
"""Expiry, time of writing, CSeq."""
_LENGTH = Struct(">I")
_LONGEST_WRITER = 127
"""Octets of a pod's id that is kept, a host's name and some more; of a longer one nobody knows whose it is."""


class _Flow(msgspec.Struct, array_like=True, frozen=True):
    pod: bytes
    listener: bytes
    connection: int
    transport: bytes
    remote: bytes


class _Body(msgspec.Struct, array_like=True, frozen=True):
    """A newer version may write more behind; it is left out."""

    contact: bytes
    q: int
    params: bytes
    instance: bytes
    reg_id: int
    path: tuple[bytes, ...]
    user_agent: bytes
    push: bytes = b""
    writer: bytes = b""
    writer_length: int = 0
    """One octet, the last: by which ``registrations.lua`` finds what to compare bodies by, all but their writers."""


_encode = msgspec.msgpack.Encoder().encode
_decode_flow = msgspec.msgpack.Decoder(_Flow).decode
_decode_body = msgspec.msgpack.Decoder(_Body).decode


def flow_octets(flow: Flow | None) -> bytes:
    """Return a flow as it is kept; equal flows are equal octets."""
    if flow is None:
        return b""
    return _encode(
        _Flow(octets(flow.pod), octets(flow.listener), flow.connection, octets(flow.transport), octets(flow.remote))
    )


def binding_values(binding: Binding) -> tuple[str, str, bytes, bytes]:
    """Return key, expiry, flow and body."""
    writer = octets(binding.writer)
    if len(writer) > _LONGEST_WRITER:
        writer = b""
    body = _Body(
        octets(binding.contact),
        binding.q,
        octets(binding.params),
        octets(binding.instance),
        binding.reg_id,
        tuple(map(octets, binding.path)),
        octets(binding.user_agent),
        octets(binding.push),
        writer,
        len(writer),
    )
    return binding.key, text_of(binding.expires_at), flow_octets(binding.flow), _encode(body)


def registration_of(aor: str, answer: bytes) -> Registration:
    """Return what a script answered: the bindings in force."""
    version, count = _HEAD.unpack_from(answer)
    return Registration(aor, tuple(_bindings(answer, count)), int(version))


def _bindings(answer: bytes, count: int) -> Iterator[Binding]:
    position = _HEAD.size
    for _ in range(count):
        numbers = _NUMBERS.unpack_from(answer, position)
        position += _NUMBERS.size
        parts = []
        for _ in range(4):
            begin = position + _LENGTH.size
            position = begin + _LENGTH.unpack_from(answer, position)[0]
            parts.append(answer[begin:position])
        yield _binding(*numbers, *parts)


def _binding(
    expires_at: float, updated_at: float, cseq: float, key: bytes, call_id: bytes, flow: bytes, body: bytes
) -> Binding:
    fields = _decode_body(body)
    return Binding(
        contact=text(fields.contact),
        key=text(key),
        call_id=text(call_id),
        cseq=int(cseq),
        expires_at=expires_at,
        q=fields.q,
        params=text(fields.params),
        instance=text(fields.instance),
        reg_id=fields.reg_id,
        path=tuple(map(text, fields.path)),
        flow=_flow(flow),
        user_agent=text(fields.user_agent),
        updated_at=updated_at,
        push=text(fields.push),
        writer=text(fields.writer),
    )


def _flow(value: bytes) -> Flow | None:
    if not value:
        return None
    fields = _decode_flow(value)
    return Flow(
        pod=text(fields.pod),
        listener=text(fields.listener),
        connection=fields.connection,
        transport=text(fields.transport),
        remote=text(fields.remote),
    )


def octets(value: str) -> bytes:
    """Return text as octets; the inverse of ``text``."""
    return value.encode(errors="surrogateescape")
