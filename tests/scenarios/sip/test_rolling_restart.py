"""Every pod of the SIP edge is told to end and started again, one after the other, under load."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import running
from tests.support.device_load import DIALOGS, EdgePods, device_load
from tests.support.load import LONG, RATE
from tests.support.redis_server import RedisServer

GRACE = 20.0 if LONG else 4.0


@pytest.fixture
def draining_edge(redis: RedisServer, tmp_path: Path) -> Iterator[EdgePods]:
    pods = EdgePods(tmp_path, redis_url=redis.url, node={"shutdown_grace": GRACE})
    with running(pods.cluster):
        yield pods


def test_a_rolling_restart_breaks_no_promise_and_dialogs_stay_usable(draining_edge: EdgePods, tmp_path: Path) -> None:
    with device_load(draining_edge, tmp_path / "load") as load:
        for pod in draining_edge.cluster.pods:
            load.go_on(RATE)
            with load.disturbing(f"{pod.name} told to end"):
                pod.terminate()
                assert pod.wait_until_ended() == 0
            pod.start()
            pod.wait_until_ready()
            load.use_every_dialog()
        load.go_on(RATE)
        counts = load.finish("rolling restart")
    assert counts["flows lost"] > 0
    assert counts["BYE answered 200"] == DIALOGS
