"""``python -m tests.support.devices PLAN``: one process of recording SIP devices.

It prints a status line of JSON several times a second. Commands on standard input: ``call``: dialogs are set up;
``talk`` and ``quiet``: MESSAGEs and INFOs are sent, or no more; ``round``: each dialog has to carry an INFO both ways;
``bye``: dialogs are ended; ``finish``: it ends in good order. Its exit status is 1 when the edge wrote something that
no edge may write.
"""

import asyncio
import itertools
import sys
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from tests.support.device import Device
from tests.support.device_plan import DevicesPlan
from tests.support.device_world import DeviceWorld
from tests.support.endpoints import TICK, Status
from wigwag.runtime.recording import Finished, Started

STATUS_INTERVAL = 0.2
_LARGEST_DEBT = 0.1
"""Seconds of sending that are made up for when nothing could be sent."""


class DevicesStatus(Status, frozen=True, kw_only=True):
    """What the process prints."""

    dialogs: int = 0
    """Dialogs that stand."""
    round_left: int = 0
    """Devices whose INFO of this round did not get through yet."""
    round_failures: int = 0
    """INFOs of all rounds that did not."""


class Devices:
    """All devices of the process.

    Args:
        plan: What to do.
    """

    def __init__(self, plan: DevicesPlan) -> None:
        self._plan = plan
        self._world = DeviceWorld(plan)
        self._devices = [Device(one, self._world) for one in plan.clients]
        self._turns = itertools.cycle(self._devices)
        self._sending = False
        self._sent = 0
        self._owed = 0.0
        self._finish = asyncio.Event()
        self.failed = False

    async def run(self) -> None:
        """Do what the plan and the commands say, to the end."""
        self._world.record(Started)
        async with asyncio.TaskGroup() as group:
            staying = [group.create_task(device.stay_registered()) for device in self._devices]
            ticking = group.create_task(self._tick())
            await self._finish.wait()
            for task in (ticking, *staying):
                task.cancel()
        for device in self._devices:
            await device.close()
        self._world.record(Finished)
        await self._world.close()
        self._print_status()

    async def _tick(self) -> None:
        before = status_at = 0.0
        while True:
            now = self._world.now()
            for device in self._devices:
                device.tick(now)
            if self._sending:
                self._send(now - before)
            if now > status_at:
                status_at = now + STATUS_INTERVAL
                self._print_status()
            before = now
            await asyncio.sleep(TICK)

    def _send(self, seconds: float) -> None:
        self._owed = min(self._owed + seconds * self._plan.rate, max(1.0, self._plan.rate * _LARGEST_DEBT))
        while self._owed >= 1:
            if not any(next(self._turns).send_message() for _ in self._devices):
                break
            self._owed -= 1
            self._sent += 1

    def _print_status(self) -> None:
        devices = self._devices
        status = DevicesStatus(
            clients=len(devices),
            ready=sum(device.is_ready for device in devices),
            sending=self._sending,
            sent=self._sent,
            unanswered=sum(device.unanswered for device in devices),
            dialogs=sum(device.dialog is not None for device in devices),
            round_left=sum(device.round_due for device in devices),
            round_failures=sum(device.round_failures for device in devices),
        )
        print(msgspec.json.encode(status).decode(), flush=True)

    def command(self, line: str) -> None:
        """Do what a line on standard input says."""
        word = line.strip()
        if word in ("talk", "quiet"):
            self._sending = word == "talk"
            for device in self._devices:
                device.talk(self._sending)
        elif word == "call":
            for device in self._devices:
                device.calling = device.plan.dialog == "calls"
        elif word == "round":
            for device in self._devices:
                device.begin_round()
        elif word == "bye":
            for device in self._devices:
                device.hanging_up = device.plan.hangs_up
        elif word == "finish":
            self._finish.set()
        else:
            raise AssertionError(f"not a command: {line!r}")
        self._print_status()

    def fail(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take note of an error in a callback: asyncio would take it for a lost connection."""
        self.failed = True
        self._world.note(f"{context['message']}: {context.get('exception')}")
        loop.default_exception_handler(context)


async def main(plan: DevicesPlan) -> int:
    """Run one process; returns its exit status."""
    loop = asyncio.get_running_loop()
    devices = Devices(plan)
    loop.set_exception_handler(devices.fail)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def obey() -> None:
        while line := await reader.readline():
            devices.command(line.decode())
        # Who started us is gone.
        devices.command("finish")

    obeying = asyncio.ensure_future(obey())
    await devices.run()
    obeying.cancel()
    return int(devices.failed)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=DevicesPlan))))
