"""Server transactions (RFC 3261 section 17.2, RFC 6026 section 7.1)."""

from typing import TYPE_CHECKING, ClassVar

from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip.errors import SipError
from wigwag.protocols.sip.message import Request, Response

from .machines import INVITE_SERVER, NON_INVITE_SERVER, Event, State, Steps, compiled
from .matching import COOKIE, merge_key
from .timers import BackOffQueue
from .users import NOBODY, ServerUser, Wire

if TYPE_CHECKING:
    from .registry import Registry


class ServerTransaction:
    """A request from a peer and our responses to it.

    Attributes:
        key: What its retransmissions have in common (section 17.2.3).
        state: As the RFCs name it.
        user: Who hears of ACK and failures; to be set by the user.
        wire: Where responses go.
        since: When the timer of the present state was started.
        uas: Whether it is answered here rather than relayed.
    """

    __slots__ = ("_last", "_merge_key", "_registry", "_request", "key", "since", "state", "user", "wire")

    _steps: ClassVar[Steps]
    state: State
    user: ServerUser

    def __init__(self, registry: "Registry", key: str, request: Request | None, wire: Wire, now: float) -> None:
        self._registry = registry
        self._request = request
        self._last = b""
        self._merge_key: str | None = None
        self.key = key
        self.user = NOBODY
        self.wire = wire
        self.since = now
        if wire.reliable:
            registry.wait_on(wire, self)

    @property
    def request(self) -> Request:
        """The request as it came; whoever relays it changes a copy.

        LocalProtocolError once the transaction holds it no more: after its final response, of an INVITE after its ACK;
        and of one that is passed on unread.
        """
        if self._request is None:
            raise LocalProtocolError("a server transaction holds no request that is answered or was not read")
        return self._request

    @property
    def final_sent(self) -> bool:
        """Whether a final response was given, or the transaction ended without one."""
        return self.state > State.PROCEEDING

    @property
    def uas(self) -> bool:
        """Whether ``as_uas`` was called."""
        return self._merge_key is not None

    def as_uas(self) -> None:
        """Say that this element is the request's UAS, so that the same request by another path is a merged one.

        Call it after ``Transactions.is_merged`` was asked, and before the final response. Twice is once.
        """
        if self._merge_key is not None:
            return
        self._merge_key = merge_key(self.request) or ""
        if self._merge_key and self.state is not State.TERMINATED:
            self._registry.merged.setdefault(self._merge_key, self)

    def respond(self, response: Response, now: float) -> None:
        """Send a response; one that comes after a final response is dropped and counted.

        After a 2xx to an INVITE every further 2xx is sent as well: the UAS core repeats it until the ACK is there, a
        proxy passes on what comes; this layer repeats no 2xx by itself (RFC 6026 section 7.1).
        """
        step = self._steps[self._event(response.status)][self.state]
        if step is None:
            self._registry.responses_too_late += 1
            return
        # What can't be written changes no state.
        data = bytes(response)
        self.state, act = step
        act(self, response, data, now)

    def respond_once(self, response: Response) -> None:
        """Send a final response and forget the request, so that nothing is ever sent again (section 26.3.2.4).

        For what is sent to whom nobody knows: a retransmission of the request is a new request then, and the ACK of a
        refused INVITE belongs to nothing.
        """
        if self.state > State.PROCEEDING:
            return
        data = bytes(response)
        self.state = State.TERMINATED
        self._close()
        self._clear()
        self.wire.send(data)

    def receive_again(self, wire: Wire, now: float) -> None:
        """Take a retransmission of the request, perhaps over another connection than the first."""
        registry = self._registry
        registry.retransmissions_received += 1
        if wire is not self.wire and self.wire.reliable and not registry.waits_on(self.wire, self):
            # The connection that the request came on is gone; its sender is here now (section 18.2.2).
            self.wire = wire
            if wire.reliable:
                registry.wait_on(wire, self)
        step = self._steps[Event.REQUEST][self.state]
        if step is not None:
            self.state, act = step
            act(self, wire, now)

    def fire(self, event: Event, now: float) -> None:
        """Take a timer that is due."""
        step = self._steps[event][self.state]
        if step is not None:
            self.state, act = step
            act(self, now)

    def lose_wire(self, reason: str, now: float) -> None:
        """Hear that the connection is gone."""
        step = self._steps[Event.WIRE_LOST][self.state]
        if step is not None:
            self.state, act = step
            act(self, reason, now)

    def _event(self, status: int) -> Event:
        raise NotImplementedError

    def _close(self) -> None:
        """Leave all indices: the transaction is terminated."""
        registry = self._registry
        registry.servers.pop(self.key, None)
        if self.wire.reliable:
            registry.leave(self.wire, self)
        if self._merge_key and registry.merged.get(self._merge_key) is self:
            del registry.merged[self._merge_key]

    def forget(self) -> None:
        """End it now; whoever calls this has answered without it (section 8.2.7), or does not want to answer at all.

        A retransmission makes a new transaction.
        """
        if self.state is not State.TERMINATED:
            self.state = State.TERMINATED
            self._close()
            self._clear()

    # Actions

    def _send_provisional(self, response: Response, data: bytes, now: float) -> None:
        self._last = data
        self.wire.send(data)

    def _send_last_again(self, wire: Wire, now: float) -> None:
        if self._last:
            self._registry.retransmissions_sent += 1
            wire.send(self._last)

    def _tell_wire_lost(self, reason: str, now: float) -> None:
        self._registry.wire_failures += 1
        self.user.server_failed(self, reason, now)

    def _end(self, now: float) -> None:
        self._close()
        self._clear()

    def _clear(self) -> None:
        """Hold on to nothing: dead transactions still wait in the queues of their timers."""
        self._request = None
        self._last = b""
        self.user = NOBODY


