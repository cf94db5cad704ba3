"""Pager-mode messages of ours (RFC 3428), sans-IO."""

from collections import deque
from collections.abc import Sequence

from wigwag.protocols.sip.errors import SipError
from wigwag.protocols.sip.message import Request
from wigwag.protocols.sip.uri import SipUri, parse_uri
from wigwag.protocols.sip.values import NameAddress

from .client import Done, Outcome, UserAgentClient
from .exchange import Unanswered
from .identity import Flow, Identity


class MessageSender:
    """Sends MESSAGEs, one at a time to each address (RFC 3428 section 8).

    Args:
        client: Sends the requests.
        identity: Who sends.
    """

    def __init__(self, client: UserAgentClient, identity: Identity) -> None:
        self._client = client
        self._identity = identity
        self._waiting: dict[str, deque[tuple[Request, Flow, Done]]] = {}
        """Behind the one that is on its way, by address."""

    def request(self, to: str, content_type: str, body: bytes, fields: Sequence[tuple[str, str]] = ()) -> Request:
        """Return a MESSAGE that has not been sent.

        Args:
            to: A sip, sips or tel URI.
            content_type: Media type.
            body: The text.
            fields: More header fields, such as Expires and Date.

        Raises:
            SipError: ``to`` is no such URI.
        """
        target = parse_uri(to)
        if isinstance(target, SipUri) and target.headers:
            raise SipError("a URI to send to has no header fields")
        made = [
            ("Max-Forwards", "70"),
            ("From", self._identity.address(self._client.token(6))),
            ("To", str(NameAddress("", to))),
            ("Call-ID", self._client.token(16)),
            ("CSeq", "1 MESSAGE"),
            ("User-Agent", self._identity.software),
            *fields,
            ("Content-Type", content_type),
        ]
        return Request.create("MESSAGE", to, made, body)

    def send(self, message: Request, flow: Flow, done: Done, now: float) -> None:
        """Send a message, or let it wait until the one before to the same address has its final response.

        Args:
            message: As ``request`` made it.
            flow: The way it goes.
            done: Told what became of it; may send the next one itself.
            now: The time.
        """
        address = parse_uri(message.uri).aor
        waiting = self._waiting.get(address)
        if waiting is not None:
            waiting.append((message, flow, done))
            return
        self._waiting[address] = deque()
        self._send(address, message, flow, done, now)

    def flow_lost(self, flow: Flow, reason: str, now: float) -> None:
        """Hear that a flow is gone; what waits to go over it has not been sent."""
        for address, waiting in list(self._waiting.items()):
            lost = [entry for entry in waiting if entry[1] is flow]
            self._waiting[address] = deque(entry for entry in waiting if entry[1] is not flow)
            for message, _, done in lost:
                done(message, Unanswered(reason), now)

    def _send(self, address: str, message: Request, flow: Flow, done: Done, now: float) -> None:
        def ended(request: Request, outcome: Outcome, now: float) -> None:
            self._next(address, now)
            done(request, outcome, now)

        self._client.send(message, flow, ended, now)

    def _next(self, address: str, now: float) -> None:
        waiting = self._waiting[address]
        if waiting:
            self._send(address, *waiting.popleft(), now)
        else:
            del self._waiting[address]
