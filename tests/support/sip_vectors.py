"""SIP messages as files, and what the codec makes of octets, in words that can be compared."""

import tomllib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from wigwag.protocols.sip import (
    Message,
    Received,
    Request,
    Response,
    SipError,
    StreamFramer,
    parse_datagram,
    parts,
    validate,
)

VECTORS = Path(__file__).parents[1] / "conformance" / "sip" / "vectors"
PATHS = sorted(VECTORS.glob("*/*.sip"))
IDS = [f"{path.parent.name}-{path.stem}" for path in PATHS]


def expected(path: Path) -> dict[str, object]:
    """Return what ``expected.toml`` says of a file."""
    entry = tomllib.loads(path.with_name("expected.toml").read_text())[path.stem]
    assert isinstance(entry, dict)
    return entry


def datagram_outcome(data: bytes) -> str:
    """Return ``accepted``, or the status and reason of the answer, or why there is none."""
    try:
        message = parse_datagram(data)
    except SipError as error:
        return refusal(error)
    return verdict(message)


def stream_outcome(pieces: Iterable[bytes]) -> list[str]:
    """Return the outcome of all that a stream carries, and ``incomplete`` if it ends within a message."""
    framer = StreamFramer()
    found: list[Received] = []
    for piece in pieces:
        found += framer.receive_data(piece)
    outcomes = [described(each) for each in found]
    return [*outcomes, "incomplete"] if framer.mid_message else outcomes


def described(received: Received) -> str:
    """Return the outcome of one thing that a stream carries."""
    if isinstance(received, SipError):
        return refusal(received)
    return verdict(received) if isinstance(received, Message) else "keep-alive"


def verdict(message: Request | Response) -> str:
    """Return what validation says."""
    try:
        validate(message)
    except SipError as error:
        return refusal(error)
    return "accepted"


def refusal(error: SipError) -> str:
    """Return what the sender hears; ``dropped`` if nobody answers."""
    return f"{error.status if error.request is not None else 'dropped'}: {error.reason}"


def read_everything(message: Request | Response) -> None:
    """Ask a message for all that it can be asked for; errors of the peer's making are what may come of it."""
    names = dict.fromkeys(message.names)
    questions: list[Callable[[], object]] = [
        lambda: message.via,
        lambda: message.to,
        lambda: message.from_,
        lambda: message.cseq,
        lambda: message.call_id,
        lambda: message.content_length,
        lambda: message.content_type,
        lambda: message.number("expires"),
        lambda: parts(message),
        *(partial(message.items, name) for name in names),
        *(partial(message.addresses, name) for name in names),
    ]
    for question in questions:
        try:
            question()
        except SipError:
            continue
