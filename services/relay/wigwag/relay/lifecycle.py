"""The life of sessions: granted, refreshed, resumed, moved, suspended, ended (RFC 4976 section 6.3)."""

from typing import TYPE_CHECKING, NamedTuple

from wigwag.errors import StoreError
from wigwag.protocols.msrp import MsrpUri, RequestHead
from wigwag.store import Claim, FencedError, Owner, SessionRecord, TooManySessionsError

from .departure import REASON, depart
from .destination import Destination, Holding
from .hop import Hop
from .refusal import RefusedError
from .sessions import Session, SessionState, canonical
from .views import SessionChange

if TYPE_CHECKING:
    from .cluster import Cluster
    from .service import Relay


class Grant(NamedTuple):
    """What a successful AUTH gets."""

    use_path: str
    session: Session
    held: Holding | None
    """What was held for the session while it was suspended; to be sent after the answer."""


class Wanted(NamedTuple):
    """An AUTH that has been authenticated."""

    hop: Hop
    head: RequestHead
    username: str
    realm: str
    expires: int
    """Seconds."""
    fencing_token: int = 0
    """Of one of our ua pods: the highest one has the session; 0: it is none."""

    @property
    def client_uri(self) -> MsrpUri:
        """The client, or the relay before us."""
        return self.head.from_path[0]

    @property
    def client_host(self) -> str:
        """Name of the relay before us that mutual TLS proved, else empty: of a ua pod the newest connection counts."""
        if self.fencing_token:
            return ""
        host = self.client_uri.host.lower()
        return host if host in self.hop.channel.certificate_names else ""


