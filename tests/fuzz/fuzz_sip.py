"""Fuzz target for SIP messages: hostile bytes raise SipError or parse.

A long run: ``python -m tests.fuzz.fuzz_sip --seed 7 --runs 1000000``. It ends at the first input that breaks the
sentence, or one of these: what parses is written again as it came; a stream means the same however it is cut; nothing
that an accepted message is asked for raises anything else; what is refused can be answered, and the answer parses; what
is changed or copied into another message never makes a header field that nobody wrote. The input is printed, in
hexadecimal.
"""

from itertools import pairwise
from random import Random

from tests.support.fuzzing import command_line, fuzz
from tests.support.sip_vectors import PATHS, read_everything, stream_outcome
from wigwag.protocols.sip import MAX_FIELDS, Message, Request, Response, SipError, parse_datagram, parse_uri, validate

LARGEST = 6000
TOKENS = [
    b"\r\n", b"\r", b"\n", b"\r\n\r\n", b"\r\n ", b"\r\n\t", b" ", b"\t", b":", b" : ", b";", b",", b"<", b">", b'"',
    b"\\", b'\\"',
    b"=", b"%", b"%00", b"%4", b"@", b"[", b"]", b"[::1]", b"::", b"?", b"&", b"/", b"\0", b"\x7f", b"\xff",
    b"\xc3\xa9", b"\xe2\x80\xa8", b"SIP/2.0", b"SIP/2.0 200 OK\r\n", b"sip:", b"tel:+1", b";tag=", b";branch=z9hG4bK",
    b"Content-Length: 5\r\n", b"l: 99999999999\r\n", b"Content-Length: -1\r\n", b"Via: SIP/2.0/UDP a\r\n",
    b"t: <sip:a>\r\n",
    b"Content-Type: multipart/mixed;boundary=b\r\n", b"--b\r\n", b"--b--", b"P-Asserted-Identity : <sip:x>\r\n",
    b"9" * 30, b"4294967296", b"-1", b" " * 300, b"(" * 50, b"a,b;c=d" * 20, b"X: y\r\n" * 260,
]  # fmt: skip


def load_corpus() -> list[bytes]:
    """Return the torture messages and other vectors that mutations begin with."""
    return [data for data in (path.read_bytes() for path in PATHS) if data and len(data) <= LARGEST]


def mutated(random: Random, corpus: list[bytes]) -> bytes:
    """Return one to three messages of the corpus in a row, with up to eight changes."""
    data = bytearray(b"".join(random.choices(corpus, k=random.choice((1, 1, 1, 2, 3)))))
    for _ in range(random.randint(0, 8)):
        start = random.randint(0, len(data))
        end = min(len(data), start + random.choice((0, 1, 1, 2, 8, 60)))
        match random.randint(0, 4):
            case 0:
                data[start:end] = random.randbytes(end - start)
            case 1:
                del data[start:end]
            case 2:
                data[start:end] = random.choice(TOKENS)
            case 3:
                data[start:start] = data[start:end] * random.randint(1, 20)
            case _:
                start = data.find(b":", start) + 1
                data[start:start] = random.choice(TOKENS)
    return bytes(data)


def cut(random: Random, data: bytes) -> list[bytes]:
    """Return ``data`` in pieces."""
    cuts = sorted(random.choices(range(len(data) + 1), k=random.choice((0, 1, 3, 30))))
    return [data[start:end] for start, end in pairwise([0, *cuts, len(data)])]


def check(random: Random, data: bytes) -> None:
    """Break if ``data`` breaks one of the sentences above."""
    assert stream_outcome(cut(random, data)) == stream_outcome([data])
    try:
        message = parse_datagram(data)
    except SipError as error:
        check_refused(error)
        return
    assert bytes(message) == data[: len(bytes(message))]
    read_everything(message)
    try:
        validate(message)
    except SipError as error:
        check_refused(error)
        return
    check_changes(message)


def check_refused(error: SipError) -> None:
    """Break if a refused request's answer can't be built, or is not one header field for each that was put in."""
    assert 400 <= error.status < 600
    assert error.reason.isprintable()
    if error.request is not None:
        answer = Response.to_request(error.request, error.status, error.reason, to_tag="t")
        again = parse_datagram(bytes(answer))
        assert (again.names, again.lines) == (answer.names, answer.lines)


def check_changes(message: Request | Response) -> None:
    """Break if a valid message can't be routed on, or values that were read can't be written."""
    copy = message.copy()
    via = message.via
    via.parameters["received"] = "192.0.2.1"
    copy.replace_item("via", str(via))
    copy.insert("Via", "SIP/2.0/TCP us;branch=z9hG4bKours")
    copy.set("To", str(message.to))
    copy.set("From", str(message.from_))
    copy.set("Call-ID", message.call_id)
    copy.remove("p-asserted-identity")
    if isinstance(copy, Request):
        copy.set_uri(str(parse_uri(copy.uri)))
        copy.set("Max-Forwards", "69")
    if len(copy.names) > MAX_FIELDS:
        return
    again = parse_datagram(bytes(copy))
    validate(again)
    assert (again.names, again.lines) == (copy.names, copy.lines)
    assert "p-asserted-identity" not in again
    assert (again.to, again.from_, again.cseq) == (copy.to, copy.from_, copy.cseq)
    assert again.to.uri == message.to.uri
    assert isinstance(again, Message)


def run(seed: int, runs: int) -> None:
    """Check ``runs`` inputs that follow from ``seed``."""
    corpus = load_corpus()
    fuzz(seed, runs, lambda random: mutated(random, corpus), check)


if __name__ == "__main__":
    command_line(__doc__, run)
