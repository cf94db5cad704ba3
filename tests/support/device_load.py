"""Load of a scenario of the SIP edge: pods that share ports, two processes of devices that talk through them."""

import json
import random
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

from tests.support.cluster import DOMAIN, HOST, NAME, Cluster, Pod, quiet_port, tracebacks
from tests.support.device_plan import DevicesPlan, Server, device_pairs
from tests.support.devices import DevicesStatus
from tests.support.endpoint_process import EndpointProcess
from tests.support.load import LONG, RATE
from tests.support.node import WIGWAG, clean_environment
from tests.support.processes import wait_until
from wigwag.runtime.edge_recording import Disturbed
from wigwag.runtime.recording import Finished, Recorder, Started

PAIRS = 90 if LONG else 18
DIALOGS = 50 if LONG else 12
PASSWORD = "secret"
SEED = 20
OUTCOME_SECONDS = 45.0
"""Seconds in which every request has its outcome: Timer F, and some for a busy machine."""
_BROKEN = 3


class EdgePods:
    """Pods that are one SIP edge, all on the same ports.

    Args:
        directory: For everything they write.
        redis_url: The store.
        kafka: Bootstrap servers of the bus; None: none.
        pods: How many.
        pairs: Of users.
        node: Settings of the process.
        sip: More settings of SIP.
    """

    def __init__(
        self,
        directory: Path,
        *,
        redis_url: str,
        kafka: str | None = None,
        pods: int = 3,
        pairs: int = PAIRS,
        node: Mapping[str, Any] | None = None,
        sip: Mapping[str, Any] | None = None,
    ) -> None:
        shared = quiet_port()
        self.ports = {"UDP": shared, "TCP": shared, "TLS": quiet_port()}
        self.left, self.right = device_pairs(pairs, min(DIALOGS, pairs))
        users = [
            {"username": device.name, "domain": DOMAIN, "password": PASSWORD} for device in (*self.left, *self.right)
        ]
        certificate = tuple(str(directory / f"relay.{end}") for end in ("crt", "key"))
        common = {"host": HOST, "advertised_host": NAME, "certificates": [certificate]}
        listeners = [
            {**common, "name": kind.lower(), "kind": kind.lower(), "port": port} for kind, port in self.ports.items()
        ]
        self.cluster = Cluster(
            directory, pods, redis_url=redis_url, kafka=kafka, node=node, workers=True,
            # Where more runs than there are processors a pod may get its turn late: that is no overload of the edge ...
            relay={
                "domains": [DOMAIN],
                "sip": {"listeners": listeners, "overload": {"target_delay": 4.0}, **(sip or {})},
            },
            # ... and no outage of Redis.
            sections=cast("dict[str, dict[str, Any]]", {"users": users, "redis": {"timeout": 10.0}}),
        )  # fmt: skip

    def server(self) -> Server:
        """Return the edge as devices are told of it."""
        return Server(
            host=HOST, ports=self.ports, name=NAME, ca_file=self.cluster.authority.ca_file, domain=DOMAIN,
            password=PASSWORD,
        )  # fmt: skip


