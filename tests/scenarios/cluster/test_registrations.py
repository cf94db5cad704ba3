"""SIP registrations outlive pods and the store; what a dead pod's connections held does not."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.admin_client import ADMIN
from tests.support.cluster import DOMAIN, NAME, PASSWORD, USERNAME, Cluster, Pod, running
from tests.support.redis_server import RedisServer
from tests.support.sip_client import DatagramSipClient, LiveSipClient
from tests.support.waiting import until

SIP = {
    "listeners": [
        {"name": kind, "kind": kind, "advertised_host": NAME, "advertised_port": 5060} for kind in ("udp", "tcp")
    ],
    "domains": [DOMAIN],
}


@pytest.fixture
def cluster(redis: RedisServer, tmp_path: Path) -> Iterator[Cluster]:
    with running(Cluster(tmp_path, 2, redis_url=redis.url, relay={"sip": SIP})) as pods:
        yield pods


def client(pod: Pod) -> LiveSipClient:
    return LiveSipClient(pod.sip_ports["tcp"], f"{USERNAME}@{DOMAIN}", PASSWORD)


def contacts(pod: Pod) -> list[str]:
    """Return the contacts of everybody, as a pod tells them; empty while the store is away."""
    answer = ADMIN.get(f"{pod.url}/v1/registrations")
    found: dict[str, Any] = answer.json() if answer.is_success else {"registrations": []}
    return sorted(binding["contact"] for row in found["registrations"] for binding in row["bindings"])


async def test_binding_of_a_killed_pods_connection_is_let_go_by_another(cluster: Cluster) -> None:
    first, second = cluster.pods
    async with client(first) as lost, client(second) as stays:
        assert (await lost.register()).status == 200
        assert (await stays.register()).status == 200
        assert contacts(first) == contacts(second) == sorted([lost.contact, stays.contact])
        first.kill()
        await until(lambda: contacts(second) == [stays.contact], timeout=30.0)


async def test_client_of_a_killed_pod_registers_elsewhere_and_is_bound_once(cluster: Cluster) -> None:
    first, second = cluster.pods
    async with client(first) as device:
        assert (await device.register()).status == 200
        first.kill()
        await device.move(second.sip_ports["tcp"])
        assert (await device.register()).status == 200
        assert contacts(second) == [device.contact]


async def test_store_that_comes_back_empty_gets_registrations_back(cluster: Cluster, redis: RedisServer) -> None:
    first, second = cluster.pods
    async with client(first) as one, client(second) as other:
        assert (await one.register()).status == 200
        assert (await other.register()).status == 200
        expected = contacts(first)
        begun = time.monotonic()
        redis.restart(empty=True)
        await until(lambda: contacts(first) == expected, timeout=30.0)
        print(f"\nall registrations were back {time.monotonic() - begun:.1f} s after the store was started anew")


async def test_store_that_was_emptied_under_way_gets_registrations_back(cluster: Cluster, redis: RedisServer) -> None:
    first, _ = cluster.pods
    async with client(first) as one:
        assert (await one.register()).status == 200
        redis.admin().flushall()
        await until(lambda: contacts(first) == [one.contact], timeout=30.0)


def written(pod: Pod) -> int:
    """Return how many bindings a pod looks after."""
    (own,) = (found for found in pod.ask("/v1/status?group=registrations")["pods"] if found["own"])
    (said,) = (one["details"] for one in own["groups"][0]["identifiers"] if one["name"] == "main")
    return int(str(said).removeprefix("bindings of this pod: ").partition(",")[0])


async def test_udp_binding_outlives_the_pod_that_wrote_it_and_then_the_store(
    cluster: Cluster, redis: RedisServer
) -> None:
    async with DatagramSipClient(cluster.pods[0].sip_ports["udp"], f"{USERNAME}@{DOMAIN}", PASSWORD) as phone:
        assert (await phone.register()).status == 200
        # Any pod may have answered: the branch of the request decides.
        await until(lambda: sum(map(written, cluster.pods)) == 1)
        writer, other = sorted(cluster.pods, key=written, reverse=True)
        writer.kill()
        await until(lambda: written(other) == 1, timeout=30.0)
        redis.admin().flushall()
        await until(lambda: contacts(other) == [phone.contact], timeout=30.0)
