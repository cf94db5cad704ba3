"""The client's AUTH against every dialect of relay that was met (rows M81 to M90)."""

import itertools
from collections.abc import Callable

import pytest

from wigwag.errors import LocalProtocolError
from wigwag.protocols.digest import Algorithm, AuthenticationInfo, Challenge, Credentials, ha1, rspauth
from wigwag.protocols.msrp import Limits, MsrpUri, RequestHead, ResponseHead
from wigwag.protocols.msrp.authentication import (
    LARGEST_STALE,
    UNSTATED_EXPIRES,
    Authenticated,
    AuthenticationFailed,
    RelayAuthentication,
)
from wigwag.protocols.msrp.head import parse_head

RELAY = MsrpUri.parse("msrps://relay.example.com:2855;tcp")
CLIENT = MsrpUri.parse("msrps://client.invalid:2855/aE3x;tcp")
USE_PATH = "msrps://relay.example.com:2855/a/b+c=;tcp"
PASSWORD = "secret"


def counting() -> Callable[[int], bytes]:
    counter = itertools.count(1)
    return lambda size: next(counter).to_bytes(size, "big")


def client(*, password: str = PASSWORD, expires: int | None = None) -> RelayAuthentication:
    return RelayAuthentication("alice", password, (RELAY,), CLIENT, expires=expires, random=counting())


def read(frame: bytes | Authenticated | AuthenticationFailed) -> RequestHead:
    assert isinstance(frame, bytes)
    block, end, flag = frame.rpartition(b"-------")
    head = parse_head(block, has_body=False, limits=Limits())
    assert isinstance(head, RequestHead)
    assert (end + flag).decode() == f"-------{head.transaction_id}$\r\n"
    return head


def respond(request: RequestHead, status: int, *fields: tuple[str, str], comment: str | None = None) -> ResponseHead:
    return ResponseHead(
        request.transaction_id, status, comment, request.from_path, request.to_path, b"", b"", fields, b""
    )


def challenge(nonce: str = "n1", *, stale: bool = False, algorithm: Algorithm = Algorithm.MD5) -> tuple[str, str]:
    value = Challenge("example.com", nonce, algorithm=algorithm, opaque="o", stale=stale)
    return "WWW-Authenticate", str(value)


def credentials(request: RequestHead) -> Credentials:
    return Credentials.parse(request.get("Authorization") or "")


def is_right(request: RequestHead) -> bool:
    sent = credentials(request)
    expected = ha1(sent.effective_algorithm, "alice", "example.com", PASSWORD)
    return sent.proves(expected, method="AUTH", uri=sent.digest_uri(str(RELAY)))


def info(request: RequestHead, *, password: str = PASSWORD) -> tuple[str, str]:
    sent = credentials(request)
    hashed = ha1(sent.effective_algorithm, "alice", "example.com", password)
    proof = rspauth(
        sent.effective_algorithm,
        hashed,
        nonce=sent.nonce,
        nc=sent.nc,
        cnonce=sent.cnonce,
        qop=sent.qop,
        uri=str(RELAY),
    )
    return "Authentication-Info", str(AuthenticationInfo(proof, sent.cnonce, sent.nc, sent.qop))


def answered(machine: RelayAuthentication) -> RequestHead:
    """Play the first 401; return the request with credentials."""
    return read(machine.receive(respond(read(machine.start()), 401, challenge())))


def test_m81_first_request_has_no_credentials() -> None:
    head = read(client(expires=300).start())
    assert head.method == "AUTH"
    assert head.to_path == (RELAY,)
    assert head.from_path == (CLIENT,)
    assert head.fields == (("Expires", "300"),)


def test_m82_answer_has_opaque_and_no_uri() -> None:
    sent = answered(client())
    assert is_right(sent)
    assert credentials(sent).uri is None
    assert credentials(sent).opaque == "o"
    assert "algorithm" not in (sent.get("Authorization") or "")


