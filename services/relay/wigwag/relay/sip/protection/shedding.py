"""Turns new requests away while there is more work than time, or while this pod drains (RFC 3261 section 21.5.4).

What belongs to something that is under way passes: responses, ACK, CANCEL, requests inside dialogs, retransmissions of
what was taken (a 503 to one would contradict the answer that is on its way), mostly also a REGISTER with credentials.
"""

import re
from typing import TYPE_CHECKING, Final

from wigwag.protocols.sip import Request, Response, SipError

from .overload import MOST_REFUSALS, Overload
from .quick_refusal import refusable, refusal

if TYPE_CHECKING:
    from wigwag.relay.sip.edge import Edge
    from wigwag.relay.sip.flows.flow import DatagramSender, Flow
    from wigwag.transport.channel import Address

_NEVER: Final = frozenset({"ACK", "CANCEL", "BYE", "PRACK", "UPDATE", "INFO"})
_NEW: Final = (b"MESSAGE ", b"INVITE ", b"REGISTER ", b"OPTIONS ", b"SUBSCRIBE ", b"PUBLISH ", b"NOTIFY ", b"REFER ")
_TO_TAG: Final = re.compile(rb"\r\n[Tt][Oo]?[ \t]*:[^\r\n]*;[ \t]*[Tt][Aa][Gg][ \t]*=")
"""The mark of a request inside a dialog, as far as it can be seen without parsing."""
_DRAINING: Final = 1
"""Seconds in Retry-After while this pod drains: others serve."""


class Shedding:
    """Decides for one edge.

    Args:
        edge: The edge.
        overload: How much to turn away.
        longest: Largest number of seconds in Retry-After.

    Attributes:
        active: Whether anything may have to be turned away; looked at before all else.
        draining: Whether what is new over connections that are about to be closed is.
        mute: Whether what is new over UDP goes unanswered: the socket closes soon, and a retransmission finds another.
        refused: Requests turned away with 503; dropped: without an answer.
    """

    def __init__(self, edge: "Edge", overload: Overload, longest: int) -> None:
        self.active = False
        self.draining = False
        self.mute = False
        self.refused = 0
        self.dropped = 0
        self.overload = overload
        self._edge = edge
        self._longest = longest

    def measured(self, delay: float, fullness: float) -> None:
        """Take a measurement; see ``Overload.update``."""
        self.overload.update(delay, fullness)
        self._settle()

    def drain(self, *, draining: bool, mute: bool = False) -> None:
        """Begin, sharpen or call off a drain."""
        self.draining = draining
        self.mute = mute
        self._settle()

    def _settle(self) -> None:
        self.active = self.overload.level > 0.0 or self.draining

    def datagram(self, data: bytes, remote: "Address", socket: "DatagramSender") -> bool | None:
        """Judge a datagram before it is parsed.

        Returns:
            True: it is turned away; False: it is to be served; None: ``turns_away`` tells.
        """
        if self.draining or not data.startswith(_NEW):
            return None
        if self.overload.level > MOST_REFUSALS and not _TO_TAG.search(data) and self.overload.drops():
            self.dropped += 1
            return True
        request = refusable(data, *remote) if not data.startswith(b"REGISTER") else None
        if request is None:
            return None
        if request.key in self._edge.transactions.servers or not self.overload.refuses(sifted=True):
            return False
        socket.send(refusal(request, self._wait()), remote)
        return True

    def turns_away(self, message: Request | Response, flow: "Flow") -> bool:
        """Tell whether a message is turned away; it is answered then if that is right."""
        if not isinstance(message, Request) or message.method in _NEVER:
            return False
        try:
            if message.to.tag is not None or self._edge.transactions.find_server(message) is not None:
                return False
        except SipError:
            return False  # It gets the answer that it deserves further on.
        if self.draining and (self.mute or flow.is_leaving):
            return self._turned_away_by_drain(message, flow)
        favoured = message.method == "REGISTER" and "authorization" in message
        if not (self.overload.refuses_favoured() if favoured else self.overload.refuses(sifted=not flow.reliable)):
            return False
        self._refuse(message, flow, self._wait())
        return True

    def _wait(self) -> int:
        """Count a refusal; return after how many seconds to come again."""
        self.refused += 1
        return 1 + self.refused % self._longest

    def _turned_away_by_drain(self, request: Request, flow: "Flow") -> bool:
        if flow.reliable:
            self.refused += 1
            self._refuse(request, flow, _DRAINING)
        else:
            self.dropped += 1
        return True

    def _refuse(self, request: Request, flow: "Flow", seconds: int) -> None:
        error = SipError("Service Unavailable", status=503, request=request, headers=(("Retry-After", str(seconds)),))
        self._edge.answer_statelessly(error, flow)
