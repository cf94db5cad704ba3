"""AUTH at the relay (RFC 4976 sections 5.1, 6.3, 9.1)."""

import re

import pytest

from tests.support.relay import RELAY_URI, FakeClient, RelayUnderTest, send, value_of
from wigwag.protocols.digest import Algorithm
from wigwag.relay.config import RelaySettings

PEER = "msrp://peer.invalid:7/p;tcp"


def new_client(under_test: RelayUnderTest, username: str = "alice", **attributes: object) -> FakeClient:
    return FakeClient(under_test, under_test.connect(**attributes), username, "msrps://client.invalid:9/a;tcp")


async def test_m81_auth_without_authorization_is_challenged_with_quoted_qop_and_opaque() -> None:
    answer = await new_client(RelayUnderTest()).auth()
    assert answer.startswith(b"MSRP auth1 401 ")
    challenges = re.findall(rb"WWW-Authenticate: ([^\r]*)", answer)
    assert len(challenges) == 2
    assert b"algorithm=SHA-256" in challenges[0]
    assert all(b'qop="auth"' in challenge and b"opaque=" in challenge for challenge in challenges)
    assert value_of(answer, "To-Path") == "msrps://client.invalid:9/a;tcp"
    assert value_of(answer, "From-Path") == RELAY_URI


@pytest.mark.parametrize(
    ("uri", "status"), [(None, b"200"), (RELAY_URI, b"200"), ("msrps://other.test:2855;tcp", b"400")]
)
async def test_m82_uri_is_optional_but_has_to_be_the_rightmost_to_path_uri(uri: str | None, status: bytes) -> None:
    client = new_client(RelayUnderTest())
    challenge = await client.auth()
    answer = await client.auth(client.authorization(challenge, uri=uri))
    assert answer.split(b" ")[2] == status


async def test_m83_success_carries_use_path_expires_and_proof() -> None:
    answer = await new_client(RelayUnderTest()).authenticate()
    assert re.fullmatch(r"msrps://relay\.test:2855/[\w-]{35};tcp", value_of(answer, "Use-Path") or "")
    assert value_of(answer, "Expires") == "1800"
    info = value_of(answer, "Authentication-Info") or ""
    assert 'rspauth="' in info
    assert "qop=auth" in info
    assert "nc=00000001" in info


async def test_m84_wrong_passwords_get_401_and_then_the_connection_is_closed() -> None:
    client = new_client(RelayUnderTest())
    for attempt in range(3):
        assert client.channel.is_open, attempt
        answer = await client.auth()
        answer = await client.auth(client.authorization(answer, password="guess"))
        assert answer.startswith(b"MSRP auth1 401 ")
    assert not client.channel.is_open


async def test_m84_unknown_user_gets_the_same_octets_as_a_wrong_password() -> None:
    answers = []
    for username in ("alice", "nobody"):
        client = new_client(RelayUnderTest(), username)
        answer = await client.auth()
        answers.append(await client.auth(client.authorization(answer, password="guess")))
    masked = [re.sub(rb'nonce="[^"]*"', b"nonce", answer) for answer in answers]
    assert masked[0] == masked[1]


async def test_m86_expired_nonce_is_stale_and_the_new_one_works() -> None:
    under_test = RelayUnderTest()
    client = new_client(under_test)
    challenge = await client.auth()
    under_test.runtime.time += 120
    answer = await client.auth(client.authorization(challenge))
    assert b"stale=true" in answer
    again = await client.auth(client.authorization(answer))
    assert again.split(b" ")[2] == b"200"


async def test_m87_repeated_nonce_count_gets_no_use_path() -> None:
    client = new_client(RelayUnderTest())
    challenge = await client.auth()
    header = client.authorization(challenge)
    assert (await client.auth(header)).split(b" ")[2] == b"200"
    answer = await client.auth(header, transaction_id="auth9")
    assert answer.startswith(b"MSRP auth9 401 ")
    assert b"Use-Path" not in answer


async def test_m87_asking_for_more_challenges_does_not_reopen_a_used_nonce() -> None:
    client = new_client(RelayUnderTest())
    header = client.authorization(await client.auth())
    assert (await client.auth(header)).split(b" ")[2] == b"200"
    for _ in range(10):
        await client.auth()
    answer = await client.auth(header)
    assert answer.startswith(b"MSRP auth1 401 ")
    assert b"stale=true" in answer


async def test_nonce_of_another_connection_is_stale() -> None:
    under_test = RelayUnderTest()
    first, second = new_client(under_test), new_client(under_test)
    challenge = await first.auth()
    answer = await second.auth(second.authorization(challenge))
    assert answer.startswith(b"MSRP auth1 401 ")
    assert b"stale=true" in answer


async def test_m89_md5_and_sha_256_are_both_taken() -> None:
    for algorithm in (Algorithm.SHA_256, Algorithm.MD5):
        settings = RelaySettings(digest_algorithms=("SHA-256", "MD5"))
        client = new_client(RelayUnderTest(settings))
        challenge = await client.auth()
        lines = re.findall(rb"WWW-Authenticate: [^\r]*", challenge)
        chosen = next(line for line in lines if f"algorithm={algorithm.value}".encode() in line)
        answer = await client.auth(client.authorization(chosen))
        assert answer.split(b" ")[2] == b"200", algorithm


