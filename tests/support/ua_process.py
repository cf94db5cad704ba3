"""What processes around the user agent have in common: recording, status lines, commands on standard input."""

import asyncio
import sys
import time
from abc import abstractmethod
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from tests.support.ua_plan import UaPlan, UaStatus
from wigwag.runtime.recording import Finished, Recorder, Started

TICK = 0.02
STATUS_INTERVAL = 0.2
_LARGEST_DEBT = 0.2
"""Seconds of sending that are made up for when nothing could be sent."""


class UaProcess:
    """Prints a status line several times a second; ``call``, ``talk``, ``quiet`` and ``finish`` are its commands.

    Args:
        plan: What to do.
    """

    def __init__(self, plan: UaPlan) -> None:
        self.plan = plan
        self.sending = False
        self.sent = 0
        self.failed = False
        self._recorder = Recorder(plan.recording)
        self._owed = 0.0
        self._finish = asyncio.Event()

    def record(self, kind: type[msgspec.Struct], **fields: Any) -> None:
        """Write a record, with its number and the time."""
        self._recorder.write(kind(number=self._recorder.next_number(), time=time.time(), **fields))

    def note(self, text: str) -> None:
        """Write a line for people who look for the reason of a failure."""
        print(f"{time.time():.3f} {text}", file=sys.stderr, flush=True)

    @abstractmethod
    async def open(self) -> None:
        """Begin."""

    @abstractmethod
    async def close(self) -> None:
        """End in good order."""

    @abstractmethod
    def call(self) -> None:
        """Set sessions up."""

    @abstractmethod
    def send_one(self) -> bool:
        """Send one message; tells whether it could."""

    @abstractmethod
    def status(self) -> UaStatus:
        """How it stands."""

    async def run(self) -> None:
        """Do what the commands say, to the end."""
        self.record(Started)
        await self.open()
        ticking = asyncio.create_task(self._tick())
        finishing = asyncio.create_task(self._finish.wait())
        await asyncio.wait((ticking, finishing), return_when=asyncio.FIRST_COMPLETED)
        if ticking.done():
            ticking.result()
        ticking.cancel()
        await self.close()
        self.record(Finished)
        self._recorder.close()
        self._print()

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        before, status_at = loop.time(), 0.0
        while True:
            now = loop.time()
            if self.sending:
                self._owed = min(self._owed + (now - before) * self.plan.rate, max(1.0, self.plan.rate * _LARGEST_DEBT))
                while self._owed >= 1 and self.send_one():
                    self._owed -= 1
                    self.sent += 1
            if now > status_at:
                status_at = now + STATUS_INTERVAL
                self._print()
            before = now
            await asyncio.sleep(TICK)

    def _print(self) -> None:
        print(msgspec.json.encode(self.status()).decode(), flush=True)

    def command(self, line: str) -> None:
        """Do what a line on standard input says."""
        word = line.strip()
        if word in ("talk", "quiet"):
            self.sending = word == "talk"
        elif word == "call":
            self.call()
        elif word == "finish":
            self._finish.set()
        else:
            raise AssertionError(f"not a command: {line!r}")
        self._print()

    def fail(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take note of an error in a callback or a task."""
        self.failed = True
        self.note(f"{context['message']}: {context.get('exception')!r}")
        loop.default_exception_handler(context)


async def _run(kind: type[UaProcess], plan: UaPlan) -> int:
    loop = asyncio.get_running_loop()
    process = kind(plan)
    loop.set_exception_handler(process.fail)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def obey() -> None:
        while line := await reader.readline():
            process.command(line.decode())
        # Who started us is gone.
        process.command("finish")

    obeying = asyncio.ensure_future(obey())
    await process.run()
    obeying.cancel()
    return int(process.failed)


def main(kind: type[UaProcess]) -> None:
    """Run one process; its plan is the only argument."""
    plan = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=UaPlan)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(_run(kind, plan)))
