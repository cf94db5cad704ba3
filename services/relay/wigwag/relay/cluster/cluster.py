"""The cluster is one relay: what the relay asks when there are other pods (DESIGN.md section 4)."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wigwag.errors import WigwagError
from wigwag.protocols.digest import SigningKeys
from wigwag.protocols.msrp import MsrpUri
from wigwag.relay.destination import Holding
from wigwag.relay.sessions import Session, SessionState
from wigwag.relay.views import SessionChange
from wigwag.runtime.members import LEASE, Members
from wigwag.store import Change, Claim, Gap, Pod, RegistrationChanged, SessionRecord, Store, StoreError

from .arrivals import Arrivals
from .asking import answer_of
from .elsewhere import Elsewhere, retire_peers
from .frames import Ending, Open, Superseded, Toward
from .holder import HolderLink
from .links import LinkConnector, Links
from .lookups import Lookups
from .peers import Peers
from .questions import Questions
from .records import Records

if TYPE_CHECKING:
    from wigwag.relay.destination import Destination, Question
    from wigwag.relay.hop import Hop
    from wigwag.relay.refusal import Refusal
    from wigwag.relay.service import Relay

_LARGEST_NEWER = 4096
_MOST_OF_AGENTS = 1_000_000
"""Sessions of all ua pods: what they left behind is cleared away when there are more."""
REFILL_TIME = 2.5
"""Seconds in which all pods notice that the store came back empty, and write again what is theirs."""
BEAT = 1.0
"""Seconds between two beats."""


class Cluster:
    """This pod among the others.

    Args:
        relay: The relay of this pod.
        pod: This pod.
        store: The store that all pods share.
        keys: The cluster's signing keys.
        connector: Opens connections to other pods.
    """

    def __init__(self, relay: "Relay", *, pod: Pod, store: Store, keys: SigningKeys, connector: LinkConnector) -> None:
        self.pod = pod.id
        self.keys = keys
        self._relay = relay
        self._store = store
        self.members = Members(store, pod, relay.now, relay.runtime.wall)
        self.links = Links(relay, keys, self.members, connector)
        self.records = Records(relay, store, self.members)
        self.elsewhere = Elsewhere(relay, self.members, self.links, self._refresh)
        self._questions = Questions(relay)
        self._lookups = Lookups(relay, store, self.elsewhere, self._questions)
        self._peers = Peers(relay, store, self.members, self.links, self._questions)
        self._arrivals: dict[object, set[Arrivals]] = {}
        """Streams of other pods by the session (toward its client) or the hop (toward a peer) they lead to."""
        self._newer: dict[str, int] = {}
        """Claims of others that were heard of while none was known here: epoch by session."""
        self._refilled_at = 0.0
        """When every pod will have written again what the store has lost."""
        self._beating = False
        self._beat_at = self._ticked_at = relay.now()
        self._paused = False

    # What requests ask

    def session(self, uri: MsrpUri) -> "Session | Question | Refusal | None":
        """Return a session held elsewhere, or what its look-up has to wait for, or why it can't be told."""
        found = self.elsewhere.find(uri)
        if found is not None or uri.session_id is None or self._lookups.is_known(uri.session_id):
            return found  # A URI that is not quite that of the session which its token names is nobody's.
        return self._lookups.session(uri.session_id)

    def peer(self, session: Session, uri: MsrpUri) -> "Question | Refusal | None":
        """Have a peer looked up that may be bound at another pod; None: it is bound nowhere."""
        return self._peers.find(session, uri)

    def bind(self, hop: "Hop", session: Session, uri: MsrpUri) -> "Question | Refusal | None":
        """Have a peer bound to its connection."""
        return self._peers.bind(hop, session, uri)

    def bind_outgoing(self, hop: "Hop", session: Session, uri: MsrpUri) -> None:
        """Bind a peer to the connection that was opened toward it."""
        self._relay.runtime.spawn(self._peers.bind_outgoing(hop, session, uri))

    def _refresh(self, session_id: str) -> None:
        self._lookups.refresh(session_id)

    # The sessions of this pod

    async def claim(self, wanted: SessionRecord, *, always_new: bool) -> Claim:
        """Make this pod the holder of the owner's session; the pod that held it is told."""
        if self.members.stale:
            await self.beat()
        await self._refilled()
        most = _MOST_OF_AGENTS if wanted.fencing_token else self._relay.settings.limits.sessions_per_user
        try:
            claim = await self.records.claim(wanted, most=most, always_new=always_new)
        except StoreError:
            self.records.incomplete = True  # It may have been carried out.
            raise
        previous = claim.previous
        if previous is not None and previous.pod != self.pod:
            self.links.tell_superseded(previous.pod, claim.record.session_id, claim.record.epoch)
        return claim

    async def _refilled(self) -> None:
        """Wait until the pods have written again what the store has lost, or a known client would get another URI."""
        missing = self._refilled_at - self._relay.now()
        if missing > 0:
            written = asyncio.Event()
            self._relay.runtime.call_later(missing, written.set)
            await written.wait()

    def moved_here(self, session: Session) -> None:
        """The session has another connection at this pod: streams that led to the former begin anew."""
        self._close_arrivals(session, Ending.MOVED, session.epoch, self.pod)

    def suspended(self, session: Session, *, gently: bool) -> None:
        """The client's connection is lost, or (``gently``) will be once the client has answered what it was sent."""
        if gently:
            for arrivals in self._arrivals.pop(session, ()):
                arrivals.finish(Ending.SUSPENDED)
        else:
            self._close_arrivals(session, Ending.SUSPENDED)
        self.records.suspend(session)

    def ended(self, session: Session) -> None:
        """The session has ended."""
        self._close_arrivals(session, Ending.GONE)
        retire_peers(session)
        self.records.end(session)

    def hop_closed(self, hop: "Hop") -> None:
        """A connection is gone, and the peers that were bound to it."""
        self._close_arrivals(hop, Ending.GONE)
        for session, uri in hop.bound.values():
            session.unbind(uri.key, hop)
        self.records.bindings.unbind(hop)

    def surrender(self, session: Session, epoch: int, pod: str) -> None:
        """The client of a session of this pod has AUTHed elsewhere."""
        hop, back = session.destination, self._relay.lifecycle.take_back(session)
        self._relay.sessions.remove(session)
        self._relay.counters["sessions_moved_away"] += 1
        self._relay.close_routes_to(session)
        if not isinstance(session.destination, Holding):
            session.destination = Holding()
        session.destination.put_first(back)
        self.elsewhere.surrender(session, epoch, pod)
        self._relay.changed(session, SessionChange.MOVED)
        self._close_arrivals(session, Ending.MOVED, epoch, pod)
        self._relay.lifecycle.leave(session, hop)

    def _close_arrivals(self, key: object, ending: Ending, epoch: int = 0, pod: str = "") -> None:
        for arrivals in self._arrivals.pop(key, ()):
            arrivals.close(ending, epoch, pod)

    # Harbour: streams that other pods open

    def opened(self, link: HolderLink, frame: Open) -> Arrivals | tuple[Ending, int, str]:
        """Lead a stream to its receiver."""
        if frame.toward is Toward.PEER:
            return self._toward_peer(link, frame)
        session = self._relay.sessions.by_session_id(frame.session_id)
        if session is None or session.epoch < frame.number:
            return Ending.GONE, 0, ""
        if session.epoch > frame.number:
            return Ending.MOVED, session.epoch, self.pod
        hop = session.destination
        if session.state is SessionState.SUSPENDED or hop.holds:
            return Ending.SUSPENDED, session.epoch, self.pod
        return self._lead(link, frame, session, hop)

    def _toward_peer(self, link: HolderLink, frame: Open) -> Arrivals | tuple[Ending, int, str]:
        hop = self._relay.hops.get(frame.number)
        bound = hop.bound if hop is not None else {}
        session = next((found for (session_id, _), (found, _) in bound.items() if session_id == frame.session_id), None)
        if hop is None or session is None:
            return Ending.GONE, 0, ""
        return self._lead(link, frame, session, hop)

    def _lead(self, link: HolderLink, frame: Open, session: Session, destination: "Destination") -> Arrivals:
        from wigwag.relay.hop import Hop

        assert isinstance(destination, Hop)
        arrivals = Arrivals(link, frame, session, destination)
        self._arrivals.setdefault(arrivals.leads_to, set()).add(arrivals)
        return arrivals

    def asked(self, question: bytes) -> bytes:
        """Answer an operator's question, asked at another pod."""
        return answer_of(self._relay, question)

    def sip_received(self, pod: str, content: bytes) -> None:
        """Another pod has something of SIP for this one."""
        self.links.sip_received(pod, content)

    def superseded(self, frame: Superseded) -> None:
        """Another pod says that a client of ours has AUTHed there."""
        self._claimed_elsewhere(frame.session_id, frame.epoch, frame.pod)

    def _claimed_elsewhere(self, session_id: str, epoch: int, pod: str) -> None:
        session = self._relay.sessions.by_session_id(session_id)
        if session is not None and session.epoch < epoch:
            self.surrender(session, epoch, pod)
            return
        self._newer[session_id] = epoch
        while len(self._newer) > _LARGEST_NEWER:
            del self._newer[next(iter(self._newer))]

    def is_outdated(self, record: SessionRecord) -> bool:
        """Tell whether a later claim than this one of this pod's has been heard of already."""
        session_id = record.session_id
        session = self._relay.sessions.by_session_id(session_id)
        here = session.epoch if session is not None else self.elsewhere.epoch(session_id)
        return max(here, self._newer.pop(session_id, 0)) > record.epoch

    def holder_connected(self, link: HolderLink) -> None:
        """Another pod has connected."""
        self.links.holders.add(link)

    def holder_proven(self, link: HolderLink) -> None:
        """A link stands: one that the same pod had before is over, whether that was noticed here or not.

        What it still holds the sender has reported as lost; it must not be passed on behind what comes now.
        """
        for other in [other for other in self.links.holders if other is not link and other.pod == link.pod]:
            other.close("replaced by a new link")

    def holder_lost(self, link: HolderLink) -> None:
        """Its link is over."""
        self.links.holder_lost(link)
        for arrivals in [arrivals for streams in self._arrivals.values() for arrivals in streams]:
            if arrivals.link is link:
                self.stream_closed(arrivals)

    def stream_closed(self, arrivals: Arrivals) -> None:
        """A stream is over."""
        streams = self._arrivals.get(arrivals.leads_to)
        if streams is not None:
            streams.discard(arrivals)
            if not streams:
                del self._arrivals[arrivals.leads_to]

    # Changes that others make

    async def watch(self) -> None:
        """Take note of what other pods do, for as long as this pod runs."""
        listening = False
        async for change in self._store.changes():
            match change:
                case Gap():
                    if listening:
                        self._lookups.doubt()
                    listening = True
                    for session_id in self.elsewhere.ids():
                        self._refresh(session_id)
                    self.records.incomplete = True
                case Change():
                    self._changed(change)
                case RegistrationChanged():
                    continue  # SIP's.
            self._relay.flush()

    def _changed(self, change: Change) -> None:
        session = self._relay.sessions.by_session_id(change.session_id)
        if change.pod and change.pod != self.pod:
            self._claimed_elsewhere(change.session_id, change.epoch, change.pod)
        elif session is not None and not change.pod and session.epoch <= change.epoch:
            self._relay.end(session, "ended at another pod")
        if self.elsewhere.has(change.session_id):
            self._refresh(change.session_id)

    # Time

    def tick(self, now: float) -> None:
        """Do what is due; to be called four times a second."""
        if now - self._ticked_at >= LEASE:
            self.resumed_after_pause()
        self._ticked_at = now
        self._relay.fence_at = now + LEASE
        self.links.tick(now)
        self._questions.tick(now)
        self.elsewhere.tick(now)
        if now - self._beat_at >= BEAT and not self._beating:
            self._beat_at = now
            self._beating = True
            self._relay.runtime.spawn(self._beat())

    async def _beat(self) -> None:
        was_away = self.members.stale
        try:
            await self.beat()
        except StoreError as error:
            self._lookups.doubt()
            self._relay.counters["store_failures"] += 1
            if not was_away:
                self._relay.log_event("no beat", reason=str(error))
        finally:
            self._beating = False

    async def beat(self) -> None:
        """Beat; write everything again when the store has lost it or something is missing, else a part of it.

        Raises:
            StoreError: The store is away.
        """
        if await self.members.beat():
            self._lookups.doubt()
            self._refilled_at = self._relay.now() + REFILL_TIME
            self.records.incomplete = True
        self._take_newer(await self.records.write_some())

    def _take_newer(self, records: Sequence[SessionRecord]) -> None:
        """Give up the sessions that others have claimed."""
        for record in records:
            session = self._relay.sessions.by_session_id(record.session_id)
            if session is None or session.epoch >= record.epoch:
                continue
            if record.pod == self.pod:  # A claim of ours that is being answered, or whose answer was lost.
                session.epoch = record.epoch
            else:
                self.surrender(session, record.epoch, record.pod)
        self._relay.flush()

    # Pauses

    def resumed_after_pause(self) -> None:
        """This process did not run for a lease: nothing is read until it is known which sessions are still its own."""
        if self._paused:
            return
        self._paused = True
        self._relay.counters["pauses"] += 1
        self._relay.log_event("this pod was paused; its sessions are compared with the store")
        self._relay.hold_up_all()
        self._relay.runtime.spawn(self._compare())

    async def _compare(self) -> None:
        try:
            await self.beat()
            self._take_newer(await self.records.write_again())
        except WigwagError as error:
            # Receivers refuse outdated epochs; a store that is away does not stop what runs.
            self._relay.log_event("sessions can't be compared with the store", reason=str(error))
        finally:
            self._paused = False
            self._relay.let_go_all()
            self._relay.flush()

    def close(self) -> None:
        """End every link."""
        self.links.close()

    async def leave(self) -> None:
        """Be forgotten by the others."""
        try:
            await self._store.leave(self.pod)
        except StoreError as error:
            self._relay.log_event("the others will take this pod for dead", reason=str(error))