class NonInviteServerTransaction(ServerTransaction):
    """A request that is neither INVITE nor ACK (section 17.2.2)."""

    __slots__ = ()

    def start(self) -> None:
        """Wait for the user's response."""
        self.state = State.TRYING
        self._registry.queues.unanswered.waiting.append(self)

    def _event(self, status: int) -> Event:
        return Event.PROVISIONAL if status < 200 else Event.FINAL

    def respond_final(self, data: bytes, now: float) -> None:
        """Send a final response that is written already; one that comes after a final response is dropped."""
        if self.state > State.PROCEEDING:
            self._registry.responses_too_late += 1
            return
        self.state = State.COMPLETED
        self._send_final_data(data, now)

    def _send_final(self, response: Response, data: bytes, now: float) -> None:
        self._send_final_data(data, now)

    def _send_final_data(self, data: bytes, now: float) -> None:
        self.since = now
        self._request = None
        self.user = NOBODY
        if self.wire.reliable:
            # Timer J is 0.
            self.state = State.TERMINATED
            self._close()
        else:
            self._last = data
            self._registry.queues.timer_j.waiting.append(self)
        self.wire.send(data)

    def _tell_unanswered(self, now: float) -> None:
        self._close()
        self._registry.timeouts += 1
        self.user.server_failed(self, "nobody waits for a response any more", now)
        self._clear()


class InviteServerTransaction(ServerTransaction):
    """An INVITE (section 17.2.1)."""

    __slots__ = ("_ack_tag", "_back_off", "_number", "sent")

    _back_off: BackOffQueue

    def start(self) -> None:
        """Wait for the user's response; after 200 ms without one, 100 is sent."""
        self.state = State.PROCEEDING
        self.sent = self.since
        self._number = self.request.cseq.number
        self._ack_tag: str | None = None
        self._registry.queues.trying.waiting.append(self)

    def receive_ack(self, ack: Request, now: float) -> bool:
        """Take an ACK that has this transaction's key; tells whether it is this transaction's."""
        if ack.cseq.number != self._number:
            return True
        if self._ack_tag is not None and ack.to.tag != self._ack_tag:
            return False
        step = self._steps[Event.ACK][self.state]
        if step is not None:
            self.state, act = step
            act(self, ack, now)
        return self.state is not State.ACCEPTED

    def _event(self, status: int) -> Event:
        return Event.PROVISIONAL if status < 200 else Event.SUCCESS if status < 300 else Event.FAILURE

    def _send_trying(self, now: float) -> None:
        if not self._last:
            self._last = bytes(Response.to_request(self.request, 100, "Trying"))
            self.wire.send(self._last)

    def _accept(self, response: Response, data: bytes, now: float) -> None:
        self.since = now
        self._last = b""
        self._registry.queues.timer_l.waiting.append(self)
        self.wire.send(data)

    def _send_success(self, response: Response, data: bytes, now: float) -> None:
        self.wire.send(data)

    def _leave_to_user(self, ack: Request, now: float) -> None:
        """Let the ACK of a 2xx be routed as the request of its own that it is."""

    def _refuse(self, response: Response, data: bytes, now: float) -> None:
        self.since = self.sent = now
        self._last = data
        self._ack_tag = _tag_of_old_ack(self.request, response)
        queues = self._registry.queues
        queues.timer_h.waiting.append(self)
        if not self.wire.reliable:
            self._back_off = queues.timer_g
            queues.timer_g.waiting.append(self)
        self.wire.send(data)

    def _retransmit(self, now: float) -> None:
        self._back_off = interval = self._back_off.following
        self.sent = now
        interval.waiting.append(self)
        self._registry.retransmissions_sent += 1
        self.wire.send(self._last)

    def _tell_no_ack(self, now: float) -> None:
        self._close()
        self._registry.timeouts += 1
        self.user.server_failed(self, "no ACK came for the final response", now)
        self._clear()

    def _confirm(self, ack: Request, now: float) -> None:
        self.since = now
        if self.wire.reliable:
            # Timer I is 0.
            self.state = State.TERMINATED
            self._close()
        else:
            self._registry.queues.timer_i.waiting.append(self)
        self.user.ack_received(self, ack, now)
        self._clear()


def _tag_of_old_ack(invite: Request, response: Response) -> str | None:
    """Return the To tag that tells an ACK of a client without unique branches (section 17.2.3); None: not needed."""
    try:
        return None if invite.via.branch.startswith(COOKIE) else response.to.tag
    except SipError:
        return None


NonInviteServerTransaction._steps = compiled(NON_INVITE_SERVER, NonInviteServerTransaction)
InviteServerTransaction._steps = compiled(INVITE_SERVER, InviteServerTransaction)
