"""Who gets in at a SIP server: rows S25 and S26, RFC 8760, and credentials as CVE-2023-28098 had them."""

import itertools

import pytest

from wigwag.protocols.digest import (
    Algorithm,
    AuthenticationInfo,
    Challenge,
    NonceIssuer,
    SigningKey,
    SigningKeys,
    StoredCredentials,
    ha1,
    issuer_of,
    response,
    rspauth,
)
from wigwag.protocols.sip import Request, SipError
from wigwag.protocols.sip.digest import (
    DigestServer,
    ProtectionDomain,
    Role,
    account_of,
    authentication_info,
    parse_credentials,
    same_resource,
    verify,
)

NOW = 1_800_000_000.0
REALM = "example.com"
DOMAIN = ProtectionDomain(role=Role.USER_AGENT, realm=REALM, binding=b"7")
ALICE = StoredCredentials("alice", REALM, password="secret")


@pytest.fixture
def server() -> DigestServer:
    numbers = itertools.count()
    issuer = NonceIssuer(SigningKeys([SigningKey("a", b"s" * 32)]), lifetime=60)
    return DigestServer(issuer, lambda size: next(numbers).to_bytes(size, "big"))


def register(*fields: tuple[str, str], uri: str = "sip:example.com", body: bytes = b"") -> Request:
    return Request.create("REGISTER", uri, list(fields), body)


def authorization(
    nonce: str,
    *,
    username: str = "alice",
    password: str = "secret",
    uri: str = "sip:example.com",
    nc: str = "00000001",
    qop: str = "auth",
    algorithm: Algorithm = Algorithm.MD5,
    realm: str = REALM,
    body: bytes = b"",
) -> str:
    hashed = ha1(algorithm, username, realm, password)
    proof = response(algorithm, hashed, nonce=nonce, nc=nc, cnonce="c", qop=qop, method="REGISTER", uri=uri, body=body)
    escaped = username.replace("\\", "\\\\").replace('"', '\\"')
    with_qop = f', qop={qop}, nc={nc}, cnonce="c"' if qop else ""
    return (
        f'Digest username="{escaped}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{proof}", '
        f"algorithm={algorithm.value}{with_qop}"
    )


def nonce_of(refused: SipError) -> str:
    return Challenge.parse(refused.headers[0][1]).nonce


def challenge(server: DigestServer, domain: ProtectionDomain = DOMAIN) -> SipError:
    with pytest.raises(SipError) as caught:
        server.examine(register(), domain, NOW)
    return caught.value


def enter(
    server: DigestServer,
    request: Request,
    domain: ProtectionDomain = DOMAIN,
    stored: StoredCredentials | None = ALICE,
    at: float = NOW,
) -> None:
    credentials = server.examine(request, domain, at)
    server.prove(credentials, stored, request, domain, at)


def refusal(server: DigestServer, request: Request, domain: ProtectionDomain = DOMAIN, at: float = NOW) -> SipError:
    with pytest.raises(SipError) as caught:
        enter(server, request, domain, at=at)
    return caught.value


def test_s25_md5_and_sha_256_are_offered_in_separate_fields_sha_256_first(server: DigestServer) -> None:
    refused = challenge(server)
    assert refused.status == 401
    assert [name for name, _ in refused.headers] == ["WWW-Authenticate", "WWW-Authenticate"]
    offered = [Challenge.parse(value) for _, value in refused.headers]
    assert [each.algorithm for each in offered] == [Algorithm.SHA_256, Algorithm.MD5]
    assert all('qop="auth"' in value and f'realm="{REALM}"' in value for _, value in refused.headers)
    assert not any(each.stale for each in offered)


def test_proxy_asks_with_407_and_its_own_fields(server: DigestServer) -> None:
    domain = ProtectionDomain(role=Role.PROXY, realm=REALM, binding=b"7", algorithms=(Algorithm.MD5,))
    refused = challenge(server, domain)
    assert (refused.status, [name for name, _ in refused.headers]) == (407, ["Proxy-Authenticate"])
    value = authorization(nonce_of(refused))
    enter(server, register(("Proxy-Authorization", value)), domain)
    assert refusal(server, register(("Authorization", value)), domain).status == 407


@pytest.mark.parametrize("algorithm", [Algorithm.SHA_256, Algorithm.MD5])
def test_right_password_gets_in_with_either_algorithm(server: DigestServer, algorithm: Algorithm) -> None:
    value = authorization(nonce_of(challenge(server)), algorithm=algorithm)
    enter(server, register(("Authorization", value)))


def test_algorithm_that_was_not_offered_is_challenged_and_never_accepted(server: DigestServer) -> None:
    domain = ProtectionDomain(role=Role.USER_AGENT, realm=REALM, binding=b"7", algorithms=(Algorithm.SHA_256,))
    value = authorization(nonce_of(challenge(server, domain)), algorithm=Algorithm.MD5)
    assert refusal(server, register(("Authorization", value)), domain).status == 401


