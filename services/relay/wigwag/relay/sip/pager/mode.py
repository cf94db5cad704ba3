"""Pager mode, inbound: a MESSAGE is kept for a service or an absent user, then answered 202 (RFC 3428 section 7).

Theory of operation. A MESSAGE that may be kept is forwarded as any other. When all its branches have ended without
reaching anybody, or with the word of devices that they take no MESSAGE, or none was answered for ten seconds, it
becomes a row of the ledger under an id that is computed from the request, so that a retransmission at any pod is the
same row; once that is durable the answer is 202. The branches stay open. A device that answers late makes the row
delivered, by compare and set: whoever was to deliver the copy finds that out when he claims it. A kill in between
leaves the row as it is, and the copy is delivered under the MESSAGE's own Call-ID, CSeq and From tag: the device can
tell (DESIGN.md section 6, two generals).

What was passed on unread (`proxy.passage`) is read as soon as one of these is to be done with it.
"""

from collections import Counter, deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from wigwag.database.ledger import Change, Claim, Ledger, NewMessage, Postpone
from wigwag.errors import WigwagError
from wigwag.protocols.sip import Response, SipError
from wigwag.protocols.sip.uri import normal_user
from wigwag.relay.sip.config import PagerSettings
from wigwag.relay.sip.gateway.devices import PAGE
from wigwag.relay.sip.incoming import Incoming
from wigwag.relay.sip.proxy.forwarding import Forwarding
from wigwag.relay.sip.proxy.passage import Keeper
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.credentials import CredentialSource
from wigwag.runtime.names import LEDGER_ID, RELAY_SIP_KEEP
from wigwag.runtime.tracing import SILENT, Span, Tracing
from wigwag.store import Registration

from .answers import Answer, Answers, more_of
from .intake import ledger_message, message_id
from .keeping import Keeping
from .storing import Storing, is_absent, is_in_doubt, outcome, takes_no_pages, wants_session
from .unanswered import Unanswered, overdue

if TYPE_CHECKING:
    from wigwag.protocols.sip.transactions import ServerTransaction
    from wigwag.relay.sip.edge import Edge

EDGE: Final = "edge"
"""Owner of the attempt that the edge itself has made; any claim of a service is newer."""
_RETRY: Final = 1.0
"""Seconds until an outcome that could not be written is written again."""
_MOST_UNWRITTEN: Final = 10_000
_RETRY_AFTER: Final = (("Retry-After", "5"),)


