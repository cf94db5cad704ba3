"""Client transactions (RFC 3261 section 17.1, RFC 6026 section 7.2)."""

from typing import TYPE_CHECKING, ClassVar

from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip.message import Request, Response

from .machines import INVITE_CLIENT, NON_INVITE_CLIENT, Event, State, Steps, compiled
from .requests import ack_of, cancel_of
from .timers import BackOffQueue, Queue, Timed
from .users import NOBODY, ClientUser, Wire

if TYPE_CHECKING:
    from .registry import Registry


class ClientTransaction:
    """A request of ours and the responses to it.

    Args:
        registry: Where it is found.
        method: Of the request; kept for as long as this lives, so it should be one of few texts.
        via: Branch and sent-by of the request's topmost Via.
        data: The request as it is sent.
        wire: Where it goes.
        user: Who hears of the responses.
        now: Seconds, monotonic.

    Attributes:
        branch: Of its topmost Via; responses and CANCEL have the same.
        method: Of its request.
        state: As the RFCs name it.
        user: Who hears of the responses.
        wire: Where the request went.
        since: When the timer of the present state was started.
        sent: When the request was sent last.
    """

    __slots__ = (
        "_back_off",
        "_data",
        "_registry",
        "_request",
        "_sent_by",
        "branch",
        "method",
        "sent",
        "since",
        "state",
        "user",
        "wire",
    )

    _steps: ClassVar[Steps]
    _back_off: BackOffQueue
    state: State

    def __init__(
        self,
        registry: "Registry",
        method: str,
        via: tuple[str, str],
        data: bytes,
        wire: Wire,
        user: ClientUser,
        now: float,
    ) -> None:
        self._registry = registry
        # Only an INVITE is needed again, for its ACK and CANCEL.
        self._request: Request | None = None
        self._sent_by: str | None
        self.branch, self._sent_by = via
        self._data = data
        self.method = method
        self.user = user
        self.wire = wire
        self.since = self.sent = now

    @property
    def request(self) -> Request:
        """The request of an INVITE; LocalProtocolError once it is held no more: after its final response."""
        if self._request is None:
            raise LocalProtocolError("a client transaction holds an INVITE only, until its final response")
        return self._request

    def matches(self, response: Response) -> bool:
        """Tell whether the topmost Via of a response is this transaction's (section 18.1.2)."""
        return self._sent_by is None or response.via.sent_by == self._sent_by

    def was_sent_by(self, sent_by: str) -> bool:
        """Tell whether this is host and port of the request's Via, in lower case."""
        return sent_by == self._sent_by

    def cancel(self, now: float) -> None:
        """Cancel an INVITE (section 9.1): once a provisional response is there; never after a final one.

        The CANCEL is a transaction of its own whose response nobody hears of. If no final response follows within
        64*T1 the user is told ``timed_out``. Other requests can't be cancelled: nothing happens.
        """

    def abandon(self, now: float) -> None:
        """Lose interest: the machine goes on and absorbs what comes."""
        self.user = NOBODY

    def receive(self, response: Response, now: float) -> None:
        """Take a response that belongs to this transaction."""
        raise NotImplementedError

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

    def _start(self, timeout: Queue[Timed], interval: BackOffQueue) -> None:
        self._registry.clients_opened += 1
        timeout.waiting.append(self)
        data = self._data
        if self.wire.reliable:
            self._data = b""
            self._registry.wait_on(self.wire, self)
        else:
            self._back_off = interval
            interval.waiting.append(self)
        self.wire.send(data)

    def _close(self) -> None:
        """Leave all indices: the transaction is terminated."""
        registry = self._registry
        registry.clients.pop(self.branch, None)
        if self.wire.reliable:
            registry.leave(self.wire, self)

    def _clear(self) -> None:
        """Hold on to nothing that only an unfinished transaction needs."""
        self._request = None
        self._data = b""
        self.sent = self.since
        self.user = NOBODY

    # Actions

    def _pass_to_user(self, response: Response, now: float) -> None:
        self.user.response_received(self, response, now)

    def _tell_timeout(self, now: float) -> None:
        self._close()
        self._registry.timeouts += 1
        self.user.timed_out(self, now)
        self._clear()

    def _tell_wire_failed(self, reason: str, now: float) -> None:
        self._close()
        self._registry.wire_failures += 1
        self.user.wire_failed(self, reason, now)
        self._clear()

    def _end(self, now: float) -> None:
        self._close()
        self._clear()


