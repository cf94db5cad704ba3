"""Fuzz target for Digest in SIP: hostile header fields are refused with 400, 401 or 407, and let nobody in.

A long run: ``python -m tests.fuzz.fuzz_digest --seed 7 --runs 1000000``. It ends at the first header field that breaks
the sentence, or this one: a client answers a hostile challenge with one header field that has no control character,
or not at all.
"""

import re
from pathlib import Path
from random import Random

from tests.support.fuzzing import command_line, fuzz
from wigwag.protocols.digest import NonceIssuer, NonceWindows, SigningKey, SigningKeys, StoredCredentials, issuer_of
from wigwag.protocols.sip import Message, Request, Response, SipError
from wigwag.protocols.sip.digest import Account, DigestClient, DigestServer, ProtectionDomain, Role

CORPUS = Path(__file__).parent / "corpus" / "digest"
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
NOW = 1_800_000_000.0
DOMAIN = ProtectionDomain(role=Role.USER_AGENT, realm="example.com", binding=b"7", qop=("auth", "auth-int"))
ALICE = StoredCredentials("alice", "example.com", password="not what they guess")
TOKENS = [
    '"', "\\", '\\"', ",", "=", "Digest ", "Basic ", "username=", 'realm="example.com"', 'nonce=""', 'response=""',
    "nc=00000001", "nc=ffffffff", "qop=auth", "qop=auth-int", "algorithm=MD5", "algorithm=SHA-256", "userhash=true",
    "username*=UTF-8''a", "%00", "%ff", " ", "\t", "\0", "\x7f", "\udc80", "\ud800", "\u00e9", "\U0001f600", "a" * 5000,
    'uri="sip:example.com"', "sip:", "stale=true", 'nextnonce="x"', 'rspauth="', "." * 40, "pod-1.",
]  # fmt: skip


def load_corpus() -> list[str]:
    """Return the header fields that mutations begin with."""
    return [line for path in sorted(CORPUS.glob("*.txt")) for line in path.read_text().splitlines() if line]


def mutated(random: Random, corpus: list[str]) -> str:
    """Return a header field's value of the corpus with up to six changes."""
    text = random.choice(corpus)
    for _ in range(random.randint(0, 6)):
        start = random.randint(0, len(text))
        end = min(len(text), start + random.choice((0, 1, 1, 3, 20)))
        replacement = random.choice(("", random.choice(TOKENS), chr(random.randrange(0xD800)), text[start:end] * 3))
        text = text[:start] + replacement + text[end:]
    return text


def bring(message: Message, name: str, value: str) -> None:
    """Put a field into a message as if it had come so, whatever it holds."""
    message.names.append(name.lower())
    message.lines.append(f"{name}: {value}")


def check_server(random: Random, values: list[str]) -> None:
    """Break if these values of Authorization do anything but get refused."""
    request = Request.create("REGISTER", "sip:example.com", [])
    for value in values:
        bring(request, "Authorization", value)
    server = DigestServer(NonceIssuer(SigningKeys([SigningKey("a", b"s" * 32)]), 60), random.randbytes)
    refused = None
    try:
        credentials = server.examine(request, DOMAIN, NOW)
        server.prove(credentials, ALICE, request, DOMAIN, NOW)
    except SipError as error:
        refused = error
    assert refused is not None
    assert refused.status in (400, 401)
    assert not any(CONTROL.search(value) for _, value in refused.headers)


def check_client(random: Random, value: str) -> None:
    """Break if this value of WWW-Authenticate or Authentication-Info makes a client do anything odd."""
    client = DigestClient(lambda _: Account("alice", "secret"), random.randbytes)
    request = Request.create("REGISTER", "sip:example.com", [])
    challenge = Response.to_request(request, 401, "Unauthorized")
    bring(challenge, "WWW-Authenticate", value)
    client.exchange().answer(challenge)
    client.sign(request)
    sent = request.get_all("authorization")
    assert len(sent) <= 1
    assert not any(CONTROL.search(each) or len(each) > 8192 for each in sent)
    answer = Response.to_request(request, 200, "OK")
    bring(answer, "Authentication-Info", value)
    client.learn(request, answer)


def check(random: Random, value: str) -> None:
    """Break if ``value`` breaks one of the sentences above."""
    check_server(random, [value] * random.choice((1, 1, 2, 20)))
    check_client(random, value)
    issuer_of(value)
    assert not NonceWindows(60).accept(value, 1, NOW)


def run(seed: int, runs: int) -> None:
    """Check ``runs`` inputs that follow from ``seed``."""
    corpus = load_corpus()
    fuzz(seed, runs, lambda random: mutated(random, corpus), check)


if __name__ == "__main__":
    command_line(__doc__, run)
