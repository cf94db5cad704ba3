"""Peers without a relay, wherever they are connected: each is bound to the connection of his first valid request."""

from typing import TYPE_CHECKING

from wigwag.protocols.msrp import MsrpUri
from wigwag.relay.sessions import LARGEST_PEERS, Session, canonical
from wigwag.runtime.members import Members
from wigwag.store import PeerBinding, Store, StoreError

from .frames import Closed, Toward
from .link import Ended
from .links import Links
from .questions import ABSENT_REMEMBERED, FAILURE_REMEMBERED, Key, Questions
from .remote import Remote, Target

if TYPE_CHECKING:
    from wigwag.relay.destination import Holding, Question
    from wigwag.relay.hop import Hop
    from wigwag.relay.refusal import Refusal
    from wigwag.relay.service import Relay


class Peers:
    """Where they are bound.

    Args:
        relay: The relay of this pod.
        store: The store.
        members: The pods.
        links: Streams to other pods.
        questions: What requests wait for.
    """

    def __init__(self, relay: "Relay", store: Store, members: Members, links: Links, questions: Questions) -> None:
        self._relay = relay
        self._store = store
        self._members = members
        self._links = links
        self._questions = questions

    def find(self, session: Session, uri: MsrpUri) -> "Question | Refusal | None":
        """Have a peer looked up; None: he is bound nowhere, or ``session.peers`` has the way to him by now."""
        key: Key = ("peer", str(session.uri.session_id), canonical(uri))
        known = self._questions.known(key)
        return known[0] if known is not None else self._questions.run(key, lambda: self._find(key, session, uri))

    async def _find(self, key: Key, session: Session, uri: MsrpUri) -> None:
        binding = await self._store.find_peer(key[1], key[2])
        if binding is None or await self._lead_to(session, uri, binding):
            self._questions.answer(key, None, ABSENT_REMEMBERED)
        elif self._is_out_of_reach(binding.pod):
            self._questions.answer(key, (408, "the peer's pod can't be reached"), FAILURE_REMEMBERED)
        else:
            await self._store.unbind_peer(key[1], key[2], binding)
            self._questions.answer(key, None, ABSENT_REMEMBERED)

    def _is_out_of_reach(self, pod: str) -> bool:
        """Tell whether a pod that lives can't be asked for now."""
        return pod != self._members.pod.id and self._members.alive(pod) and not self._links.stands(pod)

    def bind(self, hop: "Hop", session: Session, uri: MsrpUri) -> "Question | Refusal | None":
        """Have a peer bound to its connection; afterwards ``session.peers`` has the binding in force."""
        key: Key = ("bind", str(session.uri.session_id), canonical(uri), str(hop.channel.id))
        known = self._questions.known(key)
        return known[0] if known is not None else self._questions.run(key, lambda: self._bind(key, hop, session, uri))

    async def _bind(self, key: Key, hop: "Hop", session: Session, uri: MsrpUri) -> None:
        try:
            in_force = await self._claim(hop, session, uri)
        except StoreError:
            if session.pod != self._members.pod.id:
                raise
            # Both ends are here: the traffic goes on, and others learn of it when the store is back.
            in_force = True
        if in_force is None:
            self._questions.answer(key, (403, "too many peers in one session"), ABSENT_REMEMBERED)
            return
        if in_force:
            session.bind(uri.key, hop)
            await self._bound(hop, session, uri)
        self._questions.answer(key, None, 0.0)

    async def bind_outgoing(self, hop: "Hop", session: Session, uri: MsrpUri) -> None:
        """Bind a peer to the connection that was opened toward it, unless it is bound already."""
        try:
            if await self._claim(hop, session, uri):
                await self._bound(hop, session, uri)
        except StoreError as error:
            self._relay.log_event("a peer's binding is not known to other pods", reason=str(error))

    async def _bound(self, hop: "Hop", session: Session, uri: MsrpUri) -> None:
        """Remember a binding with its connection, which may have been lost meanwhile."""
        session_id = str(session.uri.session_id)
        hop.bound[session_id, uri.key] = (session, uri)
        if hop.closed:
            await self._store.unbind_peer(session_id, canonical(uri), self._own(hop))

    def _own(self, hop: "Hop") -> PeerBinding:
        return PeerBinding(self._members.pod.id, hop.channel.id)

    async def _claim(self, hop: "Hop", session: Session, uri: MsrpUri) -> bool | None:
        """Bind a peer in the store; False: it is bound elsewhere, None: the session has too many.

        Raises:
            StoreError: The store is away.
        """
        session_id, peer, own = str(session.uri.session_id), canonical(uri), self._own(hop)
        expires_at = self._members.wall() + session.expires_at - self._relay.now()
        replacing: PeerBinding | None = None
        for _ in range(3):
            found = await self._store.bind_peer(
                session_id, peer, own, expires_at=expires_at, most=LARGEST_PEERS, replacing=replacing
            )
            if found is None or found == own:
                return None if found is None else True
            if await self._lead_to(session, uri, found):
                return False
            replacing = found
        raise StoreError("the peer changes connections too fast")

    async def _lead_to(self, session: Session, uri: MsrpUri, binding: PeerBinding) -> bool:
        """Lead a peer's traffic to where it is bound; False when its connection is gone, or can't be reached."""
        if binding.pod == self._members.pod.id:
            hop = self._relay.hops.get(binding.connection)
            return hop is not None and session.bind(uri.key, hop)
        target = Target(Toward.PEER, str(session.uri.session_id), binding.connection, canonical(uri))
        known = session.peers.get(uri.key)
        if isinstance(known, Remote) and not known.closed and known.target == target:
            return True
        if not self._links.reachable(binding.pod):
            return False
        remote = self._links.open(binding.pod, target, self._ended(session, uri))
        self._relay.flush()
        return await remote.stands() and session.bind(uri.key, remote)

    def _ended(self, session: Session, uri: MsrpUri) -> Ended:
        def ended(remote: Remote, left: "Holding", closed: Closed | None) -> None:
            session.unbind(uri.key, remote)
            for transaction in left.give_up():
                self._relay.reports.timed_out(transaction, "the peer is not connected")
            for route in list(remote.routes):
                route.close()
            remote.full = False
            remote.release(self._relay.now())

        return ended
