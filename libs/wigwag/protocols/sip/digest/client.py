"""A client's answers to challenges (RFC 3261 sections 22.2 and 22.3, RFC 7616, RFC 8760), sans-IO.

Theory of operation. A client keeps one session for each realm and role: the last nonce and how often it was used. What
it knows goes with every request from the start (``sign``). A request that is challenged all the same is answered
(``DigestExchange.answer``): once for each realm, because whoever does not like the answer does not like the password;
but a stale nonce, and the rejection of what was sent unasked, cost no such attempt. Nothing is answered unless every
realm that asks can be.
"""

import enum
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from wigwag.errors import RemoteProtocolError
from wigwag.protocols.digest import AuthenticationInfo, Challenge, Credentials, ha1, response, rspauth
from wigwag.protocols.sip.message import Request, Response

from .server import Role

LARGEST_STALE: Final = 3
"""Stale nonces in a row, for one request, after which a server is not believed any more."""
LARGEST_REALMS: Final = 8
"""Realms that may ask within one request's life, and whose state is kept; more is an attempt to collect answers."""


@dataclass(frozen=True, slots=True)
class Account:
    """By what name and password a client is known in a realm."""

    username: str
    password: str = field(repr=False)


class OwnRealm:
    """One account for the user's own domain, or else for the realm that asks first, and for no other.

    The first to ask is the user's own server. Whoever asks later, from behind it, would only collect hashes of the
    password to try words against.

    Args:
        account: The account.
        domain: The domain of the user's address.
    """

    def __init__(self, account: Account, domain: str) -> None:
        self._account = account
        self._domain = domain.lower()
        self._first: str | None = None

    def __call__(self, realm: str) -> Account | None:
        """Return the account if it is for this realm."""
        if self._first is None:
            self._first = realm
        return self._account if realm == self._first or realm.lower() == self._domain else None


class ServerProof(enum.Enum):
    """What ``Authentication-Info`` says of the server."""

    PROVEN = "proven"
    """It knows the password too."""
    MISSING = "missing"
    """It said nothing, or nothing that can be read: many don't."""
    WRONG = "wrong"
    """What it said is well formed and wrong: this is not the server that knows the password."""


@dataclass(slots=True)
class _Session:
    """The state of one realm (RFC 7616 section 3.6)."""

    challenge: Challenge
    username: str
    ha1: str = field(repr=False)
    nc: int = 0
    """Used last with this nonce."""


class DigestClient:
    """Knows accounts, and what servers have asked for.

    Args:
        account_for: Returns the account of a realm, None if there is none: then the request is given up. Whoever
            answers for every realm shows every server on the way a hash of his password.
        random: Returns so many unpredictable bytes.
    """

    def __init__(self, account_for: Callable[[str], Account | None], random: Callable[[int], bytes]) -> None:
        self._account_for = account_for
        self._random = random
        self._sessions: dict[tuple[Role, str], _Session] = {}

    def sign(self, request: Request) -> None:
        """Put credentials in for every realm that has asked before, in place of those that are there."""
        for role in Role:
            request.remove(role.credentials_field.lower())
        for (role, _), session in self._sessions.items():
            request.append(role.credentials_field, str(self._credentials(session, request)))

    def exchange(self) -> "DigestExchange":
        """Return what has to be asked whenever one request, in all its attempts, is challenged."""
        return DigestExchange(self)

    def learn(self, request: Request, success: Response) -> ServerProof:
        """Take the next nonce out of a 2xx to a signed request, and check the server's proof."""
        info = AuthenticationInfo.parse(success.get("authentication-info") or "")
        signed = [(session, used) for session, used in self._signed(request) if used.qop]
        proof = _proof(info, signed, success.body)
        if info.nextnonce and proof is not ServerProof.WRONG and len(signed) == 1:
            session = signed[0][0]
            session.challenge, session.nc = replace(session.challenge, nonce=info.nextnonce), 0
        return proof

    def _signed(self, request: Request) -> Iterator[tuple[_Session, Credentials]]:
        """Return what ``sign`` has put in for user agents: proxies have no Authentication-Info in SIP."""
        for value in request.get_all(Role.USER_AGENT.credentials_field.lower()):
            credentials = Credentials.parse(value, ("auth", "auth-int", ""))
            session = self._sessions.get((Role.USER_AGENT, credentials.realm))
            if session is not None:
                yield session, credentials

    def forget(self) -> None:
        """Forget all that servers have asked for: the connection that they asked over is gone."""
        self._sessions.clear()

    def take(self, role: Role, challenge: Challenge) -> bool:
        """Answer this challenge from now on; False if there is no account for its realm."""
        account = self._account_for(challenge.realm)
        if account is None:
            return False
        held = self._sessions.pop((role, challenge.realm), None)
        hashed = ha1(challenge.algorithm, account.username, challenge.realm, account.password)
        session = _Session(challenge, account.username, hashed)
        if held is not None and held.challenge.nonce == challenge.nonce:
            # A nonce that comes again is used again, with the next count (RFC 7616 section 3.4).
            session.nc = held.nc
        while len(self._sessions) >= LARGEST_REALMS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[role, challenge.realm] = session
        return True

    def _credentials(self, session: _Session, request: Request) -> Credentials:
        challenge = session.challenge
        session.nc += 1
        qop = _chosen_qop(challenge)
        nc = f"{session.nc:08x}" if qop else ""
        cnonce = self._random(16).hex() if qop else ""
        proof = response(
            challenge.algorithm,
            session.ha1,
            nonce=challenge.nonce,
            nc=nc,
            cnonce=cnonce,
            qop=qop,
            method=request.method,
            uri=request.uri,
            body=request.body,
        )
        return Credentials(
            username=session.username,
            realm=challenge.realm,
            nonce=challenge.nonce,
            response=proof,
            algorithm=challenge.algorithm,
            cnonce=cnonce,
            nc=nc,
            qop=qop,
            opaque=challenge.opaque,
            uri=request.uri,
        )


