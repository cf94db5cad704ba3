"""Sockets become streams here: which transport carries plain TCP and which carries TLS.

Plain TCP rides on the event loop's own transport, TLS on aiofastnet's. docs/decisions has the measurements.
Where aiofastnet is missing the loop's own TLS does the same, slower.
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from wigwag.transport.channel import Channel
from wigwag.transport.profiles import apply_to_socket

try:
    import aiofastnet
except ImportError:  # pragma: no cover - not installable on every platform
    aiofastnet = None  # type: ignore[assignment]

TLS_BUFFER = 65_536
"""Ciphertext per direction that a TLS connection buffers at most outside the write limits, in bytes."""

NOTSENT_LOWAT = 65_536
"""Bytes the kernel may hold unsent per socket; more stays with us, where an urgent message can still overtake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsStart:
    """How to begin TLS on a fresh socket."""

    context: ssl.SSLContext
    server_side: bool
    server_name: str | None = None
    """Name sent as SNI and looked for in the certificate; the client side has to give it."""
    handshake_timeout: float = 10.0
    """Seconds."""
    shutdown_timeout: float = 5.0
    """Seconds the closing handshake may take."""


def prepare_socket(sock: socket.socket) -> None:
    """Set what every connection needs; a listening socket hands it on to those it accepts."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    apply_to_socket(sock, None)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT)


class _QuietLoop:
    """The loop as aiofastnet sees it: a peer that leaves in the middle of the TLS handshake is no error of ours.

    aiofastnet 1.2 reports that one case to the loop's exception handler, with the class ``ConnectionResetError`` in
    place of an instance, although `start_stream` raises it too.
    """

    __slots__ = ("_loop",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> object:
        return getattr(self._loop, name)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if context.get("exception") is not ConnectionResetError:
            self._loop.call_exception_handler(context)


async def start_stream(sock: socket.socket, channel: Channel, tls: TlsStart | None) -> None:
    """Hand a connected socket over to a transport that feeds ``channel``; with TLS, after its handshake.

    The socket belongs to the transport then, and is closed when this fails.

    Raises:
        OSError: The handshake failed (`ssl.SSLError` is one), was cut off, or took too long.
    """
    loop = asyncio.get_running_loop()
    try:
        if tls is None:
            await loop.connect_accepted_socket(lambda: channel, sock)
        elif aiofastnet is None:
            await _start_native_tls(loop, sock, channel, tls)
        else:
            await _start_fast_tls(cast(asyncio.AbstractEventLoop, _QuietLoop(loop)), sock, channel, tls)
    except asyncio.CancelledError:
        # A transport that ends its TLS reads on until the other side has, too. A socket that was closed under it would
        # give its number, and this reader, to the next connection. So it hears the end, and closes the socket itself.
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        raise
    except BaseException:
        sock.close()
        raise


async def _start_fast_tls(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, channel: Channel, tls: TlsStart
) -> None:
    if tls.server_side:
        await aiofastnet.connect_accepted_socket(
            loop,
            lambda: channel,
            sock,
            ssl=tls.context,
            ssl_handshake_timeout=tls.handshake_timeout,
            ssl_shutdown_timeout=tls.shutdown_timeout,
            ssl_incoming_bio_size=TLS_BUFFER,
            ssl_outgoing_bio_size=TLS_BUFFER,
        )
    else:
        await aiofastnet.create_connection(
            loop,
            lambda: channel,
            sock=sock,
            ssl=tls.context,
            server_hostname=tls.server_name,
            ssl_handshake_timeout=tls.handshake_timeout,
            ssl_shutdown_timeout=tls.shutdown_timeout,
            ssl_incoming_bio_size=TLS_BUFFER,
            ssl_outgoing_bio_size=TLS_BUFFER,
        )


async def _start_native_tls(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, channel: Channel, tls: TlsStart
) -> None:
    if tls.server_side:
        await loop.connect_accepted_socket(
            lambda: channel,
            sock,
            ssl=tls.context,
            ssl_handshake_timeout=tls.handshake_timeout,
            ssl_shutdown_timeout=tls.shutdown_timeout,
        )
    else:
        await loop.create_connection(
            lambda: channel,
            sock=sock,
            ssl=tls.context,
            server_hostname=tls.server_name,
            ssl_handshake_timeout=tls.handshake_timeout,
            ssl_shutdown_timeout=tls.shutdown_timeout,
        )
