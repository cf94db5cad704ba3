"""Load of a scenario of the user agent: SIP users and an application that chat through pods that are killed."""

import asyncio
import json
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast

import httpx

from tests.support.cluster import DOMAIN
from tests.support.endpoint_process import EndpointProcess
from tests.support.load import LONG
from tests.support.node import WIGWAG, clean_environment
from tests.support.processes import wait_until
from tests.support.ua_archive import Archivist
from tests.support.ua_cluster import APPLICATION, LEASE, PASSWORD, UaCluster, UaPod
from tests.support.ua_plan import UaPlan, UaStatus
from wigwag.runtime.edge_recording import Disturbed
from wigwag.runtime.recording import Finished, Recorder, Started
from wigwag.runtime.ua_recording import SessionStarted, read_ua_recording

SESSIONS = 300 if LONG else 20
RATE = 150.0 if LONG else 40.0
"""Messages per second, each way."""
OUTCOME_SECONDS = 120.0
SEED = 5
_BROKEN = 3


def user_names(count: int) -> list[str]:
    """Return names of SIP users."""
    return [f"user{number}" for number in range(count)]


def plan_of(cluster: UaCluster, name: str, directory: Path, sessions: int = SESSIONS) -> UaPlan:
    """Return the plan of a process."""
    return UaPlan(
        name=name, directory=str(directory), clients=tuple(user_names(sessions)), rate=RATE, domain=DOMAIN,
        sip_port=cluster.sip_port, msrp_port=cluster.msrp_port, ca_file=cluster.authority.ca_file,
        password=PASSWORD, targets=tuple(pod.target for pod in cluster.pods), application=APPLICATION,
    )  # fmt: skip


class UaLoad:
    """The running processes.

    Args:
        cluster: What they talk through.
        directory: For their recordings.
        users: SIP users.
        callers: The application.
        database: Where messages are.
        kafka: Bootstrap servers of the bus.
    """

    def __init__(
        self,
        cluster: UaCluster,
        directory: Path,
        users: EndpointProcess,
        callers: EndpointProcess,
        *,
        database: str,
        kafka: str,
    ) -> None:
        self.cluster = cluster
        self.users, self.callers = users, callers
        self._directory = directory
        self._database, self._kafka = database, kafka
        self._chance = random.Random(SEED)
        self.taken_over = 0
        """Sessions that pods had when they were killed or paused."""
        self._recorder = Recorder(directory / "disturbances.recording.jsonl")
        self._recorder.write(Started(number=self._recorder.next_number(), time=time.time()))

    @property
    def statuses(self) -> tuple[UaStatus, UaStatus]:
        """What users and callers said last."""
        return cast(UaStatus, self.users.status), cast(UaStatus, self.callers.status)

    def tell(self, command: str) -> None:
        """Give both processes a command."""
        self.users.tell(command)
        self.callers.tell(command)

    def set_up(self, seconds: float = 120.0) -> None:
        """Let the application call every user, and both talk."""
        self.users.wait_until_ready(seconds)
        self.callers.tell("call")
        count = len(self.users.plan.clients)
        wait_until(
            lambda: all(status.open == count for status in self.statuses), seconds=seconds, what=f"{count} sessions"
        )
        self.tell("talk")

    def go_on(self, messages: float, seconds: float = 120.0) -> None:
        """Wait until so many more messages were sent each way."""
        wanted = [status.sent + messages for status in self.statuses]
        wait_until(
            lambda: all(status.sent >= most for status, most in zip(self.statuses, wanted, strict=True)),
            seconds=seconds,
            what=f"{messages:g} more messages each way",
        )

    def owned(self, pod: UaPod) -> int:
        """Return how many sessions a pod owns."""
        try:
            return int(pod.ask("/readyz")["services"]["ua"]["sessions"])
        except httpx.HTTPError:
            # It is busy, or not there yet.
            return 0

    def wait_until_taken(self, seconds: float = 120.0) -> None:
        """Wait until every session has an owner that runs."""
        wanted = len(self.users.plan.clients)
        wait_until(
            lambda: sum(map(self.owned, self.cluster.pods)) == wanted, seconds=seconds, what=f"{wanted} owned sessions"
        )

    def disturb(self, what: str, act: Callable[[], None]) -> None:
        """Do something to a pod, and record when."""
        began = time.time()
        act()
        self._recorder.write(Disturbed(number=self._recorder.next_number(), time=time.time(), began=began, what=what))

    def kill_again_and_again(self, times: int) -> None:
        """Kill pods in turn at random moments, the next only after the last is ready, and no session waits."""
        for number in range(times):
            pod = self.cluster.pods[number % len(self.cluster.pods)]
            self.go_on(self._chance.uniform(0.3, 1.0) * RATE)
            self.taken_over += self.owned(pod)
            self.disturb(f"kill {pod.name}", pod.kill)
            pod.start()
            pod.wait_until_ready()
            self.wait_until_taken()

    def pause(self, pod: UaPod, seconds: float = 3 * LEASE) -> None:
        """Let a pod do nothing for so long, while the others go on."""

        def asleep() -> None:
            pod.pause()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                self.go_on(1)
                time.sleep(0.2)
            pod.go_on()

        self.taken_over += self.owned(pod)
        self.disturb(f"pause {pod.name}", asleep)
        self.wait_until_taken()

    def finish(self) -> dict[str, int]:
        """Let traffic end, wait for all outcomes, and have the recordings judged; returns the verdict's counts.

        Raises:
            AssertionError: A promise was broken.
        """
        self.tell("quiet")
        wait_until(
            lambda: all(status.unanswered == 0 for status in self.statuses),
            seconds=OUTCOME_SECONDS,
            what="outcome of every message",
        )
        records = read_ua_recording(self.callers.plan.recording).records
        sessions = [record.session for record in records if isinstance(record, SessionStarted)]
        archivist = Archivist(self._database, self._kafka, sessions)
        asyncio.run(archivist.wait_until_settled(OUTCOME_SECONDS))
        self.callers.finish()
        self.users.finish()
        asyncio.run(archivist.write(self._directory / "archive.recording.jsonl"))
        self._recorder.write(Finished(number=self._recorder.next_number(), time=time.time()))
        self._recorder.close()
        return judged(sorted(self._directory.glob("*.recording.jsonl")))


def judged(files: list[Path]) -> dict[str, int]:
    """Run ``wigwag verify ua`` as an operator does; returns its counts.

    Raises:
        AssertionError: A promise was broken; the text is what the command printed.
    """
    ended = subprocess.run(
        [WIGWAG, "verify", "ua", "--json", "--endpoints", *map(str, files)],
        capture_output=True, text=True, timeout=120, check=False, env=clean_environment({}),
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
def ua_load(
    cluster: UaCluster, directory: Path, *, database: str, kafka: str, sessions: int = SESSIONS
) -> Iterator[UaLoad]:
    """Run users and callers until the block ends."""
    directory.mkdir()

    with ExitStack() as stack:
        users, callers = (
            stack.enter_context(EndpointProcess(plan, module=f"tests.support.ua_{plan.name}", status=UaStatus))
            for plan in (plan_of(cluster, name, directory, sessions) for name in ("users", "callers"))
        )
        load = UaLoad(cluster, directory, users, callers, database=database, kafka=kafka)
        try:
            yield load
        except BaseException as error:
            for process in (users, callers):
                error.add_note(f"--- {process.plan.name}\n" + "\n".join(process.log.read_text().splitlines()[-15:]))
            raise
