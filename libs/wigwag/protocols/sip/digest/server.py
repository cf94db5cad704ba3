"""Digest at a SIP server: challenges, credentials, proof (RFC 3261 section 22, RFC 7616, RFC 8760), sans-IO.

Theory of operation. A request is examined first, which needs no look-up: whoever has no credentials for our realm, or
has them with a nonce that is not good here, is challenged. For the others the caller looks up what is stored, and
``prove`` compares, at the same price whether the user exists or not. Then the nonce's count is to be accepted by the
window of the process that issued it (``issuer_of``), and whoever comes twice with one count gets ``replayed``.
All refusals are ``SipError`` with the status and the header fields of the response.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wigwag.errors import RemoteProtocolError
from wigwag.protocols.digest import (
    Algorithm,
    AuthenticationInfo,
    Challenge,
    Credentials,
    NonceIssuer,
    NonceVerdict,
    StoredCredentials,
    ha1,
    parse_digest,
    rspauth,
)
from wigwag.protocols.sip.errors import SipError
from wigwag.protocols.sip.message import Request
from wigwag.protocols.sip.uri import SipUri, Uri, normal_user, parse_uri

OPAQUE: Final = "wigwag"
"""Sent with every challenge; what comes back in its place is not looked at."""
LARGEST_AUTHORIZATION: Final = 8
"""Credentials of one request that are looked through; a request through many proxies has a few."""
_DEFAULT_PORTS: Final = {"sip": 5060, "sips": 5061}


class Role(enum.Enum):
    """As what a server asks for credentials: the two have header fields and a status of their own."""

    USER_AGENT = (401, "Unauthorized", "WWW-Authenticate", "Authorization")
    """The request ends here: at a registrar or a user agent (RFC 3261 section 22.2)."""
    PROXY = (407, "Proxy Authentication Required", "Proxy-Authenticate", "Proxy-Authorization")
    """The request goes on from here (RFC 3261 section 22.3)."""

    def __init__(self, status: int, reason: str, challenge_field: str, credentials_field: str) -> None:
        self.status = status
        self.reason = reason
        self.challenge_field = challenge_field
        self.credentials_field = credentials_field


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionDomain:
    """Where credentials have to be good (RFC 3261 section 22.1), and for whom a nonce is."""

    role: Role
    realm: str
    binding: bytes
    """Identity of the connection; over UDP empty or anything else that stays the same for a client."""
    issuer: str = ""
    """Over UDP the name of the process that remembers the nonce's counts, for new nonces; as ``NonceIssuer.issue``."""
    algorithms: tuple[Algorithm, ...] = (Algorithm.SHA_256, Algorithm.MD5)
    """Offered, the preferred one first (RFC 8760 section 2.3)."""
    qop: tuple[str, ...] = ("auth",)
    """Qualities of protection offered: ``auth``, ``auth-int`` or both."""
    without_qop: bool = False
    """Whether clients are let in that know of no qop (RFC 2069): they can't be kept from replaying."""


class DigestServer:
    """Asks for credentials and judges them.

    Args:
        nonces: Issues nonces and recognises them.
        random: Returns so many unpredictable bytes.
    """

    def __init__(self, nonces: NonceIssuer, random: Callable[[int], bytes]) -> None:
        self._nonces = nonces
        self._random = random
        self._invented_password = random(32).hex()

    def challenge(self, request: Request, domain: ProtectionDomain, wall: float, *, stale: bool = False) -> SipError:
        """Return the 401 or 407 for a request.

        Args:
            request: What it answers.
            domain: Where credentials are asked for.
            wall: Seconds since 1970.
            stale: The credentials may have been right, the nonce was not.
        """
        nonce = self._nonces.issue(
            realm=domain.realm, binding=domain.binding, wall=wall, random=self._random, issuer=domain.issuer
        )
        fields = challenges(domain, nonce, stale=stale)
        return SipError(domain.role.reason, status=domain.role.status, request=request, headers=fields)

    def examine(self, request: Request, domain: ProtectionDomain, wall: float) -> Credentials:
        """Return a request's credentials if all that needs no look-up is right with them.

        Raises:
            SipError: 401 or 407 without credentials of the realm or with another nonce; 400 for malformed ones.
        """
        credentials = parse_credentials(request, domain)
        if credentials is None:
            raise self.challenge(request, domain, wall)
        verdict = self._nonces.check(credentials.nonce, realm=domain.realm, binding=domain.binding, wall=wall)
        if verdict is not NonceVerdict.VALID:
            raise self.challenge(request, domain, wall, stale=verdict is NonceVerdict.STALE)
        return credentials

    def prove(
        self,
        credentials: Credentials,
        stored: StoredCredentials | None,
        request: Request,
        domain: ProtectionDomain,
        wall: float,
    ) -> None:
        """Return if the sender knew the password.

        Raises:
            SipError: 401 or 407: he did not, or there is no such user.
        """
        if not verify(credentials, stored, request, self._invented_password):
            raise self.challenge(request, domain, wall)

    def replayed(self, request: Request, domain: ProtectionDomain, wall: float) -> SipError:
        """Return the refusal of right credentials whose count was used before: a new nonce, and no new password."""
        return self.challenge(request, domain, wall, stale=True)


