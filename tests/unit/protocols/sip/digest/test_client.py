"""How a client answers challenges: rows S25 to S28, next nonces, and the server's own proof."""

import itertools

import pytest

from wigwag.protocols.digest import (
    Algorithm,
    Challenge,
    Credentials,
    NonceIssuer,
    SigningKey,
    SigningKeys,
    StoredCredentials,
    ha1,
)
from wigwag.protocols.sip import Request, Response, SipError
from wigwag.protocols.sip.digest import (
    Account,
    DigestClient,
    DigestServer,
    OwnRealm,
    ProtectionDomain,
    Role,
    ServerProof,
    authentication_info,
)

NOW = 1_800_000_000.0
REALM = "example.com"
SECRET = "secret"
STORED = StoredCredentials("alice", REALM, password=SECRET)


@pytest.fixture
def client() -> DigestClient:
    numbers = itertools.count()
    return DigestClient(lambda _: Account("alice", SECRET), lambda size: next(numbers).to_bytes(size, "big"))


def message(uri: str = "sip:bob@example.com", body: bytes = b"") -> Request:
    return Request.create("MESSAGE", uri, [], body)


def refused(*challenges: Challenge | str, role: Role = Role.USER_AGENT) -> Response:
    fields = [(role.challenge_field, str(each)) for each in challenges]
    return Response.to_request(message(), role.status, role.reason, fields=fields)


def signed(client: DigestClient, role: Role = Role.USER_AGENT, request: Request | None = None) -> list[Credentials]:
    request = request or message()
    client.sign(request)
    return [
        Credentials.parse(value, ("auth", "auth-int", "")) for value in request.get_all(role.credentials_field.lower())
    ]


def good(credentials: Credentials, request: Request | None = None) -> bool:
    request = request or message()
    known = ha1(credentials.effective_algorithm, "alice", credentials.realm, SECRET)
    return credentials.proves(known, method="MESSAGE", uri=request.uri, body=request.body)


def test_nothing_is_sent_before_a_server_asks(client: DigestClient) -> None:
    assert signed(client) == []


def test_s25_topmost_supported_algorithm_is_answered(client: DigestClient) -> None:
    unknown = f'Digest realm="{REALM}", nonce="n", algorithm=SHA3-512, qop="auth"'
    sha, md5 = Challenge(REALM, "n", Algorithm.SHA_256), Challenge(REALM, "n", Algorithm.MD5)
    assert client.exchange().answer(refused("Basic realm=x", unknown, sha, md5))
    (credentials,) = signed(client)
    assert credentials.algorithm is Algorithm.SHA_256
    assert good(credentials)


def test_s25_server_that_prefers_md5_is_obeyed(client: DigestClient) -> None:
    client.exchange().answer(refused(Challenge(REALM, "n", Algorithm.MD5), Challenge(REALM, "n", Algorithm.SHA_256)))
    assert signed(client)[0].algorithm is Algorithm.MD5


def test_s26_stale_nonce_is_replaced_without_a_new_password(client: DigestClient) -> None:
    exchange = client.exchange()
    assert exchange.answer(refused(Challenge(REALM, "n")))
    for nonce in ("m1", "m2", "m3"):
        assert exchange.answer(refused(Challenge(REALM, nonce, stale=True)))
        assert signed(client)[0].nonce == nonce
    assert not exchange.answer(refused(Challenge(REALM, "m4", stale=True)))


def test_s27_same_credentials_are_not_tried_twice(client: DigestClient) -> None:
    exchange = client.exchange()
    assert exchange.answer(refused(Challenge(REALM, "n")))
    assert not exchange.answer(refused(Challenge(REALM, "m")))


def test_s27_credentials_sent_unasked_are_no_attempt(client: DigestClient) -> None:
    client.exchange().answer(refused(Challenge(REALM, "n")))
    assert signed(client)[0].nonce == "n"
    later = client.exchange()
    assert later.answer(refused(Challenge(REALM, "m")))
    assert not later.answer(refused(Challenge(REALM, "o")))


def test_s28_two_proxies_are_answered_in_one_request(client: DigestClient) -> None:
    one, other = Challenge("one.example", "n1"), Challenge("two.example", "n2", Algorithm.SHA_256)
    assert client.exchange().answer(refused(one, other, role=Role.PROXY))
    answers = signed(client, Role.PROXY)
    assert [each.realm for each in answers] == ["one.example", "two.example"]
    assert all(good(each) for each in answers)
    assert signed(client, Role.USER_AGENT) == []


def test_s28_proxy_then_server_are_both_answered_in_the_third_request(client: DigestClient) -> None:
    exchange = client.exchange()
    assert exchange.answer(refused(Challenge(REALM, "n1"), role=Role.PROXY))
    assert exchange.answer(refused(Challenge(REALM, "n2")))
    request = message()
    client.sign(request)
    assert len(request.get_all("proxy-authorization")) == len(request.get_all("authorization")) == 1


def test_request_is_given_up_when_one_of_two_realms_is_unknown() -> None:
    client = DigestClient(lambda realm: Account("alice", SECRET) if realm == REALM else None, bytes)
    assert not client.exchange().answer(refused(Challenge(REALM, "n"), Challenge("evil.example", "n")))
    assert all(credentials.realm == REALM for credentials in signed(client))


def test_realms_without_end_are_not_answered_without_end(client: DigestClient) -> None:
    exchange = client.exchange()
    answered = [exchange.answer(refused(Challenge(f"r{number}", "n"))) for number in range(20)]
    assert answered == [True] * 8 + [False] * 12
    assert len(signed(client)) == 8


