"""Which server has which keys: the one there is, or in a cluster the one that has the key's slot."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, Final, Protocol

from redis.crc import key_slot
from redis.exceptions import AskError, MovedError, RedisError, TryAgainError

from wigwag.errors import StoreError

from .address import HostPort, RedisAddress
from .breaker import PAUSE, Breaker, Health, describe
from .server import Answer, Call, Server

SlotRange = tuple[int, int, Server]
"""First and last slot, and who has them."""

MOST_REDIRECTS: Final = 5
TRY_AGAIN_PAUSE: Final = 0.05
"""Seconds until the keys of a slot that moves should be together again."""


class Servers(Protocol):
    """All servers, as one."""

    async def run(self, calls: Sequence[Call]) -> list[Answer]:
        """Run scripts, those for one server in one round trip; return their answers.

        Raises:
            StoreError: Not all could be run.
        """

    async def run_on_each(self, call_for: Callable[[str], Call]) -> Mapping[str, Answer]:
        """Run a script on every server; return the answers by server, of those that answered.

        Args:
            call_for: Makes the call from a hash tag that lies on the server.
        """

    async def tag_beside(self, key: str) -> str:
        """Return a hash tag that lies on the server which has the key.

        Raises:
            StoreError: It can't be found out.
        """

    async def present(self) -> Sequence[Server]:
        """Return the servers that hold keys.

        Raises:
            StoreError: It can't be found out.
        """

    async def close(self) -> None:
        """Close all connections."""


class SingleServer:
    """One server has everything."""

    def __init__(self, address: RedisAddress, *, timeout: float, health: Health) -> None:
        self._server = Server(address.hosts[0], address, timeout=timeout, health=health)
        self._timeout = timeout

    async def run(self, calls: Sequence[Call]) -> list[Answer]:
        """See ``Servers.run``."""
        answers = await self._server.run(calls, _now() + self._timeout)
        raise_first_error(answers)
        return answers

    async def run_on_each(self, call_for: Callable[[str], Call]) -> Mapping[str, Answer]:
        """See ``Servers.run_on_each``."""
        return await run_on_each({self._server: "0"}, call_for, _now() + self._timeout)

    async def tag_beside(self, key: str) -> str:
        """See ``Servers.tag_beside``."""
        return "0"

    async def present(self) -> Sequence[Server]:
        """See ``Servers.present``."""
        return [self._server]

    async def close(self) -> None:
        """See ``Servers.close``."""
        await self._server.close()


class Cluster:
    """Each master has some of the 16384 slots.

    Theory of operation. The map of slots is looked up before the first call, after a redirection, and when a server
    can't be reached (a replica may take over soon). Only calls that can't go on without the new map wait for it. Seeds
    are asked when no server that is known answers. Each server has a breaker of its own, and so has the look-up.
    """

    def __init__(self, address: RedisAddress, *, timeout: float, health: Health) -> None:
        self._address = address
        self._timeout = timeout
        self._health = health
        self._servers: dict[HostPort, Server] = {}
        self._slots: list[SlotRange] = []
        self._tags: dict[Server, str] = {}
        self._is_stale = True
        self._looked_up = -PAUSE
        self._look_up: asyncio.Task[StoreError | None] | None = None
        self._breaker = Breaker("cluster", _now, health)

    async def run(self, calls: Sequence[Call]) -> list[Answer]:
        """See ``Servers.run``."""
        deadline = _now() + self._timeout
        answers: list[Answer] = [None] * len(calls)
        pending = list(range(len(calls)))
        asked: dict[int, Server] = {}
        await self._find_slots(deadline)
        for _ in range(MOST_REDIRECTS):
            groups: dict[tuple[Server, bool], list[int]] = {}
            for index in pending:
                server = asked.get(index) or self._server_of(calls[index].keys[0])
                groups.setdefault((server, index in asked), []).append(index)
            await self._run_groups(groups, calls, answers, deadline)
            pending = [index for index in pending if isinstance(answers[index], AskError | TryAgainError)]
            if not pending:
                break
            asked = await self._follow({index: answers[index] for index in pending}, asked, deadline)
        raise_first_error(answers)
        return answers

    async def _run_groups(
        self,
        groups: Mapping[tuple[Server, bool], Sequence[int]],
        calls: Sequence[Call],
        answers: list[Answer],
        deadline: float,
    ) -> None:
        async def run(server: Server, asking: bool, indices: Sequence[int]) -> None:
            theirs = await server.run([calls[index] for index in indices], deadline, asking=asking)
            for index, answer in zip(indices, theirs, strict=True):
                answers[index] = answer

        results = await asyncio.gather(
            *(run(server, asking, indices) for (server, asking), indices in groups.items()), return_exceptions=True
        )
        self._is_stale = self._is_stale or any(isinstance(result, StoreError) for result in results)
        raise_first_error(results)

    async def _follow(
        self, redirects: Mapping[int, Any], before: Mapping[int, Server], deadline: float
    ) -> dict[int, Server]:
        """Prepare the next try; return which calls go to the server that takes a slot over."""
        asked = {}
        for index, redirect in redirects.items():
            if isinstance(redirect, TryAgainError) and index in before:
                asked[index] = before[index]
            elif isinstance(redirect, AskError) and not isinstance(redirect, MovedError):
                asked[index] = self._server((redirect.host, redirect.port))
        if any(isinstance(redirect, MovedError) for redirect in redirects.values()):
            self._is_stale = True
            await self._find_slots(deadline, is_needed=True)
        if any(isinstance(redirect, TryAgainError) for redirect in redirects.values()):
            await asyncio.sleep(TRY_AGAIN_PAUSE)
        return asked

    async def run_on_each(self, call_for: Callable[[str], Call]) -> Mapping[str, Answer]:
        """See ``Servers.run_on_each``."""
        return await run_on_each(self._tags, call_for, _now() + self._timeout)

    async def tag_beside(self, key: str) -> str:
        """See ``Servers.tag_beside``."""
        await self._find_slots(_now() + self._timeout)
        return self._tags[self._server_of(key)]

    def _server_of(self, key: str) -> Server:
        slot = key_slot(key.encode())
        for first, last, server in self._slots:
            if first <= slot <= last:
                return server
        self._is_stale = True
        raise StoreError(f"redis cluster: nobody has slot {slot}")

    def _server(self, host_port: HostPort) -> Server:
        if host_port not in self._servers:
            self._servers[host_port] = Server(host_port, self._address, timeout=self._timeout, health=self._health)
        return self._servers[host_port]

    async def present(self) -> Sequence[Server]:
        """See ``Servers.present``."""
        await self._find_slots(_now() + self._timeout)
        return list(self._tags)

    async def close(self) -> None:
        """See ``Servers.close``."""
        if self._look_up is not None:
            self._look_up.cancel()
            await asyncio.wait([self._look_up])
        for server in self._servers.values():
            await server.close()
        self._servers.clear()

    # The map of slots

    async def _find_slots(self, deadline: float, *, is_needed: bool = False) -> None:
        """Look the map up if need be; wait for it only when there is none, or when ``is_needed``."""
        if not self._is_stale:
            return
        if self._look_up is None or self._look_up.done():
            if not is_needed and self._slots and _now() - self._looked_up < PAUSE:
                return
            self._look_up = asyncio.create_task(self._find(), name="redis-slots")
        if is_needed or not self._slots:
            try:
                async with asyncio.timeout_at(deadline):
                    error = await asyncio.shield(self._look_up)
            except TimeoutError as late:
                raise StoreError("redis cluster: nobody tells about the slots in time") from late
            if error is not None:
                raise StoreError(str(error)) from error

    async def _find(self) -> StoreError | None:
        try:
            with self._breaker.attempt():
                await self._ask_for_slots(_now() + self._timeout)
        except StoreError as error:
            return error
        finally:
            self._looked_up = _now()
        return None

    async def _ask_for_slots(self, deadline: float) -> None:
        """Ask one after the other, each for a part of the time, so that one that hangs does not use it up."""
        informants = self._informants()
        error: Exception = RedisError("there is nobody to ask")
        for index, server in enumerate(informants):
            try:
                part = (deadline - _now()) / (len(informants) - index)
                [slots] = await server.send([("CLUSTER", "SLOTS")], _now() + part)
                raise_first_error([slots])
                await self._adopt(parse_slots(slots, server.host_port[0]))
            except (StoreError, RedisError) as reason:
                error = reason
            else:
                return
        raise RedisError(describe(error)) from error

    def _informants(self) -> Sequence[Server]:
        """Return whom to ask, those that answered last time first."""
        seeds = [self._server(host_port) for host_port in self._address.hosts]
        return sorted(dict.fromkeys([*self._tags, *seeds]), key=lambda server: server.is_away)

    async def _adopt(self, slots: Sequence[tuple[int, int, HostPort]]) -> None:
        if not slots:
            raise RedisError("the cluster has no slots yet")
        self._slots = [(first, last, self._server(master)) for first, last, master in slots]
        self._tags = tags_of(self._slots)
        self._is_stale = False
        for host_port in self._servers.keys() - {master for _, _, master in slots}:
            await self._servers.pop(host_port).close()


def tags_of(slots: Sequence[SlotRange]) -> dict[Server, str]:
    """Return a hash tag for each server that lies on it: the lowest number that does."""
    tags: dict[Server, str] = {}
    missing = {server for _, _, server in slots}
    for number in count():
        if not missing:
            return tags
        slot = key_slot(str(number).encode())
        for first, last, server in slots:
            if first <= slot <= last and server in missing:
                tags[server] = str(number)
                missing.remove(server)
    raise AssertionError("count() ends")


def parse_slots(slots: Any, asked: str) -> list[tuple[int, int, HostPort]]:
    """Return the ranges of slots and their masters.

    Args:
        slots: As CLUSTER SLOTS answers.
        asked: The host that answered: what names no host means it.
    """
    return [(first, last, (host.decode() if host else asked, int(port))) for first, last, (host, port, *_), *_ in slots]


async def run_on_each(
    tags: Mapping[Server, str], call_for: Callable[[str], Call], deadline: float
) -> Mapping[str, Answer]:
    """Run a script on every server; see ``Servers.run_on_each``."""
    results = await asyncio.gather(
        *(server.run([call_for(tag)], deadline) for server, tag in tags.items()), return_exceptions=True
    )
    answers = {}
    for server, result in zip(tags, results, strict=True):
        if isinstance(result, list) and not isinstance(result[0], RedisError):
            answers[server.name] = result[0]
    return answers


def raise_first_error(answers: Sequence[Answer]) -> None:
    """Raise the first error among answers.

    Raises:
        StoreError: There is one.
    """
    for answer in answers:
        if isinstance(answer, StoreError):
            raise answer
        if isinstance(answer, RedisError):
            raise StoreError(f"redis refused: {describe(answer)}") from answer
        if isinstance(answer, BaseException):
            raise answer


def _now() -> float:
    return asyncio.get_running_loop().time()