def test_wrong_password_and_unknown_user_get_the_same_answer(server: DigestServer) -> None:
    nonce = nonce_of(challenge(server))
    wrong = refusal(server, register(("Authorization", authorization(nonce, password="Secret"))))
    request = register(("Authorization", authorization(nonce)))
    with pytest.raises(SipError) as caught:
        enter(server, request, stored=None)
    assert (wrong.status, wrong.reason) == (caught.value.status, caught.value.reason)
    assert [len(value) for _, value in wrong.headers] == [len(value) for _, value in caught.value.headers]


def test_user_whose_store_has_no_hash_of_the_algorithm_does_not_get_in(server: DigestServer) -> None:
    stored = StoredCredentials("alice", REALM, ha1=ha1(Algorithm.MD5, "alice", REALM, "secret"))
    nonce = nonce_of(challenge(server))
    enter(server, register(("Authorization", authorization(nonce))), stored=stored)
    request = register(("Authorization", authorization(nonce, algorithm=Algorithm.SHA_256)))
    with pytest.raises(SipError):
        enter(server, request, stored=stored)


def test_nobody_gets_in_with_the_password_that_stands_in_for_none() -> None:
    request = register(("Authorization", authorization("n", password="invented")))
    credentials = parse_credentials(request, DOMAIN)
    assert credentials is not None
    assert not verify(credentials, None, request, "invented")


def test_s26_stale_nonce_is_told_from_a_wrong_one(server: DigestServer) -> None:
    request = register(("Authorization", authorization(nonce_of(challenge(server)))))
    assert "stale=true" in refusal(server, request, at=NOW + 61).headers[0][1]
    elsewhere = ProtectionDomain(role=Role.USER_AGENT, realm=REALM, binding=b"8")
    assert "stale=true" in refusal(server, request, elsewhere).headers[0][1]
    foreign = register(("Authorization", authorization("never issued")))
    assert "stale" not in refusal(server, foreign).headers[0][1]


def test_s26_repeated_count_is_refused_with_a_fresh_nonce(server: DigestServer) -> None:
    refused = server.replayed(register(), DOMAIN, NOW)
    assert refused.status == 401
    assert all("stale=true" in value for _, value in refused.headers)


def test_s26_auth_int_with_a_changed_body_is_refused(server: DigestServer) -> None:
    domain = ProtectionDomain(role=Role.USER_AGENT, realm=REALM, binding=b"7", qop=("auth", "auth-int"))
    refused = challenge(server, domain)
    assert 'qop="auth,auth-int"' in refused.headers[0][1]
    value = authorization(nonce_of(refused), qop="auth-int", body=b"hello")
    enter(server, register(("Authorization", value), body=b"hello"), domain)
    assert refusal(server, register(("Authorization", value), body=b"hellO"), domain).status == 401


@pytest.mark.parametrize("username", ["Jäsøn Doe", 'al"ice', "al\\ice", "алиса", 'a,b="c"'])
def test_s26_names_with_utf_8_and_quotes_get_in(server: DigestServer, username: str) -> None:
    value = authorization(nonce_of(challenge(server)), username=username)
    enter(server, register(("Authorization", value)), stored=StoredCredentials(username, REALM, password="secret"))


@pytest.mark.parametrize(
    ("username", "account"),
    [
        ("alice", ("alice", REALM)),
        ("alice@example.com", ("alice", REALM)),
        ("alice@EXAMPLE.com", ("alice", REALM)),
        ("alice@elsewhere.org", ("alice@elsewhere.org", REALM)),
        ("@example.com", ("@example.com", REALM)),
    ],
)
def test_domain_in_the_name_is_the_realms_or_part_of_the_name(username: str, account: tuple[str, str]) -> None:
    request = register(("Authorization", authorization("n", username=username)))
    credentials = parse_credentials(request, DOMAIN)
    assert credentials is not None
    assert account_of(credentials) == account


def test_name_with_domain_gets_in_by_the_password(server: DigestServer) -> None:
    value = authorization(nonce_of(challenge(server)), username="alice@example.com")
    enter(server, register(("Authorization", value)))


def test_quoted_qop_and_count_are_accepted(server: DigestServer) -> None:
    value = authorization(nonce_of(challenge(server)))
    value = value.replace("qop=auth", 'qop="auth"').replace("nc=00000001", 'nc="00000001"')
    enter(server, register(("Authorization", value)))


def test_client_without_qop_is_refused_unless_a_setting_lets_him_in(server: DigestServer) -> None:
    request = register(("Authorization", authorization(nonce_of(challenge(server)), qop="")))
    assert refusal(server, request).status == 400
    enter(server, request, ProtectionDomain(role=Role.USER_AGENT, realm=REALM, binding=b"7", without_qop=True))


