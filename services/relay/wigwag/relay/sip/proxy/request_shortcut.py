"""The short way of a request: a neighbour's MESSAGE to a user with one contact, whose like has been passed on before.

Theory of operation. Nothing is decided here that the long way decides otherwise. What recurs in a head (`recurring`) is
learnt at the second sight: a request of it with marks is read, checked and written by the code of the long way. Whether
that still holds is asked for each request: the registration is the same, its flow stands, no row routes, nobody is
blocked, no device sleeps or takes sessions only. What differs has been matched by expressions narrower than the
grammar, and is filled in. Retransmissions, whatever finds the limit of transactions reached, and all else take the long
way. A property test holds the two together, another one where messages are kept for whom they don't reach.
"""

from typing import TYPE_CHECKING, Final

from wigwag.protocols.sip import Request, SipError, parse_datagram, validate
from wigwag.protocols.sip.transactions.matching import LONGEST_KEY, server_key
from wigwag.relay.sip.flows.flow import DatagramFlow
from wigwag.relay.sip.incoming import Incoming

from .branches import named
from .passage import Origin, Passage
from .recurring import BETWEEN, BRANCH, LENGTH, LONGEST_BRANCH, USUAL, cut_name, cut_request, marked

if TYPE_CHECKING:
    import re

    from wigwag.relay.sip.edge import Edge
    from wigwag.relay.sip.flows.flow import Flow, StreamFlow
    from wigwag.relay.sip.incoming import Target
    from wigwag.store import Registration

    from .passage import Keeper

_LONGEST: Final = 16_384
"""Octets of a request that takes this way."""
_MOST: Final = 8192
"""Heads that are known at once."""
_MOST_SEEN: Final = 65_536


class Known:
    """What was learnt of a head."""

    __slots__ = (
        "aor", "came_by", "flow", "key", "name", "origin", "registration", "sent_by", "wire", "written"
    )  # fmt: skip

    came_by: "DatagramFlow | StreamFlow"
    wire: "Flow"
    """Where responses go."""
    aor: str
    registration: "Registration"
    """Whose only contact the request goes to."""
    flow: "Flow"
    """How that is reached."""
    key: str
    """What the key of the server transaction begins with; the branch ends it."""
    name: list[bytes]
    """What our branch is made of, but for what differs."""
    sent_by: str
    """Of our Via."""
    written: list[bytes]
    """What is sent on, but for what differs."""
    origin: Origin


class RequestShortcut:
    """The short way of the requests of one edge."""

    def __init__(self, edge: "Edge") -> None:
        self._edge = edge
        self._known: dict[bytes | tuple[bytes, ...], Known] = {}
        self._seen: dict[int, int] = {}
        """By hash of a head: how often it was seen without being known."""

    def passed(self, data: bytes, flow: "DatagramFlow | StreamFlow", now: float) -> int:
        """Pass a request on if it is one of those that recur.

        Args:
            data: A datagram, or a read of a stream that begins with a message.
            flow: By which it came.
            now: Seconds, monotonic.

        Returns:
            The octets that it had; 0: it has to be read.
        """
        match = USUAL.match(data) if self._edge.is_trusted(flow) else None
        if match is None:
            return 0
        end = match.end() + int(match[LENGTH])
        if end > len(data) or end > _LONGEST:
            return 0
        head = match.group(*BETWEEN)
        known = self._known.get(head)
        if known is None or known.came_by is not flow or not self._holds(known):
            known = self._learnt(head, flow)
            if known is None:
                return 0
        return end if self._pass(known, match, data[:end], now) else 0

    def _holds(self, known: Known) -> bool:
        """Tell whether what was learnt is still so."""
        edge = self._edge
        neighbours, registration = edge.neighbours, known.registration
        return (
            neighbours.locating.at_hand(known.aor) is registration
            and known.flow.is_open
            and neighbours.routing.is_silent
            and not neighbours.screening.concerns(known.aor)
            and (edge.waker is None or not edge.waker.asleep(registration))
            and (known.origin.keeper is None or neighbours.services.takes_pages(registration))
        )

    def _pass(self, known: Known, match: "re.Match[bytes]", data: bytes, now: float) -> bool:
        edge = self._edge
        branch, tag, call_id, number, length = match.group(2, 4, 6, 8, LENGTH)
        theirs = branch.decode("ascii")
        key = known.key + theirs
        first, second, third, fourth, last = known.name
        our_branch = edge.proxy.branch_named(
            b"".join((first, branch, second, call_id, third, number, fourth, tag, last))
        )
        if not edge.transactions.has_room(key, our_branch, now):
            return False
        pods, came_by = edge.pods, known.came_by
        if pods is not None and isinstance(came_by, DatagramFlow) and pods.hand_over_new(theirs, data, came_by):
            return True
        edge.counters["requests_received"] += 1
        edge.requests["MESSAGE"] += 1
        start, via, middle, to, cseq, rest, end = known.written
        written = b"".join(
            (start, our_branch.encode("ascii"), via, branch, middle, tag, to, call_id, cseq, number, rest, length, end,
             data[match.end():])
        )  # fmt: skip
        server, client = edge.transactions.open_both(
            key, known.wire, "MESSAGE", (our_branch, known.sent_by), written, known.flow, now
        )
        Passage(known.origin, server, client, written).start(now)
        return True

    # Learning

    def _learnt(self, head: tuple[bytes, ...], flow: "DatagramFlow | StreamFlow") -> Known | None:
        """Return what there is to know of a head that recurs; None: nothing yet, or it can't be passed on unread."""
        before = self._known.pop(head, None)
        name = hash(head)
        seen = self._seen.get(name, 0) + 1
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        # What could not be learnt is tried again ever more seldom, what could at once.
        self._seen[name] = 1 if before is not None else seen
        if seen < 2 or seen & (seen - 1):
            return None
        try:
            known = self._learn(head, flow)
        except SipError:
            return None
        if known is None or not self._holds(known):
            return None
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[head] = known
        self._seen[name] = 1
        return known

    def _learn(self, head: tuple[bytes, ...], flow: "DatagramFlow | StreamFlow") -> Known | None:
        edge = self._edge
        request = parse_datagram(marked(head))
        validate(request)
        assert isinstance(request, Request)
        wire = edge.reply_wire(request, flow)
        incoming = Incoming(request, flow, None)
        incoming.identity = edge.neighbours.agents.identify(incoming)
        found = edge.dispatch.only_contact(incoming)
        if found is None:
            return None
        known = self._written(incoming, wire, *found)
        if known is not None:
            known.came_by = flow
        return known

    def _written(
        self,
        incoming: Incoming,
        wire: "Flow",
        registration: "Registration",
        target: "Target",
        keeper: "Keeper | None",
    ) -> Known | None:
        """Write the request as the long way does, and cut it at its marks."""
        request, flow = incoming.request, target.flow
        assert flow is not None
        sent = self._edge.proxy.prepare(incoming, target, flow)
        key, mark, _ = server_key(request, request.method).partition(BRANCH.decode("ascii"))
        written, name = cut_request(bytes(sent), sent.via.branch), cut_name(named(request, target.name))
        if written is None or name is None or not mark or len(key) + LONGEST_BRANCH > LONGEST_KEY:
            return None
        known = Known()
        known.wire, known.registration, known.aor, known.flow = wire, registration, registration.aor, flow
        known.key, known.name, known.sent_by, known.written = key, name, sent.via.sent_by, written
        known.origin = Origin(self._edge.proxy, incoming, target, keeper)
        return known
