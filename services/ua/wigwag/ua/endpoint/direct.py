"""MSRP without a relay: peers connect to us, or we to them (RFC 4975 sections 5.4 and 8.5, RFC 6135)."""

import ssl
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from wigwag.protocols.msrp import Connection, ConnectionLimits, Event, MsrpUri, Session, SessionTable
from wigwag.protocols.sdp import Agreement, Fingerprint, certificate_matches
from wigwag.transport.connector import Connector
from wigwag.transport.errors import ConnectError, ConnectFailure
from wigwag.transport.msrp_client import MsrpClient

from .entrance import Entrance, Visitor

UNREACHABLE_PORT: Final = 9
"""In the URI of who listens nowhere (RFC 6135 section 4.2.2)."""


class DirectUser(Protocol):
    """Whose a session is."""

    def session_bound(self, client: MsrpClient) -> None:
        """The session has a connection; its engine may be in the middle of a request."""

    def session_event(self, event: Event) -> None:
        """The engine tells something of the session."""

    def connection_lost(self, client: MsrpClient, reason: str) -> None:
        """A connection is over, perhaps the session's."""


class DirectWay:
    """Connections to and from peers; all share the sessions.

    A peer's certificate is the one of its a=fingerprint (RFC 8122), whichever side connects; without that attribute an
    authority that we trust has to have issued it for the host of its URI (RFC 4975 section 14.4) when we connect, and
    who connects to us proves himself by the session part of our URI alone.

    Args:
        connector: Connects to peers, with a context that checks authorities and names.
        random: Returns so many unpredictable bytes.
        uri: Where we listen, without a session part; None: nowhere, we can only connect.
        secure: Whether MSRP is over TLS when we listen nowhere and nobody offered anything yet.
        cema: Whether ``a=msrp-cema`` is offered (RFC 6714).
        allow_private: Whether we connect to loopback and private addresses.
        fingerprints: Of the certificates that we show to who connects.
        unverified: Context for peers with a=fingerprint, which checks nothing by itself; None: such are not reached.

    Attributes:
        asks: Whether who connects to us is asked for his certificate; else peers with a=fingerprint may not connect.
        entrance: Lets connections wait for the answer of their peers.
    """

    def __init__(
        self,
        connector: Connector,
        random: Callable[[int], bytes],
        *,
        uri: MsrpUri | None = None,
        secure: bool = False,
        cema: bool = False,
        allow_private: bool = False,
        fingerprints: tuple[Fingerprint, ...] = (),
        unverified: ssl.SSLContext | None = None,
    ) -> None:
        self.connector = connector
        self.uri = uri
        self.cema = cema
        self.fingerprints = fingerprints
        self.asks = False
        self.entrance = Entrance()
        self._unverified = unverified
        self._secure = secure
        self._allow_private = allow_private
        self._random = random
        self._sessions = SessionTable(self._bound, self._admits)
        self._announced: dict[Session, tuple[Fingerprint, ...]] = {}
        """Of the peers that connect to us over TLS."""
        self._users: dict[Session, DirectUser] = {}
        self._clients: dict[Connection, MsrpClient] = {}

    @property
    def listens(self) -> bool:
        """Whether peers can connect to us."""
        return self.uri is not None

    def own_uri(self, session_id: str, *, secure: bool | None = None) -> MsrpUri:
        """Return our URI; ``secure`` says what the peer offers, if we listen nowhere."""
        if self.uri is not None:
            uri = self.uri
            host = f"[{uri.host}]" if ":" in uri.host else uri.host
            return MsrpUri.parse(f"{uri.scheme}://{host}:{uri.port}/{session_id};{uri.transport}")
        scheme = "msrps" if (self._secure if secure is None else secure) else "msrp"
        return MsrpUri.parse(f"{scheme}://agents.invalid:{UNREACHABLE_PORT}/{session_id};tcp")

    def accepted(self) -> MsrpClient:
        """Return the receiver of a connection that a peer opens: what a ``Listener`` asks for."""
        return self._visitor()

    async def carry(self, session: Session, user: DirectUser, agreement: Agreement) -> None:
        """Give a session a connection, or wait for the peer's; ``session_bound`` tells.

        Raises:
            ConnectError: The peer is not reached, or could not prove himself.
            ConflictError: The session's URI is in use.
        """
        self._users[session] = user
        target = agreement.connect_to
        if target is None:
            self._expect(session, agreement)
            return
        client = self._client()
        try:
            await self._connect(client, target, agreement)
            client.take_session(session)
        except BaseException:
            self._clients.pop(client.engine, None)
            raise

    def _expect(self, session: Session, agreement: Agreement) -> None:
        given = agreement.remote.fingerprints
        # Over WebSocket nobody is asked: a browser that has no certificate would not connect.
        if given and self.uri is not None and (self.uri.scheme, self.uri.transport) == ("msrps", "tcp"):
            if not self.asks:
                raise ConnectError(
                    ConnectFailure.CERTIFICATE, "who connects to us can't be checked by a=fingerprint on this platform"
                )
            self._announced[session] = given
        self._sessions.add(session)

    def _admits(self, session: Session, binding: object) -> bool:
        """Tell whether a connection is the peer's, as far as its certificate says (RFC 8122 section 6.2)."""
        given = self._announced.get(session)
        if given is None:
            return True
        client = self._clients.get(binding)  # type: ignore[call-overload] # an engine is what sessions are bound to
        certificate = client.peer_certificate() if client is not None else None
        return certificate is not None and certificate_matches(given, certificate)

    async def _connect(self, client: MsrpClient, target: tuple[str, int], agreement: Agreement) -> None:
        remote, given = agreement.remote.uris[0], agreement.remote.fingerprints
        if given and remote.secure and self._unverified is None:
            raise ConnectError(ConnectFailure.CERTIFICATE, f"{remote.host}: no certificates of a=fingerprint are taken")
        transport = "ws" if remote.text.lower().split(";")[1:2] == ["ws"] else "tcp"
        await client.connect(
            self.connector,
            MsrpUri.parse(f"{'msrps' if remote.secure else 'msrp'}://{_literal(target[0])}:{target[1]};{transport}"),
            server_name=remote.host,
            allow_private=self._allow_private,
            tls=self._unverified if given else None,
            check=partial(_objection, given) if given else None,
        )

    def forget(self, session: Session) -> None:
        """Let go of a session that has ended."""
        self._users.pop(session, None)
        self._announced.pop(session, None)
        self._sessions.remove(session)

    def is_shared(self, client: MsrpClient) -> bool:
        """Tell whether other sessions use a connection (RFC 4975 section 5.4)."""
        return bool(self._sessions.bound_to(client.engine))

    def _client(self) -> MsrpClient:
        holder: list[MsrpClient] = []
        client = MsrpClient(
            random=self._random,
            on_event=self._happened,
            sessions=self._sessions,
            on_closed=lambda reason: self._lost(holder[0], reason),
        )
        holder.append(client)
        self._clients[client.engine] = client
        return client

    def _visitor(self) -> MsrpClient:
        holder: list[MsrpClient] = []
        client = Visitor(
            self.entrance,
            random=self._random,
            on_event=self._happened,
            limits=ConnectionLimits(),
            sessions=self._sessions,
            on_closed=lambda reason: self._lost(holder[0], reason),
        )
        holder.append(client)
        self._clients[client.engine] = client
        return client

    def _bound(self, session: Session, binding: object) -> None:
        user, client = self._users.get(session), self._clients.get(binding)  # type: ignore[call-overload]
        if user is not None and client is not None:
            user.session_bound(client)

    def _happened(self, event: Event) -> None:
        user = self._users.get(getattr(event, "session", None))  # type: ignore[arg-type]
        if user is not None:
            user.session_event(event)

    def _lost(self, client: MsrpClient, reason: str) -> None:
        self._clients.pop(client.engine, None)
        for user in list(self._users.values()):
            user.connection_lost(client, reason)


def _objection(fingerprints: tuple[Fingerprint, ...], certificate: bytes) -> str | None:
    if certificate_matches(fingerprints, certificate):
        return None
    return "the certificate is not the one of a=fingerprint"


def _literal(host: str) -> str:
    return f"[{host}]" if ":" in host else host
