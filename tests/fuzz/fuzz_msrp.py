"""Fuzz target for MSRP: hostile bytes raise RemoteProtocolError or parse.

A long run: ``python -m tests.fuzz.fuzz_msrp --seed 7 --runs 1000000``. It ends at the first input that breaks the
sentence, or one of these: however the bytes are cut, the same frames come out; what the parser holds is bounded; all
that an endpoint writes in return is well formed. The input is printed, in hexadecimal.
"""

from itertools import pairwise
from pathlib import Path
from random import Random

from tests.support.fuzzing import command_line, fuzz
from tests.support.msrp import Endpoint, frames_of
from wigwag.errors import RemoteProtocolError
from wigwag.protocols.msrp import BodyReceived, FrameParser, HeadReceived, MessageReceived, RequestHead, request

CORPUS = Path(__file__).parent / "corpus" / "msrp"
LARGEST_HELD = 17_000
"""Octets that a parser may hold: a head, and the beginning of an end-line."""

TOKENS = [
    b"\r\n", b"\r", b"\n", b"\r\n\r\n", b"-------", b"\r\n-------d93kswow$\r\n", b"$", b"+", b"#", b"MSRP ", b": ",
    b"d93kswow", b"To-Path: ", b"From-Path: ", b"Message-ID: ", b"Byte-Range: 1-*/*\r\n", b"Byte-Range: 0-",
    b"Status: 000 200\r\n", b"Success-Report: yes\r\n", b"Failure-Report: no\r\n", b"Content-Type: a/b\r\n",
    b"9" * 11, b" ", b" SEND\r\n", b"\t", b"\0", b"\xff", b"\xc3\xa9", b";tcp", b"msrp://", b"[::1]", b"%25",
    b"a" * 5000, b"x: y\r\n" * 70,
]  # fmt: skip


def load_corpus() -> list[bytes]:
    """Return the well-formed streams that mutations begin with."""
    return [path.read_bytes() for path in sorted(CORPUS.glob("*.msrp"))]


def mutated(random: Random, corpus: list[bytes]) -> bytes:
    """Return one to three streams of the corpus in a row, with up to eight changes."""
    data = bytearray(b"".join(random.choices(corpus, k=random.randint(1, 3))))
    for _ in range(random.randint(0, 8)):
        start = random.randint(0, len(data))
        end = min(len(data), start + random.choice((1, 1, 2, 8, 60)))
        match random.randint(0, 5):
            case 0:
                data[start:end] = random.randbytes(end - start)
            case 1:
                del data[start:end]
            case 2:
                data[start:start] = random.choice(TOKENS)
            case 3:
                data[start:end] = random.choice(TOKENS)
            case 4:
                data[start:start] = data[start:end] * random.randint(1, 20)
            case _:
                del data[start + random.randint(0, 2000) :]
    return bytes(data)


def cut(random: Random, data: bytes) -> list[bytes]:
    """Return ``data`` in pieces."""
    cuts = sorted(random.choices(range(len(data) + 1), k=random.choice((0, 1, 3, 30))))
    return [data[start:end] for start, end in pairwise([0, *cuts, len(data)])]


def parsed(pieces: list[bytes]) -> list[object]:
    """Return all events, bodies joined, up to the end or to the frame that ends the connection."""
    parser = FrameParser()
    events: list[object] = []
    try:
        for piece in pieces:
            position = 0
            while position < len(piece):
                new, position = parser.feed(piece, position)
                for event in new:
                    if isinstance(event, BodyReceived) and events and isinstance(events[-1], BodyReceived):
                        events[-1] = BodyReceived(events[-1].data + event.data)
                    else:
                        events.append(event)
                assert len(parser._buffer or b"") <= LARGEST_HELD
    except RemoteProtocolError:
        while events and isinstance(events[-1], BodyReceived | HeadReceived):
            events.pop()
    return events


def check(random: Random, data: bytes) -> None:
    """Break if ``data`` breaks one of the sentences above."""
    assert parsed(cut(random, data)) == parsed([data])
    for event in parsed([data]):
        if isinstance(event, HeadReceived) and isinstance(event.head, RequestHead):
            head = event.head
            request(head.transaction_id, head.method, head.to_path, head.from_path, head.fields)
    endpoint = Endpoint(max_size=random.choice((None, 50)))
    endpoint.session.deferred_acceptance = random.random() < 0.5
    try:
        for piece in cut(random, data):
            for event in endpoint.receive(piece):
                if isinstance(event, MessageReceived) and random.random() < 0.5:
                    endpoint.connection.accept_message(event.session, event.message_id)
            endpoint.wait(random.choice((0, 10, 200)))
    except RemoteProtocolError:
        pass
    written = endpoint.write()
    assert frames_of(written) or not written


def run(seed: int, runs: int) -> None:
    """Check ``runs`` inputs that follow from ``seed``."""
    corpus = load_corpus()
    fuzz(seed, runs, lambda random: mutated(random, corpus), check)


if __name__ == "__main__":
    command_line(__doc__, run)
