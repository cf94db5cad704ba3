import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.support.ua_api import HELPDESK, KEYS, KeyTable
from tests.support.waiting import until
from wigwag.errors import ConfigurationError, NotAuthenticatedError, OverloadedError
from wigwag.ua.api.authentication import Authenticator
from wigwag.ua.api.jwt_tokens import JwtTokens
from wigwag.ua.config import JwtSettings, UaApiSettings

SETTINGS = JwtSettings(jwks_url="https://id.example/keys", issuer="https://id.example", audience="wigwag")
NOW = 1_700_000_000.0
RSA = rsa.generate_private_key(65_537, 2_048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
PRIVATE: dict[str, tuple[str, Any, Any]] = {
    "r1": ("RS256", RSA, jwt.algorithms.RSAAlgorithm),
    "e1": ("ES256", EC, jwt.algorithms.ECAlgorithm),
    "d1": ("EdDSA", ED, jwt.algorithms.OKPAlgorithm),
}


def jwk(key_id: str) -> dict[str, Any]:
    _, private, algorithm = PRIVATE[key_id]
    return {**json.loads(algorithm.to_jwk(private.public_key())), "kid": key_id, "use": "sig"}


class Provider:
    """An identity provider."""

    def __init__(self, *key_ids: str) -> None:
        self.keys = [jwk(key_id) for key_id in key_ids]
        self.fetched = 0
        self.failure: Exception | None = None
        self.monotonic = 0.0
        self.wall = NOW

    async def fetch(self) -> bytes:
        self.fetched += 1
        if self.failure is not None:
            raise self.failure
        return json.dumps({"keys": self.keys}).encode()

    def tokens(self, settings: JwtSettings = SETTINGS) -> JwtTokens:
        return JwtTokens(settings, self.fetch, clock=lambda: self.monotonic, wall=lambda: self.wall)


def claims(**changes: Any) -> dict[str, Any]:
    usual = {
        "iss": "https://id.example",
        "aud": "wigwag",
        "exp": NOW + 60,
        "azp": "helpdesk",
        "scope": "sessions:read x",
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def token(key_id: str = "r1", **changes: Any) -> str:
    algorithm, private, _ = PRIVATE[key_id]
    return jwt.encode(claims(**changes), private, algorithm, headers={"kid": key_id})


@pytest.mark.parametrize("key_id", ["r1", "e1", "d1"])
async def test_a_token_names_the_application_and_those_of_its_scopes_that_we_know(key_id: str) -> None:
    caller = await Provider("r1", "e1", "d1").tokens().caller(token(key_id))
    assert (caller.application, caller.scopes) == ("helpdesk", frozenset({"sessions:read"}))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": NOW - 30}, "expired"),
        ({"exp": None}, "does not hold"),
        ({"exp": "tomorrow"}, "time"),
        ({"exp": True}, "time"),
        ({"nbf": NOW + 31}, "yet"),
        ({"aud": "another"}, "audience"),
        ({"aud": None}, "does not hold"),
        ({"iss": "https://other.example"}, "issuer"),
        ({"iss": None}, "does not hold"),
        ({"azp": None}, "names no application"),
        ({"azp": ""}, "names no application"),
        ({"azp": "No Such Name"}, "names no application"),
        ({"azp": ["helpdesk"]}, "names no application"),
    ],
)
async def test_claims_that_do_not_hold_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotAuthenticatedError, match=reason):
        await Provider("r1").tokens().caller(token(**changes))


async def test_clocks_may_differ_by_half_a_minute() -> None:
    assert (await Provider("r1").tokens().caller(token(exp=NOW - 29, nbf=NOW + 29))).application == "helpdesk"


def unsigned() -> str:
    return jwt.encode(claims(), "", "none", headers={"kid": "r1"})


def signed_with_the_public_key() -> str:
    secret = json.dumps(jwk("r1")).encode()
    head, content, _ = jwt.encode(claims(), "s" * 32, "HS256", headers={"kid": "r1"}).split(".")
    signature = hmac.digest(secret, f"{head}.{content}".encode(), "sha256")
    return f"{head}.{content}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def of_another_key() -> str:
    return jwt.encode(claims(), EC, "ES256", headers={"kid": "r1"})


