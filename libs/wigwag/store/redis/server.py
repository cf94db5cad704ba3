"""One Redis server: scripts sent to it in one go, each call bounded in time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Connection, ConnectionPool, Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from wigwag.errors import StoreError

from .address import HostPort, RedisAddress
from .breaker import VENDOR_ERRORS, Breaker, Health, describe, is_unfit

MOST_CONNECTIONS: Final = 8
"""Connections to one server; more calls than that wait for their turn."""

PAGE: Final = 500
"""Keys that a server looks at in one step of a scan."""

Answer = Any


class Script:
    """A script in Lua, with what stands before it."""

    def __init__(self, name: str, *preludes: str) -> None:
        directory = files(__package__) / "scripts"
        names = ("common", *preludes, name)
        self.text = "\n".join((directory / f"{part}.lua").read_text(encoding="utf-8") for part in names)
        # Redis names scripts so; nothing rests on it being hard to find another with the same name.
        self.digest = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Call:
    """A script to be run. All keys have the same hash tag."""

    script: Script
    keys: tuple[str, ...]
    arguments: tuple[str | bytes, ...]

    @property
    def operands(self) -> tuple[str | int | bytes, ...]:
        """What follows the script in EVAL and EVALSHA."""
        return (len(self.keys), *self.keys, *self.arguments)


class Server:
    """One server and the connections to it.

    Args:
        host_port: Where it is.
        address: How it is talked to.
        timeout: Seconds for connecting and for each answer.
        health: Told when it goes and comes.
    """

    def __init__(self, host_port: HostPort, address: RedisAddress, *, timeout: float, health: Health) -> None:
        self.host_port = host_port
        self.name = f"{host_port[0]}:{host_port[1]}"
        options = {"host": host_port[0], "port": host_port[1], **address.options(timeout)}
        self._connect = partial(address.connection_class, **options)
        self._client: Redis = Redis.from_pool(ConnectionPool(address.connection_class, **options))
        self._turns = asyncio.Semaphore(MOST_CONNECTIONS)
        self._breaker = Breaker(self.name, asyncio.get_running_loop().time, health)

    @property
    def is_away(self) -> bool:
        """Whether the last call failed."""
        return self._breaker.is_away

    def new_connection(self) -> Connection:
        """Return a connection of its own, not connected yet, for a subscription."""
        return self._connect()

    async def run(self, calls: Sequence[Call], deadline: float, *, asking: bool = False) -> list[Answer]:
        """Run scripts; return an answer for each, errors of single calls among them.

        Args:
            calls: What to run; one round trip, two when the server does not know the scripts.
            deadline: When it has to be done, by the loop's clock.
            asking: Say ASKING before each: their slot is on its way to this server.

        Raises:
            StoreError: The server is away or did not answer in time.
        """
        if not calls:
            return []
        answers = await self.send([_command(call, "EVALSHA") for call in calls], deadline, asking=asking)
        unknown = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            again = await self.send([_command(calls[index], "EVAL") for index in unknown], deadline, asking=asking)
            for index, answer in zip(unknown, again, strict=True):
                answers[index] = answer
        return answers

    async def send(self, commands: Sequence[tuple[Any, ...]], deadline: float, *, asking: bool = False) -> list[Answer]:
        """Send commands in one go; return their answers, errors of single ones among them.

        Raises:
            StoreError: The server is away or did not answer in time.
        """
        with self._breaker.attempt() as check:
            try:
                async with asyncio.timeout_at(deadline), self._turns:
                    check()
                    answers = await self._exchange(commands, asking=asking)
                for answer in answers:
                    if is_unfit(answer):
                        raise answer
            except VENDOR_ERRORS:
                # The name may lead to another server by now, and this one may have turned into a replica.
                await self._client.connection_pool.disconnect(inuse_connections=False)
                raise
        return answers

    async def scan(self, pattern: str, cursor: int, deadline: float) -> tuple[int, Sequence[bytes]]:
        """Return the cursor of the next page of keys, 0 after the last, and this one's keys; some may come again.

        Raises:
            StoreError: The server is away, refuses, or did not answer in time.
        """
        [answer] = await self.send([("SCAN", cursor, "MATCH", pattern, "COUNT", PAGE)], deadline)
        if isinstance(answer, RedisError):
            raise StoreError(f"redis {self.name}: {describe(answer)}") from answer
        return int(answer[0]), answer[1]

    async def _exchange(self, commands: Sequence[tuple[Any, ...]], *, asking: bool) -> list[Answer]:
        if len(commands) == 1 and not asking:
            try:
                return [await self._client.execute_command(*commands[0])]  # type: ignore[no-untyped-call]
            except ResponseError as error:
                return [error]
        async with self._client.pipeline(transaction=False) as pipeline:
            for command in commands:
                if asking:
                    pipeline.execute_command("ASKING")
                pipeline.execute_command(*command)
            answers: list[Answer] = await pipeline.execute(raise_on_error=False)
        return answers[1::2] if asking else answers

    async def close(self) -> None:
        """Close all connections."""
        self._breaker.retire()
        await self._client.aclose()
        await self._client.connection_pool.disconnect()


def _command(call: Call, name: str) -> tuple[Any, ...]:
    script = call.script.digest if name == "EVALSHA" else call.script.text
    return (name, script, *call.operands)