class DigestExchange:
    """The challenges to one request, in all its attempts."""

    def __init__(self, client: DigestClient) -> None:
        self._client = client
        self._answered: set[tuple[Role, str]] = set()
        self._stale = 0

    def answer(self, refused: Response) -> bool:
        """Take a 401 or 407; tells whether to ``sign`` the request and send it again, with the next CSeq.

        Both kinds of challenges may stand in one response, from several proxies and servers (RFC 3261 section 22.3).
        """
        asked = {
            (role, realm): usable
            for role in Role
            for realm, usable in _by_realm(refused.get_all(role.challenge_field.lower())).items()
        }
        if not asked:
            return False
        return all(challenge is not None and self._take(*key, challenge) for key, challenge in asked.items())

    def _take(self, role: Role, realm: str, challenge: Challenge) -> bool:
        if (role, realm) in self._answered:
            if not challenge.stale or self._stale == LARGEST_STALE:
                return False
            self._stale += 1
        if len(self._answered) == LARGEST_REALMS:
            return False
        self._answered.add((role, realm))
        return self._client.take(role, challenge)


def _by_realm(values: list[str]) -> dict[str, Challenge | None]:
    """Return the topmost challenge of each realm that can be answered (RFC 8760 section 2.4); None: none can."""
    found: dict[str, Challenge | None] = {}
    for value in values:
        try:
            challenge = Challenge.parse(value)
        except RemoteProtocolError:
            # Of another scheme or algorithm, or broken: another one may be better.
            continue
        usable = challenge.algorithm.available and (not challenge.qop or bool(_chosen_qop(challenge)))
        if found.get(challenge.realm) is None:
            found[challenge.realm] = challenge if usable else None
    return found


def _chosen_qop(challenge: Challenge) -> str:
    """Return ``auth`` if it is offered; empty where no qop was, as servers of RFC 2069 have it."""
    return next((qop for qop in ("auth", "auth-int") if qop in challenge.qop), "")


def _proof(info: AuthenticationInfo, signed: list[tuple[_Session, Credentials]], body: bytes) -> ServerProof:
    if info.rspauth is None or not signed:
        return ServerProof.MISSING
    # The field does not name its realm: one of those that the request was signed for has to fit.
    right = any(hmac.compare_digest(_rspauth(*each, body), info.rspauth) for each in signed)
    return ServerProof.PROVEN if right else ServerProof.WRONG


def _rspauth(session: _Session, used: Credentials, body: bytes) -> str:
    return rspauth(
        used.effective_algorithm,
        session.ha1,
        nonce=used.nonce,
        nc=used.nc,
        cnonce=used.cnonce,
        qop=used.qop,
        uri=used.uri or "",
        body=body,
    )
