"""Fuzz target for the SIP user agent: a server may send what it likes, no exception but SipError comes of it.

A long run: ``python -m tests.fuzz.fuzz_user_agent --seed 7 --runs 1000000``. It ends at the first conversation that
breaks the sentence, or this one: what the agent writes in return is well formed, and at most one answer a request.
"""

from random import Random

from tests.support.fuzzing import command_line
from tests.support.sip_agent import AgentRig
from wigwag.protocols.sip import Request, Response, SipError, parse_datagram

REQUEST = (
    b"MESSAGE sip:alice@192.0.2.7:5099 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKa;rport\r\n"
    b"Max-Forwards: 70\r\n"
    b'From: "Bob" <sip:bob@example.com>;tag=b\r\nTo: <sip:alice@example.com>\r\nCall-ID: c\r\nCSeq: 1 MESSAGE\r\n'
    b"Date: Fri, 15 Jan 2027 07:00:00 GMT\r\nExpires: 60\r\nRequire: x\r\nContent-Type: text/plain\r\n"
    b"Content-Encoding: identity\r\n\r\nhello"
)
FIELDS = (
    b"Contact: <sip:alice@192.0.2.7:5099;transport=tcp>;expires=60, <sip:a@b>\r\nExpires: 60\r\nMin-Expires: 900\r\n"
    b'Flow-Timer: 30\r\nRequire: outbound, "x"\r\nRetry-After: 5 (busy);duration=6\r\nService-Route: <sip:edge;lr>\r\n'
    b'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=MD5, stale=true\r\n'
    b'Proxy-Authenticate: Digest realm="p", nonce="n", algorithm=SHA-256, qop="auth,auth-int"\r\n'
    b'Authentication-Info: qop=auth, rspauth="0123456789abcdef0123456789abcdef", nextnonce="m"\r\n\r\n'
)
TOKENS = [
    b"\r\n", b'"', b"<", b">", b",", b";", b"=", b"\0", b"\xff", b"\xc3\xa9", b"sip:", b"tag=", b"9" * 12, b"-1", b" ",
    b"\t", b";expires=", b"z9hG4bK", b"Require: 100rel\r\n", b"To: x\r\n", b"MESSAGE", b"INVITE", b"ACK", b"CANCEL",
    b"x" * 3000,
]  # fmt: skip
STATUSES = (100, 200, 202, 302, 401, 407, 423, 439, 482, 503)


def mutated(random: Random, data: bytes) -> bytes:
    """Return ``data`` with up to four changes."""
    for _ in range(random.randint(0, 4)):
        start = random.randint(0, len(data))
        end = min(len(data), start + random.choice((0, 1, 4, 30)))
        data = data[:start] + random.choice((b"", random.choice(TOKENS), random.randbytes(2))) + data[end:]
    return data


def response_to(random: Random, request: Request) -> bytes:
    """Return an answer to a request with fields that a hostile server made."""
    response = Response.to_request(request, random.choice(STATUSES), "Reason", to_tag="t")
    response.remove("content-length")
    return bytes(response)[:-2] + mutated(random, FIELDS)


def hand_over(rig: AgentRig, data: bytes) -> None:
    """Let bytes come as one message."""
    try:
        message = parse_datagram(data)
    except SipError as error:
        rig.agent.refuse(error, rig.flow)
    else:
        rig.agent.receive(message, rig.flow, rig.now)


def converse(random: Random, rig: AgentRig) -> None:
    """Play one conversation: the agent's requests are answered badly, and bad ones come."""
    rig.register()
    rig.send("sip:bob@example.com")
    for _ in range(random.randint(1, 6)):
        sent = [parse_datagram(data) for data in rig.wire.sent]
        rig.wire.sent.clear()
        for message in sent:
            if isinstance(message, Request):
                hand_over(rig, response_to(random, message))
        before = len(rig.wire.sent)
        hand_over(rig, mutated(random, REQUEST))
        assert len(rig.wire.sent) <= before + 1
        rig.pass_time(random.choice((0, 0.5, 40)))


def run(seed: int, runs: int) -> None:
    """Play ``runs`` conversations that follow from ``seed``."""
    for number in range(runs):
        random = Random(f"{seed}-{number}")
        try:
            converse(random, AgentRig(random.choice(("TCP", "UDP", "WS"))))
        except BaseException:
            print(f"seed {seed}, run {number}")
            raise


if __name__ == "__main__":
    command_line(__doc__, run)
