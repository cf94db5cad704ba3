"""Pager mode, inbound: a MESSAGE is kept for a service or an absent user, then answered 202 (RFC 3428 section 7).

Theory of operation. A MESSAGE that may be kept is forwarded as any other. When all its branches have ended without
reaching anybody, or none was answered for ten seconds, it becomes a row of the ledger under an id that is computed from
the request, so that a retransmission at any pod is the same row; once that is durable the answer is 202. The branches
stay open. A device that answers late makes the row delivered, by compare and set: whoever was to deliver the copy finds
that out when he claims it. A kill in between leaves the row as it is, and the copy is delivered under the MESSAGE's own
Call-ID, CSeq and From tag: the device can tell (DESIGN.md section 6, two generals).
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from wigwag.database.ledger import Change, Claim, Ledger, NewMessage, Postpone
from wigwag.errors import ConflictError, WigwagError
from wigwag.protocols.sip import Response, SipError
from wigwag.protocols.sip.uri import normal_user
from wigwag.relay.sip.config import PagerSettings
from wigwag.relay.sip.incoming import Incoming
from wigwag.relay.sip.proxy.forwarding import Fallback, Forwarding
from wigwag.runtime.credentials import CredentialSource

from .intake import ledger_message, message_id
from .storing import Storing, is_absent, is_in_doubt, outcome

if TYPE_CHECKING:
    from wigwag.relay.sip.edge import Edge

ABSENT_SERVICE: Final = "gateway"
"""Serves users who are absent."""
EDGE: Final = "edge"
"""Owner of the attempt that the edge itself has made; any claim of a service is newer."""
_RETRY: Final = 1.0
"""Seconds until an outcome that could not be written is written again."""
_MOST_UNWRITTEN: Final = 10_000
_RETRY_AFTER: Final = (("Retry-After", "5"),)


class PagerMode:
    """What becomes of MESSAGEs that reach nobody, or are for a service: ``Services`` and ``Fallback`` of the edge.

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
        self._waiting: OrderedDict[Forwarding, float] = OrderedDict()
        """When each is to be kept, in this order."""
        self._keeping: Counter[str] = Counter()
        """Messages that are being written, by whose they are."""
        self._unwritten: deque[tuple[float, Change]] = deque(maxlen=_MOST_UNWRITTEN)
        """Outcomes that the database did not take yet."""
        self.counters: Counter[str] = Counter()
        self.unsure_until = 0.0
        self.pod_lost(edge.now())  # The pod that was lost may be this one, before it was started again.

    # Services

    def fallback(self, incoming: Incoming, aor: str) -> Fallback | None:
        """Return what a MESSAGE for a user is handed to if it reaches nobody; None: he may not store."""
        settings = self._settings
        if not settings.store or self._ledger is None or incoming.request.to.tag is not None:
            return None
        if self._domains and incoming.target.host not in self._domains:
            return None
        return self

    async def accept(self, incoming: Incoming, service: str) -> None:
        """Keep a MESSAGE for a service, and answer 202.

        Raises:
            SipError: 404: no such service; 405: it takes no such request; 4xx: it can't be kept. 480: too many wait.
            WigwagError: It may not be durable.
        """
        if self._ledger is None or service not in self._settings.services:
            raise SipError(f"No Such Service: {service}", status=404)
        if incoming.request.method != "MESSAGE":
            raise SipError("Method Not Allowed", status=405, headers=(("Allow", "MESSAGE"),))
        if incoming.request.to.tag is not None:
            raise SipError("Call/Transaction Does Not Exist", status=481)
        message = self._message(incoming, service)
        try:
            await self._keep(self._ledger, message, conversation=message.conversation)
        except WigwagError as error:
            self.counters["failures"] += not isinstance(error, SipError)
            raise
        self.counters["stored"] += 1
        self._edge.respond(incoming, 202, "Accepted")

    # Fallback

    def started(self, forwarding: Forwarding, now: float) -> None:
        """A MESSAGE is on its way: it waits so long for an answer."""
        self._waiting[forwarding] = now + self._settings.wait

    def failed(self, forwarding: Forwarding, status: int, now: float) -> bool:
        """Every branch has ended: keep the message if nobody was there."""
        self._waiting.pop(forwarding, None)
        if forwarding.context is None:
            if not is_absent(forwarding):
                return False
            self._begin(forwarding)
        return True

    def delivered(self, forwarding: Forwarding, status: int, reason: str, now: float) -> None:
        """A device has it: if it is kept, or may be by a pod that is gone, the copy is called off."""
        self._waiting.pop(forwarding, None)
        storing = forwarding.context
        if isinstance(storing, Storing):
            if storing.answer is None:
                storing.answer = (status, reason)
                self.counters["late_answers"] += 1
                self._call_off(storing)
        elif now < self.unsure_until:
            self._spawn(self._write(outcome(message_id(forwarding.incoming), (status, reason))))

    # Time

    def tick(self, now: float) -> None:
        """Keep what has waited long enough; write again what could not be written."""
        while self._waiting:
            forwarding, due = next(iter(self._waiting.items()))
            if due > now:
                break
            del self._waiting[forwarding]
            # When the sender is gone too he has heard nothing, and nothing is kept.
            gone = forwarding.decided or forwarding.cancelled
            if not gone and forwarding.context is None and is_absent(forwarding):
                self._begin(forwarding)
        while self._unwritten and self._unwritten[0][0] <= now:
            self._spawn(self._write(self._unwritten.popleft()[1]))

    def pod_lost(self, now: float) -> None:
        """A pod is gone: for as long as a client repeats a request, it may be one that this pod has kept."""
        self.unsure_until = max(self.unsure_until, now + 64 * self._edge.settings.timers.t1)

    # Keeping

    def _begin(self, forwarding: Forwarding) -> None:
        storing = forwarding.context = Storing()
        self._spawn(self._store(forwarding, storing))

    async def _store(self, forwarding: Forwarding, storing: Storing) -> None:
        try:
            storing.id = await self._stored(forwarding)
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
                self._answer(forwarding, 202, "Accepted")

    async def _stored(self, forwarding: Forwarding) -> str:
        ledger, incoming = self._ledger, forwarding.incoming
        assert ledger is not None
        message = self._message(incoming, ABSENT_SERVICE)
        # Whoever does not exist never comes to fetch his messages.
        if await self._source.credentials(normal_user(incoming.target.user), incoming.target.host) is None:
            raise SipError("Not Found", status=404)
        await self._keep(ledger, message, recipient=message.recipient)
        if is_in_doubt(forwarding):
            await self._note_doubt(ledger, message)
        return message.id

    async def _note_doubt(self, ledger: Ledger, message: NewMessage) -> None:
        """A device may have it: if nothing more is heard it ends as unconfirmed, not as provably never delivered."""
        claim = await ledger.apply_one(Claim(id=message.id, owner=EDGE, token=0))
        if claim.done:
            await ledger.apply_one(Postpone(id=message.id, token=0, attempt=claim.attempt, until=message.expires))

    def _message(self, incoming: Incoming, service: str) -> NewMessage:
        return ledger_message(incoming, service, now=self._wall(), keep=self._settings.keep)

    async def _keep(self, ledger: Ledger, message: NewMessage, **whose: str) -> None:
        """Return once the message is durable.

        Raises:
            SipError: 480: too many wait already; 513: it is larger than a row.
            WigwagError: The database does not take it.
        """
        whom = next(iter(whose.values()))
        # What is being written counts too, or a burst would get in as a whole.
        room = self._settings.per_user - self._keeping[whom]
        self._keeping[whom] += 1
        try:
            is_full = room <= 0 or await ledger.waiting(most=room, **whose) >= room
            if is_full and await ledger.find(message.id) is None:
                raise SipError("Temporarily Unavailable: too many messages wait", status=480)
            await ledger.accept_one(message)  # One that is there already is the same message, come again.
        except ConflictError as error:
            raise SipError("Message Too Large", status=513) from error
        finally:
            self._keeping[whom] -= 1
            if not self._keeping[whom]:
                del self._keeping[whom]

    def _refuse(self, forwarding: Forwarding, error: SipError) -> None:
        if any(branch.pending for branch in forwarding.branches) or forwarding.decided:
            forwarding.context = None  # A device may still answer; when all have ended it is tried again.
        else:
            self._answer(forwarding, error.status or 400, error.reason, error.headers)

    def _answer(
        self, forwarding: Forwarding, status: int, reason: str, fields: tuple[tuple[str, str], ...] = ()
    ) -> None:
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
