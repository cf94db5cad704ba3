"""Challenges without memory: who floods us with requests without credentials fills nothing (RFC 3261 section 8.2.7).

A challenge ends the server transaction at once; a retransmission gets another one with the same To tag. Over UDP, where
senders are forged, an answer is never more than a few times as large as the request, and one address gets so many.
"""

import hashlib
from typing import TYPE_CHECKING, Final

from wigwag.protocols.sip import Response

if TYPE_CHECKING:
    from wigwag.protocols.sip.transactions import ServerTransaction
    from wigwag.relay.sip.edge import Edge
    from wigwag.relay.sip.incoming import Incoming

AMPLIFICATION: Final = 3
"""How many times as large as an unauthenticated datagram its answer may be."""
CHALLENGE_FIELDS: Final = ("www-authenticate", "proxy-authenticate")


class Challenges:
    """Sends the challenges of one edge.

    Args:
        edge: The edge.
        secret: Makes To tags that nobody can foretell.

    Attributes:
        sent: Challenges sent; trimmed: of these, with fewer choices because the request was so small.
    """

    def __init__(self, edge: "Edge", secret: bytes) -> None:
        self.sent = 0
        self.trimmed = 0
        self._edge = edge
        self._secret = secret

    def send(
        self,
        incoming: "Incoming",
        server: "ServerTransaction",
        status: int,
        reason: str,
        fields: tuple[tuple[str, str], ...],
    ) -> None:
        """Send a 401 or 407 and forget the request."""
        protection, flow = self._edge.protection, incoming.flow
        key, wire = server.key, server.wire
        server.forget()
        if flow.reliable:
            if not flow.address.trusted:
                protection.challenged(flow.remote[0])
        elif not protection.may_challenge(flow.remote[0]):
            return
        self.sent += 1
        tag = hashlib.blake2s(key.encode("utf-8", "surrogateescape"), key=self._secret, digest_size=8).hexdigest()
        wire.send(self._answer(incoming, status, reason, tag, fields))

    def _answer(
        self, incoming: "Incoming", status: int, reason: str, tag: str, fields: tuple[tuple[str, str], ...]
    ) -> bytes:
        request = incoming.request
        answer = bytes(Response.to_request(request, status, reason, to_tag=tag, fields=fields))
        if incoming.flow.reliable:
            return answer
        # Less what was noted in the Via: the field's long name, received and the number of rport.
        noted = len(";received=") + len(incoming.flow.remote[0]) + len("=65535") + len("Via: ")
        most = AMPLIFICATION * (len(bytes(request)) - noted)
        while len(answer) > most and fields:
            # The first choices go first: who sends so little is old, and knows the oldest only.
            fields = fields[1:]
            self.trimmed += 1
            answer = bytes(Response.to_request(request, status, reason, to_tag=tag, fields=fields))
        return answer
