"""What every element checks before it does anything with a message (RFC 3261 sections 8.1.1, 8.2, 16.3)."""

from typing import Final

from .errors import SipError
from .message import Request, Response
from .names import written
from .uri import LONGEST, SipUri, parse_uri
from .values import parse_number

# Of what routing, transactions, dialogs and registrations depend on, two readers must not see different values.
_SINGLE: Final = frozenset(
    {
        "call-id", "content-disposition", "content-type", "cseq", "date", "event", "expires", "from", "max-forwards",
        "min-expires", "min-se", "rack", "refer-to", "replaces", "rseq", "session-expires", "sip-etag",
        "sip-if-match", "subscription-state", "timestamp", "to",
    }
)  # fmt: skip
_MOST_SECONDS: Final = (1 << 32) - 1
_MAGIC_COOKIE: Final = "z9hG4bK"


def validate(message: Request | Response) -> None:
    """Check what is mandatory, what may be there once only, and what no element could go on without.

    A response that fails has to be dropped, nobody answers it.

    Raises:
        SipError: With the status that the sender of a request is to hear, and the request.
    """
    try:
        _check(message)
    except SipError as error:
        if error.request is None and isinstance(message, Request):
            error.request = message
        raise


def _check(message: Request | Response) -> None:
    names = message.names
    if len(set(names)) != len(names):
        twice = next((name for name in names if name in _SINGLE and names.count(name) > 1), None)
        if twice is not None:
            raise SipError(f"{written(twice)} is there twice")
    message.read_mandatory()
    if isinstance(message, Request):
        if message.cseq.method != message.method:
            raise SipError("CSeq names another method than the request line")
        if message.via.branch == _MAGIC_COOKIE:
            # RFC 4475 section 3.2.1: it tells no transaction from another.
            raise SipError("the branch of Via is nothing but the cookie")
        _check_request(message)


def _check_request(request: Request) -> None:
    if len(request.uri) > LONGEST:
        raise SipError(f"the Request-URI is longer than {LONGEST}", status=414)
    try:
        uri = parse_uri(request.uri)
    except SipError as error:
        raise SipError(f"Request-URI: {error.reason}", status=error.status) from error
    if isinstance(uri, SipUri) and uri.headers:
        # RFC 3261 section 19.1.1, table 1.
        raise SipError("the Request-URI holds header fields")
    request.max_forwards  # noqa: B018 - reading it checks it
    expires = request.get("expires")
    if expires is not None:
        parse_number("Expires", expires, _MOST_SECONDS)
