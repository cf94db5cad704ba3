"""Connecting to other relays and to peers: resolve, check, race, then TLS with the name checked.

Theory of operation. All addresses of a host are resolved first; those that nobody may make us connect to fall out, and
so do those that a TCP profile closes (``no_new_conn``). The rest is tried in order, the next one starting when the one
before has failed or 250 ms have passed (RFC 8305); the first to stand wins. TLS then runs on that connection alone: a
wrong certificate is a reason to stop, not to look for a more agreeable address.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from wigwag.transport.addresses import Endpoint, closed_to_strangers
from wigwag.transport.channel import Address, Application, Channel, ChannelKind, Receiver
from wigwag.transport.errors import ConnectError, ConnectFailure
from wigwag.transport.profiles import ProfileTable, TcpProfile
from wigwag.transport.racing import Candidate, connect_error, race
from wigwag.transport.resolver import Resolver
from wigwag.transport.sip_identity import speaks_for
from wigwag.transport.streams import TlsStart, start_stream
from wigwag.transport.websocket import WebSocketRules
from wigwag.transport.websocket_client import WebSocketClientChannel


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """How to connect, and whom to believe."""

    host: str
    """The URI's host, a name or a numeric address: SNI, what the certificate has to speak for, the WebSocket's Host."""
    kind: ChannelKind = "tcp"
    application: Application = "sip"
    tls: ssl.SSLContext | None = None
    """For ``tls`` and ``wss``; None: the connector's. When it does not check names itself (`tls.sip_client_context`),
    whom the certificate speaks for is checked by RFC 5922."""
    local_address: str | None = None
    """Numeric address to connect from; addresses of the other family are left out then."""
    allow_private: bool = False
    """Lets the connection go to loopback, link-local, private and our own addresses."""
    websocket: WebSocketRules | None = None
    """For ``ws`` and ``wss``; None: SIP's, text frames, whole messages."""
    path: str = "/"
    """Of the WebSocket's resource."""
    check: Callable[[bytes], str | None] | None = None
    """Says why a certificate in DER is not the one expected, None when it is: in place of names, and of authorities if
    ``tls`` asks for none (``a=fingerprint``, RFC 8122)."""


SIP_WEBSOCKET = WebSocketRules(subprotocol="sip", text_frames=True, whole_messages=True)
"""WebSocket as RFC 7118 wants it."""
MSRP_WEBSOCKET = WebSocketRules(subprotocol="msrp")
"""WebSocket as RFC 7977 wants it."""


