"""What pods say of themselves while something goes wrong: readiness at every moment, and the story in their reports."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise

import httpx
import msgspec

from tests.support.cluster import Pod

SAMPLE_INTERVAL = 0.1
"""Seconds between two looks at a pod's readiness."""
_PATIENCE = 10.0
"""Seconds for an answer: a pod that is late is not unready."""


class Told(msgspec.Struct, frozen=True):
    """A report, as ``/v1/status/reports`` gives it."""

    number: int
    time: float
    severity: str
    text: str


class ReadinessWatch:
    """Asks one pod whether it is ready, again and again, in a thread of its own.

    Args:
        pod: Which.
    """

    def __init__(self, pod: Pod) -> None:
        self.samples = 0
        self.unready: list[str] = []
        """What was said instead."""
        self._pod = pod
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        with httpx.Client(trust_env=False, timeout=_PATIENCE) as client:
            while not self._over.wait(SAMPLE_INTERVAL):
                self._take_sample(client)

    def _take_sample(self, client: httpx.Client) -> None:
        self.samples += 1
        try:
            answer = client.get(f"{self._pod.url}/readyz")
        except (OSError, httpx.HTTPError) as error:
            self.unready.append(f"{self._pod.name}: {error!r}")
        else:
            if answer.status_code != httpx.codes.OK:
                self.unready.append(f"{self._pod.name}: {answer.status_code} {answer.text}")


@contextmanager
def ready_throughout(pods: Sequence[Pod]) -> Iterator[None]:
    """Hold that the pods are ready at every moment of the block.

    Raises:
        AssertionError: One was not, at some sample.
    """
    watches = [ReadinessWatch(pod) for pod in pods]
    with ExitStack() as stack:
        for watch in watches:
            watch.start()
            stack.callback(watch.stop)
        yield
    for watch in watches:
        assert watch.samples, "the block was over before the first look"
        assert not watch.unready, "\n".join(watch.unready[:20])


def is_group_ready(pod: Pod, group: str) -> bool:
    """Tell whether a pod says of itself that a group is ready."""
    (own,) = (found for found in pod.ask(f"/v1/status?group={group}")["pods"] if found["own"])
    (told,) = own["groups"]
    return bool(told["ready"])


def own_reports(pod: Pod, group: str, since: float = 0.0) -> list[Told]:
    """Return a pod's own reports about a group, oldest first, from a moment on (wall clock seconds)."""
    status = pod.ask(f"/v1/status?group={group}")
    own = next(found["pod"] for found in status["pods"] if found["own"])
    page = pod.ask(f"/v1/status/reports?group={group}&pod={own}&since={since}&limit=1000")
    return msgspec.convert(page["reports"], list[Told], strict=False)


def assert_outage_is_told(pod: Pod, group: str, since: float) -> None:
    """Hold that a pod's reports tell that a group went away, why, and that it came back, in this order.

    Raises:
        AssertionError: They tell another story.
    """
    story = own_reports(pod, group, since)
    assert all(one.number < other.number and one.time <= other.time for one, other in pairwise(story)), story
    assert [told.severity for told in story[:1]] == ["error"], f"{pod.name}: {group} did not go away: {story}"
    assert all(told.text for told in story), f"{pod.name}: no reason: {story}"
    assert story[-1].severity == "info", f"{pod.name}: {group} did not come back: {story}"
    assert is_group_ready(pod, group)
