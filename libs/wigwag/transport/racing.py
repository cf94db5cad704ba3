"""Several addresses, one connection: tried in order, side by side when they are slow (RFC 8305 section 5)."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence

from wigwag.transport.addresses import Endpoint
from wigwag.transport.channel import reason_of
from wigwag.transport.errors import ConnectError, ConnectFailure
from wigwag.transport.profiles import DEFAULT_CONNECT_TIMEOUT, TcpProfile, apply_to_socket
from wigwag.transport.streams import prepare_socket

NEXT_ATTEMPT_AFTER = 0.25
"""Seconds until the next address is tried beside the one that has not answered (RFC 8305 section 5)."""

Candidate = tuple[Endpoint, TcpProfile | None]

_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN})


async def race(
    host: str, candidates: Sequence[Candidate], local_address: str | None, attempted: Callable[[], None]
) -> tuple[socket.socket, Endpoint, TcpProfile | None]:
    """The first connection that stands; the others are given up.

    Args:
        host: Whose addresses they are, for errors.
        candidates: Addresses in order of preference, with the TCP profile that holds there.
        local_address: Numeric address to connect from; None: the system chooses.
        attempted: Called for each connection tried.

    Raises:
        ConnectError: None stands; says why the last did not.
    """
    attempts: dict[asyncio.Task[socket.socket], Candidate] = {}
    waiting = list(reversed(candidates))
    error: ConnectError | None = None
    try:
        while waiting or any(not task.done() for task in attempts):
            if waiting:
                endpoint, profile = waiting.pop()
                attempted()
                attempts[asyncio.create_task(_attempt(endpoint, profile, local_address))] = endpoint, profile
            pending = [task for task in attempts if not task.done()]
            delay = NEXT_ATTEMPT_AFTER if waiting else None
            done, _ = await asyncio.wait(pending, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if task.exception() is None:
                    return task.result(), *attempts.pop(task)
                error = connect_error(host, attempts[task][0], task.exception())
    finally:
        await _give_up(attempts)
    assert error is not None
    raise error


async def _attempt(endpoint: Endpoint, profile: TcpProfile | None, local_address: str | None) -> socket.socket:
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


async def _give_up(attempts: Iterable[asyncio.Task[socket.socket]]) -> None:
    for task in attempts:
        task.cancel()
    for result in await asyncio.gather(*attempts, return_exceptions=True):
        if isinstance(result, socket.socket):
            result.close()


def connect_error(host: str, endpoint: Endpoint, error: BaseException | None) -> ConnectError:
    """What went wrong on the way to an endpoint, as the error that says at which step."""
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