def test_every_request_has_its_own_transaction_id() -> None:
    machine = client()
    first = read(machine.start())
    assert machine.transaction_id == first.transaction_id
    assert read(machine.receive(respond(first, 401, challenge()))).transaction_id != first.transaction_id


def test_m82_second_401_is_answered_with_uri() -> None:
    machine = client()
    sent = read(machine.receive(respond(answered(machine), 401, challenge("n2"))))
    assert credentials(sent).uri == str(RELAY)
    assert is_right(sent)


def test_m84_third_401_is_final() -> None:
    machine = client(password="wrong")
    sent = read(machine.receive(respond(answered(machine), 401, challenge("n2"))))
    outcome = machine.receive(respond(sent, 401, challenge("n3")))
    assert outcome == AuthenticationFailed(status=401, reason="wrong user name or password")


def test_m83_grant_with_proof() -> None:
    machine = client()
    sent = answered(machine)
    outcome = machine.receive(respond(sent, 200, ("Use-Path", USE_PATH), ("Expires", "1800"), info(sent)))
    assert outcome == Authenticated(use_path=(MsrpUri.parse(USE_PATH),), expires=1800, relay_verified=True)


def test_m83_wrong_proof_fails() -> None:
    machine = client()
    sent = answered(machine)
    outcome = machine.receive(respond(sent, 200, ("Use-Path", USE_PATH), info(sent, password="other")))
    assert outcome == AuthenticationFailed(status=200, reason="the relay does not know the password")


@pytest.mark.parametrize(
    "fields", [(), (("Authentication-Info", f'qop=auth, cnonce="c", nc=00000001", rspauth="{"0" * 32}'),)]
)
def test_missing_or_broken_proof_is_no_failure(fields: tuple[tuple[str, str], ...]) -> None:
    machine = client()
    outcome = machine.receive(respond(answered(machine), 200, ("Use-Path", USE_PATH), *fields))
    assert isinstance(outcome, Authenticated)
    assert not outcome.relay_verified


def test_m86_stale_nonce_is_replaced_without_uri_and_without_counting_as_refusal() -> None:
    machine = client()
    sent = read(machine.receive(respond(answered(machine), 401, challenge("n2", stale=True))))
    assert credentials(sent).nonce == "n2"
    assert credentials(sent).nc == "00000001"
    assert credentials(sent).uri is None
    assert credentials(read(machine.receive(respond(sent, 401, challenge("n3"))))).uri == str(RELAY)


def test_relay_that_calls_every_nonce_stale_is_given_up() -> None:
    machine = client()
    sent = answered(machine)
    for index in range(LARGEST_STALE):
        sent = read(machine.receive(respond(sent, 401, challenge(f"s{index}", stale=True))))
    outcome = machine.receive(respond(sent, 401, challenge("last", stale=True)))
    assert isinstance(outcome, AuthenticationFailed)


def test_m87_nonce_that_comes_again_gets_the_next_count_and_another_cnonce() -> None:
    machine = client()
    first = answered(machine)
    second = read(machine.receive(respond(first, 401, challenge())))
    assert credentials(second).nc == "00000002"
    assert credentials(second).cnonce != credentials(first).cnonce
    assert is_right(second)


@pytest.mark.parametrize(
    "value",
    [
        None,
        'Basic realm="x"',
        'Digest realm="x", nonce="n", qop="auth-int"',
        'Digest realm="x", nonce="n"',
        'Digest realm="x", nonce="n", qop="auth", algorithm=MD5-sess',
        'Digest realm="x", nonce="n',
    ],
)
def test_m88_challenge_that_cannot_be_answered_fails(value: str | None) -> None:
    machine = client()
    fields = () if value is None else (("WWW-Authenticate", value),)
    outcome = machine.receive(respond(read(machine.start()), 401, *fields))
    assert outcome == AuthenticationFailed(status=401, reason="no challenge that can be answered")