class DeviceLoad:
    """The running processes of devices.

    Args:
        edge: What they talk through.
        processes: Left and right.
        disturbances: Where is recorded what is done to the edge.
    """

    def __init__(self, edge: EdgePods, processes: list[EndpointProcess], disturbances: Path) -> None:
        self.edge = edge
        self.processes = processes
        self._disturbances = disturbances
        self._chance = random.Random(SEED)
        self._recorder = Recorder(disturbances)
        self._recorder.write(Started(number=self._recorder.next_number(), time=time.time()))

    @property
    def statuses(self) -> list[DevicesStatus]:
        """What the processes said last."""
        return [cast(DevicesStatus, process.status) for process in self.processes]

    @property
    def sent(self) -> int:
        """MESSAGEs sent so far."""
        return sum(status.sent for status in self.statuses)

    def tell(self, command: str) -> None:
        """Give all processes a command."""
        for process in self.processes:
            process.tell(command)

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        """Wait until every device is registered."""
        for process in self.processes:
            process.wait_until_ready(seconds)

    def set_dialogs_up(self) -> None:
        """Let callers call."""
        wanted = 2 * sum(device.dialog == "calls" for device in self.edge.left)
        self.tell("call")
        wait_until(
            lambda: sum(status.dialogs for status in self.statuses) == wanted, seconds=60.0, what=f"{wanted} dialogs"
        )

    def go_on(self, messages: float, seconds: float = 60.0) -> None:
        """Wait until so many more MESSAGEs were sent."""
        wanted = self.sent + messages
        wait_until(lambda: self.sent >= wanted, seconds=seconds, what=f"{messages:g} more messages")

    def go_on_for(self, seconds: float) -> None:
        """Let traffic go on for some time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.go_on(RATE / 10)

    @contextmanager
    def disturbing(self, what: str) -> Iterator[None]:
        """Record that something is done to the edge from now until the block ends."""
        began = time.time()
        yield
        number = self._recorder.next_number()
        self._recorder.write(Disturbed(number=number, time=time.time(), began=began, what=what))

    def kill(self, pod: Pod) -> None:
        """Kill a pod."""
        with self.disturbing(f"{pod.name} killed"):
            pod.kill()

    def kill_again_and_again(self, kills: int) -> None:
        """Kill pods at random moments; the next one only when the last is ready again."""
        chance = self._chance
        for _ in range(kills):
            self.go_on(chance.uniform(0.2, 3.0) * RATE)
            victim = chance.choice(self.edge.cluster.pods)
            self.kill(victim)
            victim.start()
            victim.wait_until_ready()

    def use_every_dialog(self, seconds: float = 40.0) -> None:
        """Let each dialog carry an INFO both ways, once everybody is registered; wait until all did."""
        self.wait_until_ready()
        self.tell("round")
        wait_until(
            lambda: not any(status.round_left for status in self.statuses), seconds=seconds, what="INFO in all dialogs"
        )

    def finish(self, name: str) -> dict[str, int]:
        """Stop, end the dialogs, judge, and print what was counted.

        Raises:
            AssertionError: A promise was broken, or a pod met an error that nobody expected.
        """
        self.tell("quiet")
        self._wait_until_answered()
        self.tell("bye")
        wait_until(lambda: not any(status.dialogs for status in self.statuses), seconds=OUTCOME_SECONDS, what="all BYE")
        self._wait_until_answered()
        failures = sum(status.round_failures for status in self.statuses)
        for process in self.processes:
            process.finish()
        self._recorder.write(Finished(number=self._recorder.next_number(), time=time.time()))
        self._recorder.close()
        counts = judged([*(process.plan.recording for process in self.processes), self._disturbances])
        counts["INFOs tried again in rounds"] = failures
        unexpected = tracebacks(self.edge.cluster)
        assert not unexpected, "\n".join(unexpected[:20])
        print(f"\n{name}: {json.dumps({what: count for what, count in counts.items() if count})}")
        return counts

    def _wait_until_answered(self) -> None:
        wait_until(
            lambda: not any(status.unanswered for status in self.statuses), seconds=OUTCOME_SECONDS, what="outcomes"
        )


@contextmanager
def device_load(edge: EdgePods, directory: Path, *, rate: float = RATE, **plan: Any) -> Iterator[DeviceLoad]:
    """Let pairs of devices talk until the block ends; it begins when all are registered and have their dialogs.

    Args:
        edge: Through what.
        directory: For recordings.
        rate: MESSAGEs per second of all devices.
        plan: Members of `DevicesPlan` that differ from the usual.
    """
    directory.mkdir()
    with ExitStack() as stack:
        processes = []
        for name, devices in (("left", edge.left), ("right", edge.right)):
            one = DevicesPlan(
                name=name, directory=str(directory), server=edge.server(), clients=tuple(devices), rate=rate / 2, **plan
            )
            process = EndpointProcess(one, module="tests.support.devices", status=DevicesStatus)
            processes.append(stack.enter_context(process))
        load = DeviceLoad(edge, processes, directory / "disturbances.recording.jsonl")
        load.wait_until_ready()
        load.set_dialogs_up()
        load.tell("talk")
        load.use_every_dialog()
        yield load


def judged(recordings: list[Path]) -> dict[str, int]:
    """Run ``wigwag verify edge`` as an operator does; returns its counts.

    Raises:
        AssertionError: A promise was broken; the text is what the command printed.
    """
    ended = subprocess.run(
        [WIGWAG, "verify", "edge", "--json", "--endpoints", *map(str, recordings)],
        capture_output=True, text=True, timeout=120, check=False, env=clean_environment({}),
    )  # fmt: skip
    assert ended.returncode in (0, _BROKEN), ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    violations = "\n".join(
        "\n    ".join([f"{one['kind']}: {one['text']}", *one["evidence"]]) for one in found["violations"][:20]
    )
    assert ended.returncode == 0, f"{len(found['violations'])} broken promises, {found['counts']}\n{violations}"
    counts: dict[str, int] = found["counts"]
    return counts