class NonInviteClientTransaction(ClientTransaction):
    """A request that is no INVITE (section 17.1.2)."""

    __slots__ = ()

    def start(self) -> None:
        """Send the request and start Timers E and F."""
        self.state = State.TRYING
        queues = self._registry.queues
        self._start(queues.timer_f, queues.timer_e)

    def receive(self, response: Response, now: float) -> None:
        """Take a response that belongs to this transaction."""
        step = self._steps[Event.PROVISIONAL if response.status < 200 else Event.FINAL][self.state]
        if step is not None:
            self.state, act = step
            act(self, response, now)

    def _send_again(self, now: float) -> None:
        self._transmit(self._back_off.following, now)

    def _send_again_slowly(self, now: float) -> None:
        # Section 17.1.2.2: in Proceeding Timer E is reset with T2.
        self._transmit(self._registry.queues.timer_e_slow, now)

    def _transmit(self, interval: BackOffQueue, now: float) -> None:
        self._back_off = interval
        self.sent = now
        interval.waiting.append(self)
        self._registry.retransmissions_sent += 1
        self.wire.send(self._data)

    def conclude(self, now: float) -> bool:
        """Take note of a final response that the user has in hand already; False: it is a retransmission."""
        if self.state > State.PROCEEDING:
            return False
        self.state = State.COMPLETED
        self._close_soon(now)
        self._clear()
        return True

    def _complete(self, response: Response, now: float) -> None:
        self._close_soon(now)
        self.user.response_received(self, response, now)
        self._clear()

    def _close_soon(self, now: float) -> None:
        self.since = now
        if self.wire.reliable:
            # Timer K is 0.
            self.state = State.TERMINATED
            self._close()
        else:
            self._registry.queues.timer_k.waiting.append(self)
            # Whatever comes now is absorbed, so that nothing has to be compared.
            self._sent_by = None


class CancelTransaction(NonInviteClientTransaction):
    """A CANCEL of ours (section 9.1)."""

    __slots__ = ()

    def _close(self) -> None:
        registry = self._registry
        if registry.cancels.get(self.branch) is self:
            del registry.cancels[self.branch]
        if self.wire.reliable:
            registry.leave(self.wire, self)


class InviteClientTransaction(ClientTransaction):
    """An INVITE (section 17.1.1)."""

    __slots__ = ("_ack", "_cancel_held", "_cancel_sent")

    def start(self, request: Request) -> None:
        """Send the request and start Timers A and B."""
        self._request = request
        self.state = State.CALLING
        self._ack = b""
        self._cancel_held = self._cancel_sent = False
        queues = self._registry.queues
        self._start(queues.timer_b, queues.timer_a)

    def receive(self, response: Response, now: float) -> None:
        """Take a response that belongs to this transaction."""
        status = response.status
        event = Event.PROVISIONAL if status < 200 else Event.SUCCESS if status < 300 else Event.FAILURE
        step = self._steps[event][self.state]
        if step is not None:
            self.state, act = step
            act(self, response, now)

    def cancel(self, now: float) -> None:
        """Cancel it; see the base class."""
        step = self._steps[Event.CANCEL][self.state]
        if step is not None:
            self.state, act = step
            act(self, now)

    def _send_again(self, now: float) -> None:
        self._back_off = interval = self._back_off.following
        self.sent = now
        interval.waiting.append(self)
        self._registry.retransmissions_sent += 1
        self.wire.send(self._data)

    def _hold_cancel(self, now: float) -> None:
        self._cancel_held = True

    def _send_cancel(self, now: float) -> None:
        if self._cancel_sent:
            return
        self._cancel_sent = True
        self.since = now
        registry = self._registry
        registry.queues.cancelled.waiting.append(self)
        data = bytes(cancel_of(self.request))
        cancel = CancelTransaction(registry, "CANCEL", (self.branch, self._sent_by or ""), data, self.wire, NOBODY, now)
        registry.cancels[self.branch] = cancel
        cancel.start()

    def _proceed(self, response: Response, now: float) -> None:
        if self._cancel_held:
            self._send_cancel(now)
        self.user.response_received(self, response, now)

    def _accept(self, response: Response, now: float) -> None:
        self.since = now
        self._data = b""
        self._registry.queues.timer_m.waiting.append(self)
        self.user.response_received(self, response, now)

    def _acknowledge(self, response: Response, now: float) -> None:
        self.since = now
        if self.wire.reliable:
            # Timer D is 0.
            self.state = State.TERMINATED
            self._close()
        else:
            self._registry.queues.timer_d.waiting.append(self)
        self._ack = bytes(ack_of(self.request, response))
        self.wire.send(self._ack)
        self.user.response_received(self, response, now)
        self._clear()

    def _acknowledge_again(self, response: Response, now: float) -> None:
        self._registry.retransmissions_sent += 1
        self.wire.send(self._ack)


NonInviteClientTransaction._steps = compiled(NON_INVITE_CLIENT, NonInviteClientTransaction)
InviteClientTransaction._steps = compiled(INVITE_CLIENT, InviteClientTransaction)