def challenges(domain: ProtectionDomain, nonce: str, *, stale: bool = False) -> tuple[tuple[str, str], ...]:
    """Return the header fields of a challenge: one for each algorithm, in order (RFC 8760 sections 2.3 and 2.6)."""
    return tuple(
        (
            domain.role.challenge_field,
            str(Challenge(domain.realm, nonce, algorithm, opaque=OPAQUE, qop=domain.qop, stale=stale)),
        )
        for algorithm in domain.algorithms
    )


def parse_credentials(request: Request, domain: ProtectionDomain) -> Credentials | None:
    """Return the credentials that are meant for the realm, the first ones of an algorithm that is offered; else None.

    Credentials of other schemes and realms are not for us, malformed ones beside those of the realm neither. Clients
    of the IMS announce their user's name with an empty nonce and response before they have seen a challenge: that is
    none yet (RFC 8760 section 2.7).

    Raises:
        SipError: Those of the realm, or the only ones, are malformed, answer what was not asked, or are for another
            URI than the request; 400.
    """
    try:
        qops = (*domain.qop, "") if domain.without_qop else domain.qop
        held = [Credentials.from_parameters(each, qops) for each in _of_realm(request, domain)]
    except RemoteProtocolError as error:
        raise SipError(error.reason, request=request) from error
    for credentials in held:
        if credentials.effective_algorithm not in domain.algorithms:
            continue
        if credentials.uri is None or not same_resource(credentials.uri, request.uri):
            raise SipError("Digest header: uri is not the Request-URI", request=request)
        return credentials
    return None


def verify(
    credentials: Credentials, stored: StoredCredentials | None, request: Request, invented_password: str
) -> bool:
    """Tell whether the sender knew the password, in a time that does not tell whether the user exists.

    Args:
        credentials: As ``parse_credentials`` returned them.
        stored: What is known of the user; None if there is none.
        request: The one that they came with.
        invented_password: Nobody's: stands in where there is none.
    """
    algorithm, realm = credentials.effective_algorithm, credentials.realm
    if stored is None or not stored.password:
        # Made for those with a stored hash too, so that all users cost the same two hashes more.
        known = stored.ha1_for(algorithm, realm, credentials.username) if stored is not None else None
        invented = ha1(algorithm, credentials.username, realm, invented_password)
    else:
        known = invented = ha1(algorithm, credentials.username, realm, stored.password)
    proven = credentials.proves(known or invented, method=request.method, uri=credentials.uri or "", body=request.body)
    return proven and known is not None


def account_of(credentials: Credentials) -> tuple[str, str]:
    """Return user name and domain to look up: clients may send ``alice@example.com`` for alice in that realm."""
    user, at, domain = credentials.username.rpartition("@")
    if at and user and domain.lower() == credentials.realm.lower():
        return user, credentials.realm
    return credentials.username, credentials.realm


def authentication_info(
    credentials: Credentials, ha1: str, *, body: bytes = b"", nextnonce: str | None = None
) -> tuple[str, str]:
    """Return the header field by which a success proves that we know the password too (RFC 7616 section 3.5).

    Args:
        credentials: The request's, with qop.
        ha1: H(A1) of their algorithm.
        body: The response's.
        nextnonce: A nonce to be used from now on.
    """
    nc, cnonce, qop = credentials.nc, credentials.cnonce, credentials.qop
    proof = rspauth(
        credentials.effective_algorithm,
        ha1,
        nonce=credentials.nonce,
        nc=nc,
        cnonce=cnonce,
        qop=qop,
        uri=credentials.uri or "",
        body=body,
    )
    return "Authentication-Info", str(AuthenticationInfo(proof, cnonce, nc, qop, nextnonce))


def same_resource(digest_uri: str, request_uri: str) -> bool:
    """Tell whether credentials for one URI may come with a request to the other (RFC 8760 section 2.6).

    Parameters, headers, a default port and the letters' case in the host don't matter: clients leave them out, and
    proxies in front of us add them.
    """
    if digest_uri == request_uri:
        return True
    try:
        return _resource(parse_uri(digest_uri)) == _resource(parse_uri(request_uri))
    except SipError:
        return False


def _resource(uri: Uri) -> tuple[str, ...]:
    if not isinstance(uri, SipUri):
        return ("tel", uri.aor)
    return (uri.scheme, normal_user(uri.user), uri.host, str(uri.port or _DEFAULT_PORTS[uri.scheme]))


def _of_realm(request: Request, domain: ProtectionDomain) -> list[dict[str, str]]:
    """Return the parameters of all credentials for the realm; RemoteProtocolError if there are but broken ones."""
    found: list[dict[str, str]] = []
    broken: RemoteProtocolError | None = None
    for value in request.get_all(domain.role.credentials_field.lower())[:LARGEST_AUTHORIZATION]:
        if value[:6].lower() != "digest":
            continue
        try:
            parameters = parse_digest(value)
        except RemoteProtocolError as error:
            broken = error
            continue
        if parameters.get("realm") == domain.realm and not _is_announcement(parameters):
            found.append(parameters)
    if broken is not None and not found:
        raise broken
    return found


def _is_announcement(parameters: dict[str, str]) -> bool:
    return not parameters.get("nonce", "-") and not parameters.get("response", "-")
