"""The load of ``bench.gateway``: page-mode users who write as fast as their windows let them, and when it arrives."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Final

from bench.gateway_pager import PageUsers
from bench.gateway_rows import SIZE, Row
from bench.ua_load import BrokenRoundError, Measured
from bench.ua_peer import Peer
from bench.ua_site import Site

PATIENCE: Final = 60.0
"""Seconds until a message counts as lost."""
WARM_UP: Final = 1.0


class Load:
    """Conversations of page-mode users with one session-mode user.

    Args:
        row: What to do.
        site: Where.
        peer: The session-mode user, registered.
        pager: The others.
    """

    def __init__(self, row: Row, site: Site, peer: Peer, pager: PageUsers) -> None:
        self._row = row
        self._site = site
        self._pager = pager
        self._under_way: dict[bytes, tuple[float, asyncio.Semaphore]] = {}
        self._numbers = count()
        self._all_came = asyncio.Event()
        self._problem = ""
        self._found = Measured()
        self._last: dict[bytes, bytes] = {}
        peer.on_message = self._arrived
        pager.on_refused = self._refused

    async def run(self, seconds: float) -> Measured:
        """Do it for so long, after a moment of warming up."""
        for length in (WARM_UP, seconds):
            self._found = Measured()
            until, begin, cpu, load_cpu = time.monotonic() + length, time.monotonic(), self._site.cpu(), _own_cpu()
            async with asyncio.timeout(length + PATIENCE), asyncio.TaskGroup() as group:
                for sender in range(self._row.senders):
                    group.create_task(self._write(sender, until))
            await self._all_arrived()
            self._found.seconds = time.monotonic() - begin
            self._found.cpu, self._found.load_cpu = self._site.cpu() - cpu, _own_cpu() - load_cpu
        return self._found

    async def _write(self, sender: int, until: float) -> None:
        window = asyncio.Semaphore(self._row.window)
        while time.monotonic() < until:
            await window.acquire()
            key = b"%04d %08d" % (sender, next(self._numbers))
            self._under_way[key] = time.monotonic(), window
            self._pager.send(sender, key.ljust(SIZE, b"."))

    def _arrived(self, body: bytes) -> None:
        key, sender = body[:13], body[:4]
        sent = self._under_way.pop(key, None)
        if sent is None:
            self._problem = "a message came twice"
            return
        if key < self._last.get(sender, b""):
            self._problem = "a message was overtaken"
        self._last[sender] = key
        self._found.times.append(time.monotonic() - sent[0])
        sent[1].release()
        if not self._under_way:
            self._all_came.set()

    def _refused(self, answer: str) -> None:
        self._problem = answer
        self._all_came.set()

    async def _all_arrived(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while self._under_way and not self._problem:
                self._all_came.clear()
                await self._all_came.wait()
        if self._problem:
            raise BrokenRoundError(self._problem)


@asynccontextmanager
async def loaded(row: Row, site: Site) -> AsyncIterator[Load]:
    """Yield the load of a row, its user registered."""
    peer = Peer(site)
    await peer.start()
    try:
        async with PageUsers(site.sip) as pager:
            yield Load(row, site, peer, pager)
    finally:
        await peer.close()


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