def test_count_goes_up_with_every_request_and_starts_anew_with_every_nonce(client: DigestClient) -> None:
    client.exchange().answer(refused(Challenge(REALM, "n")))
    assert [signed(client)[0].nc for _ in range(3)] == ["00000001", "00000002", "00000003"]
    client.exchange().answer(refused(Challenge(REALM, "n")))
    assert signed(client)[0].nc == "00000004"
    client.exchange().answer(refused(Challenge(REALM, "m")))
    assert signed(client)[0].nc == "00000001"


def test_credentials_of_the_last_attempt_are_replaced(client: DigestClient) -> None:
    client.exchange().answer(refused(Challenge(REALM, "n")))
    request = message()
    client.sign(request)
    client.sign(request)
    assert len(request.get_all("authorization")) == 1


def test_server_that_offers_only_auth_int_gets_the_body_hashed(client: DigestClient) -> None:
    client.exchange().answer(refused(Challenge(REALM, "n", qop=("auth-int",))))
    request = message(body=b"hello")
    (credentials,) = signed(client, request=request)
    assert credentials.qop == "auth-int"
    assert good(credentials, request)
    assert not good(credentials, message(body=b"other"))


def test_server_of_rfc_2069_is_answered_as_it_expects(client: DigestClient) -> None:
    client.exchange().answer(refused(f'Digest realm="{REALM}", nonce="n"'))
    (credentials,) = signed(client)
    assert (credentials.qop, credentials.nc) == ("", "")
    assert good(credentials)


@pytest.mark.parametrize("value", ["Basic realm=x", 'Digest realm="r"', 'Digest realm="r", nonce="n", qop="other"', ""])
def test_challenge_that_cannot_be_answered_ends_the_request(client: DigestClient, value: str) -> None:
    assert not client.exchange().answer(refused(value))


def test_response_without_a_challenge_ends_the_request(client: DigestClient) -> None:
    assert not client.exchange().answer(refused())


def test_only_the_own_domain_and_who_asks_first_get_an_answer() -> None:
    account = Account("alice", SECRET)
    realms = ("asterisk", "evil.example", "EXAMPLE.com", "asterisk")
    own = OwnRealm(account, REALM)
    assert [own(realm) for realm in realms] == [account, None, account, account]
    late = OwnRealm(account, REALM)
    assert [late(realm) for realm in (REALM, "asterisk")] == [account, None]


def test_password_does_not_show(client: DigestClient) -> None:
    assert SECRET not in repr(Account("alice", SECRET))


def answered(client: DigestClient, request: Request, *fields: tuple[str, str]) -> ServerProof:
    return client.learn(request, Response.to_request(request, 200, "OK", fields=fields))


def first_signed(client: DigestClient) -> tuple[Request, Credentials]:
    client.exchange().answer(refused(Challenge(REALM, "n", Algorithm.SHA_256)))
    request = message()
    client.sign(request)
    return request, Credentials.parse(request.get("authorization") or "")


def test_server_that_knows_the_password_proves_it(client: DigestClient) -> None:
    request, credentials = first_signed(client)
    client.sign(message())
    known = ha1(Algorithm.SHA_256, "alice", REALM, SECRET)
    assert answered(client, request, authentication_info(credentials, known)) is ServerProof.PROVEN


def test_server_that_guesses_is_found_out(client: DigestClient) -> None:
    request, credentials = first_signed(client)
    field = authentication_info(credentials, "0" * 64, nextnonce="evil")
    assert answered(client, request, field) is ServerProof.WRONG
    assert signed(client)[0].nonce == "n"


@pytest.mark.parametrize("value", [None, "", 'nc=00000001", rspauth="abc', 'rspauth="xyz"'])
def test_proof_that_is_missing_or_broken_is_no_failure(client: DigestClient, value: str | None) -> None:
    request, _ = first_signed(client)
    fields = () if value is None else (("Authentication-Info", value),)
    assert answered(client, request, *fields) is ServerProof.MISSING


def test_next_nonce_is_used_from_then_on(client: DigestClient) -> None:
    request, _ = first_signed(client)
    answered(client, request, ("Authentication-Info", 'nextnonce="m"'))
    (credentials,) = signed(client)
    assert (credentials.nonce, credentials.nc) == ("m", "00000001")


def test_nothing_is_signed_after_the_connection_is_gone(client: DigestClient) -> None:
    first_signed(client)
    client.forget()
    assert signed(client) == []


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("algorithm", [Algorithm.SHA_256, Algorithm.MD5])
@pytest.mark.parametrize("qop", [("auth",), ("auth-int",), ("auth", "auth-int")])
def test_our_client_gets_in_at_our_server(
    client: DigestClient, role: Role, algorithm: Algorithm, qop: tuple[str, ...]
) -> None:
    server = DigestServer(NonceIssuer(SigningKeys([SigningKey("a", b"s" * 32)]), 60), bytes)
    domain = ProtectionDomain(role=role, realm=REALM, binding=b"", algorithms=(algorithm,), qop=qop)
    request = message(body=b"hello")
    with pytest.raises(SipError) as caught:
        server.examine(request, domain, NOW)
    assert client.exchange().answer(Response.to_request(request, role.status, role.reason, fields=caught.value.headers))
    client.sign(request)
    credentials = server.examine(request, domain, NOW)
    server.prove(credentials, STORED, request, domain, NOW)
