"""``python -m tests.support.endpoints PLAN``: one process of recording endpoints, many clients in it.

It prints a status line of JSON twice a second. Told ``stop`` on standard input, or by SIGTERM, it sends nothing more
but stays connected and takes what comes; ``finish`` ends it in good order; after SIGTERM it finishes by itself once
every outcome is certain to be known. ``move N`` and ``move N half-open`` let N of its clients connect elsewhere, ``move
N gently`` before they leave. Its exit status is 1 when the relay wrote something that no relay may write.
"""

import asyncio
import itertools
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from tests.support.endpoint_client import EndpointClient
from tests.support.endpoint_plan import Plan
from tests.support.endpoint_world import World
from wigwag.runtime.recording import Finished, Started

TICK = 0.01
"""Seconds between two looks at what is due."""
STATUS_INTERVAL = 0.5
LAST_OUTCOME = 35.0
"""Seconds after the last SEND at which each has its outcome (30 s and what relays need to notice)."""
_LARGEST_DEBT = 0.1
"""Seconds of sending that are made up for when nothing could be sent."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What the process prints."""

    clients: int
    ready: int
    """Clients that are connected and know their peer's path."""
    sending: bool
    sent: int
    unanswered: int
    moves: int = 0
    """Commands to move that were obeyed."""


class Endpoints:
    """All clients of the process.

    Args:
        plan: What to do.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._world = World(plan)
        self._clients = [EndpointClient(name, peer, plan, self._world) for name, peer in plan.clients]
        self._turns = itertools.cycle(self._clients)
        self._moves = itertools.cycle(self._clients)
        self._sending = False
        self._stopped = False
        self._sent = self._moved = 0
        self._owed = 0.0
        self._finish = asyncio.Event()
        self.failed = False

    async def run(self) -> None:
        """Do what the plan and the commands say, to the end."""
        self._world.record(Started)
        async with asyncio.TaskGroup() as group:
            staying = [group.create_task(client.stay_connected()) for client in self._clients]
            ticking = group.create_task(self._tick())
            await self._finish.wait()
            for task in (ticking, *staying):
                task.cancel()
        for client in self._clients:
            await client.close()
        self._world.record(Finished)
        self._world.close()
        self._print_status()

    async def _tick(self) -> None:
        now = before = self._world.now()
        status_at = stop_at = 0.0
        while True:
            before, now = now, self._world.now()
            self._world.signalling.poll()
            if not self._sending and not self._stopped and all(client.is_ready for client in self._clients):
                self._sending = True
                stop_at = now + self._plan.seconds if self._plan.seconds is not None else float("inf")
            if self._sending:
                self._send(now - before)
                if now > stop_at:
                    self.stop()
            if now > status_at:
                status_at = now + STATUS_INTERVAL
                self._print_status()
                for client in self._clients:
                    client.check(now)
            await asyncio.sleep(TICK)

    def _send(self, seconds: float) -> None:
        self._owed = min(self._owed + seconds * self._plan.rate, max(1.0, self._plan.rate * _LARGEST_DEBT))
        while self._owed >= 1:
            if not any(next(self._turns).send() for _ in self._clients):
                break
            self._owed -= 1
            self._sent += 1

    def _print_status(self) -> None:
        status = Status(
            clients=len(self._clients),
            ready=sum(client.is_ready for client in self._clients),
            sending=self._sending,
            sent=self._sent,
            unanswered=sum(len(client.messages.unanswered) for client in self._clients),
            moves=self._moved,
        )
        print(msgspec.json.encode(status).decode(), flush=True)

    # Commands

    def stop(self) -> None:
        """Send nothing more."""
        self._sending, self._stopped = False, True

    def terminate(self) -> None:
        """Send nothing more, and finish when every outcome is known."""
        self.stop()
        asyncio.get_running_loop().call_later(LAST_OUTCOME, self._finish.set)

    def fail(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take note of an error in a callback: asyncio would take it for a lost connection."""
        self.failed = True
        self._world.note(f"{context['message']}: {context.get('exception')}")
        loop.default_exception_handler(context)

    def command(self, line: str) -> None:
        """Do what a line on standard input says."""
        match line.split():
            case ["stop"]:
                self.stop()
            case ["finish"]:
                self.stop()
                self._finish.set()
            case ["move", count, *how]:
                self._moved += 1
                for client in itertools.islice(self._moves, int(count)):
                    client.move(half_open=how == ["half-open"], gently=how == ["gently"])
            case _:
                raise AssertionError(f"not a command: {line!r}")


async def main(plan: Plan) -> int:
    """Run one process; returns its exit status."""
    loop = asyncio.get_running_loop()
    endpoints = Endpoints(plan)
    loop.set_exception_handler(endpoints.fail)
    loop.add_signal_handler(signal.SIGTERM, endpoints.terminate)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def obey() -> None:
        while line := await reader.readline():
            endpoints.command(line.decode())
        # Who started us is gone.
        endpoints.command("finish")

    obeying = asyncio.ensure_future(obey())
    await endpoints.run()
    obeying.cancel()
    return int(endpoints.failed)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan))))
