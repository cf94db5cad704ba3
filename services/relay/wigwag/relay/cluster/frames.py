"""The pod link's frames: what pods of one cluster say to each other (DESIGN.md section 4; no RFC, both ends are ours).

Theory of operation. A link is opened by the pod that has something to send (the *sender*) to the pod that holds the
receivers (the *holder*); two pods that send to each other have two links. A frame is its kind (one octet), the length
of what follows (four), and that. After HELLO, CHALLENGE and PROOF, in which both sides prove that they hold the
cluster's signing keys, the sender opens *streams*, one per session or peer it sends to, and puts MSRP frames on them;
the holder says how many it has taken (which is the stream's credit), and what became of each transaction. All
integers are big-endian. Transaction identifiers are the relay's own, 16 octets.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import Final, NamedTuple

from wigwag.errors import RemoteProtocolError

VERSION = 1
NONCE = 16
"""Octets of the nonces in HELLO and CHALLENGE."""
TRANSACTION_ID = 16
TRACEPARENT = 55
"""Octets of a W3C traceparent."""
LARGEST_FRAME = 4_194_304
"""Octets of one frame's content; a sub-chunk with its head has 80 KiB at most, a page of sessions is the largest."""
LARGEST_GREETING = 512
"""The same, until the other end has proven who it is."""

_HEAD = Struct(">BI")
_HELLO = Struct(">H16s")
_CHALLENGE = Struct(">16sc32s")
_PROOF = Struct(">c32s")
_OPEN = Struct(">IBQH")
_DATA = Struct(">IB16sI")
_STREAM = Struct(">I")
_TAKEN = Struct(">IQ")
_FAILED = Struct(">I16sH?")
_CLOSED = Struct(">IBQQ")
_SUPERSEDED = Struct(">QH")


class Kind(IntEnum):
    """What a frame is."""

    HELLO = 1
    CHALLENGE = 2
    PROOF = 3
    PING = 4
    PONG = 5
    OPEN = 6
    DATA = 7
    STOP = 8
    TAKEN = 9
    ANSWERED = 10
    FAILED = 11
    RESPONSE = 12
    CLOSED = 13
    SUPERSEDED = 14
    ASK = 15
    TOLD = 16
    SIP = 17


class Toward(IntEnum):
    """Where a stream leads at the holder."""

    CLIENT = 1
    """The client of a session."""
    PEER = 2
    """A peer without a relay who is bound to a connection of the holder's."""


# What the holder has to know of an MSRP frame without reading it; plain integers, since every message has them.
TRANSACTION: Final = 1
"""A SEND whose outcome the sender waits for."""
TIMED: Final = 2
"""Silence of the receiver is a failure (Failure-Report: yes)."""
RELAYED: Final = 4
"""A request of another method: the response itself has to come back."""
TRACED: Final = 8
"""A traceparent stands before the MSRP frame."""


class Ending(IntEnum):
    """Why the holder closed a stream."""

    MOVED = 1
    """The client has AUTHed elsewhere."""
    SUSPENDED = 2
    """The client's connection is lost."""
    GONE = 3
    """There is no such session, or the peer's connection is lost."""
    STOPPED = 4
    """The sender asked for it."""


@dataclass(frozen=True, slots=True)
class Hello:
    """First words of the sender."""

    version: int
    nonce: bytes
    pod: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """The holder's answer, with its proof."""

    nonce: bytes
    key_id: str
    mac: bytes
    pod: str


@dataclass(frozen=True, slots=True)
class Proof:
    """The sender's proof."""

    key_id: str
    mac: bytes


@dataclass(frozen=True, slots=True)
class Open:
    """A stream begins."""

    stream: int
    toward: Toward
    number: int
    """The session's epoch as the sender knows it (client), or the connection's number at the holder (peer)."""
    session_id: str
    peer: str
    """The peer's canonical URI; empty toward a client."""


class Data(NamedTuple):
    """One MSRP frame, complete."""

    stream: int
    mark: int
    transaction_id: bytes
    octets: int
    """Octets of its body, for the counters."""
    traceparent: bytes
    frame: bytes


@dataclass(frozen=True, slots=True)
class Stop:
    """The sender wants to know how far the stream got, and ends it."""

    stream: int


@dataclass(frozen=True, slots=True)
class Taken:
    """So many frames of the stream have been passed on, ever; 0: its receiver is there."""

    stream: int
    frames: int