def changed() -> str:
    head, _, signature = token().split(".")
    return ".".join([head, token(azp="sales").split(".")[1], signature])


@pytest.mark.parametrize("forged", [unsigned, signed_with_the_public_key, of_another_key, changed])
async def test_a_forged_token_is_refused(forged: Callable[[], str]) -> None:
    with pytest.raises(NotAuthenticatedError, match="does not hold"):
        await Provider("r1", "e1").tokens().caller(forged())


@pytest.mark.parametrize(
    "text", ["..", "a.b.c", "e30.e30.e30", "\x00.\x00.\x00", "eyJhbGciOiJub25lIn0..", "a" * 8_000 + ".b.c"]
)
async def test_what_is_no_token_is_refused_in_words_that_do_not_repeat_it(text: str) -> None:
    with pytest.raises(NotAuthenticatedError) as caught:
        await Provider("r1").tokens().caller(text)
    assert text not in str(caught.value)


async def test_a_key_that_is_not_known_is_looked_up_at_most_every_ten_seconds() -> None:
    provider = Provider("r1")
    tokens = provider.tokens()
    await tokens.caller(token("r1"))
    for _ in range(5):
        with pytest.raises(NotAuthenticatedError, match="key"):
            await tokens.caller(token("e1"))
    assert provider.fetched == 1
    provider.keys.append(jwk("e1"))
    provider.monotonic = 10.0
    assert (await tokens.caller(token("e1"))).application == "helpdesk"
    assert provider.fetched == 2


async def test_keys_are_read_again_when_their_time_is_over_and_one_that_was_taken_back_holds_no_more() -> None:
    provider = Provider("r1", "e1")
    tokens = provider.tokens()
    await tokens.caller(token("e1"))
    provider.keys.pop()
    provider.monotonic = 301.0
    await tokens.caller(token("e1"))
    await until(lambda: provider.fetched == 2)
    with pytest.raises(NotAuthenticatedError):
        await tokens.caller(token("e1"))


async def test_a_provider_that_is_away_locks_nobody_out_whose_key_is_known() -> None:
    provider = Provider("r1")
    tokens = provider.tokens()
    await tokens.caller(token())
    provider.failure = ValueError("away")
    provider.monotonic = 1_000.0
    for _ in range(3):
        assert (await tokens.caller(token())).application == "helpdesk"
    await until(lambda: provider.fetched == 2)


async def test_a_provider_that_was_never_reached_is_no_wrong_token() -> None:
    provider = Provider("r1")
    provider.failure = ValueError("away")
    with pytest.raises(OverloadedError):
        await provider.tokens().caller(token())


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"keys": 3}', b'{"keys": [3, {"kty": "oct", "k": "eA"}, {"kty": "RSA"}]}']
)
async def test_a_set_of_keys_that_can_not_be_used_lets_nobody_in(content: bytes) -> None:
    async def fetch() -> bytes:
        return content

    tokens = JwtTokens(SETTINGS, fetch, clock=lambda: 0.0, wall=lambda: NOW)
    with pytest.raises((NotAuthenticatedError, OverloadedError)):
        await tokens.caller(token())


@pytest.mark.parametrize(
    "url", ["http://id.example/keys", "ftp://id.example", "id.example", "https://", "http://10.0.0.1/keys"]
)
def test_keys_come_over_tls_or_from_this_machine(url: str) -> None:
    with pytest.raises(ConfigurationError, match="jwks_url"):
        Provider().tokens(SETTINGS.model_copy(update={"jwks_url": url}))


async def test_tokens_and_keys_go_side_by_side() -> None:
    known = Authenticator(UaApiSettings(keys=KEYS), KeyTable().find, Provider("r1").tokens())
    assert known.demands
    assert (await known.caller([token(azp="sales")])).application == "sales"
    assert (await known.caller([HELPDESK])).application == "helpdesk"
    with pytest.raises(NotAuthenticatedError):
        await known.caller(["no-token-and-no-key"])
