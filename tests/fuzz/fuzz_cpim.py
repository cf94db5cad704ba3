"""Fuzz target for Message/CPIM: hostile bytes raise CpimError or parse.

A long run: ``python -m tests.fuzz.fuzz_cpim --seed 7 --runs 1000000``. It ends at the first input that breaks the
sentence, or one of these: what parses is written again octet by octet; its accessors never fail. The input is printed,
in hexadecimal.
"""

import contextlib
from pathlib import Path
from random import Random

from tests.support.fuzzing import command_line, fuzz
from wigwag.protocols.cpim import CpimError, CpimMessage

CORPUS = Path(__file__).parents[1] / "conformance" / "cpim" / "vectors"

TOKENS = [
    b"\r\n", b"\r", b"\n", b"\r\n\r\n", b": ", b":", b" ", b"\t", b"\0", b"\x7f", b"\xff", b"\xc3\xa9", b"<", b">",
    b'"', b"\\", b"\\u0007", b"\\ud83d", b";lang=en ", b";a=\"", b"From: <sip:a@b>\r\n", b"To: ", b"NS: <urn:x:y>\r\n",
    b"NS: c <urn:ietf:params:cpim-headers:>\r\n", b"c.", b".", b"Require: c.From\r\n",
    b"DateTime: 2024-01-01T00:00:00Z\r\n", b"Content-Type: a/b\r\n", b"Content-Transfer-Encoding: base64\r\n",
    b"Subject: ", b"9" * 25, b"x" * 5000,
]  # fmt: skip


def load_corpus() -> list[bytes]:
    """Return the messages that mutations begin with."""
    return [path.read_bytes() for path in sorted(CORPUS.glob("*/*.cpim"))]


def mutated(random: Random, corpus: list[bytes]) -> bytes:
    """Return a message of the corpus with up to eight changes."""
    data = bytearray(random.choice(corpus))
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


def check(data: bytes) -> bool:
    """Break if ``data`` breaks one of the sentences above; tell whether it parsed."""
    try:
        message = CpimMessage.parse(data)
    except CpimError:
        return False
    assert bytes(message) == data
    read = (message.sender, message.recipients, message.copies, message.date_time, message.subject, message.required)
    texts = [(header.text, header.language, header.prefix) for header in message.headers]
    assert len(read) + len(texts) >= 6
    assert message.media_type
    with contextlib.suppress(CpimError):
        assert message.content is not None
    return True


def run(seed: int, runs: int) -> int:
    """Check ``runs`` inputs that follow from ``seed``; return how many parsed."""
    corpus = load_corpus()
    return fuzz(seed, runs, lambda random: mutated(random, corpus), lambda _, data: check(data))


if __name__ == "__main__":
    command_line(__doc__, run)