@pytest.mark.parametrize(
    ("expires", "status", "bound"),
    [
        ("0", 423, "Min-Expires: 60"), ("1", 423, "Min-Expires: 60"), ("59", 423, "Min-Expires: 60"),
        ("60", 200, ""), ("3600", 200, ""), ("3601", 423, "Max-Expires: 3600"), ("abc", 400, ""),
        ("1000000000000", 400, ""), ("-1", 400, ""),
    ],
)  # fmt: skip
async def test_m91_expires_has_bounds(expires: str, status: int, bound: str) -> None:
    client = new_client(RelayUnderTest())
    challenge = await client.auth()
    answer = await client.auth(client.authorization(challenge) + f"Expires: {expires}\r\n")
    assert int(answer.split(b" ")[2]) == status
    assert bound.encode() in answer
    if status == 200:
        assert value_of(answer, "Expires") == expires


async def test_m92_expired_uri_is_481() -> None:
    under_test = RelayUnderTest()
    client = new_client(under_test)
    await client.authenticate("Expires: 60\r\n")
    peer = under_test.connect()
    peer.receive(send(f"{client.use_path} {client.uri}", PEER))
    peer.taken()
    under_test.advance(61)
    peer.receive(send(f"{client.use_path} {client.uri}", PEER, transaction_id="t002"))
    assert peer.taken()[-1].startswith(b"MSRP t002 481 ")


async def test_m92_refresh_keeps_the_uri_and_the_traffic() -> None:
    under_test = RelayUnderTest()
    client = new_client(under_test)
    await client.authenticate("Expires: 60\r\n")
    first = client.use_path
    under_test.advance(50)
    await client.authenticate("Expires: 60\r\n")
    assert client.use_path == first
    under_test.advance(50)
    peer = under_test.connect()
    peer.receive(send(f"{client.use_path} {client.uri}", PEER))
    assert peer.taken()[0].startswith(b"MSRP t001 200 ")


async def test_m93_strict_relay_gives_a_reconnected_client_a_new_uri() -> None:
    under_test = RelayUnderTest(RelaySettings(resume_window=0))
    client = new_client(under_test)
    await client.authenticate()
    client.channel.lose()
    again = new_client(under_test)
    await again.authenticate()
    assert again.use_path != client.use_path
    peer = under_test.connect()
    peer.receive(send(f"{client.use_path} {client.uri}", PEER))
    assert peer.taken()[0].startswith(b"MSRP t001 481 ")


async def test_m93_old_uri_is_of_no_use_on_a_new_connection_without_auth() -> None:
    under_test = RelayUnderTest()
    client = new_client(under_test)
    await client.authenticate()
    client.channel.lose()
    stranger = under_test.connect()
    stranger.receive(send(f"{client.use_path} {PEER}", client.uri))
    assert stranger.taken()[0].startswith(b"MSRP t001 481 ")


async def test_newest_auth_wins_and_the_old_connection_is_closed() -> None:
    under_test = RelayUnderTest()
    first = new_client(under_test)
    await first.authenticate()
    second = new_client(under_test)
    await second.authenticate()
    assert second.use_path == first.use_path
    assert not first.channel.is_open
    assert second.channel.is_open


async def test_m113_plain_auth_is_refused_unless_allowed() -> None:
    answer = await new_client(RelayUnderTest(), kind="tcp", listener="plain").auth()
    assert answer.startswith(b"MSRP auth1 403 ")
    assert b"WWW-Authenticate" not in answer


@pytest.mark.parametrize(
    "authorization",
    [
        "Digest ", "Digest username", 'Digest username="alice', "Digest realm=,,,", 'Digest nonce="a", nonce="b"',
        'Digest username="alice", realm="", nonce="", response="", qop=auth, nc=1, cnonce=""',
        "Digest " + "a" * 12_000,
    ],
)  # fmt: skip
async def test_broken_authorization_is_400_and_the_connection_stays(authorization: str) -> None:
    client = new_client(RelayUnderTest())
    answer = await client.auth(f"Authorization: {authorization}\r\n")
    assert answer.split(b" ")[2] in (b"400", b"401")
    assert client.channel.is_open


async def test_m88_basic_is_never_accepted() -> None:
    answer = await new_client(RelayUnderTest()).auth("Authorization: Basic YWxpY2U6c2VjcmV0\r\n")
    assert answer.startswith(b"MSRP auth1 401 ")


async def test_connection_without_a_successful_request_is_closed_after_30_seconds() -> None:
    under_test = RelayUnderTest()
    idle, client = under_test.connect(), new_client(under_test)
    await client.authenticate()
    under_test.advance(29)
    assert idle.is_open
    under_test.advance(2)
    assert not idle.is_open
    assert client.channel.is_open


async def test_too_many_sessions_of_one_user_are_refused() -> None:
    under_test = RelayUnderTest(RelaySettings.model_validate({"limits": {"sessions_per_user": 2}}))
    answers = []
    for index in range(3):
        client = FakeClient(under_test, under_test.connect(), "alice", f"msrps://client{index}.invalid:9/a;tcp")
        answers.append((await client.authenticate()).split(b" ")[2])
    assert answers == [b"200", b"200", b"403"]
