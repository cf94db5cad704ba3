"""Sessions whose client is at another pod, as far as this pod sends to them.

Theory of operation. A copy of the session's record leads requests to a stream toward the pod that holds the client;
while the client is lost, or that pod can't be reached, to a ``Holding`` of this pod, which keeps 64 KiB for 20
seconds. When the way changes, what certainly was not passed on goes the new way first, in order: a stream is asked
how far it got (at most half a second) before anything is sent past it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wigwag.protocols.msrp import MsrpUri
from wigwag.relay.destination import Holding, Question
from wigwag.relay.sessions import Session, SessionState
from wigwag.runtime.members import Members
from wigwag.store import RecordState, SessionRecord

from .frames import Closed, Ending, Toward
from .links import Links
from .remote import Remote, Target

if TYPE_CHECKING:
    from wigwag.relay.hop import Hop
    from wigwag.relay.service import Relay

ANSWER_TO_STOP = 0.5
"""Seconds that a holder has to say how far a stream got; then what is open counts as lost."""
LOOK_AGAIN = 30.0
"""Seconds after which a copy that is in use is compared with the store, and one that is not is dropped."""
FIRST_RETRY, LAST_RETRY = 0.05, 0.5
"""Seconds between looks at the store while a session is held."""

Refresh = Callable[[str], None]


@dataclass(slots=True)
class Copy:
    """What this pod knows of a session beside the session itself."""

    session: Session
    looked_at: float
    gate_since: float = 0.0
    """When its stream was asked to stop; 0: it was not."""
    former: Remote | None = None
    """The stream asked to stop, of a session that has come back to this pod (and may have left it again)."""
    retry_at: float = 0.0
    retry_after: float = FIRST_RETRY


class Elsewhere:
    """The copies.

    Args:
        relay: The relay of this pod.
        members: The pods.
        links: Streams to other pods.
        refresh: Has the record of a session looked up; ``learned`` or ``gone`` follows.
    """

    def __init__(self, relay: "Relay", members: Members, links: Links, refresh: Refresh) -> None:
        self._relay = relay
        self._members = members
        self._own = members.pod.id
        self._links = links
        self._refresh = refresh
        self._copies: dict[str, Copy] = {}
        self._returning: dict[str, Copy] = {}

    def __len__(self) -> int:
        return len(self._copies)

    def find(self, uri: MsrpUri) -> Session | None:
        """Return the copy whose URI equals ``uri``."""
        copy = self._copies.get(uri.session_id or "")
        return copy.session if copy is not None and copy.session.uri.matches(uri) else None

    def sessions(self) -> list[Session]:
        """Return all copies."""
        return [copy.session for copy in self._copies.values()]

    def has(self, session_id: str) -> bool:
        """Tell whether there is a copy."""
        return session_id in self._copies

    def epoch(self, session_id: str) -> int:
        """Return the highest epoch heard of a session that there is a copy of; 0: there is none."""
        copy = self._copies.get(session_id)
        return copy.session.epoch if copy is not None else 0

    def ids(self) -> list[str]:
        """Return the sessions' identifiers."""
        return list(self._copies)

    def bring_back(self, session_id: str, hop: "Hop") -> tuple[Session, Holding | None] | None:
        """Give up a copy: its client has AUTHed here, on ``hop``.

        Returns:
            The session, and what was held for it, to be sent after the answer to the AUTH; None: there is no copy.
        """
        copy = self._copies.pop(session_id, None)
        if copy is None:
            return None
        session, former = copy.session, copy.session.destination
        session.destination, session.state, session.pod = hop, SessionState.ACTIVE, self._own
        self._relay.close_routes_to(session)
        if isinstance(former, Remote) and not former.closed:
            copy.former, copy.gate_since = former, self._relay.now()
            session.gate = session.gate or Question()
            former.stop()
        if copy.former is not None:
            self._returning[session_id] = copy
        else:
            self._open_gate(copy)
        return session, former if isinstance(former, Holding) else None

    # What is learned

    def learned(self, record: SessionRecord) -> None:
        """Take note of a record in force."""
        now = self._relay.now()
        copy = self._copies.get(record.session_id)
        if copy is None and (record.pod == self._own or self._relay.sessions.by_session_id(record.session_id)):
            return
        if copy is None:
            copy = self._copies[record.session_id] = Copy(self._new_session(record, now), now)
        session = copy.session
        copy.looked_at = now
        if record.epoch < session.epoch:
            return
        self._is_at(session, record.pod, record.epoch)
        session.expires_at = now + record.expires_at - self._members.wall()
        if session.expires_at <= now:
            self._drop(copy, "the session has expired")
        elif record.state is RecordState.ACTIVE:
            self._lead(copy, now)
        elif not session.suspended_at:
            session.suspended_at = now - max(0.0, self._members.wall() - record.suspended_at)

    def _new_session(self, record: SessionRecord, now: float) -> Session:
        return Session(
            uri=MsrpUri.parse(record.uri),
            uri_text=record.uri.encode(),
            username=record.owner.username,
            realm=record.owner.realm,
            client_uri=MsrpUri.parse(record.client_uri),
            client_host=record.client_host,
            listener=record.listener,
            fencing_token=record.fencing_token,
            created=record.created,
            expires_at=now + record.expires_at - self._members.wall(),
            destination=Holding(),
            state=SessionState.SUSPENDED,
        )

    def gone(self, session_id: str) -> None:
        """The store has no record of it any more.

        As long as a stream to the client's pod stands, that pod knows better: it closes the stream with the session.
        """
        copy = self._copies.get(session_id)
        if copy is None:
            return
        destination = copy.session.destination
        if isinstance(destination, Remote) and not destination.closed and destination.link.up:
            copy.looked_at = self._relay.now()
        else:
            self._drop(copy, "the session has ended")

    def surrender(self, session: Session, epoch: int, pod: str) -> None:
        """Take over a session that was this pod's: its client has AUTHed at ``pod``; it holds what is for him."""
        now = self._relay.now()
        self._is_at(session, pod, epoch)
        session_id = str(session.uri.session_id)
        copy = self._copies[session_id] = self._returning.pop(session_id, Copy(session, now))
        self._hold(copy, now)
        self._lead(copy, now)

    @staticmethod
    def _is_at(session: Session, pod: str, epoch: int) -> None:
        """Take note of where the client is; with a higher epoch he has been there since he was lost, if he was."""
        if epoch > session.epoch:
            session.suspended_at = 0.0
        session.epoch, session.pod = epoch, pod

    # The way to the client

    def _lead(self, copy: Copy, now: float) -> None:
        """Lead requests to the pod that holds the client, if it can be reached."""
        session = copy.session
        current = session.destination
        if copy.former is not None:
            return
        if isinstance(current, Remote) and self._is_right(current, session):
            return
        if isinstance(current, Remote) and not current.closed:
            self._ask_to_stop(copy, current, now)
        elif session.pod != self._own and self._links.reachable(session.pod):
            self._open(copy)
        else:
            self._hold(copy, now)

    def _is_right(self, remote: Remote, session: Session) -> bool:
        return not remote.closed and remote.link.pod == session.pod and remote.target.number == session.epoch

    def _ask_to_stop(self, copy: Copy, remote: Remote, now: float) -> None:
        if copy.gate_since:
            return
        copy.gate_since = now
        copy.session.gate = Question()
        self._relay.close_routes_to(copy.session)
        remote.stop()

    def _open(self, copy: Copy) -> None:
        session = copy.session
        target = Target(Toward.CLIENT, str(session.uri.session_id), session.epoch)
        former = session.destination
        remote = self._links.open(session.pod, target, self._ended)
        if session.fencing_token:
            remote.expect_successor()
        session.destination = remote
        session.state = SessionState.ACTIVE
        if isinstance(former, Holding):
            former.hand_over(remote)
            if remote.outgoing:
                self._relay.to_flush.append(remote)
        self._open_gate(copy)

    def _hold(self, copy: Copy, now: float) -> None:
        session = copy.session
        session.state = SessionState.SUSPENDED
        if not session.suspended_at:
            session.suspended_at = self._lost_at(session, now)
        if not copy.retry_at:
            copy.retry_after = FIRST_RETRY
            copy.retry_at = now + FIRST_RETRY
        self._give_up_if_late(session, now)
        if copy.former is None:
            self._open_gate(copy)

    def _lost_at(self, session: Session, now: float) -> float:
        """Return since when the client is without a connection: its pod's death, if that is why."""
        dead_since = self._members.dead_since(session.pod)
        return now if dead_since is None else now - max(0.0, self._members.wall() - dead_since)

    def _open_gate(self, copy: Copy) -> None:
        """Let those go on who have waited for the way to be known."""
        session = copy.session
        self._relay.close_routes_to(session)
        gate, session.gate, copy.gate_since = session.gate, None, 0.0
        if gate is not None:
            gate.full = False
            gate.release(self._relay.now())

    def _ended(self, remote: Remote, left: Holding, closed: Closed | None) -> None:
        """A stream is over; what it has left goes on another way."""
        now = self._relay.now()
        session_id = remote.target.session_id
        returning, copy = self._returning.get(session_id), self._copies.get(session_id)
        if returning is not None and returning.former is remote:
            del self._returning[session_id]
            self._deliver(returning, left)
        elif copy is not None and copy.former is remote:
            self._go_on_behind(copy, left, now)
        elif copy is None or copy.session.destination is not remote:
            for transaction in left.give_up():
                self._relay.reports.timed_out(transaction, "the session has ended")
        else:
            copy.session.destination = left
            if remote.stood:
                copy.session.suspended_at = copy.retry_at = 0.0
            self._go_on(copy, closed, now)
        remote.full = False
        remote.release(now)

    def _deliver(self, copy: Copy, left: Holding) -> None:
        """The client has come back to this pod: what the stream has left goes to its connection."""
        self._relay.lifecycle.hand_over(left, copy.session)
        self._open_gate(copy)

    def _go_on_behind(self, copy: Copy, left: Holding, now: float) -> None:
        """The client had come back and has left again, before it was known how far the stream to him had got."""
        copy.former = None
        held = copy.session.destination
        if isinstance(held, Holding):
            held.hand_over(left)
        copy.session.destination = left
        self._lead(copy, now)

    def _go_on(self, copy: Copy, closed: Closed | None, now: float) -> None:
        session = copy.session
        if closed is not None and closed.epoch > session.epoch and closed.pod:
            self._is_at(session, closed.pod, closed.epoch)
        if closed is not None and closed.ending in (Ending.MOVED, Ending.STOPPED):
            self._lead(copy, now)
        else:
            self._hold(copy, now)

    # Time

    def tick(self, now: float) -> None:
        """Look again, hold not too long, and drop what nobody uses."""
        for copy in list(self._copies.values()):
            self._check(copy, now)
        for copy in list(self._returning.values()):
            if copy.former is not None and now - copy.gate_since >= ANSWER_TO_STOP:
                copy.former.end(None, "the receiver's former pod did not answer")

    def _check(self, copy: Copy, now: float) -> None:
        session, remote = copy.session, copy.former or copy.session.destination
        if session.expires_at <= now and now - copy.looked_at >= 1.0:
            copy.looked_at = now
            self._refresh(str(session.uri.session_id))  # It may have been extended.
        elif copy.gate_since and now - copy.gate_since >= ANSWER_TO_STOP and isinstance(remote, Remote):
            remote.end(None, "the receiver's pod did not answer")
        elif session.state is SessionState.SUSPENDED:
            self._check_held(copy, now)
        elif now - copy.looked_at >= LOOK_AGAIN:
            if session.routes or remote.transactions or self._relay.interruptions.lean_on(session):
                copy.looked_at = now
                self._refresh(str(session.uri.session_id))
            else:
                self._drop(copy, "not used")

    def _check_held(self, copy: Copy, now: float) -> None:
        session = copy.session
        if now - session.suspended_at >= self._relay.settings.resumable_for(session.fencing_token):
            self._drop(copy, "the receiver is not connected")
            return
        self._give_up_if_late(session, now)
        if now >= copy.retry_at:
            copy.retry_after = min(2 * copy.retry_after, LAST_RETRY)
            copy.retry_at = now + copy.retry_after
            self._refresh(str(session.uri.session_id))

    def _give_up_if_late(self, session: Session, now: float) -> None:
        held_for = now - session.suspended_at
        if held_for >= self._relay.settings.suspended_hold and isinstance(session.destination, Holding):
            for transaction in session.destination.give_up():
                self._relay.reports.timed_out(transaction, "the receiver is not connected")

    def _drop(self, copy: Copy, reason: str) -> None:
        session = copy.session
        self._copies.pop(str(session.uri.session_id), None)
        self._relay.close_routes_to(session)
        session.state = SessionState.ENDED
        retire_peers(session)
        destination = session.destination
        if isinstance(destination, Remote):
            destination.stop()
        elif isinstance(destination, Holding):
            for transaction in destination.give_up():
                self._relay.reports.timed_out(transaction, reason)
        self._open_gate(copy)


def retire_peers(session: Session) -> None:
    """End the streams to a session's peers: there is nobody at this pod any more who sends to them."""
    for destination in session.peers.values():
        if isinstance(destination, Remote):
            destination.retire()
