"""JSON Web Tokens of an identity provider (RFC 7519), whose keys are fetched as a JWK set (RFC 7517)."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import httpx
import jwt
import structlog

from wigwag.errors import ConfigurationError, NotAuthenticatedError, OverloadedError
from wigwag.runtime.clock import wall as wall_clock
from wigwag.runtime.settings import is_loopback
from wigwag.ua.config import JwtSettings
from wigwag.ua.ports import Caller

SKEW: Final = 30.0
"""Seconds that the provider's clock may differ."""
SCOPES: Final = frozenset({"sessions:read", "sessions:write", "messages:read", "messages:write"})
_ALGORITHMS: Final = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}
"""The only algorithm for each type of key: a token does not choose."""
_OPTIONS: Final[Any] = {
    "require": ["exp", "iss", "aud"],
    # Times are looked at here, by the clock that everything else goes by.
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}
_LOOK_AGAIN: Final = 10.0
"""Seconds between two fetches."""
_FETCHING: Final = 5.0
_LARGEST: Final = 262_144
_MOST_KEYS: Final = 100
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")

logger = structlog.get_logger(__name__)

Fetch = Callable[[], Awaitable[bytes]]


class JwtTokens:
    """Judges tokens.

    Args:
        settings: Whose tokens, and what they say.
        fetch: Returns the JWK set; None: from ``settings.jwks_url``.
        clock: Monotonic seconds.
        wall: Seconds since 1970.

    Raises:
        ConfigurationError: The URL of the keys is none, or leads over an open network in the clear.
    """

    def __init__(
        self,
        settings: JwtSettings,
        fetch: Fetch | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = wall_clock,
    ) -> None:
        _check_url(settings.jwks_url)
        self._settings = settings
        self._fetch = fetch or self._fetch_keys
        self._clock = clock
        self._wall = wall
        self._keys: Mapping[str, tuple[str, Any]] = {}
        """Key id -> algorithm and key."""
        self._fetched: float | None = None
        """When they were fetched."""
        self._tried: float | None = None
        self._fetching = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None

    async def caller(self, token: str) -> Caller:
        """Return whose a token is.

        Raises:
            NotAuthenticatedError: It does not hold.
            OverloadedError: The provider's keys could never be fetched.
        """
        algorithm, key = await self._key(_key_id(token))
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                options=_OPTIONS,
            )
        except jwt.InvalidAudienceError as error:
            raise NotAuthenticatedError("the token is for another audience") from error
        except jwt.InvalidIssuerError as error:
            raise NotAuthenticatedError("the token is of another issuer") from error
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise NotAuthenticatedError("the token does not hold") from error
        self._check_times(claims)
        return self._caller_of(claims)

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._wall()
        if not _seconds(claims["exp"]) > now - SKEW:
            raise NotAuthenticatedError("the token has expired")
        if "nbf" in claims and _seconds(claims["nbf"]) > now + SKEW:
            raise NotAuthenticatedError("the token does not hold yet")

    def _caller_of(self, claims: Mapping[str, Any]) -> Caller:
        application = claims.get(self._settings.application_claim)
        if not isinstance(application, str) or not _NAME.fullmatch(application):
            raise NotAuthenticatedError(f"the token's {self._settings.application_claim} names no application")
        scopes = claims.get(self._settings.scope_claim, "")
        words = scopes.split() if isinstance(scopes, str) else scopes if isinstance(scopes, list) else []
        return Caller(application, SCOPES.intersection(word for word in words if isinstance(word, str)))

    # Keys

    async def _key(self, key_id: str) -> tuple[str, Any]:
        found = self._find(key_id)
        if found is None:
            await self._look_again()
            found = self._find(key_id)
        elif self._fetched is not None and self._clock() - self._fetched > self._settings.cache:
            # Nobody waits for a provider that is slow while a key is known.
            self._refreshing = self._refreshing or asyncio.create_task(self._refresh())
        if found is None and self._fetched is None:
            raise OverloadedError("the identity provider's keys can't be fetched at this moment")
        if found is None:
            raise NotAuthenticatedError("the token is signed with a key that is not known")
        return found

    async def _refresh(self) -> None:
        try:
            await self._look_again()
        finally:
            self._refreshing = None

    def _find(self, key_id: str) -> tuple[str, Any] | None:
        if not key_id and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    async def _look_again(self) -> None:
        async with self._fetching:
            now = self._clock()
            if self._tried is not None and now - self._tried < _LOOK_AGAIN:
                return
            self._tried = now
            try:
                async with asyncio.timeout(_FETCHING):
                    self._keys = _keys_of(await self._fetch())
                self._fetched = now
            except (httpx.HTTPError, TimeoutError, ValueError) as error:
                # The keys that are known go on to hold: a provider that is away locks nobody out.
                logger.warning("the identity provider's keys can't be fetched", reason=str(error) or repr(error))

    async def _fetch_keys(self) -> bytes:
        async with (
            httpx.AsyncClient(timeout=_FETCHING, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", self._settings.jwks_url, headers={"Accept": "application/json"}) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"answered {response.status_code}")
            content = bytearray()
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > _LARGEST:
                    raise ValueError(f"more than {_LARGEST} octets")
            return bytes(content)


def _key_id(token: str) -> str:
    try:
        key_id = jwt.get_unverified_header(token).get("kid", "")
    except (jwt.PyJWTError, ValueError) as error:
        raise NotAuthenticatedError("the token is none") from error
    return key_id if isinstance(key_id, str) else ""


def _keys_of(content: bytes) -> Mapping[str, tuple[str, Any]]:
    document = json.loads(content)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no JWK set")
    found: dict[str, tuple[str, Any]] = {}
    for each in listed[:_MOST_KEYS]:
        algorithm = _ALGORITHMS.get(str(each.get("kty"))) if isinstance(each, dict) else None
        if algorithm is None or each.get("use", "sig") != "sig" or each.get("alg", algorithm) != algorithm:
            continue
        try:
            found[str(each.get("kid", ""))] = algorithm, jwt.PyJWK.from_dict(each, algorithm).key
        except (jwt.PyJWTError, ValueError, TypeError):
            logger.warning("a key of the identity provider can't be used", reason=f"no {algorithm} key")
    return found


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotAuthenticatedError("a time of the token is none")
    return float(value)


def _check_url(url: str) -> None:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise ConfigurationError("ua.api.jwt.jwks_url: not a URL") from error
    if not parsed.host or parsed.scheme not in ("http", "https"):
        raise ConfigurationError("ua.api.jwt.jwks_url: has to begin with https:// and a host")
    if parsed.scheme == "http" and not is_loopback(parsed.host):
        raise ConfigurationError("ua.api.jwt.jwks_url: has to begin with https://, since keys decide who gets in")
