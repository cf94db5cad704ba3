"""What becomes of a request once its head has been read (RFC 4976 sections 6.2 to 6.4)."""

from typing import TYPE_CHECKING

from wigwag.protocols.msrp import FailureReport, MsrpUri, RequestHead, ResponseHead

from .cluster.remote import CREDIT, Remote
from .destination import Connecting, Destination, Holding, Question
from .hop import LARGEST_UNREAD_OUTPUT, Hop, Incoming
from .refusal import Refusal
from .route import Route
from .sessions import Session
from .streaming import RefusedChunk, SendChunk
from .transactions import Relayed

if TYPE_CHECKING:
    from .service import Relay


LARGEST_RELAYED = 1024
"""Requests other than SEND and REPORT that one next hop may owe a response."""


class NotOursError(Exception):
    """The first To-Path URI is not this relay's: the connection is dropped (RFC 4976 section 6.2)."""


class Requests:
    """Decides over requests; the use cases themselves are the relay's."""

    def __init__(self, relay: "Relay") -> None:
        self._relay = relay

    def begin(self, hop: Hop, head: RequestHead | ResponseHead, now: float) -> Incoming:
        """Take a head; returns what shall receive the rest of the frame."""
        if isinstance(head, ResponseHead):
            return ReceivedResponse(self._relay, hop, head)
        if hop.departure is not None and not hop.sessions:
            return RefusedChunk()
        if head.method != "SEND":
            return WholeRequest(self._relay, hop, head)
        found = self.route_or_drop(hop, head, now)
        if isinstance(found, Route):
            return self._begin_send(hop, head, found)
        if isinstance(found, Question):
            hop.wait_for(found, now)
            return SendChunk(hop, head, None)
        if found is not None and head.failure_report is not FailureReport.NO:
            self._relay.reply(hop, head, *found)
        return RefusedChunk()

    def _begin_send(self, hop: Hop, head: RequestHead, route: Route) -> Incoming:
        refused = hop.refused.get((route.session, head.message_id or "")) if hop.refused else None
        if refused is not None:
            if head.failure_report is not FailureReport.NO:
                self._relay.reply(hop, head, refused[0], refused[1], route)
            return RefusedChunk()
        return SendChunk(hop, head, route)

    def route_or_drop(self, hop: Hop, head: RequestHead, now: float) -> Route | Refusal | Question | None:
        """Like ``route``; closes the connection and returns None when the request is not for this relay."""
        try:
            return self.route(hop, head, now)
        except NotOursError as error:
            hop.fail(str(error))
            return None

    def route(self, hop: Hop, head: RequestHead, now: float) -> Route | Refusal | Question:
        """Return the route of a request, known or new, or why there is none, or what has to be waited for to know.

        Raises:
            NotOursError: The first To-Path URI is not this relay's.
        """
        key = b"To-Path: %b\r\nFrom-Path: %b\r\n" % (head.raw_to_path, head.raw_from_path)
        known = hop.routes_from.get(key)
        if known is not None and known.open:
            return known
        session = self._addressed_session(hop, head.to_path[0])
        if session is None:
            return 481, "no such session"
        if not isinstance(session, Session):
            return session
        found = self._walk(hop, head, session, now)
        if isinstance(found, Route):
            hop.learn(key, found)
            hop.successful = True
        return found

    def _find(self, uri: MsrpUri) -> Session | Refusal | Question | None:
        """Return the session whose URI this is, at this pod or another."""
        session = self._relay.sessions.find(uri)
        cluster = self._relay.cluster
        if session is not None or cluster is None or not self._relay.issued(uri):
            return session
        return cluster.session(uri)

    def _addressed_session(self, hop: Hop, uri: MsrpUri) -> Session | Refusal | Question | None:
        session = self._find(uri)
        if session is not None and (not isinstance(session, Session) or session.open):
            return session
        if self._relay.is_own_address(uri, hop):
            return None
        raise NotOursError(f"request for {uri.host}, which is not this relay")

    def _walk(self, hop: Hop, head: RequestHead, session: Session, now: float) -> Route | Refusal | Question:
        """Follow To-Path over URIs of ours to the hop that leaves this relay (RFC 4976 section 6.4)."""
        uris, texts = head.to_path, head.raw_to_path.split()
        previous = head.from_path[0]
        walked = [session]
        from_client = False
        while True:
            index = len(walked)
            if index >= len(uris):
                return 481, "To-Path ends at this relay"
            current = walked[-1]
            if uris[index].key == current.client_uri.key:
                destination: Destination | Refusal = current.leads_to
                refusal = self._bind(hop, current, head) if index == 1 else None
                if refusal is not None:
                    return refusal
                inner = self._find(uris[index])
                if inner is None:
                    break
            elif self._comes_from_client(hop, current, previous, direct=index == 1):
                from_client = from_client or index == 1
                inner = self._find(uris[index])
                if inner is None:
                    destination = self._toward_peer(hop, current, uris[index], now)
                    break
            else:
                return 481, "neither from nor to the session's client"
            if not isinstance(inner, Session):
                return inner
            if inner in walked or not inner.open:
                return 481, "no such session" if inner not in walked else "the path loops"
            previous = uris[index - 1]
            walked.append(inner)
        if isinstance(destination, tuple | Question):
            return destination
        if isinstance(destination, Holding) and not destination.takes_more:
            return walked[-1].refusal_while_suspended
        return Route(
            source=hop,
            session=session,
            exit_session=walked[-1],
            destination=destination,
            moved=texts[: len(walked)],
            to_path=texts[len(walked) :],
            from_path=head.raw_from_path,
            from_key=head.from_path[0].key,
            from_client=from_client,
            to_client=uris[len(walked)].key == walked[-1].client_uri.key,
            largest_message=self._relay.settings.limits.message_bytes,
        )

    def _comes_from_client(self, hop: Hop, session: Session, previous: MsrpUri, *, direct: bool) -> bool:
        if previous.key != session.client_uri.key:
            return False
        is_clients = hop is session.destination or hop is session.leaving
        return not direct or is_clients or self._same_relay(hop, session.client_host)

    @staticmethod
    def _same_relay(hop: Hop, host: str) -> bool:
        return bool(host) and host in hop.channel.certificate_names

    def _bind(self, hop: Hop, session: Session, head: RequestHead) -> Refusal | Question | None:
        """Bind a peer without a relay to the connection of its first valid request.

        A peer's relay is not held to one: two relays may each have opened a connection to the other.
        """
        if hop is session.destination:
            return None
        peer, is_relay = head.from_path[0], len(head.from_path) > 1
        bound = session.peers.get(peer.key)
        if bound is hop:
            return None
        if bound is not None and not bound.closed:
            if not self._same_relay(hop, peer.host):
                return None if is_relay else (506, "the session has a connection already")
            if isinstance(bound, Remote):
                bound.retire()
            session.bind(peer.key, hop)
            return None
        if self._relay.cluster is not None:
            return self._relay.cluster.bind(hop, session, peer)
        return None if session.bind(peer.key, hop) else (403, "too many peers in one session")

    def _toward_peer(self, hop: Hop, session: Session, uri: MsrpUri, now: float) -> Destination | Refusal:
        bound = session.peers.get(uri.key)
        if bound is not None and not bound.closed:
            return bound
        if self._relay.issued(uri) and self._relay.names_us(uri, hop):
            return 481, "no such session"
        if self._relay.cluster is not None:
            found = self._relay.cluster.peer(session, uri)
            if found is not None:
                return found
        return self._relay.outbound.toward(hop, session, uri, now)


