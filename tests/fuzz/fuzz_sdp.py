"""Fuzz target for SDP: hostile bytes raise RemoteProtocolError or parse.

A long run: ``python -m tests.fuzz.fuzz_sdp --seed 7 --runs 1000000``. It ends at the first input that breaks the
sentence, or one of these: what parses is written again octet by octet; an MSRP stream that is read says the same when
it is written and read again; an answer of ours fits the offer, both sides agree on who connects, and it can be held.
The input is printed, in hexadecimal.
"""

from dataclasses import replace
from pathlib import Path
from random import Random

from tests.support.fuzzing import command_line, fuzz
from wigwag.errors import RemoteProtocolError
from wigwag.protocols.sdp import (
    DcMap,
    DcSa,
    MediaTypes,
    MsrpMedia,
    Origin,
    Role,
    SessionDescription,
    Setup,
    agreed,
    answer,
    held,
)

CORPUS = Path(__file__).parents[1] / "conformance" / "sdp" / "vectors"
ORIGIN = Origin.at("bob.example.com", 1)

TOKENS = [
    b"\r\n", b"\r", b"\n", b"\r\n\r\n", b"a=", b"m=", b"c=", b"=", b":", b"\0", b"\xff", b"\xc3\xa9", b" ", b'"', b"%",
    b"m=message 7394 TCP/MSRP *\r\n", b"m=message 7394 TCP/TLS/MSRP *\r\n", b"m=message 0 TCP/MSRP *\r\n", b"65536",
    b"a=path:msrp://a.example.com:1/x;tcp\r\n", b"a=path:msrps://[::1]:1/x;ws\r\n", b"a=accept-types:*\r\n", b"msrps:",
    b"a=setup:active\r\n", b"a=setup:passive\r\n", b"a=setup:actpass\r\n", b"a=setup:holdconn\r\n", b"a=msrp-cema\r\n",
    b"a=sendonly\r\n", b"a=recvonly\r\n", b"a=file-selector:size:1\r\n", b"c=IN IP6 ::1\r\n", b"9" * 25, b"-1",
    b"a=max-size:5\r\n", b"a=chatroom\r\n", b"a=fingerprint:sha-1 AA\r\n", b"a=dcmap:0 label=\"x\"\r\n", b"x" * 5000,
]  # fmt: skip


def load_corpus() -> list[bytes]:
    """Return the descriptions that mutations begin with."""
    return [path.read_bytes() for path in sorted(CORPUS.glob("*/*.sdp"))]


def mutated(random: Random, corpus: list[bytes]) -> bytes:
    """Return a description of the corpus, sometimes with the streams of another one, with up to eight changes."""
    data = bytearray(random.choice(corpus))
    if random.random() < 0.3:
        _, found, streams = random.choice(corpus).partition(b"m=")
        data += found + streams
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
                at_line = data.find(b"\n", start) + 1
                data[at_line:at_line] = random.choice(TOKENS)
            case 4:
                data[start:start] = data[start:end] * random.randint(1, 20)
            case _:
                del data[start + random.randint(0, 2000) :]
    return bytes(data)


def wish(random: Random, *, secure: bool) -> MsrpMedia:
    """Return what this side would take part in."""
    scheme = "msrps" if secure else "msrp"
    relay = [f"{scheme}://relay.example.com:2855/r;tcp"] if random.random() < 0.3 else []
    return MsrpMedia(
        path=(*relay, f"{scheme}://bob.example.com:8493/b;tcp"),
        accept_types=MediaTypes.parse(random.choice(("text/plain", "*", "message/cpim"))),
        setup=random.choice((None, *Setup)),
        cema=random.random() < 0.5,
    )


def check_streams(description: SessionDescription) -> None:
    """Break if a stream that is read says something else when it is written and read again."""
    for index, media in enumerate(description.media):
        try:
            stream = MsrpMedia.of(description, index)
        except RemoteProtocolError:
            pass
        else:
            written = SessionDescription.parse(bytes(description.with_media([stream.describe()])))
            assert MsrpMedia.of(written, 0) == replace(stream, address=stream.connection_address)
        try:
            media.every("dcmap", DcMap.parse)
            media.every("dcsa", DcSa.parse)
        except RemoteProtocolError:
            pass


def check_answer(random: Random, offered: SessionDescription) -> None:
    """Break if an answer does not fit."""
    wishes = [wish(random, secure=random.random() < 0.5) for _ in range(random.randint(1, 3))]
    if random.random() < 0.5:
        wishes = [media for one in wishes for media in (one, wish(random, secure=not one.secure))]
    try:
        description = answer(offered, wishes, origin=ORIGIN)
    except RemoteProtocolError as error:
        if error.status != 488:
            raise
        return
    answered = SessionDescription.parse(bytes(description))
    assert answered == description
    assert len(answered.media) == len(offered.media)
    ours, theirs = agreed(offered, answered, Role.ANSWERER), agreed(offered, answered, Role.OFFERER)
    for one, other in zip(ours, theirs, strict=True):
        assert one.active != other.active
        assert (one.local, one.remote) == (other.remote, other.local)
    assert held(answered).origin.version >= answered.origin.version


def check(random: Random, data: bytes) -> None:
    """Break if ``data`` breaks one of the sentences above."""
    try:
        description = SessionDescription.parse(data)
    except RemoteProtocolError:
        return
    assert bytes(description) == data
    check_streams(description)
    check_answer(random, description)


def run(seed: int, runs: int) -> None:
    """Check ``runs`` inputs that follow from ``seed``."""
    corpus = load_corpus()
    fuzz(seed, runs, lambda random: mutated(random, corpus), check)


if __name__ == "__main__":
    command_line(__doc__, run)
