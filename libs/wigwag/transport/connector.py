"""Connecting to other relays and to peers: resolve, check, race, then TLS with the name checked.

Theory of operation. All addresses of a host are resolved first; those that nobody may make us connect to fall out, and
so do those that a TCP profile closes (``no_new_conn``). The rest is tried in order, the next one starting when the one
before has failed or 250 ms have passed (RFC 8305); the first to stand wins. TLS then runs on that connection alone: a
wrong certificate is a reason to stop, not to look for a more agreeable address.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Iterable

from wigwag.transport.addresses import forbidden, leads_to_ourselves
from wigwag.transport.channel import Address, Channel, ChannelKind, Receiver, reason_of
from wigwag.transport.errors import ConnectError, ConnectFailure
from wigwag.transport.profiles import DEFAULT_CONNECT_TIMEOUT, ProfileTable, TcpProfile, apply_to_socket
from wigwag.transport.resolver import Endpoint, Resolver
from wigwag.transport.streams import TlsStart, prepare_socket, start_stream

NEXT_ATTEMPT_AFTER = 0.25
"""Seconds until the next address is tried beside the one that has not answered (RFC 8305 section 5)."""

_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN})


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

        Raises:
            ConnectError: No connection, with the step at which it failed.
        """
        try:
            endpoints = await self._resolver.endpoints(host, port, secure=secure)
            candidates = self._candidates(host, endpoints, secure, local_address, allow_private)
            sock, endpoint, profile = await self._race(host, candidates, local_address)
            return await self._start(sock, endpoint, profile, receiver, (server_name or host) if secure else None)
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

    # -- which addresses ---------------------------------------------------------------------------------------------

    def _candidates(
        self, host: str, endpoints: list[Endpoint], secure: bool, local_address: str | None, allow_private: bool
    ) -> list[tuple[Endpoint, TcpProfile | None]]:
        kind = "tls" if secure else "tcp"
        table = self._profiles() if self._profiles is not None else None
        own = tuple(self._own_addresses())
        refusals: list[tuple[ConnectFailure, str]] = []
        candidates = []
        for endpoint in endpoints:
            remote, local = (endpoint.address, endpoint.port), (local_address or "", 0)
            profile = table.match(kind, remote, local) if table is not None else None
            if local_address is not None and (":" in local_address) != (":" in endpoint.address):
                refusals.append((ConnectFailure.NO_ADDRESS, "of another family than the local address"))
            elif not allow_private and (why := _closed(endpoint.address, own)) is not None:
                refusals.append((ConnectFailure.FORBIDDEN, f"{why} address"))
            elif profile is not None and profile.no_new_conn:
                refusals.append((ConnectFailure.NO_NEW_CONNECTION, f"no_new_conn of TCP profile {profile.id}"))
            else:
                candidates.append((endpoint, profile))
        if not candidates:
            failure, why = refusals[0]
            raise ConnectError(failure, f"{host}: {endpoints[0].address}: {why}")
        return candidates

    async def _race(
        self, host: str, candidates: list[tuple[Endpoint, TcpProfile | None]], local_address: str | None
    ) -> tuple[socket.socket, Endpoint, TcpProfile | None]:
        """The first connection that stands; the others are given up."""
        attempts: dict[asyncio.Task[socket.socket], tuple[Endpoint, TcpProfile | None]] = {}
        waiting = list(reversed(candidates))
        error: ConnectError | None = None
        try:
            while waiting or any(not task.done() for task in attempts):
                if waiting:
                    endpoint, profile = waiting.pop()
                    task = asyncio.create_task(self._attempt(endpoint, profile, local_address))
                    attempts[task] = endpoint, profile
                pending = [task for task in attempts if not task.done()]
                delay = NEXT_ATTEMPT_AFTER if waiting else None
                done, _ = await asyncio.wait(pending, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if task.exception() is None:
                        return task.result(), *attempts.pop(task)
                    error = _connect_error(host, attempts[task][0], task.exception())
        finally:
            await _give_up(attempts)
        assert error is not None
        raise error

    async def _attempt(
        self, endpoint: Endpoint, profile: TcpProfile | None, local_address: str | None
    ) -> socket.socket:
        self.attempts += 1
        milliseconds = profile.connect_timeout if profile is not None else DEFAULT_CONNECT_TIMEOUT
        sock = socket.socket(socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            prepare_socket(sock)
            if profile is not None:
                apply_to_socket(sock, profile)
            if local_address is not None:
                sock.bind((local_address, 0))
            async with asyncio.timeout(milliseconds / 1000):
                await asyncio.get_running_loop().sock_connect(sock, (endpoint.address, endpoint.port))
        except BaseException:
            sock.close()
            raise
        return sock

    # -- on the connection that stands -------------------------------------------------------------------------------

    async def _start(
        self,
        sock: socket.socket,
        endpoint: Endpoint,
        profile: TcpProfile | None,
        receiver: Receiver,
        server_name: str | None,
    ) -> Channel:
        remote: Address = (endpoint.address, endpoint.port)
        try:
            local: Address = sock.getsockname()[:2]
            tls = None if server_name is None else self._tls_start(server_name)
            kind: ChannelKind = "tcp" if tls is None else "tls"
            channel = Channel(receiver, self, kind=kind, listener=None, remote=remote, local=local, profile=profile)
        except BaseException:
            sock.close()
            raise
        try:
            await start_stream(sock, channel, tls)
        except OSError as error:
            raise _connect_error(server_name or endpoint.address, endpoint, error) from error
        return channel

    def _tls_start(self, server_name: str) -> TlsStart:
        return TlsStart(
            context=self._tls(),
            server_side=False,
            server_name=server_name.strip("[]").rstrip("."),
            handshake_timeout=self._handshake_timeout,
            shutdown_timeout=self.close_timeout,
        )


def _closed(address: str, own: Iterable[str]) -> str | None:
    """Why nobody may make us connect to ``address``."""
    return forbidden(address, own) or ("our own" if leads_to_ourselves(address) else None)


async def _give_up(attempts: Iterable[asyncio.Task[socket.socket]]) -> None:
    for task in attempts:
        task.cancel()
    for result in await asyncio.gather(*attempts, return_exceptions=True):
        if isinstance(result, socket.socket):
            result.close()


def _connect_error(host: str, endpoint: Endpoint, error: BaseException | None) -> ConnectError:
    where = f"{host}: {endpoint.address} port {endpoint.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectError(ConnectFailure.CERTIFICATE, f"{where}: {error.verify_message or error}")
    if isinstance(error, TimeoutError | ConnectionAbortedError):
        return ConnectError(ConnectFailure.TIMEOUT, f"{where}: no answer in time")
    if isinstance(error, ssl.SSLError | ConnectionResetError):
        return ConnectError(ConnectFailure.HANDSHAKE, f"{where}: {reason_of(error)}")
    if isinstance(error, OSError) and error.errno in _RESOURCES:
        return ConnectError(ConnectFailure.RESOURCES, f"{where}: {error.strerror}")
    return ConnectError(ConnectFailure.REFUSED, f"{where}: {getattr(error, 'strerror', None) or error}")
