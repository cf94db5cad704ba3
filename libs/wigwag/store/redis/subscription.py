"""Notices of changes by publish and subscribe."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Final

import structlog
from redis.asyncio import Connection

from wigwag.errors import StoreError
from wigwag.store import Gap, Notice

from .breaker import VENDOR_ERRORS, describe
from .records import notice_of
from .server import Server
from .servers import Servers

logger = structlog.get_logger(__name__)

PAUSE: Final = 0.5
"""Seconds until a lost subscription is opened again."""


class Subscription:
    """Listens to one channel, on any of the servers: they pass notices on to each other.

    Args:
        servers: Where to listen.
        channel: To what.
        timeout: Seconds of silence after which the server is asked whether it is there, and for its answer.
    """

    def __init__(self, servers: Servers, channel: str, *, timeout: float) -> None:
        self._servers = servers
        self._channel = channel
        self._timeout = timeout
        self._turn = 0
        self._lost = ""
        """Why nothing is heard; told once as long as it stays the same."""

    async def notices(self) -> AsyncGenerator[Notice, None]:
        """Yield a ``Gap`` each time it has begun to listen, and the changes from then on; never ends by itself."""
        while True:
            try:
                async with aclosing(self._listen()) as notices:
                    async for notice in notices:
                        self._lost = ""
                        yield notice
            except (StoreError, *VENDOR_ERRORS) as error:
                self._tell(describe(error))
            await asyncio.sleep(PAUSE)

    def _tell(self, reason: str) -> None:
        if not self._lost:
            logger.info("notices of changes are lost", reason=reason)
        self._lost = reason

    async def _listen(self) -> AsyncGenerator[Notice, None]:
        connection = self._next(await self._servers.present()).new_connection()
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()  # type: ignore[no-untyped-call]
                await connection.send_command("SUBSCRIBE", self._channel)
                await connection.read_response()
            yield Gap()
            while True:
                kind, *rest = await self._message(connection)
                if kind == b"message":
                    yield notice_of(rest[-1])
        finally:
            with suppress(*VENDOR_ERRORS):
                await connection.disconnect(nowait=True)

    def _next(self, servers: Sequence[Server]) -> Server:
        """Another server each time: one that can't be reached by us may still serve others."""
        self._turn += 1
        return servers[self._turn % len(servers)]

    async def _message(self, connection: Connection) -> Sequence[bytes]:
        message = await connection.read_response(timeout=self._timeout)
        if message is None:  # silence
            await connection.send_command("PING")
            message = await connection.read_response()
        return message if isinstance(message, list) else [message]