@dataclass(frozen=True, slots=True)
class Answered:
    """SENDs that the receiver answered 200, or whose outcome nobody waits for any more."""

    stream: int
    transaction_ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A SEND that the receiver refused, or that was not answered in time."""

    stream: int
    transaction_id: bytes
    status: int
    refused: bool
    """The receiver's own response: nothing more of the message is to be sent."""
    comment: str


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a relayed request, as it came."""

    stream: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The stream is over; frames beyond ``frames`` were not passed on and never will be."""

    stream: int
    ending: Ending
    frames: int
    epoch: int
    """The session's epoch as the holder knows it; 0: unknown."""
    pod: str
    """Where the session is now, as the holder knows it; empty: unknown."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """A client whom the holder believes to be his has AUTHed at ``pod``."""

    epoch: int
    session_id: str
    pod: str


@dataclass(frozen=True, slots=True)
class Ask:
    """An operator's question, passed on to another pod."""

    number: int
    question: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """Its answer."""

    number: int
    answer: bytes


@dataclass(frozen=True, slots=True)
class Sip:
    """Something of SIP; `wigwag.relay.sip.pods` knows what."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Beat:
    """PING or PONG."""

    answer: bool


Frame = (
    Hello
    | Challenge
    | Proof
    | Beat
    | Open
    | Data
    | Stop
    | Taken
    | Answered
    | Failed
    | Response
    | Closed
    | Superseded
    | Ask
    | Told
    | Sip
)


def _frame(kind: Kind, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return _HEAD.pack(kind, len(content)) + content


PING = _frame(Kind.PING)
PONG = _frame(Kind.PONG)


def hello(nonce: bytes, pod: str) -> bytes:
    """Return a HELLO."""
    return _frame(Kind.HELLO, _HELLO.pack(VERSION, nonce), pod.encode())


def challenge(nonce: bytes, key_id: str, mac: bytes, pod: str) -> bytes:
    """Return a CHALLENGE."""
    return _frame(Kind.CHALLENGE, _CHALLENGE.pack(nonce, key_id.encode(), mac), pod.encode())


def proof(key_id: str, mac: bytes) -> bytes:
    """Return a PROOF."""
    return _frame(Kind.PROOF, _PROOF.pack(key_id.encode(), mac))


def open_stream(stream: int, toward: Toward, number: int, session_id: str, peer: str = "") -> bytes:
    """Return an OPEN."""
    name = session_id.encode()
    return _frame(Kind.OPEN, _OPEN.pack(stream, toward, number, len(name)), name, peer.encode())


def data_head(stream: int, mark: int, transaction_id: bytes, octets: int, length: int) -> bytes:
    """Return what goes before an MSRP frame of ``length`` octets (its traceparent, if marked, included)."""
    return _HEAD.pack(Kind.DATA, _DATA.size + length) + _DATA.pack(stream, mark, transaction_id, octets)


def stop(stream: int) -> bytes:
    """Return a STOP."""
    return _frame(Kind.STOP, _STREAM.pack(stream))


def taken(stream: int, frames: int) -> bytes:
    """Return a TAKEN."""
    return _frame(Kind.TAKEN, _TAKEN.pack(stream, frames))


def answered(stream: int, transaction_ids: Iterable[bytes]) -> bytes:
    """Return an ANSWERED."""
    return _frame(Kind.ANSWERED, _STREAM.pack(stream), *transaction_ids)


def failed(stream: int, transaction_id: bytes, status: int, comment: str, *, refused: bool) -> bytes:
    """Return a FAILED."""
    return _frame(Kind.FAILED, _FAILED.pack(stream, transaction_id, status, refused), comment.encode())


def response(stream: int, frame: bytes) -> bytes:
    """Return a RESPONSE."""
    return _frame(Kind.RESPONSE, _STREAM.pack(stream), frame)


def closed(stream: int, ending: Ending, frames: int, epoch: int, pod: str) -> bytes:
    """Return a CLOSED."""
    return _frame(Kind.CLOSED, _CLOSED.pack(stream, ending, frames, epoch), pod.encode())


def superseded(epoch: int, session_id: str, pod: str) -> bytes:
    """Return a SUPERSEDED."""
    name = session_id.encode()
    return _frame(Kind.SUPERSEDED, _SUPERSEDED.pack(epoch, len(name)), name, pod.encode())


def ask(number: int, question: bytes) -> bytes:
    """Return an ASK."""
    return _frame(Kind.ASK, _STREAM.pack(number), question)


def told(number: int, answer: bytes) -> bytes:
    """Return a TOLD."""
    return _frame(Kind.TOLD, _STREAM.pack(number), answer)


def sip(content: bytes) -> bytes:
    """Return a SIP."""
    return _frame(Kind.SIP, content)


class FrameReader:
    """Cuts the bytes of a link into frames.

    Attributes:
        largest: Octets that one frame's content may have; raised once the other end is known.
    """

    def __init__(self) -> None:
        self.largest = LARGEST_GREETING
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take a read and yield the frames that are complete.

        Raises:
            RemoteProtocolError: What came is no frame: the link has to be closed.
        """
        if self._rest:
            data = self._rest + data
        position, size = 0, len(data)
        while size - position >= _HEAD.size:
            kind, length = _HEAD.unpack_from(data, position)
            if length > self.largest:
                raise RemoteProtocolError(f"a frame of {length} octets")
            end = position + _HEAD.size + length
            if end > size:
                break
            frame = _parsed(kind, data[position + _HEAD.size : end])
            position = end
            yield frame
        self._rest = data[position:]


