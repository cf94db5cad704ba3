"""Both ends of connections for transport tests: receivers that remember, listeners, blocking-free raw clients."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from tests.support.certificates import Authority
from tests.support.waiting import until
from wigwag.transport.channel import Channel
from wigwag.transport.connector import Connector
from wigwag.transport.listener import Listener, ListenerOptions
from wigwag.transport.profiles import ProfileTable
from wigwag.transport.resolver import Resolver
from wigwag.transport.tls import client_context


class Recorder:
    """A receiver that keeps everything it is told, and may answer."""

    def __init__(
        self,
        answer: Callable[["Recorder", bytes], None] | None = None,
        welcome: Callable[["Recorder"], None] | None = None,
    ) -> None:
        self.channel: Channel
        self.is_connected = False
        self.reads: list[bytes] = []
        self.pauses: list[bool] = []
        self.reasons: list[str] = []
        self._answer = answer
        self._welcome = welcome

    @property
    def data(self) -> bytes:
        """Everything received."""
        return b"".join(self.reads)

    @property
    def is_over(self) -> bool:
        """Whether ``disconnected`` came."""
        return bool(self.reasons)

    def connected(self, channel: Channel) -> None:
        assert not self.is_connected
        self.channel, self.is_connected = channel, True
        if self._welcome is not None:
            self._welcome(self)

    def data_received(self, data: bytes) -> None:
        assert self.is_connected
        assert not self.reasons
        assert isinstance(data, bytes)
        self.reads.append(data)
        if self._answer is not None:
            self._answer(self, data)

    def pause_sending(self) -> None:
        self.pauses.append(True)

    def resume_sending(self) -> None:
        self.pauses.append(False)

    def disconnected(self, reason: str) -> None:
        assert not self.reasons
        self.reasons.append(reason)


def echo(recorder: Recorder, data: bytes) -> None:
    """An answer that sends back what came."""
    recorder.channel.send([data])


class Endpoints:
    """Makes listeners, connectors and clients, and closes what it made."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.accepted: list[Recorder] = []
        self.connector: Connector | None = None
        self._listeners: list[Listener] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._sockets: list[socket.socket] = []

    async def listen(
        self,
        options: ListenerOptions,
        receiver: Callable[[], Recorder] = Recorder,
        **arguments: object,
    ) -> Listener:
        """A started listener whose receivers are collected in ``accepted``."""

        def factory() -> Recorder:
            self.accepted.append(receiver())
            return self.accepted[-1]

        listener = Listener(options, factory, **arguments)  # type: ignore[arg-type]
        await listener.start()
        self._listeners.append(listener)
        return listener

    async def client(
        self, listener: Listener, context: ssl.SSLContext | None = None, name: str | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A stream pair of asyncio's own to the listener, with TLS when a context is given."""
        reader, writer = await asyncio.open_connection(
            *listener.address, ssl=context, server_hostname=name if context is not None else None
        )
        self._writers.append(writer)
        return reader, writer

    async def raw(self, listener: Listener) -> socket.socket:
        """A connected non-blocking socket."""
        sock = socket.socket(socket.AF_INET6 if ":" in listener.address[0] else socket.AF_INET)
        self._sockets.append(sock)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, listener.address)
        return sock

    async def receiver(self, count: int = 1) -> Recorder:
        """The ``count``-th receiver, once it is connected."""
        await until(lambda: len(self.accepted) >= count and self.accepted[count - 1].is_connected)
        return self.accepted[count - 1]

    def connect_with(
        self, *, profiles: ProfileTable | None = None, context: ssl.SSLContext | None = None, **arguments: object
    ) -> Connector:
        """A connector that trusts the test authority."""
        trusted = context or client_context(ca_file=self.authority.ca_file)
        resolver = Resolver(choose=lambda total: total)
        self.connector = Connector(
            resolver,
            tls=lambda: trusted,
            profiles=None if profiles is None else lambda: profiles,
            **arguments,  # type: ignore[arg-type]
        )
        return self.connector

    async def close(self) -> None:
        """End everything."""
        for sock in self._sockets:
            sock.close()
        for writer in self._writers:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        if self.connector is not None:
            await self.connector.close()
        for listener in self._listeners:
            for channel in list(listener.channels.values()):
                channel.abort("the test is over")
            await listener.close()


def client_tls(authority: Authority, certificate: tuple[str, str] | None = None) -> ssl.SSLContext:
    """A client context that trusts ``authority``."""
    return client_context(ca_file=authority.ca_file, certificate=certificate)
