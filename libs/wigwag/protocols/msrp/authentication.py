"""A client's AUTH at a relay, sans-IO (RFC 4976 sections 5.1 and 9.1).

Theory of operation. One machine stands for one AUTH: the first request carries no credentials, the answer to its 401
carries them. Relays disagree about ``uri=`` in Authorization: RFC 4976's grammar does not have it and one relay never
answers a request that does, another answers 401 for ever to one that does not. So the first answer goes without; a
second 401 that is not stale is taken for the second kind and answered once more, with ``uri=``. The third is final.
A stale nonce costs no such attempt. Nobody answers within 30 seconds: that is for the caller's timer to find out.

==================  ==================  =================================  ==================
state               response            action                             new state
==================  ==================  =================================  ==================
UNAUTHENTICATED     401                 answer without ``uri=``            ANSWERED
ANSWERED            401 stale           answer the new nonce, same form    ANSWERED
ANSWERED            401                 answer with ``uri=``               ANSWERED_WITH_URI
ANSWERED_WITH_URI   401 stale           answer the new nonce, same form    ANSWERED_WITH_URI
ANSWERED_WITH_URI   401                 failed                             DONE
any of these        200                 check rspauth, Use-Path: granted   DONE
any of these        another             failed                             DONE
==================  ==================  =================================  ==================
"""

import enum
import hmac
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from wigwag.errors import LocalProtocolError, RemoteProtocolError
from wigwag.protocols.digest import AuthenticationInfo, Challenge, Credentials, ha1, response, rspauth

from .grammar import Path, ResponseHead, end_line, request
from .uri import MsrpUri, parse_path

UNSTATED_EXPIRES: Final = 600
"""Seconds for which a grant is taken to hold when neither side named a time; RFC 4976 wants relays to name one."""
LARGEST_STALE: Final = 3
"""Stale nonces in a row after which the relay is not believed any more."""

_OK: Final = 200
_UNAUTHORIZED: Final = 401
# Expires = "Expires:" SP 1*DIGIT; ten digits are three hundred years
_SECONDS = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticated:
    """The relay granted a URI."""

    use_path: Path
    """URIs to be used in front of the own one, in the order of a To-Path (RFC 4976 section 5.1)."""
    expires: int
    """Seconds until the grant ends; AUTH again before."""
    relay_verified: bool
    """Whether the relay proved that it knows the password; False when its proof was missing or unreadable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationFailed:
    """There will be no grant by this AUTH."""

    status: int
    """The response's status code; 200 when a success could not be used."""
    reason: str


class _State(enum.Enum):
    NEW = enum.auto()
    UNAUTHENTICATED = enum.auto()
    ANSWERED = enum.auto()
    ANSWERED_WITH_URI = enum.auto()
    DONE = enum.auto()


@dataclass(slots=True)
class _Answer:
    """What was sent last, to check the relay's proof against."""

    challenge: Challenge
    ha1: str = field(repr=False)
    cnonce: str
    nc: int


