"""Requests of ours from the first attempt to the final response (RFC 3261 section 8.1), sans-IO."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wigwag.protocols.sip.digest import DigestClient, ServerProof
from wigwag.protocols.sip.message import Request, Response
from wigwag.protocols.sip.transactions import Transactions, TransactionsFullError

from .identity import Flow

if TYPE_CHECKING:
    from wigwag.protocols.sip.transactions import ClientTransaction

BRANCH_COOKIE: Final = "z9hG4bK"
LARGEST_DATAGRAM: Final = 1300
"""Octets of the largest request that goes over UDP where the path's MTU is not known (RFC 3261 section 18.1.1)."""
ROOM_FOR_CREDENTIALS: Final = 560
"""Octets that Via and credentials for one realm add to a request at most."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """There was no final response, or none to be believed."""

    reason: str
    timed_out: bool = False
    """Whether the server said nothing for 32 seconds; otherwise the connection failed."""


Outcome = Response | Unanswered
Done = Callable[[Request, Outcome, float], None]
"""Told the request as it was sent last, what became of it, and the time."""


class UserAgentClient:
    """Sends requests and answers challenges to them.

    Args:
        transactions: The transaction layer.
        digest: Knows the user's passwords.
        random: Returns so many unpredictable bytes.
    """

    def __init__(self, transactions: Transactions, digest: DigestClient, random: Callable[[int], bytes]) -> None:
        self.transactions = transactions
        self.digest = digest
        self._random = random

    def send(self, request: Request, flow: Flow, done: Done, now: float) -> None:
        """Send a request that has no Via yet, other than INVITE and ACK.

        Args:
            request: Kept, and its CSeq goes up with every challenge that is answered.
            flow: The way it goes.
            done: Called once, perhaps from within this call.
            now: The time.
        """
        Exchange(self, request, flow, done).start(now)

    def token(self, octets: int = 10) -> str:
        """Return a text that nobody can guess, for tags, branches and Call-IDs."""
        return self._random(octets).hex()


class Exchange:
    """One request and the challenges to it: the user of its transactions, one after the other."""

    def __init__(self, client: UserAgentClient, request: Request, flow: Flow, done: Done) -> None:
        self._client = client
        self._base = request
        self._flow = flow
        self._done = done
        self._challenges = client.digest.exchange()
        self._sent = request

    def start(self, now: float) -> None:
        """Send it, with a branch that follows from its identity: sent again, it is the same request."""
        sent = self._sent = self._base.copy()
        for route in reversed(self._flow.routes):
            sent.insert("Route", route)
        sent.insert("Via", self._flow.via(_branch(sent)))
        self._client.digest.sign(sent)
        try:
            self._client.transactions.send_request(sent, self._flow.wire, self, now)
        except TransactionsFullError as error:
            self._done(sent, Unanswered(str(error)), now)

    def response_received(self, client: "ClientTransaction", response: Response, now: float) -> None:
        """Answer a challenge, or hand the final response over."""
        if response.status < 200:
            return
        if response.status in (401, 407) and self._challenges.answer(response):
            cseq = self._base.cseq
            self._base.set("CSeq", f"{cseq.number + 1} {cseq.method}")
            self.start(now)
            return
        outcome: Outcome = response
        if response.status < 300 and self._client.digest.learn(self._sent, response) is ServerProof.WRONG:
            outcome = Unanswered("the server claims to know the password and does not")
        self._done(self._sent, outcome, now)

    def timed_out(self, client: "ClientTransaction", now: float) -> None:
        """Hear that no response came."""
        self._done(self._sent, Unanswered("no answer within 32 seconds", timed_out=True), now)

    def wire_failed(self, client: "ClientTransaction", reason: str, now: float) -> None:
        """Hear that the connection is gone."""
        self._done(self._sent, Unanswered(reason), now)


def _branch(request: Request) -> str:
    identity = f"{request.call_id} {request.cseq.number} {request.method}"
    return BRANCH_COOKIE + hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:24]


def fits_datagram(request: Request) -> bool:
    """Tell whether a request without Via and credentials may go over UDP (RFC 3261 section 18.1.1)."""
    return len(bytes(request)) + ROOM_FOR_CREDENTIALS <= LARGEST_DATAGRAM
