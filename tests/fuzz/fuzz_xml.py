"""Fuzz target for the XML of IMDN and isComposing: hostile bytes raise the package's error or parse.

A long run: ``python -m tests.fuzz.fuzz_xml --seed 7 --runs 1000000``. It ends at the first input that breaks the
sentence, or this one: what parses can be written, and says the same when it is read again. The input is printed, in
hexadecimal.
"""

from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.support.fuzzing import command_line, fuzz
from wigwag.protocols.imdn import Imdn, ImdnError
from wigwag.protocols.iscomposing import IsComposing, IsComposingError

VECTORS = Path(__file__).parents[1] / "conformance"

TOKENS = [
    b"<", b">", b"/>", b"</", b"&", b"&amp;", b"&#0;", b"&#x41;", b"&a;",
    b"<!DOCTYPE a [<!ENTITY a 'b'>]>", b"<!--", b"-->", b"x" * 5000, b"<x/>",
    b"<![CDATA[", b"]]>", b"<?", b"?>", b"\0", b"\xff", b"\xc3\xa9", b"xmlns=''", b"xmlns:x='urn:x'", b"<x:y/>",
    b"<status>", b"<delivered/>", b"<failed/>", b"<state>active</state>", b"<refresh>1</refresh>", b"9" * 25,
    b"<message-id>a</message-id>", b"<a>" * 20, b'"', b"'", b"=", b" ", b"\r\n", b"\xef\xbb\xbf", b"\xff\xfe",
]  # fmt: skip


def load_corpus() -> list[bytes]:
    """Return the documents that mutations begin with."""
    return [path.read_bytes() for name in ("imdn", "iscomposing") for path in sorted((VECTORS / name).rglob("*.xml"))]


def mutated(random: Random, corpus: list[bytes]) -> bytes:
    """Return a document of the corpus with up to six changes."""
    data = bytearray(random.choice(corpus))
    for _ in range(random.randint(0, 6)):
        start = random.randint(0, len(data))
        end = min(len(data), start + random.choice((1, 1, 2, 8, 60)))
        match random.randint(0, 4):
            case 0:
                data[start:end] = random.randbytes(end - start)
            case 1:
                del data[start:end]
            case 2:
                data[start:start] = random.choice(TOKENS)
            case 3:
                at_tag = data.find(b"<", start)
                data[at_tag:at_tag] = random.choice(TOKENS)
            case _:
                data[start:start] = data[start:end] * random.randint(1, 20)
    return bytes(data)


def check(data: bytes) -> int:
    """Break if ``data`` breaks one of the sentences above; return in how many ways it parsed."""
    readers: list[tuple[Callable[[bytes], Imdn | IsComposing], type[Exception]]] = [
        (Imdn.parse, ImdnError),
        (IsComposing.parse, IsComposingError),
    ]
    parsed = 0
    for read, error in readers:
        try:
            value = read(data)
        except error:
            continue
        parsed += 1
        if isinstance(value, IsComposing) or value.status is not None:
            again = read(bytes(value))
            assert (value.status if isinstance(value, Imdn) else value.state) == (
                again.status if isinstance(again, Imdn) else again.state
            )
    return parsed


def run(seed: int, runs: int) -> int:
    """Check ``runs`` inputs that follow from ``seed``; return how many parsed."""
    corpus = load_corpus()
    return fuzz(seed, runs, lambda random: mutated(random, corpus), lambda _, data: check(data))


if __name__ == "__main__":
    command_line(__doc__, run)
