"""Requests from others (RFC 3261 section 8.2, RFC 3428 section 7), sans-IO.

What is not for a user agent that only takes messages is refused in the order in which RFC 3261 section 8.2 inspects a
request: method, Request-URI, merged requests, required extensions, content. A message is shown once, whatever way and
however often it comes.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from wigwag.protocols.sip.errors import SipError
from wigwag.protocols.sip.message import Request, Response
from wigwag.protocols.sip.parsing import parse_datagram
from wigwag.protocols.sip.transactions import Transactions, TransactionsFullError
from wigwag.protocols.sip.uri import parse_uri

from .identity import Flow, Identity

if TYPE_CHECKING:
    from wigwag.protocols.sip.transactions import ServerTransaction

ALLOWED: Final = ("MESSAGE", "OPTIONS")
_KNOWN: Final = frozenset(
    ("INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH", "INFO", "REFER", "UPDATE")
)
_REMEMBERED: Final = 1000
"""Messages whose identities are kept, so that they are shown once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived:
    """A MESSAGE came, for the first time, and was answered 200."""

    from_uri: str
    display_name: str
    to_uri: str
    content_type: str
    """As written, with parameters; empty for a message without a body."""
    body: bytes
    call_id: str
    expired: bool
    """Whether its sender did not want it shown any more (RFC 3428 section 7)."""

    @property
    def media_type(self) -> str:
        """``content_type`` in lower case, without parameters."""
        return self.content_type.partition(";")[0].strip().lower()


class UserAgentServer:
    """Answers requests.

    Args:
        transactions: The transaction layer.
        identity: Who answers.
        token: Returns a text that nobody can guess.
        accept: Media types taken, such as ``text/plain`` or ``text/*``.
        on_message: Told of each message once.
        wall: Returns the seconds since 1970.
    """

    def __init__(
        self,
        transactions: Transactions,
        identity: Identity,
        *,
        token: Callable[[], str],
        accept: tuple[str, ...],
        on_message: Callable[[MessageReceived], None],
        wall: Callable[[], float],
    ) -> None:
        self._transactions = transactions
        self._identity = identity
        self._token = token
        self._accept = accept
        self._on_message = on_message
        self._wall = wall
        self._shown: OrderedDict[tuple[str, int, str | None], None] = OrderedDict()

    def receive(self, request: Request, flow: Flow, now: float) -> None:
        """Take a request that has passed ``validate``."""
        if request.method == "ACK":
            self._transactions.receive_ack(request, now)
            return
        try:
            server = self._transactions.receive_request(request, flow.wire, now)
        except TransactionsFullError:
            return
        if server is None:
            return
        try:
            self._examine(request)
        except SipError as error:
            self._respond(server, request, error.status or 400, error.reason, error.headers, now)
            return
        server.as_uas()
        self._respond(server, request, 200, "OK", self._capabilities(request), now)
        if request.method == "MESSAGE":
            self._show(request)

    def refuse(self, error: SipError, flow: Flow) -> None:
        """Answer a request that was too broken for a transaction, if it can be answered."""
        request = error.request
        if request is None or request.method == "ACK" or "via" not in request:
            return
        answer = bytes(self._response(request, error.status or 400, error.reason, error.headers))
        try:
            # What is wrong may be in a field that an answer repeats.
            parse_datagram(answer)
        except SipError:
            return
        flow.wire.send(answer)

    # Section 8.2

    def _examine(self, request: Request) -> None:
        self._check_method(request)
        parse_uri(request.uri)
        if self._transactions.is_merged(request):
            raise SipError("Loop Detected", status=482)
        required = request.items("require")
        if required:
            # We require no extension in requests to us, so none of what may be required is supported.
            raise SipError("Bad Extension", status=420, headers=(("Unsupported", ", ".join(required)),))
        if request.to.tag is not None:
            raise SipError("Call/Transaction Does Not Exist", status=481)
        if request.method == "MESSAGE":
            self._check_content(request)

    def _check_method(self, request: Request) -> None:
        method = request.method
        if method in ("BYE", "CANCEL"):
            raise SipError("Call/Transaction Does Not Exist", status=481)
        if method in _KNOWN:
            raise SipError("Method Not Allowed", status=405, headers=(("Allow", ", ".join(ALLOWED)),))
        if method not in ALLOWED:
            raise SipError("Not Implemented", status=501, headers=(("Allow", ", ".join(ALLOWED)),))

    def _check_content(self, request: Request) -> None:
        encodings = [item.lower() for item in request.items("content-encoding")]
        if any(encoding != "identity" for encoding in encodings):
            raise SipError("Unsupported Media Type", status=415, headers=(("Accept-Encoding", "identity"),))
        if request.body and not self._accepts(request.content_type):
            raise SipError("Unsupported Media Type", status=415, headers=(("Accept", ", ".join(self._accept)),))

    def _accepts(self, content_type: str) -> bool:
        kind = content_type.partition("/")[0]
        return any(accepted in (content_type, f"{kind}/*", "*/*") for accepted in self._accept)

    # What comes of it

    def _show(self, request: Request) -> None:
        identity = (request.call_id, request.cseq.number, request.from_.tag)
        if identity in self._shown:
            return
        self._shown[identity] = None
        if len(self._shown) > _REMEMBERED:
            self._shown.popitem(last=False)
        self._on_message(
            MessageReceived(
                from_uri=request.from_.uri,
                display_name=request.from_.display_name,
                to_uri=request.to.uri,
                content_type=request.get("content-type") or "",
                body=request.body,
                call_id=request.call_id,
                expired=self._has_expired(request),
            )
        )

    def _has_expired(self, request: Request) -> bool:
        """Tell whether Date and Expires say that it is too late; without Date nobody knows how late it is."""
        date = request.get("date")
        try:
            expires = request.number("expires")
            sent = parsedate_to_datetime(date).timestamp() if date is not None else None
        except (SipError, ValueError, OverflowError):
            return False
        return sent is not None and expires is not None and self._wall() > sent + expires

    def _capabilities(self, request: Request) -> tuple[tuple[str, str], ...]:
        if request.method != "OPTIONS":
            return ()
        return ("Allow", ", ".join(ALLOWED)), ("Accept", ", ".join(self._accept)), ("Supported", "path, outbound")

    def _respond(
        self,
        server: "ServerTransaction",
        request: Request,
        status: int,
        reason: str,
        fields: tuple[tuple[str, str], ...],
        now: float,
    ) -> None:
        server.respond(self._response(request, status, reason, fields), now)

    def _response(self, request: Request, status: int, reason: str, fields: tuple[tuple[str, str], ...]) -> Response:
        software = ("Server", self._identity.software)
        return Response.to_request(request, status, reason, to_tag=self._token(), fields=(*fields, software))
