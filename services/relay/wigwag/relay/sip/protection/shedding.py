"""Turns new requests away while there is more work than time, or while this pod drains (RFC 3261 section 21.5.4).

What belongs to something that is under way passes: responses, ACK, CANCEL, requests inside dialogs, retransmissions of
what was taken (a 503 to one would contradict the answer that is on its way), mostly also a REGISTER with credentials.

Theory of operation. What is new over UDP waits in the `RequestQueue`, from which a few are served in each turn of the
loop, between two reads of the sockets. What is new over connections has been read when it could be refused; of that a
share is, the one that `Overload` finds for connections or the one turned away over UDP, whichever is higher.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from wigwag.protocols.sip import Request, Response, SipError
from wigwag.relay.sip.config import SipOverloadSettings

from .backlog import Measurement
from .overload import Overload
from .quick_refusal import refusable, refusal
from .request_queue import Datagram, Fate, RequestQueue

if TYPE_CHECKING:
    from wigwag.relay.sip.edge import Edge
    from wigwag.relay.sip.flows.flow import DatagramSender, Flow, SipAddress
    from wigwag.transport.channel import Address

_NEVER: Final = frozenset({"ACK", "CANCEL", "BYE", "PRACK", "UPDATE", "INFO"})
_UNDER_WAY: Final = (b"SIP/2.0 ", *(f"{method} ".encode() for method in sorted(_NEVER)))
"""What a datagram begins with that never waits."""
_TO_TAG: Final = re.compile(rb"\r\n[Tt][Oo]?[ \t]*:[^\r\n]*;[ \t]*[Tt][Aa][Gg][ \t]*=")
"""The mark of a request inside a dialog, as far as it can be seen without parsing."""
_CREDENTIALS: Final = re.compile(rb"\r\n[Aa]uthorization[ \t]*:")
_SERVED_AT_ONCE: Final = 16
"""Requests served between two reads of the sockets: a millisecond, in which no queue of the kernel fills."""
_LOOKED_AT_ONCE: Final = 256
"""Of those that waited too long many are let go at once."""
_DRAINING: Final = 1
"""Seconds in Retry-After while this pod drains: others serve."""


class Shedding:
    """Decides for one edge.

    Args:
        edge: The edge.
        settings: How long messages may wait, and what is told those that are turned away.
        spawn: Runs work beside.

    Attributes:
        active: Whether anything may have to be turned away; looked at before all else.
        queueing: Whether new requests over UDP have to wait their turn.
        draining: Whether what is new over connections that are about to be closed is.
        mute: Whether what is new over UDP goes unanswered: the socket closes soon, and a retransmission finds another.
        refused: Requests turned away with 503; dropped: without an answer.
    """

    def __init__(
        self,
        edge: "Edge",
        settings: SipOverloadSettings,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self.active = False
        self.queueing = False
        self.draining = False
        self.mute = False
        self.refused = 0
        self.dropped = 0
        self.overload = Overload(settings.target_delay)
        self.queue = RequestQueue(settings.target_delay)
        self._is_working = False
        self._edge = edge
        self._spawn = spawn
        self._longest = settings.retry_after

    def measured(self, late: float, queues: Measurement) -> None:
        """Take a measurement.

        Args:
            late: Seconds that the loop is late: so long connections wait.
            queues: Of the kernel.
        """
        self.queue.look(queues.delay, queues.fullness, self._edge.now())
        self.dropped += queues.dropped
        self.overload.update(late, self.queue.share)
        self._settle()
        self._work()

    def drain(self, *, draining: bool, mute: bool = False) -> None:
        """Begin, sharpen or call off a drain."""
        self.draining = draining
        self.mute = mute
        self._settle()

    def _settle(self) -> None:
        self.queueing = self.queue.is_open
        self.active = self.overload.level > 0.0 or self.draining

    # Datagrams

    def holds(self, data: bytes, remote: "Address", socket: "DatagramSender", address: "SipAddress") -> bool:
        """Let a datagram wait that is a new request, as far as that can be seen without parsing; False: it is none.

        Its turn comes with ``Edge.datagram_received``.
        """
        if data.startswith(_UNDER_WAY) or _TO_TAG.search(data):
            return False
        datagram = Datagram(data, remote, socket, address, self._edge.now())
        favoured = data.startswith(b"REGISTER ") and _CREDENTIALS.search(data) is not None
        if self.queue.put(datagram, favoured=favoured):
            self._work()
        else:
            self.dropped += 1
        return True

    def _work(self) -> None:
        if self.queue and not self._is_working:
            self._is_working = True
            self._spawn(self._serve())

    async def _serve(self) -> None:
        try:
            while self.queue:
                self._serve_some()
                await asyncio.sleep(0)
        finally:
            self._is_working = False

    def _serve_some(self) -> None:
        now, served = self._edge.now(), 0
        for _ in range(_LOOKED_AT_ONCE):
            taken = self.queue.take(now)
            if taken is None:
                return
            datagram, fate = taken
            if fate is Fate.SERVED:
                self._edge.datagram_received(*datagram[:4], waited=True)
                served += 1
                if served == _SERVED_AT_ONCE:
                    return
            elif fate is Fate.DROPPED or not self._refused_unread(datagram):
                self.dropped += 1

    def _refused_unread(self, datagram: Datagram) -> bool:
        """Answer 503, if it is a request of the usual shape that was not taken before."""
        request = refusable(datagram.data, *datagram.remote)
        if request is None or request.key in self._edge.transactions.servers:
            return False
        datagram.socket.send(refusal(request, self._wait()), datagram.remote)
        return True

    # What has been read

    def turns_away(self, message: Request | Response, flow: "Flow") -> bool:
        """Tell whether a message is turned away; it is answered then if that is right.

        Args:
            message: Came over a connection, or is a datagram that waited if it had to.
            flow: Over which it came.
        """
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
        if not flow.reliable or not (self.overload.refuses_favoured() if favoured else self.overload.refuses()):
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