@pytest.mark.parametrize("order", list(itertools.permutations(Algorithm)))
def test_m89_first_supported_challenge_is_answered(order: tuple[Algorithm, ...]) -> None:
    machine = client()
    fields = [("WWW-Authenticate", 'Digest realm="x", nonce="n", algorithm=NEWEST')]
    fields += [challenge(algorithm=algorithm) for algorithm in order]
    sent = read(machine.receive(respond(read(machine.start()), 401, *fields)))
    assert credentials(sent).effective_algorithm is order[0]
    assert is_right(sent)


@pytest.mark.parametrize("algorithm", Algorithm)
def test_proof_is_checked_by_the_challenges_algorithm(algorithm: Algorithm) -> None:
    machine = client()
    sent = read(machine.receive(respond(read(machine.start()), 401, challenge(algorithm=algorithm))))
    outcome = machine.receive(respond(sent, 200, ("Use-Path", USE_PATH), info(sent)))
    assert isinstance(outcome, Authenticated)
    assert outcome.relay_verified


def test_m90_domain_is_ignored() -> None:
    machine = client()
    name, value = challenge()
    sent = read(machine.receive(respond(read(machine.start()), 401, (name, value + ', domain="/elsewhere"'))))
    assert is_right(sent)


@pytest.mark.parametrize("status", [400, 403, 408, 423, 481, 501, 299])
def test_any_other_response_is_final(status: int) -> None:
    machine = client()
    outcome = machine.receive(respond(answered(machine), status, comment="because"))
    assert outcome == AuthenticationFailed(status=status, reason="because")


@pytest.mark.parametrize("use_path", [None, "", "nonsense", "msrp://a;tcp nonsense"])
def test_grant_without_usable_use_path_fails(use_path: str | None) -> None:
    machine = client()
    fields = () if use_path is None else (("Use-Path", use_path),)
    outcome = machine.receive(respond(answered(machine), 200, *fields))
    assert isinstance(outcome, AuthenticationFailed)
    assert outcome.reason.startswith("Use-Path")


@pytest.mark.parametrize(
    ("asked", "stated", "expires"), [(None, None, UNSTATED_EXPIRES), (300, None, 300), (300, "60", 60)]
)
def test_grant_lasts_as_stated_or_as_asked(asked: int | None, stated: str | None, expires: int) -> None:
    machine = client(expires=asked)
    fields = [("Use-Path", USE_PATH)] + ([("Expires", stated)] if stated else [])
    outcome = machine.receive(respond(answered(machine), 200, *fields))
    assert isinstance(outcome, Authenticated)
    assert outcome.expires == expires


def test_m95_chain_is_authenticated_at_its_last_relay() -> None:
    first = MsrpUri.parse(USE_PATH)
    second = MsrpUri.parse("msrps://second.example.org:2855;tcp")
    machine = RelayAuthentication("alice", PASSWORD, (first, second), CLIENT, random=counting())
    head = read(machine.start())
    assert head.to_path == (first, second)
    sent = credentials(read(machine.receive(respond(head, 401, challenge()))))
    expected = ha1(Algorithm.MD5, "alice", "example.com", PASSWORD)
    assert sent.proves(expected, method="AUTH", uri=str(second))


def test_relay_that_grants_without_asking_is_taken_at_its_word() -> None:
    machine = client()
    outcome = machine.receive(respond(read(machine.start()), 200, ("Use-Path", USE_PATH)))
    assert isinstance(outcome, Authenticated)


def test_responses_to_other_requests_are_refused() -> None:
    machine = client()
    head = read(machine.start())
    other = respond(head, 200, ("Use-Path", USE_PATH))
    other.transaction_id = "other"
    with pytest.raises(LocalProtocolError):
        machine.receive(other)
    machine.receive(respond(head, 403))
    with pytest.raises(LocalProtocolError):
        machine.receive(respond(head, 403))
    with pytest.raises(LocalProtocolError):
        machine.start()
