"""Load of a scenario of the gateway: page-mode and session-mode users who talk while pods and servers are disturbed."""

import asyncio
import json
import random
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, cast

from tests.support.cluster import DOMAIN, Pod
from tests.support.endpoint_process import EndpointProcess
from tests.support.gateway_archive import GatewayArchivist
from tests.support.gateway_cluster import GatewayCluster
from tests.support.kafka_broker import Broker
from tests.support.load import LONG
from tests.support.node import WIGWAG, clean_environment
from tests.support.processes import wait_until
from tests.support.redis_server import RedisServer
from tests.support.ua_cluster import PASSWORD
from tests.support.ua_plan import UaPlan, UaStatus
from wigwag.runtime.edge_recording import Disturbed
from wigwag.runtime.recording import Finished, Recorder, Started

PAIRS: Final = 36 if LONG else 12
RATE: Final = 50.0 if LONG else 15.0
"""Messages per second, each way."""
OUTCOME_SECONDS: Final = 300.0
_COMES_AGAIN_SECONDS: Final = 100.0 if LONG else 30.0
"""After a disturbance, until which something may come again because of it."""
PAUSE: Final = (0.5, 6.0) if LONG else (0.5, 2.0)
"""Seconds for which something is stopped."""
_BROKEN: Final = 3


def names(letter: str, count: int = PAIRS) -> list[str]:
    """Return names of users."""
    return [f"{letter}{number}" for number in range(count)]


class GatewayLoad:
    """The running processes.

    Args:
        cluster: What they talk through.
        directory: For their recordings.
        processes: Page-mode and session-mode users.
        redis: The store.
        broker: The bus.
        database: Where messages are.
        chance: Decides what is done when.
    """

    def __init__(
        self,
        cluster: GatewayCluster,
        directory: Path,
        processes: tuple[EndpointProcess, EndpointProcess],
        *,
        redis: RedisServer,
        broker: Broker,
        database: str,
        chance: random.Random,
    ) -> None:
        self.cluster = cluster
        self.processes = processes
        self._directory = directory
        self._redis, self._broker, self._database = redis, broker, database
        self._chance = chance
        self._recorder = Recorder(directory / "disturbances.recording.jsonl")
        self._recorder.write(Started(number=self._recorder.next_number(), time=time.time()))
        self.done: list[str] = []

    @property
    def statuses(self) -> list[UaStatus]:
        """What both processes said last."""
        return [cast(UaStatus, process.status) for process in self.processes]

    @property
    def sent(self) -> int:
        """Messages sent so far."""
        return sum(status.sent for status in self.statuses)

    def begin(self) -> None:
        """Let all talk."""
        for process in self.processes:
            process.wait_until_ready(60.0)
        for process in self.processes:
            process.tell("talk")

    def go_on(self, messages: float, seconds: float = 120.0) -> None:
        """Wait until so many more messages were sent."""
        wanted = self.sent + messages
        wait_until(lambda: self.sent >= wanted, seconds=seconds, what=f"{messages:g} more messages")

    def disturb(self) -> str:
        """Do something at a random moment, and wait until its victim is ready again; returns what."""
        time.sleep(self._chance.uniform(0.0, 0.5))
        what, act = self._choice()
        began = time.time()
        act()
        for pod in self.cluster.all_pods:
            pod.wait_until_ready()
        # Also what was done shortly before may make something come again: its time runs until all is well.
        until = time.time() + _COMES_AGAIN_SECONDS
        self._recorder.write(Disturbed(number=self._recorder.next_number(), time=until, began=began, what=what))
        self.done.append(what)
        return what

    def _choice(self) -> tuple[str, Callable[[], None]]:
        chance, cluster = self._chance, self.cluster
        pod = chance.choice([cluster.edge, *cluster.pods, *cluster.gateways, *cluster.gateways])
        acts: Mapping[str, tuple[float, Callable[[], None]]] = {
            f"kill {pod.name}": (5, lambda: self._kill(pod)),
            f"stop {pod.name}": (3, lambda: self._stop(pod.pause, pod.go_on)),
            "stop redis": (1, lambda: self._stop(self._redis.pause, self._redis.resume)),
            "kill redis": (1, lambda: self._redis.restart(empty=False)),
            "stop broker": (1, lambda: self._stop(self._broker.pause, self._broker.resume)),
            "kill broker": (1, self._kill_broker),
        }
        what = chance.choices(list(acts), [weight for weight, _ in acts.values()])[0]
        return what, acts[what][1]

    @staticmethod
    def _kill(pod: Pod) -> None:
        pod.kill()
        pod.start()

    def _kill_broker(self) -> None:
        self._broker.kill()
        self._broker.start()

    def _stop(self, stop: Callable[[], None], go_on: Callable[[], None]) -> None:
        seconds = self._chance.uniform(*PAUSE)
        stop()
        time.sleep(seconds)
        go_on()

    def finish(self) -> dict[str, int]:
        """Let traffic end, wait for all outcomes, and have the recordings judged; returns the verdict's counts.

        Raises:
            AssertionError: A promise was broken.
        """
        for process in self.processes:
            process.tell("quiet")
        archivist = GatewayArchivist(self._database, self._broker.bootstrap_servers)
        asyncio.run(archivist.wait_until_settled(OUTCOME_SECONDS))
        wait_until(
            lambda: all(status.unanswered == 0 for status in self.statuses),
            seconds=OUTCOME_SECONDS,
            what="outcome of every message",
        )
        for process in self.processes:
            process.finish()
        asyncio.run(archivist.write(self._directory / "archive.recording.jsonl"))
        self._recorder.write(Finished(number=self._recorder.next_number(), time=time.time()))
        self._recorder.close()
        return judged(sorted(self._directory.glob("*.recording.jsonl")))


