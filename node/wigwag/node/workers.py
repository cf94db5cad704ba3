"""``wigwag run --workers N``: several processes on one host that listen on the same ports, each a pod of its own.

Theory of operation. The parent serves nothing. It starts the workers, starts one again that ends by itself (later each
time, up to half a minute), and passes signals on: the first drains all of them, the second ends them at once. When a
worker can't even start for the first time, a port being taken perhaps, all end. A pipe that nobody writes to tells a
worker that the parent is gone, whatever ended it.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from wigwag.errors import ConfigurationError

from .settings import Settings

VARIABLE = "WIGWAG_WORKER"
"""Set by the parent for each worker: ``number/count/descriptor``."""
FIRST_RESTART, LAST_RESTART = 1.0, 30.0
"""Seconds until a worker that ended by itself is started again."""
CANNOT_START = 1
"""Exit status of a process that has said why it can't start."""
STEADY = 60.0
"""Seconds that a worker has to run for its next restart to come quickly again."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Worker:
    """Which of the workers this process is."""

    number: int
    """From 1 on; the first one has the admin API and gRPC on the ports of the settings."""
    count: int
    parent: int
    """Descriptor of the pipe whose end means that the parent is gone."""

    @classmethod
    def of_environment(cls, environment: "os._Environ[str]") -> "Worker | None":
        """Return what the parent said; None: this process has no such parent."""
        text = environment.pop(VARIABLE, None)
        if text is None:
            return None
        number, count, parent = map(int, text.split("/"))
        return cls(number, count, parent)

    def settings(self, settings: Settings) -> Settings:
        """Return the settings of this worker: what only one process can have is the first one's."""
        cluster = settings.relay.cluster
        name = f"{cluster.name or os.uname().nodename}-{self.number}"
        relay = settings.relay.model_copy(
            update={"cluster": cluster.model_copy(update={"name": name, "port": 0, "advertised_port": None})}
        )
        changes: dict[str, object] = {"relay": relay}
        if self.number > 1:
            changes["admin"] = settings.admin.model_copy(update={"port": 0})
            changes["rpc"] = settings.rpc.model_copy(update={"port": 0})
            api = settings.ua.api.model_copy(update={"port": 0})
            changes["ua"] = settings.ua.model_copy(update={"api": api})
        return settings.model_copy(update=changes)

    def watch_parent(self, gone: Callable[[], None]) -> None:
        """Call ``gone`` once the parent is gone."""
        loop = asyncio.get_running_loop()

        def readable() -> None:
            loop.remove_reader(self.parent)
            gone()

        loop.add_reader(self.parent, readable)


def check(settings: Settings, count: int) -> None:
    """Check that several processes can be one relay.

    Raises:
        ConfigurationError: They can't; names the setting.
    """
    if settings.redis.url is None:
        raise ConfigurationError(
            f"{count} workers are one relay only with a store that they share: set redis.url (WIGWAG_REDIS__URL)"
        )
    ports = [(f"relay.listeners[{index}]", each.port) for index, each in enumerate(settings.relay.listeners)]
    ports += [(f"relay.sip.listeners[{index}]", each.port) for index, each in enumerate(settings.relay.sip.listeners)]
    for name, port in ports:
        if port == 0:
            raise ConfigurationError(f"{name}.port is 0: workers share a port, so it has to be one")


async def supervise(arguments: Sequence[str], count: int) -> None:
    """Run ``count`` workers until SIGTERM or SIGINT, and until all have ended.

    Args:
        arguments: The command line of a worker, after ``wigwag``.
        count: How many.

    Raises:
        ConfigurationError: One can't start; it has said why.
    """
    supervisor = _Supervisor(arguments, count)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.signalled, number)
    await supervisor.run()


class _Supervisor:
    def __init__(self, arguments: Sequence[str], count: int) -> None:
        self._arguments = arguments
        self._count = count
        self._stop = asyncio.Event()
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._pipe = os.pipe()
        self._failed: set[int] = set()

    def signalled(self, number: signal.Signals) -> None:
        self._signal_all(number)
        if self._stop.is_set():
            os._exit(128 + number)
        logger.info("signal received, workers drain", signal=number.name)
        self._stop.set()

    def _signal_all(self, number: signal.Signals) -> None:
        for process in self._processes.values():
            if process.returncode is None:
                process.send_signal(number)

    async def run(self) -> None:
        await asyncio.gather(*(self._keep(number) for number in range(1, self._count + 1)))
        if self._failed:
            numbers = ", ".join(map(str, sorted(self._failed)))
            raise ConfigurationError(f"worker {numbers} could not start, for the reason above")

    async def _keep(self, number: int) -> None:
        """Have one worker run, again when it ends by itself."""
        loop = asyncio.get_running_loop()
        delay, has_run = FIRST_RESTART, False
        while not self._stop.is_set():
            started = loop.time()
            status = await self._run_once(number)
            if status == CANNOT_START and not has_run:
                self._give_up(number)
            if self._stop.is_set():
                return
            has_run = True
            delay = FIRST_RESTART if loop.time() - started >= STEADY else min(2 * delay, LAST_RESTART)
            logger.error("a worker has ended and is started again", worker=number, status=status, seconds=delay)
            await self._pause(delay)

    def _give_up(self, number: int) -> None:
        self._failed.add(number)
        self._signal_all(signal.SIGTERM)
        self._stop.set()

    async def _run_once(self, number: int) -> int:
        reading, _ = self._pipe
        environment = {**os.environ, VARIABLE: f"{number}/{self._count}/{reading}"}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "wigwag.node", *self._arguments, env=environment, pass_fds=(reading,)
        )
        self._processes[number] = process
        return await process.wait()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            pass
