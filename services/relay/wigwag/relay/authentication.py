"""AUTH: who may use the relay (RFC 4976 sections 5.1, 6.3 and 9.1).

Every challenge looks the same whether the user exists or not, and a wrong password costs the same work as an unknown
user: the response is computed from an invented HA1.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from wigwag.errors import RemoteProtocolError, WigwagError
from wigwag.protocols.digest import (
    Algorithm,
    AuthenticationInfo,
    Challenge,
    Credentials,
    NonceIssuer,
    NonceVerdict,
    NonceWindow,
    StoredCredentials,
    rspauth,
)
from wigwag.protocols.msrp import MsrpUri, RequestHead

from .agents import agent_name, fencing_token
from .hop import HeldUp, Hop
from .lifecycle import Grant, Wanted
from .refusal import RefusedError

if TYPE_CHECKING:
    from .service import Relay

_OPAQUE = "wigwag"
_LARGEST_WINDOWS = 4


class CredentialSource(Protocol):
    """Where passwords are looked up."""

    async def credentials(self, username: str, domain: str) -> StoredCredentials | None:
        """Return what is stored for the user, or None."""


@dataclass(slots=True)
class AuthState:
    """What one connection's AUTH requests have left behind."""

    failures: int = 0
    windows: dict[str, NonceWindow] = field(default_factory=dict)
    """The last few nonces that this connection was given and the nc values seen with each."""

    def issued(self, nonce: str) -> None:
        """Begin the window of a new nonce; the oldest is forgotten, and with it that nonce is of no more use."""
        while len(self.windows) >= _LARGEST_WINDOWS:
            del self.windows[next(iter(self.windows))]
        self.windows[nonce] = NonceWindow()

    def accept(self, nonce: str, nc: int) -> bool:
        """Tell whether ``nonce`` is known and ``nc`` new for it, and remember it."""
        window = self.windows.get(nonce)
        return window is not None and window.accept(nc)


