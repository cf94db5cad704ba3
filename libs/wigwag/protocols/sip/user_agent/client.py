"""Requests of ours from the first attempt to the final response (RFC 3261 section 8.1), sans-IO."""

from collections.abc import Callable, Sequence
from typing import Final

from wigwag.protocols.sip.digest import DigestClient
from wigwag.protocols.sip.message import Request, Response
from wigwag.protocols.sip.transactions import Transactions

from .exchange import Exchange, ExchangeUser, Unanswered, Way
from .identity import Flow

LARGEST_DATAGRAM: Final = 1300
"""Octets of the largest request that goes over UDP where the path's MTU is not known (RFC 3261 section 18.1.1)."""
ROOM_FOR_CREDENTIALS: Final = 560
"""Octets that Via and credentials for one realm add to a request at most."""

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

        def next_cseq() -> int:
            return request.cseq.number + 1

        self.exchange(request, flow, next_cseq, _Told(done), flow.routes).start(now)

    def exchange(
        self,
        request: Request,
        way: Way,
        next_cseq: Callable[[], int],
        user: ExchangeUser,
        routes: Sequence[str] = (),
    ) -> Exchange:
        """Return an exchange of any request but ACK that has not started; see ``Exchange``."""
        return Exchange(self.transactions, self.digest, request, way, next_cseq, user, routes)

    def token(self, octets: int = 10) -> str:
        """Return a text that nobody can guess, for tags, branches and Call-IDs."""
        return self._random(octets).hex()


class _Told:
    """Who hears of one request: its ``Done``."""

    def __init__(self, done: Done) -> None:
        self._done = done

    def provisional(self, exchange: Exchange, response: Response, now: float) -> None:
        """Let it pass."""

    def answered(self, exchange: Exchange, response: Response, now: float) -> None:
        """Tell the response, or why there was none."""
        self._done(exchange.sent, exchange.failure or response, now)


def fits_datagram(request: Request) -> bool:
    """Tell whether a request without Via and credentials may go over UDP (RFC 3261 section 18.1.1)."""
    return len(bytes(request)) + ROOM_FOR_CREDENTIALS <= LARGEST_DATAGRAM