class WholeRequest:
    """A request other than SEND: kept until its end, then handled in one piece (its body is bounded)."""

    def __init__(self, relay: "Relay", hop: Hop, head: RequestHead) -> None:
        self._relay = relay
        self._hop = hop
        self.head = head
        self._body = b""
        self._flag = "$"
        self._handled = False

    def body(self, data: bytes, now: float) -> None:
        """Take a piece of the body."""
        self._body += data

    def ended(self, flag: str, now: float) -> None:
        """Take the end-line."""
        self._flag = flag

    def abandoned(self, now: float) -> None:
        """Nothing was forwarded."""

    def refuse(self, status: int, comment: str) -> None:
        """Answer with an error, unless it is a REPORT, which is never answered (RFC 4975 section 7.1.2)."""
        if self.head.method != "REPORT":
            self._relay.reply(self._hop, self.head, status, comment)

    def go_on(self, now: float) -> bool:
        """Handle the request; False while its next hop has no room or its credentials are looked up."""
        if self._handled:
            return True
        if self.head.method == "AUTH" and len(self.head.to_path) == 1:
            self._handled = True
            return self._relay.authenticator.handle(self._hop, self.head, now)
        self._handled = self._forward(now)
        return self._handled

    def _forward(self, now: float) -> bool:
        found = self._route(now)
        if isinstance(found, Question):
            self._hop.wait_for(found, now)
            return False
        if not isinstance(found, Route):
            if found is not None and self.head.method != "REPORT":
                self._relay.reply(self._hop, self.head, *found)
            return True
        destination = found.destination
        if found.drained is None and destination.full and _takes_nothing(destination):
            self._hop.wait_for(destination, now)
            return False
        refusal = found.drained or self._refusal_of(found)
        if refusal is None:
            self._send(found, now)
        elif self.head.method != "REPORT":
            self._relay.reply(self._hop, self.head, *refusal)
        return True

    def _refusal_of(self, route: Route) -> Refusal | None:
        """A suspended session holds only REPORTs, as long as there is room; a next hop owes so many responses."""
        destination = route.destination
        if isinstance(destination, Holding):
            holds = self.head.method == "REPORT" and destination.takes_more
            return None if holds else route.exit_session.refusal_while_suspended
        relayed = getattr(destination, "relayed", None)
        crowded = len(relayed or ()) >= LARGEST_RELAYED
        return (403, "too many requests without a response") if crowded and self.head.method != "REPORT" else None

    def _route(self, now: float) -> Route | Refusal | Question | None:
        head, relay = self.head, self._relay
        if head.method not in ("AUTH", "REPORT") and not relay.settings.forward_unknown_methods:
            return 501, "method not understood"
        found = relay.requests.route_or_drop(self._hop, head, now)
        if head.method == "AUTH" and isinstance(found, Route) and not found.from_client:
            return 403, "AUTH goes through a relay only for its own client"
        return found

    def _send(self, route: Route, now: float) -> None:
        head, relay, destination = self.head, self._relay, route.destination
        transaction_id = relay.next_transaction_id()
        content = b"\r\n" + self._body + b"\r\n" if head.has_body else b""
        frame = b"MSRP %b %b\r\n%b%b%b-------%b%b\r\n" % (
            transaction_id, head.method.encode(), route.paths, head.raw_fields, content, transaction_id,
            self._flag.encode(),
        )  # fmt: skip
        if head.method == "REPORT":
            route.session.reports += 1
            relay.counters["reports_forwarded"] += 1
        else:
            authenticates = head.method == "AUTH" and head.get("Authorization") is not None
            relayed = Relayed(self._hop, head.transaction_id, authenticates, now, head.raw_from_path)
            relay.expect_response(destination, transaction_id, relayed)
        if not destination.outgoing:
            relay.to_flush.append(destination)
        destination.outgoing.append(frame)
        if isinstance(destination, Holding):
            destination.queued += len(frame)


def _takes_nothing(destination: Destination) -> bool:
    """Tell whether even REPORTs, which overtake SENDs, have to wait."""
    if isinstance(destination, Hop):
        return destination.channel.unsent() > LARGEST_UNREAD_OUTPUT
    if isinstance(destination, Remote):
        return destination.in_flight > CREDIT + LARGEST_UNREAD_OUTPUT
    return isinstance(destination, Connecting)


class ReceivedResponse:
    """A response: handled at its end-line (RFC 4976 section 6.4.3)."""

    def __init__(self, relay: "Relay", hop: Hop, head: ResponseHead) -> None:
        self._relay = relay
        self._hop = hop
        self._head = head

    def body(self, data: bytes, now: float) -> None:
        """Drop it: a response has no body."""

    def ended(self, flag: str, now: float) -> None:
        """Nothing more is needed."""

    def abandoned(self, now: float) -> None:
        """It never arrived."""

    def refuse(self, status: int, comment: str) -> None:
        """A response is never answered."""

    def go_on(self, now: float) -> bool:
        """Handle it."""
        self._relay.responses.handle(self._hop, self._head, now)
        return True