class Authenticator:
    """Answers AUTH requests that end at this relay.

    Args:
        relay: The relay.
        source: Where credentials are looked up.
        nonces: Issues nonces, bound to the connection.
        wall: The wall clock.
        random: Random bytes.
        spawn: Runs a coroutine: credentials may take time.
    """

    def __init__(
        self,
        relay: "Relay",
        *,
        source: CredentialSource,
        nonces: NonceIssuer,
        wall: Callable[[], float],
        random: Callable[[int], bytes],
        spawn: Callable[[Awaitable[None]], None],
    ) -> None:
        self._relay = relay
        self._source = source
        self._nonces = nonces
        self._wall = wall
        self._random = random
        self._spawn = spawn
        self._invented_ha1 = random(32).hex()
        settings = relay.settings
        self._default_algorithms = tuple(map(Algorithm, settings.digest_algorithms))
        self._domain_algorithms = {
            domain.lower(): tuple(map(Algorithm, names)) for domain, names in settings.domain_digest_algorithms.items()
        }

    def handle(self, hop: Hop, head: RequestHead, now: float) -> bool:
        """Answer one AUTH; False when that takes until its credentials have been looked up."""
        try:
            self._check_head(hop, head)
            agent = agent_name(self._relay, hop)
            if agent:
                work = self._grant_agent(hop, head, self._wanted_by_agent(hop, head, agent))
            else:
                work = self._look_up(hop, head, self._examine(hop, head))
        except RefusedError as refused:
            self._refuse(hop, head, refused)
            return True
        hop.hold_up(HeldUp.AUTH)
        hop.channel.hold()
        self._spawn(work)
        return False

    def realm(self, hop: Hop, uri: MsrpUri) -> str:
        """Return the digest realm for an AUTH to ``uri``."""
        host = uri.host.lower()
        return host if host in self._relay.domains else self._relay.listener_domain(hop)

    def count_failure(self, hop: Hop) -> None:
        """Count a failed AUTH against the connection; after several it is closed (RFC 4976 section 6.3)."""
        state = self._state(hop)
        state.failures += 1
        self._relay.counters["auth_failures"] += 1
        if state.failures >= self._relay.settings.limits.auth_attempts and not hop.channel.certificate_names:
            self._relay.log(hop, "connection closed", reason="too many failed AUTH requests")
            hop.close("too many failed AUTH requests")

    def forget_failures(self, hop: Hop) -> None:
        """Begin to count anew: credentials were right."""
        self._state(hop).failures = 0

    # The request

    def _check_head(self, hop: Hop, head: RequestHead) -> None:
        """Check what holds for everybody.

        Raises:
            RefusedError: The answer it gets instead.
        """
        relay, uri = self._relay, head.to_path[0]
        if not relay.is_own_address(uri, hop):
            hop.fail(f"AUTH for {uri.host}, which is not this relay")
            raise RefusedError(0, "")
        if not relay.may_auth(hop):
            raise RefusedError(403, "AUTH needs TLS here")
        expires = head.get("Expires")
        if expires is not None and not (expires.isascii() and expires.isdigit() and len(expires) <= 10):
            raise RefusedError(400, "Expires is not a number of seconds")

    def _examine(self, hop: Hop, head: RequestHead) -> Credentials:
        """Check of the credentials all that needs no look-up.

        Raises:
            RefusedError: The answer it gets instead.
        """
        realm = self.realm(hop, head.to_path[0])
        authorization = head.get("Authorization")
        if authorization is None or not authorization.lower().startswith("digest "):
            raise self._challenge(hop, realm, stale=False)
        try:
            credentials = Credentials.parse(authorization)
        except RemoteProtocolError as error:
            raise RefusedError(400, error.reason) from error
        self._check(hop, head, realm, credentials)
        return credentials

    def _check(self, hop: Hop, head: RequestHead, realm: str, credentials: Credentials) -> None:
        try:
            credentials.digest_uri(_rightmost(head))
        except RemoteProtocolError as error:
            raise RefusedError(400, error.reason) from error
        if credentials.opaque not in (None, _OPAQUE):
            raise RefusedError(400, "opaque is not ours")
        if credentials.effective_algorithm not in self._algorithms(realm):
            raise RefusedError(400, "algorithm was not offered")
        verdict = self._nonces.check(credentials.nonce, realm=realm, binding=_binding(hop), wall=self._wall())
        if credentials.realm != realm or verdict is not NonceVerdict.VALID:
            raise self._challenge(hop, realm, stale=verdict is NonceVerdict.STALE)

    async def _look_up(self, hop: Hop, head: RequestHead, credentials: Credentials) -> None:
        relay = self._relay
        arrived = relay.now()
        stored, available = None, True
        try:
            async with asyncio.timeout(relay.settings.limits.auth_timeout):
                stored = await self._source.credentials(credentials.username, credentials.realm)
        except (WigwagError, TimeoutError) as error:
            available = False
            relay.log(hop, "credentials are not available", reason=str(error) or "timeout")
            relay.counters["credentials_unavailable"] += 1
        now = relay.now()
        try:
            if not available:
                raise RefusedError(403, "credentials are not available, try later")
            await self._conclude(hop, head, credentials, stored, now)
        except RefusedError as refused:
            if refused.status == 401:
                # All at the same age, so that the time does not tell which source knows the user, if any does.
                await asyncio.sleep(max(0.0, arrived + relay.settings.limits.auth_failure_delay - relay.now()))
            self._refuse(hop, head, refused)
            if refused.status == 401 and not hop.closed and "stale=true" not in refused.fields[0][1]:
                self.count_failure(hop)
        finally:
            hop.let_go(HeldUp.AUTH, relay.now())
            relay.flush()
            hop.channel.release()

    async def _conclude(
        self, hop: Hop, head: RequestHead, credentials: Credentials, stored: StoredCredentials | None, now: float
    ) -> None:
        algorithm, realm, uri = credentials.effective_algorithm, credentials.realm, _rightmost(head)
        known = stored.ha1_for(algorithm, realm) if stored is not None else None
        proven = credentials.proves(known or self._invented_ha1, method="AUTH", uri=uri)
        if known is None or stored is None or not proven:
            raise self._challenge(hop, realm, stale=False)
        if not self._state(hop).accept(credentials.nonce, credentials.nonce_count):
            self._relay.counters["nonce_replays"] += 1
            raise self._challenge(hop, realm, stale=True)
        if not stored.may_relay:
            raise RefusedError(403, "not allowed to use this relay")
        expires = self._granted(head)
        if hop.closed:
            return
        grant = await self._relay.lifecycle.grant(Wanted(hop, head, credentials.username, realm, expires), now)
        nonce, nc, cnonce = credentials.nonce, credentials.nc, credentials.cnonce
        proof = rspauth(algorithm, known, nonce=nonce, nc=nc, cnonce=cnonce, qop="auth", uri=uri)
        info = AuthenticationInfo(rspauth=proof, cnonce=cnonce, nc=nc, qop="auth")
        self.forget_failures(hop)
        self._answer(hop, head, grant, expires, (("Authentication-Info", str(info)),))

    def _answer(
        self, hop: Hop, head: RequestHead, grant: Grant, expires: int, more: tuple[tuple[str, str], ...] = ()
    ) -> None:
        fields = (("Use-Path", grant.use_path), ("Expires", str(expires)), *more)
        self._relay.counters["auth_successes"] += 1
        self._relay.reply(hop, head, 200, "OK", fields=fields)
        self._relay.lifecycle.hand_over(grant.held, grant.session)

    # Our own ua pods: mutual TLS has proven who they are

    def _wanted_by_agent(self, hop: Hop, head: RequestHead, name: str) -> Wanted:
        listener = self._relay.agent_listener()
        realm = listener.domain.lower() if listener is not None else self._relay.listener_domain(hop)
        return Wanted(hop, head, name, realm, self._granted(head), fencing_token(head))

    async def _grant_agent(self, hop: Hop, head: RequestHead, wanted: Wanted) -> None:
        relay = self._relay
        try:
            if not hop.closed:
                grant = await relay.lifecycle.grant(wanted, relay.now())
                self._answer(hop, head, grant, wanted.expires)
        except RefusedError as refused:
            self._refuse(hop, head, refused)
        finally:
            hop.let_go(HeldUp.AUTH, relay.now())
            relay.flush()
            hop.channel.release()

    def _granted(self, head: RequestHead) -> int:
        settings = self._relay.settings
        asked = head.get("Expires")
        if asked is None:
            return settings.default_expires
        if int(asked) < settings.min_expires:
            raise RefusedError(423, "interval out of bounds", (("Min-Expires", str(settings.min_expires)),))
        if int(asked) > settings.max_expires:
            raise RefusedError(423, "interval out of bounds", (("Max-Expires", str(settings.max_expires)),))
        return int(asked)

    # The answer

    def _challenge(self, hop: Hop, realm: str, *, stale: bool) -> RefusedError:
        nonce = self._nonces.issue(realm=realm, binding=_binding(hop), wall=self._wall(), random=self._random)
        self._state(hop).issued(nonce)
        fields = tuple(
            (
                "WWW-Authenticate",
                str(Challenge(realm=realm, nonce=nonce, algorithm=algorithm, opaque=_OPAQUE, stale=stale)),
            )
            for algorithm in self._algorithms(realm)
        )
        return RefusedError(401, "Unauthorized", fields)

    def _refuse(self, hop: Hop, head: RequestHead, refused: RefusedError) -> None:
        if refused.status:
            self._relay.counters["auth_refused"] += 1
            self._relay.reply(hop, head, refused.status, refused.reason, fields=refused.fields)

    def _algorithms(self, realm: str) -> tuple[Algorithm, ...]:
        return self._domain_algorithms.get(realm, self._default_algorithms)

    @staticmethod
    def _state(hop: Hop) -> AuthState:
        if hop.auth is None:
            hop.auth = AuthState()
        return hop.auth


def _binding(hop: Hop) -> bytes:
    """What a nonce is bound to: the connection, of this process."""
    return hop.relay.instance + b"%d" % hop.channel.id


def _rightmost(head: RequestHead) -> str:
    return head.raw_to_path.split()[-1].decode()
