"""One request of ours from its first attempt to its final response, INVITE too (RFC 3261 sections 8.1, 22)."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from wigwag.protocols.sip.digest import DigestClient, ServerProof
from wigwag.protocols.sip.message import Request, Response
from wigwag.protocols.sip.transactions import Transactions, TransactionsFullError, Wire

if TYPE_CHECKING:
    from wigwag.protocols.sip.transactions import ClientTransaction

_COOKIE: Final = "z9hG4bK"


@dataclass(frozen=True, slots=True)
class Unanswered:
    """There was no final response, or none to be believed."""

    reason: str
    timed_out: bool = False
    """Whether the server said nothing for 32 seconds; otherwise the connection failed."""


class Way(Protocol):
    """By which requests go to the peer or the proxy before it: a ``Flow`` is one."""

    @property
    def wire(self) -> Wire:
        """Where messages go."""
        ...

    def via(self, branch: str) -> str:
        """Return our Via."""
        ...


class ExchangeUser(Protocol):
    """Who hears of the responses to a request."""

    def provisional(self, exchange: "Exchange", response: Response, now: float) -> None:
        """A 1xx came."""
        ...

    def answered(self, exchange: "Exchange", response: Response, now: float) -> None:
        """A final response came, or none: see ``Exchange``. Of an INVITE every 2xx is told."""
        ...


class Exchange:
    """A request and the challenges to it: the user of its transactions, one after the other.

    Theory of operation. What comes back is always a response: that nobody answered counts as 408, a lost connection
    and a full transaction layer as 503 (section 8.1.3.1); ``failure`` tells these from what a peer said. A challenge
    is answered with the next CSeq, unless the request was cancelled. The branch follows from the request's identity.

    Args:
        transactions: The transaction layer.
        digest: Knows the user's passwords.
        request: Without Via; kept.
        way: By which it goes.
        next_cseq: Returns the number of the next attempt.
        user: Who is told.
        routes: Route fields that the way asks for.

    Attributes:
        sent: The request as it was sent last.
        failure: Why the final response is our own, or not to be believed; None: it is the peer's.
        cancelled: Whether ``cancel`` was called.
    """

    def __init__(
        self,
        transactions: Transactions,
        digest: DigestClient,
        request: Request,
        way: Way,
        next_cseq: Callable[[], int],
        user: ExchangeUser,
        routes: Sequence[str] = (),
    ) -> None:
        self._transactions = transactions
        self._digest = digest
        self._base = request
        self._next_cseq = next_cseq
        self._user = user
        self._routes = routes
        self._challenges = digest.exchange()
        self._client: ClientTransaction | None = None
        self.way = way
        self.sent = request
        self.failure: Unanswered | None = None
        self.cancelled = False

    def start(self, now: float) -> None:
        """Send it."""
        sent = self.sent = self._base.copy()
        for route in reversed(self._routes):
            sent.insert("Route", route)
        sent.insert("Via", self.way.via(branch_of(sent)))
        self._digest.sign(sent)
        try:
            # Its user may be called before it is here.
            self._client = self._transactions.send_request(sent, self.way.wire, self, now)
        except TransactionsFullError as error:
            self._fail(503, Unanswered(str(error)), now)

    def again(self, fields: tuple[tuple[str, str], ...], now: float) -> None:
        """Send it once more with other header fields and the next CSeq, as a 422 wants it."""
        for name, value in fields:
            self._base.set(name, value)
        self._base.set("CSeq", f"{self._next_cseq()} {self._base.method}")
        self.start(now)

    def cancel(self, now: float) -> None:
        """Cancel an INVITE; nothing happens once it has a final response."""
        self.cancelled = True
        if self._client is not None:
            self._client.cancel(now)

    def response_received(self, client: "ClientTransaction", response: Response, now: float) -> None:
        """Answer a challenge, or hand the response over."""
        self._client = client
        if response.status < 200:
            self._user.provisional(self, response, now)
        elif response.status in (401, 407) and not self.cancelled and self._challenges.answer(response):
            self.again((), now)
        elif response.status < 300 and self._digest.learn(self.sent, response) is ServerProof.WRONG:
            self._distrust(response, now)
        else:
            self._user.answered(self, response, now)

    def timed_out(self, client: "ClientTransaction", now: float) -> None:
        """Hear that no response came."""
        self._fail(408, Unanswered("no answer within 32 seconds", timed_out=True), now)

    def wire_failed(self, client: "ClientTransaction", reason: str, now: float) -> None:
        """Hear that the connection is gone."""
        self._fail(503, Unanswered(reason), now)

    def _distrust(self, response: Response, now: float) -> None:
        """Take a 2xx from somebody who claims to know the password and does not; of an INVITE it has to be ended."""
        failure = Unanswered("the server claims to know the password and does not")
        if self.sent.method == "INVITE":
            self.failure = failure
            self._user.answered(self, response, now)
        else:
            self._fail(503, failure, now)

    def _fail(self, status: int, failure: Unanswered, now: float) -> None:
        self.failure = failure
        self._user.answered(self, Response.to_request(self.sent, status, failure.reason), now)


def branch_of(request: Request) -> str:
    """Return a branch that follows from a request's identity: sent again, it is the same request (section 17.1.3)."""
    tags = f"{request.from_.tag} {request.to.tag} {request.uri}"
    identity = f"{request.call_id} {request.cseq.number} {request.method} {tags}"
    return _COOKIE + hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:24]