class Lifecycle:
    """Makes, moves and ends sessions; in a cluster, as the store allows."""

    def __init__(self, relay: "Relay") -> None:
        self._relay = relay

    # AUTH

    async def grant(self, wanted: Wanted, now: float) -> Grant:
        """Extend, resume or make a session for an authenticated AUTH.

        Raises:
            RefusedError: The user has too many sessions, the relay takes no new ones, or a later owner was here.
        """
        hop, head = wanted.hop, wanted.head
        if len(head.from_path) > 1 and hop.channel.certificate_names and not wanted.client_host:
            raise RefusedError(403, "the certificate is not that of the previous relay")
        cluster = self._relay.cluster
        known = self._relay.sessions.of_client(wanted.username, wanted.realm, wanted.client_uri)
        if known is not None and known.fencing_token > wanted.fencing_token:
            raise _fenced()
        if cluster is None:
            session, held = self._grant_here(wanted, now)
        else:
            session, held = await self._grant_in(cluster, wanted)
        hop.successful = True
        if wanted.fencing_token:
            hop.expect_successor()
        path = [text.decode() for text in reversed(head.raw_from_path.split()[:-1])]
        return Grant(" ".join([*path, session.uri_text.decode()]), session, held)

    def _grant_here(self, wanted: Wanted, now: float) -> tuple[Session, Holding | None]:
        relay, hop = self._relay, wanted.hop
        session = relay.sessions.of_client(wanted.username, wanted.realm, wanted.client_uri)
        known = session is not None and (
            session.destination is hop or bool(session.client_host) or self._keeps_its_uri(wanted)
        )
        if session is not None and known:
            change = _change(session, hop)
            held = self._move(session, hop) if session.destination is not hop else None
            session.fencing_token = wanted.fencing_token
            self._extend(session, wanted.expires, now)
            relay.changed(session, change)
            return session, held
        self._admit(hop)
        if (
            not wanted.fencing_token
            and relay.sessions.count_of_user(wanted.username, wanted.realm) >= relay.settings.limits.sessions_per_user
        ):
            raise RefusedError(403, "too many sessions")
        token = relay.tokens.issue()
        session = self._new_session(wanted, self._uri(wanted, token), relay.runtime.wall(), now)
        relay.changed(session, SessionChange.GRANTED)
        return session, None

    async def _grant_in(self, cluster: "Cluster", wanted: Wanted) -> tuple[Session, Holding | None]:
        relay, hop = self._relay, wanted.hop
        session = relay.sessions.of_client(wanted.username, wanted.realm, wanted.client_uri)
        expires_at = cluster.members.wall() + wanted.expires
        is_refresh = (
            session is not None and session.destination is hop and session.fencing_token == wanted.fencing_token
        )
        if session is not None and is_refresh and await cluster.records.extend(session, expires_at):
            self._extend(session, wanted.expires, relay.now())
            relay.changed(session, SessionChange.REFRESHED)
            return session, None
        if session is None:
            self._admit(hop)
        try:
            record = self._record(cluster, wanted, expires_at, session.epoch if session is not None else 0)
            claim = await cluster.claim(record, always_new=not self._keeps_its_uri(wanted))
        except TooManySessionsError as error:
            raise RefusedError(403, "too many sessions") from error
        except FencedError as error:
            raise _fenced() from error
        except StoreError as error:
            relay.counters["store_failures"] += 1
            relay.log(hop, "AUTH refused, the session store is away", reason=str(error))
            raise RefusedError(403, "the session store is not available, try later") from error
        return self._install(cluster, wanted, claim)

    def _record(self, cluster: "Cluster", wanted: Wanted, expires_at: float, epoch: int) -> SessionRecord:
        relay, hop = self._relay, wanted.hop
        token = relay.tokens.issue()
        listener = relay.listener_of(hop)
        return SessionRecord(
            session_id=token,
            uri=self._uri(wanted, token),
            owner=Owner(wanted.username, wanted.realm, canonical(wanted.client_uri)),
            client_uri=str(wanted.client_uri),
            client_host=wanted.client_host,
            listener=listener.name if listener is not None else "",
            created=relay.runtime.wall(),
            expires_at=expires_at,
            pod=cluster.pod,
            connection=hop.channel.id,
            epoch=epoch,
            fencing_token=wanted.fencing_token,
        )

    def _install(self, cluster: "Cluster", wanted: Wanted, claim: Claim) -> tuple[Session, Holding | None]:
        """Make the session what the store says it is: this pod's, on this connection."""
        relay, hop, record, now = self._relay, wanted.hop, claim.record, self._relay.now()
        session = relay.sessions.by_session_id(record.session_id)
        held: Holding | None = None
        # A session that was nowhere, at another pod, or here.
        change = SessionChange.GRANTED if claim.previous is None else SessionChange.RESUMED
        if cluster.is_outdated(record):
            hop.close(REASON)
            raise RefusedError(0, "")
        if session is not None:
            change = _change(session, hop)
            held = self._move(session, hop) if session.destination is not hop else None
            session.epoch = record.epoch
            cluster.moved_here(session)
        elif (found := cluster.elsewhere.bring_back(record.session_id, hop)) is not None:
            session, held = found
            relay.sessions.add(session)
            hop.sessions.append(session)
            relay.counters["sessions_resumed"] += 1
        else:
            session = self._new_session(wanted, record.uri, record.created, now)
            relay.counters["sessions_resumed"] += claim.previous is not None
        session.pod, session.epoch, session.connection = cluster.pod, record.epoch, hop.channel.id
        session.leaving, session.fencing_token = None, record.fencing_token
        self._extend(session, wanted.expires, now)
        relay.changed(session, change)
        if hop.closed:
            self.suspend(session, now)
            self.hand_over(held, session)
            raise RefusedError(0, "")
        return session, held

    def _admit(self, hop: Hop) -> None:
        if self._relay.draining:
            hop.close("draining")
            raise RefusedError(403, "this relay is shutting down")

    def _keeps_its_uri(self, wanted: Wanted) -> bool:
        """Tell whether a known session goes on over another connection; a ua pod's and a relay's always does."""
        return bool(wanted.fencing_token or wanted.client_host or self._relay.settings.resume_window)

    def _uri(self, wanted: Wanted, token: str) -> str:
        # The peers of a ua pod have no certificate for the listener that it comes by.
        listener = self._relay.agent_listener() if wanted.fencing_token else None
        scheme, host, port, transport = self._relay.advertised(wanted.hop, listener)
        authority = f"[{host}]" if ":" in host else host
        return f"{scheme}://{authority}:{port}/{token};{transport}"

    def _new_session(self, wanted: Wanted, uri: str, created: float, now: float) -> Session:
        relay, hop = self._relay, wanted.hop
        listener = relay.listener_of(hop)
        session = Session(
            uri=MsrpUri.parse(uri),
            uri_text=uri.encode(),
            username=wanted.username,
            realm=wanted.realm,
            client_uri=wanted.client_uri,
            client_host=wanted.client_host,
            listener=listener.name if listener is not None else "",
            created=created,
            expires_at=now + wanted.expires,
            destination=hop,
            fencing_token=wanted.fencing_token,
        )
        relay.sessions.add(session)
        hop.sessions.append(session)
        relay.counters["sessions_granted"] += 1
        return session

    def _extend(self, session: Session, expires: int, now: float) -> None:
        session.expires_at = now + expires
        self._relay.sessions.reschedule(session)
        self._relay.counters["sessions_refreshed"] += 1

    # The client's connection

    def _move(self, session: Session, hop: Hop) -> Holding | None:
        """Newest AUTH wins: the session is reached over this connection from now on."""
        former, back = session.destination, self.take_back(session)
        session.destination, session.leaving = hop, None
        session.state = SessionState.ACTIVE
        hop.sessions.append(session)
        self.close_routes_to(session)
        self._relay.counters["sessions_resumed"] += 1
        if isinstance(former, Holding):
            self._relay.deadlines.resumed(session)
            former.put_first(back)
            return former
        self.leave(session, former)
        return back if back.outgoing else None

    def take_back(self, session: Session) -> Holding:
        """Take out what the client has been sent and has not answered, if that is sent again: a ua pod's is."""
        back = Holding()
        for hop in (session.leaving, session.destination):
            found = hop.take_back(session) if isinstance(hop, Hop) else None
            if found is not None:
                found.put_first(back)
                back = found
        return back

    def hold_again(self, session: Session, back: Holding | None) -> None:
        """Keep what is to be sent again for the session's next connection, before what came later; or send it."""
        if back is None or not back.outgoing:
            return
        if session.open and isinstance(session.destination, Holding):
            session.destination.put_first(back)
        else:
            self.hand_over(back, session)

    def leave(self, session: Session, former: Destination) -> None:
        """Take a session off the connection that it had, which ends, if it has no other, once all is answered."""
        if isinstance(former, Hop):
            former.sessions.remove(session)
            if not session.client_host and not former.sessions:
                depart(former, self._relay.now())
        self._relay.deadlines.resumed(session)

    def hand_over(self, held: Holding | None, session: Session) -> None:
        """Send on what was held while a session was suspended, to wherever its client is, or is awaited, by now."""
        if held is None:
            return
        destination = session.destination
        if session.open and not destination.closed:
            held.hand_over(destination)
            self._relay.flush_later(destination)
            return
        for transaction in held.give_up():
            self._relay.reports.timed_out(transaction, "the receiver is not connected")

    def close_routes_to(self, session: Session) -> None:
        """Have the routes of a session worked out again."""
        for route in list(session.routes):
            route.close()

    def send_away(self, hop: Hop, now: float) -> None:
        """Send nothing more to a hop's clients, who may still send and answer until their connection is closed."""
        for session in [session for session in hop.sessions if session.destination is hop]:
            session.leaving = hop
            self.suspend(session, now, gently=True)

    def suspend(self, session: Session, now: float, *, gently: bool = False) -> None:
        """The session's connection is lost: hold what comes for it for a while.

        Args:
            session: The session.
            now: Monotonic seconds.
            gently: The connection still stands, and what was sent to the client may yet be answered.
        """
        relay = self._relay
        if not relay.settings.resume_window:
            self.end(session, "connection lost")
            return
        session.destination = Holding()
        session.state = SessionState.SUSPENDED
        session.suspended_at = now
        self.close_routes_to(session)
        relay.deadlines.suspended(session)
        relay.counters["sessions_suspended"] += 1
        relay.changed(session, SessionChange.SUSPENDED)
        if relay.cluster is not None:
            relay.cluster.suspended(session, gently=gently)

    def end(self, session: Session, reason: str) -> None:
        """End a session for good."""
        if not session.open:
            return
        relay = self._relay
        destination = session.destination
        if isinstance(destination, Holding):
            for transaction in destination.give_up():
                relay.reports.timed_out(transaction, reason)
        elif isinstance(destination, Hop) and session in destination.sessions:
            destination.sessions.remove(session)
        session.state = SessionState.ENDED
        self.close_routes_to(session)
        relay.sessions.remove(session)
        relay.deadlines.resumed(session)
        relay.counters["sessions_ended"] += 1
        relay.changed(session, SessionChange.ENDED, reason)
        if relay.cluster is not None:
            relay.cluster.ended(session)
        relay.log_event("session ended", session=session.id, user=session.username, reason=reason)


def _fenced() -> RefusedError:
    return RefusedError(403, "fenced: a later owner has this session")


def _change(session: Session, hop: Hop) -> SessionChange:
    """Return what an AUTH on ``hop`` means for a session of this pod; to be asked before it is moved."""
    if session.destination is hop:
        return SessionChange.REFRESHED
    return SessionChange.RESUMED if session.state is SessionState.SUSPENDED else SessionChange.MOVED
