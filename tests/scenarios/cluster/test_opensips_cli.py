"""What the deck shows, at a pod of a cluster under load: ``opensips-cli -x mi sr_list_reports``."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.test_opensips_cli import opensips_cli
from tests.support.cluster import Cluster, Pod, running
from tests.support.load import RATE, load
from tests.support.redis_server import running_redis

GROUPS = {"cluster", "core", "listeners", "relay", "routes", "store", "tcp_mgm"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three pods for all tests here, which only look at them."""
    with running_redis() as redis, running(Cluster(tmp_path_factory.mktemp("pods"), 3, redis_url=redis.url)) as pods:
        yield pods


def printed(pod: Pod, *words: str) -> str:
    done = opensips_cli(f"{pod.url}/mi", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    print(f"\n$ opensips-cli -x mi {' '.join(words)}\n{done.stdout}")
    return done.stdout


@pytest.mark.parametrize("command", ["sr_list_reports", "status_report:reports"])
def test_reports_of_a_running_pod_are_printed_as_in_the_deck(cluster: Cluster, command: str, tmp_path: Path) -> None:
    pod = cluster.pods[0]
    with load(cluster, tmp_path / "load", count=20) as traffic:
        traffic.go_on(RATE)
        tcp_mgm, *others = json.loads(printed(pod, command, "tcp_mgm"))
        everything = json.loads(printed(pod, command))
        traffic.finish("reports asked for")
    assert list(tcp_mgm) == ["Name", "Reports"]
    first, last = (report["Log"] for report in tcp_mgm["Reports"])
    assert (first, last) == ("loading TCP profiles", "0 TCP profiles loaded (0 discarded)")
    for report in tcp_mgm["Reports"]:
        assert list(report)[:3] == ["Timestamp", "Date", "Log"]
        assert report["Date"] == time.ctime(report["Timestamp"])
    # The pod that answers comes first; what the others tell says whose it is.
    assert len({other["Pod"] for other in others}) == len(cluster.pods) - 1
    assert {group["Name"] for group in everything} >= GROUPS