class Connector:
    """Opens connections and keeps account of those that are open.

    Args:
        resolver: Finds addresses.
        tls: Returns the TLS context to connect with; asked for each secure connection, so that it may be replaced.
        own_addresses: Returns numeric addresses that lead to us from outside (address translation); those of this
            host's interfaces are known anyway. Neither is connected to unless private addresses may be.
        profiles: Returns the TCP profiles that hold now.
        handshake_timeout: Seconds for TLS.
        close_timeout: Seconds that unsent data may take to leave when a connection is closed.

    Attributes:
        channels: The open connections by id.
        attempts: TCP connections tried.
        failures: How often `connect` failed, by reason.
        slow_sends: Writes that took longer than their profile's ``send_threshold``.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        tls: Callable[[], ssl.SSLContext],
        own_addresses: Callable[[], Iterable[str]] = tuple,
        profiles: Callable[[], ProfileTable] | None = None,
        handshake_timeout: float = 10.0,
        close_timeout: float = 5.0,
    ) -> None:
        self.close_timeout = close_timeout
        self.channels: dict[int, Channel] = {}
        self.attempts = 0
        self.failures = dict.fromkeys(ConnectFailure, 0)
        self.slow_sends = 0
        self._resolver = resolver
        self._tls = tls
        self._own_addresses = own_addresses
        self._profiles = profiles
        self._handshake_timeout = handshake_timeout
        self._all_closed = asyncio.Event()

    async def connect(
        self,
        host: str,
        port: int | None,
        *,
        secure: bool,
        receiver: Receiver,
        server_name: str | None = None,
        local_address: str | None = None,
        allow_private: bool = False,
        websocket: bool = False,
        tls: ssl.SSLContext | None = None,
        check: Callable[[bytes], str | None] | None = None,
    ) -> Channel:
        """Connect to a host; ``receiver`` has heard ``connected`` when this returns.

        Args:
            host: The URI's host, a name or a numeric address.
            port: The URI's port; None: by SRV, else 2855.
            secure: Whether TLS is spoken.
            receiver: Gets what the peer sends.
            server_name: Name that the peer's certificate has to carry; None: ``host``.
            local_address: Numeric address to connect from; addresses of the other family are left out then.
            allow_private: Lets the connection go to loopback, link-local, private and our own addresses.
            websocket: Whether MSRP is over WebSocket (RFC 7977).
            tls: In place of the connector's context.
            check: See ``Outgoing``.

        Raises:
            ConnectError: No connection, with the step at which it failed.
        """
        kinds: tuple[ChannelKind, ChannelKind] = ("ws", "wss") if websocket else ("tcp", "tls")
        how = Outgoing(
            host=server_name or host,
            kind=kinds[secure],
            application="msrp",
            tls=tls,
            websocket=MSRP_WEBSOCKET,
            check=check,
            local_address=local_address,
            allow_private=allow_private,
        )
        try:
            endpoints = await self._resolver.endpoints(host, port, secure=secure)
            return await self._connect(host, endpoints, receiver, how)
        except ConnectError as error:
            self.failures[error.failure] += 1
            raise

    async def connect_to(self, endpoints: Sequence[Endpoint], receiver: Receiver, how: Outgoing) -> Channel:
        """Connect to the first of some addresses that answers; ``receiver`` has heard ``connected`` when this returns.

        Args:
            endpoints: In order of preference, as `wigwag.transport.sip_locations` finds them. They are checked here
                against the addresses that nobody may make us connect to.
            receiver: Gets what the peer sends.
            how: Kind, names, limits.

        Raises:
            ConnectError: No connection, with the step at which it failed.
        """
        try:
            if not endpoints:
                raise ConnectError(ConnectFailure.NO_ADDRESS, f"{how.host}: no address")
            return await self._connect(how.host, endpoints, receiver, how)
        except ConnectError as error:
            self.failures[error.failure] += 1
            raise

    async def close(self, reason: str = "shutting down") -> None:
        """Close every connection and wait until all are gone."""
        for channel in tuple(self.channels.values()):
            channel.close(reason)
        while self.channels:
            self._all_closed.clear()
            await self._all_closed.wait()

    # -- for its channels (ChannelOwner) -----------------------------------------------------------------------------

    def channel_opened(self, channel: Channel) -> None:
        """Handshakes are done."""
        self.channels[channel.id] = channel

    def channel_closed(self, channel: Channel) -> None:
        """The connection is over."""
        self.channels.pop(channel.id, None)
        if not self.channels:
            self._all_closed.set()

    def send_was_slow(self, channel: Channel, microseconds: int) -> None:
        """A write took longer than the profile wants."""
        self.slow_sends += 1

    def handshake_failed(self, channel: Channel, reason: str, *, too_slow: bool) -> None:
        """A WebSocket's opening handshake came to nothing; who waits for it is told by the channel."""

    # -- which addresses ---------------------------------------------------------------------------------------------

    async def _connect(self, host: str, endpoints: Sequence[Endpoint], receiver: Receiver, how: Outgoing) -> Channel:
        candidates = self._candidates(host, endpoints, how)
        sock, endpoint, profile = await race(host, candidates, how.local_address, self._attempted)
        return await self._start(sock, endpoint, profile, receiver, how)

    def _attempted(self) -> None:
        self.attempts += 1

    def _candidates(self, host: str, endpoints: Sequence[Endpoint], how: Outgoing) -> list[Candidate]:
        table = self._profiles() if self._profiles is not None else None
        own = tuple(self._own_addresses())
        local = how.local_address
        refusals: list[tuple[ConnectFailure, str]] = []
        candidates: list[Candidate] = []
        for endpoint in endpoints:
            remote = (endpoint.address, endpoint.port)
            profile = table.match(how.kind, remote, (local or "", 0), how.application) if table is not None else None
            if local is not None and (":" in local) != (":" in endpoint.address):
                refusals.append((ConnectFailure.NO_ADDRESS, "of another family than the local address"))
            elif not how.allow_private and (why := closed_to_strangers(endpoint.address, own)) is not None:
                refusals.append((ConnectFailure.FORBIDDEN, f"{why} address"))
            elif profile is not None and profile.no_new_conn:
                refusals.append((ConnectFailure.NO_NEW_CONNECTION, f"no_new_conn of TCP profile {profile.id}"))
            else:
                candidates.append((endpoint, profile))
        if not candidates:
            failure, why = refusals[0]
            raise ConnectError(failure, f"{host}: {endpoints[0].address}: {why}")
        return candidates

    # -- on the connection that stands -------------------------------------------------------------------------------

    async def _start(
        self, sock: socket.socket, endpoint: Endpoint, profile: TcpProfile | None, receiver: Receiver, how: Outgoing
    ) -> Channel:
        try:
            tls = self._tls_start(how) if how.kind in ("tls", "wss") else None
            channel = self._channel(sock, endpoint, profile, receiver, how)
            if how.check is not None:
                channel.verify = partial(_foreign, how.check, channel)
            elif tls is not None and not tls.context.check_hostname:
                channel.verify = partial(_objection, how)
        except BaseException:
            sock.close()
            raise
        try:
            await start_stream(sock, channel, tls)
        except OSError as error:
            raise connect_error(how.host, endpoint, error) from error
        if channel.refusal is not None:
            raise ConnectError(ConnectFailure.CERTIFICATE, f"{how.host}: {endpoint.address}: {channel.refusal}")
        if isinstance(channel, WebSocketClientChannel):
            await _websocket_handshake(channel, endpoint, how)
        return channel

    def _channel(
        self, sock: socket.socket, endpoint: Endpoint, profile: TcpProfile | None, receiver: Receiver, how: Outgoing
    ) -> Channel:
        remote: Address = (endpoint.address, endpoint.port)
        local: Address = sock.getsockname()[:2]
        if how.kind in ("tcp", "tls"):
            return Channel(
                receiver,
                self,
                kind=how.kind,
                listener=None,
                remote=remote,
                local=local,
                profile=profile,
                application=how.application,
            )
        return WebSocketClientChannel(
            receiver,
            self,
            how.websocket or SIP_WEBSOCKET,
            kind=how.kind,
            host=how.host,
            path=how.path,
            remote=remote,
            local=local,
            profile=profile,
            application=how.application,
        )

    def _tls_start(self, how: Outgoing) -> TlsStart:
        return TlsStart(
            context=how.tls or self._tls(),
            server_side=False,
            server_name=how.host.strip("[]").rstrip("."),
            handshake_timeout=self._handshake_timeout,
            shutdown_timeout=self.close_timeout,
        )


async def _websocket_handshake(channel: WebSocketClientChannel, endpoint: Endpoint, how: Outgoing) -> None:
    try:
        failure = await channel.handshake()
    except asyncio.CancelledError:
        channel.abort("given up")
        raise
    if failure is not None:
        step = ConnectFailure.TIMEOUT if channel.was_too_slow else ConnectFailure.HANDSHAKE
        raise ConnectError(step, f"{how.host}: {endpoint.address} port {endpoint.port}: WebSocket: {failure}")


def _objection(how: Outgoing, certificate: object) -> str | None:
    """Why a certificate that is trusted does not belong to whom we mean to reach."""
    if speaks_for(certificate, how.host, wildcards=how.kind == "wss"):
        return None
    return "the certificate speaks for somebody else"


def _foreign(check: Callable[[bytes], str | None], channel: Channel, _: object) -> str | None:
    """Why a certificate is not the one expected."""
    certificate = channel.peer_certificate()
    return check(certificate) if certificate else "there is no certificate"