class PagerMode:
    """What becomes of MESSAGEs that reach nobody, or are for a service: ``Services`` and ``Keeper`` of the edge.

    Args:
        edge: The edge.
        settings: Settings of pager mode.
        ledger: Where messages are kept; None: none are.
        source: Knows which users there are.
        spawn: Runs a coroutine beside.
        wall: Seconds since 1970.

    Attributes:
        unsure_until: Until then a MESSAGE may be the retransmission of one that another pod has kept: what is
            delivered is delivered in the ledger too. Monotonic.
        counters: What happened, by name.
        tracing: Begins the traces of messages that are kept.
    """

    def __init__(
        self,
        edge: "Edge",
        settings: PagerSettings,
        *,
        ledger: Ledger | None,
        source: CredentialSource,
        spawn: Callable[[Awaitable[None]], None],
        wall: Callable[[], float],
    ) -> None:
        self._edge = edge
        self._settings = settings
        self._ledger = ledger
        self._source = source
        self._spawn = spawn
        self._wall = wall
        self._domains = frozenset(map(str.lower, settings.store_domains))
        self._has_gateway = ledger is not None and GATEWAY in settings.services
        self._stores = ledger is not None and settings.store
        self._keeping = Keeping(ledger, settings) if ledger is not None else None
        self._answers = Answers(ledger, now=edge.now, spawn=spawn) if ledger is not None else None
        self._unanswered: Unanswered = {}
        self._unwritten: deque[tuple[float, Change]] = deque(maxlen=_MOST_UNWRITTEN)
        """Outcomes that the database did not take yet."""
        self.counters: Counter[str] = Counter()
        self.tracing = Tracing()
        self.unsure_until = 0.0
        self.pod_lost(edge.now())  # The pod that was lost may be this one, before it was started again.

    # Services

    def fallback(self, incoming: Incoming, aor: str) -> Keeper | None:
        """Return what a MESSAGE for a user is handed to if it reaches nobody; None: it is never kept."""
        if incoming.request.to.tag is not None or not (self._has_gateway or self._may_store(incoming)):
            return None
        return self

    def for_pages(self, incoming: Incoming, registration: Registration) -> Registration | None:
        """Return a registration without contacts that take no MESSAGE; None: there are only such, and a gateway."""
        return self._edge.devices.for_pages(registration) if self._has_gateway else registration

    def takes_pages(self, registration: Registration) -> bool:
        """Tell whether ``for_pages`` returns the registration itself, and asks no device."""
        return not self._has_gateway or self._edge.devices.are_known_to_page(registration)

    def _may_store(self, incoming: Incoming) -> bool:
        return self._stores and (not self._domains or incoming.target.host in self._domains)

    async def accept(self, incoming: Incoming, service: str, reason: str = "route") -> None:
        """Keep a MESSAGE for a service, and answer 202.

        Args:
            incoming: The MESSAGE.
            service: Who is to take it.
            reason: Why, one of ``REASONS``.

        Raises:
            SipError: 404: no such service; 405: it takes no such request; 4xx: it can't be kept. 480: too many wait.
            WigwagError: It may not be durable.
        """
        if self._keeping is None or service not in self._settings.services:
            raise SipError(f"No Such Service: {service}", status=404)
        if incoming.request.method != "MESSAGE":
            raise SipError("Method Not Allowed", status=405, headers=(("Allow", "MESSAGE"),))
        if incoming.request.to.tag is not None:
            raise SipError("Call/Transaction Does Not Exist", status=481)
        try:
            message, until = await self._kept(incoming, service, reason)
        except WigwagError as error:
            self.counters["failures"] += not isinstance(error, SipError)
            raise
        self.counters["stored"] += 1
        answer = self._edge.respond
        self._answer_then(message.id, until, lambda status, words: answer(incoming, status, words, more_of(status)))

    # Fallback

    def started(self, forwarding: Forwarding, now: float) -> None:
        """A MESSAGE is on its way: it waits so long for an answer."""
        self._unanswered[forwarding.server] = now

    def failed(self, forwarding: Forwarding, status: int, now: float) -> bool:
        """Every branch has ended: keep the message if nobody was there."""
        self._unanswered.pop(forwarding.server, None)
        if forwarding.context is None:
            reason = self._reason(forwarding)
            if not reason:
                return False
            self._begin(forwarding, reason)
        return True

    def delivered(self, forwarding: Forwarding, status: int, reason: str, now: float) -> None:
        """A device has it: if it is kept, or may be by a pod that is gone, the copy is called off."""
        self._unanswered.pop(forwarding.server, None)
        if len(forwarding.branches) > 1 and self._has_gateway:
            self._learn(forwarding)
        storing = forwarding.context
        if isinstance(storing, Storing):
            if storing.answer is None:
                storing.answer = (status, reason)
                self.counters["late_answers"] += 1
                self._call_off(storing)
        elif now < self.unsure_until:
            self._spawn(self._write(outcome(message_id(forwarding.incoming), (status, reason))))

    # Keeper: what is passed on unread

    def passed(self, server: "ServerTransaction", now: float) -> None:
        """A MESSAGE is on its way unread: it waits as long for an answer."""
        self._unanswered[server] = now

    def served(self, server: "ServerTransaction", now: float) -> bool:
        """A device has it; False: a pod that is gone may have kept it, so that it has to be read."""
        if now < self.unsure_until:
            return False
        self._unanswered.pop(server, None)
        return True

    # Time

    def tick(self, now: float) -> None:
        """Keep what has waited long enough; write again what could not be written."""
        for forwarding in overdue(self._unanswered, now - self._settings.wait):
            # When the sender is gone too he has heard nothing, and nothing is kept.
            gone = forwarding.decided or forwarding.cancelled
            reason = self._reason(forwarding) if not gone and forwarding.context is None else ""
            if reason:
                self._begin(forwarding, reason)
        if self._answers is not None:
            self._answers.tick(now)
        while self._unwritten and self._unwritten[0][0] <= now:
            self._spawn(self._write(self._unwritten.popleft()[1]))

    def pod_lost(self, now: float) -> None:
        """A pod is gone: for as long as a client repeats a request, it may be one that this pod has kept."""
        self.unsure_until = max(self.unsure_until, now + 64 * self._edge.settings.timers.t1)

    # Keeping

    def _reason(self, forwarding: Forwarding) -> str:
        """Return why a message that has reached nobody is kept; empty: it is not."""
        if is_absent(forwarding):
            return "absent" if self._may_store(forwarding.incoming) else ""
        if not self._has_gateway:
            return ""
        self._learn(forwarding)
        return "session-mode" if wants_session(forwarding) else ""

    def _learn(self, forwarding: Forwarding) -> None:
        """Remember devices that have answered that they take no MESSAGE."""
        for branch in forwarding.branches:
            if takes_no_pages(branch):
                self._edge.devices.refused(PAGE, branch.target)

    def _begin(self, forwarding: Forwarding, reason: str) -> None:
        storing = forwarding.context = Storing(reason)
        self._spawn(self._store(forwarding, storing))

    async def _store(self, forwarding: Forwarding, storing: Storing) -> None:
        try:
            until = await self._stored(forwarding, storing)
        except SipError as error:
            self._refuse(forwarding, error)
        except WigwagError:
            self.counters["failures"] += 1
            self._refuse(forwarding, SipError("Service Unavailable", status=503, headers=_RETRY_AFTER))
        else:
            self.counters["stored"] += 1
            if storing.answer is not None:
                self._call_off(storing)
            else:
                answer = partial(self._answer, forwarding)
                self._answer_then(storing.id, until, lambda status, words: answer(status, words, more_of(status)))

    async def _stored(self, forwarding: Forwarding, storing: Storing) -> float | None:
        ledger, incoming = self._ledger, forwarding.incoming
        assert ledger is not None
        # Whoever does not exist never comes to fetch his messages.
        if await self._source.credentials(normal_user(incoming.target.user), incoming.target.host) is None:
            raise SipError("Not Found", status=404)
        message, until = await self._kept(incoming, GATEWAY, storing.reason)
        if is_in_doubt(forwarding):
            await self._note_doubt(ledger, message)
        storing.id = message.id
        return until

    async def _note_doubt(self, ledger: Ledger, message: NewMessage) -> None:
        """A device may have it: if nothing more is heard it ends as unconfirmed, not as provably never delivered."""
        claim = await ledger.apply_one(Claim(id=message.id, owner=EDGE, token=0))
        if claim.done:
            await ledger.apply_one(Postpone(id=message.id, token=0, attempt=claim.attempt, until=message.expires))

    async def _kept(self, incoming: Incoming, service: str, reason: str) -> tuple[NewMessage, float | None]:
        """Return the message once it is durable, and until when its sender waits for the outcome (monotonic)."""
        assert self._keeping is not None
        wall = self._wall()
        waits = incoming.waits_until is not None and self._answers is not None and self._answers.has_room
        until = incoming.waits_until if waits else None
        answered_by = wall + until - self._edge.now() if until is not None else None
        with self._span() as span:
            message = ledger_message(
                incoming, service, now=wall, keep=self._settings.keep, reason=reason, answered_by=answered_by,
                traceparent=span.traceparent,
            )  # fmt: skip
            span.set(LEDGER_ID, message.id)
            # Messages for a service are counted by who sends them, those for a user by whose they are.
            whose = {"conversation": message.conversation} if reason == "route" else {"recipient": message.recipient}
            await self._keeping.keep(message, **whose)
        return message, until

    def _span(self) -> Span:
        return self.tracing.begin(RELAY_SIP_KEEP) if self.tracing.sampling and self.tracing.sampled() else SILENT

    def _answer_then(self, message_id: str, until: float | None, answer: Answer) -> None:
        """Answer 202 now, or what becomes of it when that is known."""
        if until is None or self._answers is None:
            answer(202, "Accepted")
        else:
            self._answers.wait(message_id, until, answer)

    def _refuse(self, forwarding: Forwarding, error: SipError) -> None:
        if any(branch.pending for branch in forwarding.branches) or forwarding.decided:
            forwarding.context = None  # A device may still answer; when all have ended it is tried again.
        else:
            self._answer(forwarding, error.status or 400, error.reason, error.headers)

    def _answer(
        self, forwarding: Forwarding, status: int, reason: str, fields: tuple[tuple[str, str], ...] = ()
    ) -> None:
        if forwarding.decided:
            return  # A device has answered while the outcome was waited for.
        tag = self._edge.proxy.tag()
        response = Response.to_request(forwarding.request, status, reason, to_tag=tag, fields=fields)
        forwarding.answer(response, self._edge.now())

    # Late answers

    def _call_off(self, storing: Storing) -> None:
        if storing.id and storing.answer is not None:
            self._spawn(self._write(outcome(storing.id, storing.answer)))

    async def _write(self, change: Change) -> None:
        assert self._ledger is not None
        try:
            await self._ledger.apply_one(change)
        except WigwagError:
            self._unwritten.append((self._edge.now() + _RETRY, change))