class RelayAuthentication:
    """One AUTH of a client.

    Args:
        username: The user's name at the relay.
        password: His password.
        to_path: The relay, or the chain of relays beginning with the URI that the first one granted.
        from_path: The client's own URI.
        expires: Seconds to ask for; None leaves it to the relay.
        fields: More header fields of each request.
        random: Returns so many unpredictable bytes.
    """

    def __init__(
        self,
        username: str,
        password: str,
        to_path: Path,
        from_path: MsrpUri,
        *,
        expires: int | None = None,
        fields: tuple[tuple[str, str], ...] = (),
        random: Callable[[int], bytes],
    ) -> None:
        self._username = username
        self._password = password
        self._to_path = to_path
        self._from_path = from_path
        self._expires = expires
        self._fields = fields
        self._random = random
        self._state = _State.NEW
        self._answer: _Answer | None = None
        self._stale = 0
        self.transaction_id = ""
        """That of the request last returned: a response with another one is not for ``receive``."""

    def start(self) -> bytes:
        """Return the first request.

        Raises:
            LocalProtocolError: Called twice.
        """
        if self._state is not _State.NEW:
            raise LocalProtocolError("this AUTH was started already")
        self._state = _State.UNAUTHENTICATED
        return self._request(None)

    def receive(self, head: ResponseHead) -> bytes | Authenticated | AuthenticationFailed:
        """Take the response to the request last returned.

        Returns:
            The next request to send, or how it ended.

        Raises:
            LocalProtocolError: No request is open, or it has another transaction id.
        """
        if self._state in (_State.NEW, _State.DONE) or head.transaction_id != self.transaction_id:
            raise LocalProtocolError("not the response to the AUTH that is open")
        outcome = self._judge(head)
        if not isinstance(outcome, bytes):
            self._state = _State.DONE
        return outcome

    def _judge(self, head: ResponseHead) -> bytes | Authenticated | AuthenticationFailed:
        if head.status_code == _OK:
            return self._granted(head)
        if head.status_code != _UNAUTHORIZED:
            # 400 too is final: one relay sends it for a nonce that it does not know.
            return AuthenticationFailed(status=head.status_code, reason=head.comment or "refused")
        challenge = _first_usable(head)
        if challenge is None:
            return AuthenticationFailed(status=_UNAUTHORIZED, reason="no challenge that can be answered")
        return self._answer_to(challenge)

    def _answer_to(self, challenge: Challenge) -> bytes | AuthenticationFailed:
        if self._state is _State.UNAUTHENTICATED:
            self._state = _State.ANSWERED
        elif challenge.stale:
            self._stale += 1
            if self._stale > LARGEST_STALE:
                return AuthenticationFailed(status=_UNAUTHORIZED, reason="every nonce was stale at once")
        elif self._state is _State.ANSWERED:
            self._state = _State.ANSWERED_WITH_URI
        else:
            return AuthenticationFailed(status=_UNAUTHORIZED, reason="wrong user name or password")
        return self._request(self._credentials(challenge))

    def _credentials(self, challenge: Challenge) -> Credentials:
        previous = self._answer
        # A nonce that comes again is used again, with the next count (RFC 7616 section 3.4).
        again = previous is not None and previous.challenge.nonce == challenge.nonce
        answer = _Answer(
            challenge=challenge,
            ha1=ha1(challenge.algorithm, self._username, challenge.realm, self._password),
            cnonce=self._random(16).hex(),
            nc=previous.nc + 1 if again and previous is not None else 1,
        )
        self._answer = answer
        nc, uri = f"{answer.nc:08x}", str(self._to_path[-1])
        proof = response(
            challenge.algorithm,
            answer.ha1,
            nonce=challenge.nonce,
            nc=nc,
            cnonce=answer.cnonce,
            qop="auth",
            method="AUTH",
            uri=uri,
        )
        return Credentials(
            username=self._username,
            realm=challenge.realm,
            nonce=challenge.nonce,
            response=proof,
            # Left out for MD5, which is what it means: relays that know MD5 only may stumble over it.
            algorithm=None if challenge.algorithm.value == "MD5" else challenge.algorithm,
            cnonce=answer.cnonce,
            nc=nc,
            qop="auth",
            opaque=challenge.opaque,
            uri=uri if self._state is _State.ANSWERED_WITH_URI else None,
        )

    def _request(self, credentials: Credentials | None) -> bytes:
        self.transaction_id = self._random(12).hex()
        fields = list(self._fields)
        if self._expires is not None:
            fields.append(("Expires", str(self._expires)))
        if credentials is not None:
            fields.append(("Authorization", str(credentials)))
        head = request(self.transaction_id, "AUTH", self._to_path, (self._from_path,), fields)
        return head + end_line(self.transaction_id, "$")

    def _granted(self, head: ResponseHead) -> Authenticated | AuthenticationFailed:
        proven = self._proven(head)
        if proven is False:
            return AuthenticationFailed(status=_OK, reason="the relay does not know the password")
        try:
            use_path = parse_path((head.get("Use-Path") or "").encode())
        except RemoteProtocolError as error:
            return AuthenticationFailed(status=_OK, reason=f"Use-Path: {error.reason}")
        return Authenticated(use_path=use_path, expires=self._granted_seconds(head), relay_verified=proven is True)

    def _granted_seconds(self, head: ResponseHead) -> int:
        text = head.get("Expires") or ""
        if _SECONDS.fullmatch(text) is not None:
            return int(text)
        return UNSTATED_EXPIRES if self._expires is None else self._expires

    def _proven(self, head: ResponseHead) -> bool | None:
        """Check rspauth; None when there is none that can be read, which two real relays make normal."""
        proof = AuthenticationInfo.parse(head.get("Authentication-Info") or "").rspauth
        answer = self._answer
        if proof is None or answer is None:
            return None
        expected = rspauth(
            answer.challenge.algorithm,
            answer.ha1,
            nonce=answer.challenge.nonce,
            nc=f"{answer.nc:08x}",
            cnonce=answer.cnonce,
            qop="auth",
            uri=str(self._to_path[-1]),
        )
        return hmac.compare_digest(expected, proof)


def _first_usable(head: ResponseHead) -> Challenge | None:
    """Return the first challenge that we can answer: the server lists them as it likes them (RFC 7616 section 3.7)."""
    return next((challenge for challenge in _challenges(head) if _usable(challenge)), None)


def _challenges(head: ResponseHead) -> Iterator[Challenge]:
    for value in head.get_all("WWW-Authenticate"):
        try:
            yield Challenge.parse(value)
        except RemoteProtocolError:
            # Basic, MD5-sess or worse: another one may be better.
            continue


def _usable(challenge: Challenge) -> bool:
    return "auth" in challenge.qop and challenge.algorithm.available