def test_credentials_of_other_realms_and_schemes_are_passed_over(server: DigestServer) -> None:
    nonce = nonce_of(challenge(server))
    request = register(
        ("Authorization", "Basic YWxpY2U6c2VjcmV0"),
        ("Authorization", authorization("x", realm="other.org")),
        ("Authorization", 'Digest username="broken'),
        ("Authorization", authorization(nonce)),
    )
    enter(server, request)


def test_name_announced_before_any_challenge_is_challenged(server: DigestServer) -> None:
    value = f'Digest username="alice", realm="{REALM}", nonce="", uri="sip:example.com", response=""'
    assert refusal(server, register(("Authorization", value))).status == 401


@pytest.mark.parametrize(
    ("digest_uri", "request_uri"),
    [
        ("sip:example.com", "sip:example.com"),
        ("sip:example.com", "sip:EXAMPLE.com:5060"),
        ("sip:example.com", "sip:example.com;transport=tcp"),
        ("sip:bob@example.com", "sip:%62ob@example.com;user=phone"),
        ("tel:+1-201-555-0123", "tel:+12015550123"),
    ],
)
def test_uri_may_be_written_in_another_way(digest_uri: str, request_uri: str) -> None:
    assert same_resource(digest_uri, request_uri)


@pytest.mark.parametrize(
    ("digest_uri", "request_uri"),
    [
        ("sip:bob@example.com", "sip:carol@example.com"),
        ("sip:example.com", "sips:example.com"),
        ("sip:example.com:5061", "sip:example.com"),
        ("sip:example.org", "sip:example.com"),
        ("tel:+12015550123", "sip:+12015550123@example.com"),
        ("*", "sip:example.com"),
        ("", "sip:example.com"),
    ],
)
def test_credentials_for_another_uri_get_400(server: DigestServer, digest_uri: str, request_uri: str) -> None:
    value = authorization(nonce_of(challenge(server)), uri=digest_uri)
    refused = refusal(server, register(("Authorization", value), uri=request_uri))
    assert (refused.status, refused.reason) == (400, "Digest header: uri is not the Request-URI")


GOOD = authorization("n")


@pytest.mark.parametrize(
    "value",
    [
        GOOD.replace('username="alice"', 'username="alice'),
        GOOD.replace('username="alice"', 'username "alice"'),
        GOOD.replace('username="alice", ', ""),
        GOOD.replace('nonce="n"', 'nonce="n", nonce="m"'),
        GOOD.replace('nonce="n", ', ""),
        GOOD.replace('response="', 'response="0'),
        GOOD.replace('uri="sip:example.com", ', ""),
        GOOD.replace('cnonce="c"', f'cnonce="{"c" * 1_000_000}"'),
        GOOD.replace("algorithm=MD5", "algorithm=MD5-sess"),
        GOOD.replace("qop=auth", "qop=auth-int"),
        GOOD + ", userhash=true",
        GOOD + ', x="\udcff"',
        GOOD[:-2],
        "Digest",
        "Digest realm",
        "Digest ,,,=",
    ],
)
def test_malformed_credentials_get_400(server: DigestServer, value: str) -> None:
    refused = refusal(server, register(("Authorization", value)))
    assert refused.status == 400
    assert refused.request is not None
    assert "alice" not in refused.reason


def test_realm_that_is_empty_or_missing_is_challenged(server: DigestServer) -> None:
    for value in (GOOD.replace(REALM, ""), GOOD.replace(f'realm="{REALM}", ', "")):
        assert refusal(server, register(("Authorization", value))).status == 401


def test_only_the_first_eight_credentials_are_looked_at(server: DigestServer) -> None:
    other = authorization("x", realm="other.org")
    fields = [("Authorization", other)] * 8 + [("Authorization", authorization(nonce_of(challenge(server))))]
    assert refusal(server, register(*fields)).status == 401


def test_nonce_for_udp_names_its_issuer_to_every_process(server: DigestServer) -> None:
    domain = ProtectionDomain(role=Role.USER_AGENT, realm=REALM, binding=b"", issuer="pod-7")
    nonce = nonce_of(challenge(server, domain))
    assert issuer_of(nonce) == "pod-7"
    elsewhere = ProtectionDomain(role=Role.USER_AGENT, realm=REALM, binding=b"", issuer="pod-8")
    enter(server, register(("Authorization", authorization(nonce))), elsewhere)


def test_success_proves_that_the_server_knows_the_password_too() -> None:
    credentials = parse_credentials(register(("Authorization", authorization("n"))), DOMAIN)
    assert credentials is not None
    hashed = ha1(Algorithm.MD5, "alice", REALM, "secret")
    name, value = authentication_info(credentials, hashed, nextnonce="m")
    info = AuthenticationInfo.parse(value)
    assert name == "Authentication-Info"
    assert info.nextnonce == "m"
    assert info.rspauth == rspauth(
        Algorithm.MD5, hashed, nonce="n", nc="00000001", cnonce="c", qop="auth", uri="sip:example.com"
    )
