"""What a pod asks the store before a route is known: sessions held elsewhere, and where peers are bound.

Theory of operation. A question is a ``Question`` destination: whoever needs the answer waits for it as for any next
hop that is being connected, and works out his route again when it is released. Questions of one turn go in one round
trip. That something is not there is remembered for a second; that the store is away, for a quarter of one.
"""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from wigwag.protocols.msrp import MsrpUri
from wigwag.relay.destination import Destination, Question
from wigwag.relay.refusal import Refusal
from wigwag.relay.sessions import LARGEST_PEERS, Session, canonical
from wigwag.store import PeerBinding, SessionRecord, Store, StoreError

from .elsewhere import Elsewhere
from .frames import Closed, Toward
from .links import Links
from .members import Members
from .remote import Remote, Target

if TYPE_CHECKING:
    from wigwag.relay.destination import Holding
    from wigwag.relay.hop import Hop
    from wigwag.relay.service import Relay

ABSENT_REMEMBERED = 1.0
FAILURE_REMEMBERED = 0.25
REFILLING = 5.0
"""Seconds after the store was away, or came back empty, in which pods write again what is theirs."""
LOOK_AGAIN = 0.3

Key = tuple[str, ...]

_AWAY: Refusal = (408, "the session store is not available")


class Lookups:
    """Questions to the store that requests wait for.

    Args:
        relay: The relay of this pod.
        store: The store.
        members: The pods.
        links: Streams to other pods.
        elsewhere: Takes up the sessions found.
    """

    def __init__(self, relay: "Relay", store: Store, members: Members, links: Links, elsewhere: Elsewhere) -> None:
        self._relay = relay
        self._store = store
        self._members = members
        self._links = links
        self._elsewhere = elsewhere
        self._open: dict[Key, Question] = {}
        self._refusals: dict[Key, tuple[float, Refusal | None]] = {}
        """What a question that has been answered with nothing, or not at all, means until when."""
        self._wanted: list[str] = []
        self._looked_again: set[str] = set()
        self.doubtful_until = 0.0
        """Until then, what the store does not know may only not have been written again yet."""

    # Sessions

    def is_known(self, session_id: str) -> bool:
        """Tell whether there is a session of this identifier, whatever its URI."""
        return self._elsewhere.has(session_id) or self._relay.sessions.by_session_id(session_id) is not None

    def session(self, session_id: str) -> "Question | Refusal | None":
        """Have a session looked up that is not known here; None: it is not there, a status: nobody can tell."""
        key: Key = ("session", session_id)
        known = self._known(key)
        if known is not None:
            return known[0]
        if key not in self._open:
            self._open[key] = Question()
            self.refresh(session_id)
        return self._open[key]

    def refresh(self, session_id: str) -> None:
        """Have the record of a session looked up at the end of this turn."""
        self._wanted.append(session_id)
        if len(self._wanted) == 1:
            self._relay.runtime.spawn(self._look_up())

    async def _look_up(self) -> None:
        wanted, self._wanted = list(dict.fromkeys(self._wanted)), []
        try:
            records = await self._store.find_sessions(wanted)
        except StoreError as error:
            self._relay.counters["store_failures"] += 1
            self._relay.log_event("sessions can't be looked up", reason=str(error))
            self.doubt()
            for session_id in wanted:
                self._answer(("session", session_id), _AWAY, FAILURE_REMEMBERED)
        else:
            for session_id in wanted:
                self._take(session_id, records.get(session_id))
        self._relay.flush()

    def _take(self, session_id: str, record: SessionRecord | None) -> None:
        key: Key = ("session", session_id)
        if record is not None:
            self._elsewhere.learned(record)
            if self.is_known(session_id) or session_id in self._looked_again:
                self._looked_again.discard(session_id)
                self._answer(key, None, 0.0 if self.is_known(session_id) else ABSENT_REMEMBERED)
            else:  # By its record it is this pod's: it is being granted just now, or was lost.
                self._looked_again.add(session_id)
                self._look_again(session_id)
        elif self._relay.now() < self.doubtful_until:
            self._look_again(session_id)
        else:
            self._looked_again.discard(session_id)
            self._elsewhere.gone(session_id)
            self._answer(key, None, ABSENT_REMEMBERED)

    def _look_again(self, session_id: str) -> None:
        self._relay.runtime.call_later(LOOK_AGAIN, lambda: self.refresh(session_id))

    # Peers without a relay

    def peer(self, session: Session, uri: MsrpUri) -> "Destination | Refusal | None":
        """Return the way to a peer that is bound at another pod; ``Question`` until that is known; None: nowhere."""
        key: Key = ("peer", str(session.uri.session_id), canonical(uri))
        known = self._known(key)
        return known[0] if known is not None else self._ask(key, self._find_peer(key, session, uri))

    async def _find_peer(self, key: Key, session: Session, uri: MsrpUri) -> None:
        binding = await self._store.find_peer(key[1], key[2])
        if binding is not None and not self._lead_to(session, uri, binding):
            await self._store.unbind_peer(key[1], key[2], binding)
        self._answer(key, None, ABSENT_REMEMBERED)

    def bind(self, hop: "Hop", session: Session, uri: MsrpUri) -> "Question | Refusal | None":
        """Have a peer bound to its connection; afterwards ``session.peers`` has the binding in force."""
        key: Key = ("bind", str(session.uri.session_id), canonical(uri), str(hop.channel.id))
        known = self._known(key)
        return known[0] if known is not None else self._ask(key, self._bind(key, hop, session, uri))

    async def _bind(self, key: Key, hop: "Hop", session: Session, uri: MsrpUri) -> None:
        try:
            in_force = await self.claim_peer(hop, session, uri)
        except StoreError:
            if session.pod != self._members.pod.id:
                raise
            # Both ends are here: the traffic goes on, and others learn of it when the store is back.
            in_force = True
        if in_force is None:
            self._answer(key, (403, "too many peers in one session"), ABSENT_REMEMBERED)
            return
        if in_force:
            session.peers[uri.key] = hop
            hop.bound.append((session, uri))
        self._answer(key, None, 0.0)

    async def claim_peer(self, hop: "Hop", session: Session, uri: MsrpUri) -> bool | None:
        """Bind a peer in the store; False: it is bound elsewhere, None: the session has too many.

        Raises:
            StoreError: The store is away.
        """
        session_id, peer = str(session.uri.session_id), canonical(uri)
        own = PeerBinding(self._members.pod.id, hop.channel.id)
        expires_at = self._relay.runtime.wall() + session.expires_at - self._relay.now()
        replacing: PeerBinding | None = None
        for _ in range(3):
            found = await self._store.bind_peer(
                session_id, peer, own, expires_at=expires_at, most=LARGEST_PEERS, replacing=replacing
            )
            if found is None or found == own:
                return None if found is None else True
            if self._lead_to(session, uri, found):
                return False
            replacing = found
        return False

    def _lead_to(self, session: Session, uri: MsrpUri, binding: PeerBinding) -> bool:
        """Lead a peer's traffic to where it is bound; False when its connection is known to be gone."""
        if binding.pod == self._members.pod.id:
            hop = self._relay.hops.get(binding.connection)
            if hop is not None:
                session.peers[uri.key] = hop
            return hop is not None
        if not self._links.reachable(binding.pod):
            return False
        target = Target(Toward.PEER, str(session.uri.session_id), binding.connection, canonical(uri))
        session.peers[uri.key] = self._links.open(binding.pod, target, self._peer_ended(session, uri))
        return True

    def _peer_ended(self, session: Session, uri: MsrpUri) -> "Callable[[Remote, Holding, Closed | None], None]":
        def ended(remote: Remote, left: "Holding", closed: Closed | None) -> None:
            if session.peers.get(uri.key) is remote:
                del session.peers[uri.key]
            for transaction in left.give_up():
                self._relay.reports.timed_out(transaction, "the peer is not connected")
            for route in list(remote.routes):
                route.close()
            remote.full = False
            remote.release(self._relay.now())

        return ended

    # Questions

    def _known(self, key: Key) -> "tuple[Refusal | None] | None":
        known = self._refusals.get(key)
        if known is None:
            return None
        if self._relay.now() >= known[0]:
            del self._refusals[key]
            return None
        return (known[1],)

    def _ask(self, key: Key, question: Coroutine[Any, Any, None]) -> Question:
        if key in self._open:
            question.close()
        else:
            self._open[key] = Question()
            self._relay.runtime.spawn(self._run(key, question))
        return self._open[key]

    async def _run(self, key: Key, question: Coroutine[Any, Any, None]) -> None:
        try:
            await question
        except StoreError as error:
            self._relay.counters["store_failures"] += 1
            self._relay.log_event("peers can't be looked up", reason=str(error))
            self._answer(key, _AWAY, FAILURE_REMEMBERED)
        self._relay.flush()

    def _answer(self, key: Key, refusal: "Refusal | None", seconds: float) -> None:
        """Remember what was found out, and let those go on who wait for it."""
        now = self._relay.now()
        if seconds:
            self._refusals[key] = (now + seconds, refusal)
        waiting = self._open.pop(key, None)
        if waiting is not None:
            waiting.full = False
            waiting.release(now)

    def doubt(self) -> None:
        """The store was away, and may have come back empty: that it does not know something means nothing for now."""
        self.doubtful_until = self._relay.now() + REFILLING

    def tick(self, now: float) -> None:
        """Forget what has been remembered long enough."""
        for key in [key for key, (until, _) in self._refusals.items() if until <= now]:
            del self._refusals[key]