def _parsed(kind: int, content: bytes) -> Frame:
    parse = _PARSERS.get(kind)
    if parse is None:
        raise RemoteProtocolError(f"a frame of the unknown kind {kind}")
    try:
        return parse(content)
    except (StructError, ValueError) as error:  # Too short, not UTF-8, no member of an enumeration.
        raise RemoteProtocolError(f"a malformed frame of kind {kind}: {error}") from error


def _hello(content: bytes) -> Hello:
    version, nonce = _HELLO.unpack_from(content)
    return Hello(version, nonce, content[_HELLO.size :].decode())


def _challenge(content: bytes) -> Challenge:
    nonce, key_id, mac = _CHALLENGE.unpack_from(content)
    return Challenge(nonce, key_id.decode(), mac, content[_CHALLENGE.size :].decode())


def _proof(content: bytes) -> Proof:
    key_id, mac = _PROOF.unpack_from(content)
    return Proof(key_id.decode(), mac)


def _open(content: bytes) -> Open:
    stream, toward, number, length = _OPEN.unpack_from(content)
    middle = _OPEN.size + length
    return Open(stream, Toward(toward), number, content[_OPEN.size : middle].decode(), content[middle:].decode())


def _data(content: bytes) -> Data:
    stream, mark, transaction_id, octets = _DATA.unpack_from(content)
    start = _DATA.size + TRACEPARENT if mark & TRACED else _DATA.size
    return Data(stream, mark, transaction_id, octets, content[_DATA.size : start], content[start:])


def _stop(content: bytes) -> Stop:
    return Stop(*_STREAM.unpack(content))


def _taken(content: bytes) -> Taken:
    return Taken(*_TAKEN.unpack(content))


def _answered(content: bytes) -> Answered:
    (stream,) = _STREAM.unpack_from(content)
    starts = range(_STREAM.size, len(content), TRANSACTION_ID)
    return Answered(stream, tuple(content[start : start + TRANSACTION_ID] for start in starts))


def _failed(content: bytes) -> Failed:
    stream, transaction_id, status, refused = _FAILED.unpack_from(content)
    return Failed(stream, transaction_id, status, refused, content[_FAILED.size :].decode())


def _response(content: bytes) -> Response:
    (stream,) = _STREAM.unpack_from(content)
    return Response(stream, content[_STREAM.size :])


def _closed(content: bytes) -> Closed:
    stream, ending, frames, epoch = _CLOSED.unpack_from(content)
    return Closed(stream, Ending(ending), frames, epoch, content[_CLOSED.size :].decode())


def _superseded(content: bytes) -> Superseded:
    epoch, length = _SUPERSEDED.unpack_from(content)
    middle = _SUPERSEDED.size + length
    return Superseded(epoch, content[_SUPERSEDED.size : middle].decode(), content[middle:].decode())


def _ask(content: bytes) -> Ask:
    (number,) = _STREAM.unpack_from(content)
    return Ask(number, content[_STREAM.size :])


def _told(content: bytes) -> Told:
    (number,) = _STREAM.unpack_from(content)
    return Told(number, content[_STREAM.size :])


_PARSERS: dict[int, Callable[[bytes], Frame]] = {
    Kind.HELLO: _hello,
    Kind.CHALLENGE: _challenge,
    Kind.PROOF: _proof,
    Kind.PING: lambda content: Beat(answer=False),
    Kind.PONG: lambda content: Beat(answer=True),
    Kind.OPEN: _open,
    Kind.DATA: _data,
    Kind.STOP: _stop,
    Kind.TAKEN: _taken,
    Kind.ANSWERED: _answered,
    Kind.FAILED: _failed,
    Kind.RESPONSE: _response,
    Kind.CLOSED: _closed,
    Kind.SUPERSEDED: _superseded,
    Kind.ASK: _ask,
    Kind.TOLD: _told,
    Kind.SIP: Sip,
}
