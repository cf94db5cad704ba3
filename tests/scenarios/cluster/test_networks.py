"""Networks that delay, cut and swallow, between pods and between pods and Redis; pods that stand still."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.cluster import HOST, Cluster, quiet_port, running
from tests.support.load import LONG, RATE, load
from tests.support.redis_server import RedisServer
from tests.support.tcp_proxy import Faults, TcpProxy, tcp_proxy

PODS = 3
LEASE = 3.0
"""Seconds without a sign of life after which a pod counts as dead."""
SPAN = 15.0 if LONG else 4.0
"""Seconds for which a fault lasts: longer than the lease."""
BLACKHOLE = Faults(blackhole=True)


@dataclass(frozen=True)
class Networks:
    """A cluster whose connections can be broken.

    Args:
        cluster: Its pods.
        links: What connections to each pod from others go through.
        stores: What each pod's connections to Redis go through.
    """

    cluster: Cluster
    links: list[TcpProxy]
    stores: list[TcpProxy]


@pytest.fixture
def networks(redis: RedisServer, tmp_path: Path) -> Iterator[Networks]:
    with ExitStack() as stack:
        ports = [quiet_port() for _ in range(PODS)]
        links = [stack.enter_context(tcp_proxy((HOST, port))) for port in ports]
        stores = [stack.enter_context(tcp_proxy((HOST, redis.port))) for _ in range(PODS)]
        pods = Cluster(
            tmp_path,
            PODS,
            redis_url=[f"redis://{HOST}:{proxy.port}" for proxy in stores],
            link_ports=ports,
            link_addresses=[proxy.address for proxy in links],
        )
        yield Networks(stack.enter_context(running(pods)), links, stores)


Break = Callable[[TcpProxy], None]
BREAKS: dict[str, Break] = {
    "delays": lambda proxy: proxy.set(Faults(delay=0.3)),
    "throttles": lambda proxy: proxy.set(Faults(bytes_per_second=20_000)),
    "cuts": lambda proxy: proxy.cut(),
    "cuts and refuses": lambda proxy: proxy.cut(refuse=True),
    "swallows": lambda proxy: proxy.set(BLACKHOLE),
    "swallows what is said": lambda proxy: proxy.set(BLACKHOLE, downstream=False),
    "swallows what is answered": lambda proxy: proxy.set(BLACKHOLE, upstream=False),
}
"""Each is healed afterwards."""
ALL_IN_A_ROW = [("delays", "cuts", "swallows what is answered")]
ONE_BY_ONE = [(name,) for name in BREAKS]


@pytest.mark.parametrize("names", ONE_BY_ONE if LONG else ALL_IN_A_ROW, ids=", ".join)
def test_a_network_between_pods_breaks_no_promise(networks: Networks, names: tuple[str, ...], tmp_path: Path) -> None:
    with load(networks.cluster, tmp_path / "load") as traffic:
        traffic.go_on(RATE)
        assert sum(proxy.accepted for proxy in networks.links) > 0
        for name in names:
            for proxy in networks.links if LONG else networks.links[:1]:
                BREAKS[name](proxy)
                traffic.go_on_until(SPAN)
                proxy.heal()
                traffic.go_on(RATE)
        traffic.wait_until_ready()
        counts = traffic.finish(f"between pods: {', '.join(names)}")
    assert counts["clients set up again"] == counts["connections given up"] == counts["connections lost"] == 0
    if names in (("delays",), ("throttles",)):
        assert counts["delivered"] == counts["sent"]


@pytest.mark.parametrize("names", ONE_BY_ONE if LONG else ALL_IN_A_ROW, ids=", ".join)
def test_a_network_to_redis_does_not_touch_traffic(networks: Networks, names: tuple[str, ...], tmp_path: Path) -> None:
    with load(networks.cluster, tmp_path / "load") as traffic:
        traffic.go_on(RATE)
        for name in names:
            for proxy in networks.stores[:2] if LONG else networks.stores[:1]:
                BREAKS[name](proxy)
                traffic.go_on_until(SPAN, lambda: all(pod.is_ready() for pod in networks.cluster.pods))
                proxy.heal()
                traffic.go_on(RATE)
        traffic.wait_until_ready()
        counts = traffic.finish(f"to Redis: {', '.join(names)}")
    assert counts["clients set up again"] == 0
    assert counts["delivered"] == counts["sent"]


def test_a_pod_that_stood_still_for_three_leases_does_nothing_with_what_is_not_its_own(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Its clients go elsewhere meanwhile: nothing must reach them twice or out of turn because it comes back."""
    paused = cluster.pods[0]
    with load(cluster, tmp_path / "load", answer_timeout=LEASE) as traffic:
        for _ in range(3 if LONG else 1):
            traffic.go_on(RATE)
            paused.pause()
            traffic.go_on_until(3 * LEASE)
            paused.go_on()
            traffic.wait_until_ready()
            traffic.go_on(RATE)
        counts = traffic.finish("paused for three leases, clients go elsewhere")
    assert counts["clients set up again"] == 0
    assert counts["connections left"] > 0


def test_a_pod_that_stood_still_while_its_clients_waited_breaks_no_promise(cluster: Cluster, tmp_path: Path) -> None:
    paused = cluster.pods[0]
    with load(cluster, tmp_path / "load") as traffic:
        traffic.go_on(RATE)
        paused.pause()
        traffic.go_on_until(3 * LEASE)
        paused.go_on()
        traffic.wait_until_ready()
        traffic.go_on(RATE)
        counts = traffic.finish("paused for three leases, clients wait")
    assert counts["clients set up again"] == counts["connections given up"] == 0
