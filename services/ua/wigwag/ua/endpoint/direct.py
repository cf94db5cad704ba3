"""MSRP without a relay: peers connect to us, or we to them (RFC 4975 sections 5.4 and 8.5, RFC 6135)."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from wigwag.protocols.msrp import Connection, ConnectionLimits, Event, MsrpUri, Session, SessionTable
from wigwag.protocols.sdp import Agreement
from wigwag.transport.connector import Connector
from wigwag.transport.msrp_client import MsrpClient

UNREACHABLE_PORT: Final = 9
"""In the URI of who listens nowhere (RFC 6135 section 4.2.2)."""


class DirectUser(Protocol):
    """Whose a session is."""

    def session_bound(self, client: MsrpClient) -> None:
        """The session has a connection."""

    def session_event(self, event: Event) -> None:
        """The engine tells something of the session."""

    def connection_lost(self, client: MsrpClient, reason: str) -> None:
        """A connection is over, perhaps the session's."""


class DirectWay:
    """Connections to and from peers; all share the sessions.

    Args:
        connector: Connects to peers.
        random: Returns so many unpredictable bytes.
        uri: Where we listen, without a session part; None: nowhere, we can only connect.
        secure: Whether MSRP is over TLS when we listen nowhere.
        cema: Whether ``a=msrp-cema`` is offered (RFC 6714).
        allow_private: Whether we connect to loopback and private addresses.
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
    ) -> None:
        self.connector = connector
        self.uri = uri
        self.cema = cema
        self._secure = secure
        self._allow_private = allow_private
        self._random = random
        self._sessions = SessionTable(self._bound)
        self._users: dict[Session, DirectUser] = {}
        self._clients: dict[Connection, MsrpClient] = {}

    @property
    def listens(self) -> bool:
        """Whether peers can connect to us."""
        return self.uri is not None

    def own_uri(self, session_id: str) -> MsrpUri:
        """Return our URI."""
        if self.uri is not None:
            uri = self.uri
            host = f"[{uri.host}]" if ":" in uri.host else uri.host
            return MsrpUri.parse(f"{uri.scheme}://{host}:{uri.port}/{session_id};{uri.transport}")
        scheme = "msrps" if self._secure else "msrp"
        return MsrpUri.parse(f"{scheme}://agents.invalid:{UNREACHABLE_PORT}/{session_id};tcp")

    def accepted(self) -> MsrpClient:
        """Return the receiver of a connection that a peer opens: what a ``Listener`` asks for."""
        return self._client(ConnectionLimits())

    async def carry(self, session: Session, user: DirectUser, agreement: Agreement) -> None:
        """Give a session a connection, or wait for the peer's; ``session_bound`` tells.

        Raises:
            ConnectError: The peer is not reached.
            ConflictError: The session's URI is in use.
        """
        self._users[session] = user
        target = agreement.connect_to
        if target is None:
            self._sessions.add(session)
            return
        client = self._client(None)
        remote = agreement.remote.uris[0]
        await client.connect(
            self.connector,
            MsrpUri.parse(f"{'msrps' if remote.secure else 'msrp'}://{_literal(target[0])}:{target[1]};tcp"),
            server_name=remote.host,
            allow_private=self._allow_private,
        )
        client.take_session(session)

    def forget(self, session: Session) -> None:
        """Let go of a session that has ended."""
        self._users.pop(session, None)
        self._sessions.remove(session)

    def _client(self, limits: ConnectionLimits | None) -> MsrpClient:
        holder: list[MsrpClient] = []
        client = MsrpClient(
            random=self._random,
            on_event=self._happened,
            limits=limits,
            sessions=self._sessions,
            on_closed=lambda reason: self._lost(holder[0], reason),
        )
        holder.append(client)
        self._clients[client.engine] = client
        return client

    def _bound(self, session: Session, binding: object) -> None:
        user, client = self._users.get(session), self._clients.get(binding)  # type: ignore[call-overload]
        if user is not None and client is not None:
            # The engine is in the middle of a request of the peer.
            asyncio.get_running_loop().call_soon(user.session_bound, client)

    def _happened(self, event: Event) -> None:
        user = self._users.get(getattr(event, "session", None))  # type: ignore[arg-type]
        if user is not None:
            user.session_event(event)

    def _lost(self, client: MsrpClient, reason: str) -> None:
        self._clients.pop(client.engine, None)
        for user in list(self._users.values()):
            user.connection_lost(client, reason)


def _literal(host: str) -> str:
    return f"[{host}]" if ":" in host else host