def judged(files: list[Path]) -> dict[str, int]:
    """Run ``wigwag verify messages`` as an operator does; returns its counts.

    Raises:
        AssertionError: A promise was broken; the text is what the command printed.
    """
    ended = subprocess.run(
        [WIGWAG, "verify", "messages", "--json", "--endpoints", *map(str, files)],
        capture_output=True, text=True, timeout=300, check=False, env=clean_environment({}),
    )  # fmt: skip
    assert ended.returncode in (0, _BROKEN), ended.stderr
    found = json.loads(ended.stdout)
    violations = "\n".join(
        "\n    ".join([f"{one['kind']}: {one['text']}", *one["evidence"]]) for one in found["violations"][:15]
    )
    assert ended.returncode == 0, f"{len(found['violations'])} broken promises, {found['counts']}\n{violations}"
    counts: dict[str, int] = found["counts"]
    return counts


@contextmanager
def gateway_load(
    cluster: GatewayCluster,
    directory: Path,
    *,
    redis: RedisServer,
    broker: Broker,
    database: str,
    chance: random.Random,
) -> Iterator[GatewayLoad]:
    """Run users of both kinds until the block ends."""
    directory.mkdir()
    with ExitStack() as stack:
        pages, talks = (
            stack.enter_context(
                EndpointProcess(
                    _plan(cluster, name, letter, directory), module=f"tests.support.{name}", status=UaStatus
                )
            )
            for name, letter in (("page_users", "p"), ("talk_users", "c"))
        )
        load = GatewayLoad(
            cluster, directory, (pages, talks), redis=redis, broker=broker, database=database, chance=chance
        )
        try:
            yield load
        except BaseException as error:
            error.add_note("\n".join(load.done))
            for process in (pages, talks):
                error.add_note(f"--- {process.plan.name}\n" + "\n".join(process.log.read_text().splitlines()[-15:]))
            raise


def _plan(cluster: GatewayCluster, name: str, letter: str, directory: Path) -> UaPlan:
    return UaPlan(
        name=name, directory=str(directory), clients=tuple(names(letter)), rate=RATE, domain=DOMAIN,
        sip_port=cluster.sip_port, msrp_port=cluster.msrp_port, ca_file=cluster.authority.ca_file,
        password=PASSWORD, targets=(), application="",
    )  # fmt: skip
