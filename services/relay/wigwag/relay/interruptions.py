"""Messages that stop in the middle: refused by the next hop, or left by a sender who is gone."""

import heapq
from typing import TYPE_CHECKING

from wigwag.protocols.msrp import RequestHead

from .destination import Holding, Question
from .route import Route
from .sessions import Session

if TYPE_CHECKING:
    from .hop import Hop
    from .service import Relay

REFUSAL_REMEMBERED = 60.0
"""Seconds for which further chunks of a refused message are refused at once."""
LARGEST_REFUSED = 64
"""Refused messages remembered per connection."""

_WAY_KNOWN = 0.5
"""Seconds until which it is known which way a session is reached that moves."""

MessageKey = tuple[Session, str]


class Interruptions:
    """Remembers refused messages, and flags abandoned ones as aborted when nobody continues them."""

    def __init__(self, relay: "Relay") -> None:
        self._relay = relay
        self._abandoned: dict[MessageKey, tuple[int, Route, RequestHead, int, bytes]] = {}
        """Serial number in ``_due``, and what ``_abort`` needs."""
        self._due: list[tuple[float, int, MessageKey]] = []
        self._serial = 0

    def refuse_message(self, hop: "Hop", session: Session, message_id: str, status: int, reason: str) -> None:
        """Forward nothing more of this message from this connection."""
        now = self._relay.now()
        if hop.refused is None:
            hop.refused = {}
        while len(hop.refused) >= LARGEST_REFUSED:
            del hop.refused[next(iter(hop.refused))]
        hop.refused[(session, message_id)] = (status, reason, now + REFUSAL_REMEMBERED)

    def forget_refusals(self, hop: "Hop", now: float) -> None:
        """Drop what has been remembered long enough."""
        if hop.refused:
            hop.refused = {key: refusal for key, refusal in hop.refused.items() if refusal[2] > now} or None

    def abandon_message(self, route: Route, head: RequestHead, position: int, total: bytes, now: float) -> None:
        """The sender was lost in the middle of a chunk: wait for it to go on, then flag the message as aborted.

        Args:
            route: The way the chunk took; it leads to the receiver only as long as it is open.
            head: Head of the interrupted chunk.
            position: The next octet of the message.
            total: Total octets as the sender gave them, or ``*``.
            now: Monotonic seconds.
        """
        key = (route.session, head.message_id or "")
        self._serial += 1
        self._abandoned[key] = (self._serial, route, head, position, total)
        heapq.heappush(self._due, (now + self._relay.settings.resume_window, self._serial, key))
        if not self._relay.settings.resume_window:
            self.tick(now)

    def message_continues(self, session: Session, message_id: str) -> None:
        """A further chunk of the message came: it is not abandoned."""
        if self._abandoned:
            self._abandoned.pop((session, message_id), None)

    def tick(self, now: float) -> None:
        """Abort what nobody continued in time (continuation flag ``#``, RFC 4975 section 7.1)."""
        while self._due and self._due[0][0] <= now:
            _, serial, key = heapq.heappop(self._due)
            found = self._abandoned.get(key)
            if found is None or found[0] != serial:
                continue
            if isinstance(found[1].leads_to(), Question):
                heapq.heappush(self._due, (now + _WAY_KNOWN, serial, key))
            else:
                del self._abandoned[key]
                self._abort(*found[1:])

    def lean_on(self, session: Session) -> bool:
        """Tell whether an abandoned message may yet have to be flagged on its way to the session's client."""
        return any(route.exit_session is session for _, route, _, _, _ in self._abandoned.values())

    def _abort(self, route: Route, head: RequestHead, position: int, total: bytes) -> None:
        destination = route.leads_to()
        if not route.exit_session.open or (isinstance(destination, Holding) and not destination.takes_more):
            return
        relay = self._relay
        transaction_id = relay.next_transaction_id()
        byte_range = b"Byte-Range: %d-%d/%b" % (position, position - 1, total)
        destination.outgoing.append(
            b"MSRP %b SEND\r\n%bMessage-ID: %b\r\n%b\r\nFailure-Report: no\r\n-------%b#\r\n"
            % (transaction_id, route.paths, (head.message_id or "").encode(), byte_range, transaction_id)
        )
        relay.flush_later(destination)
        relay.counters["aborted_messages"] += 1
