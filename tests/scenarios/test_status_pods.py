"""Status over all pods: what each shows of the others, and what the loss of the store does to it."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.live_relay import relay_settings
from tests.support.node import RelayNode, json_of, relay_node
from tests.support.processes import wait_until
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def pods(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RelayNode]]:
    settings = {**relay_settings(kinds=("tcp",)), "redis": {"url": redis.url}}
    with ExitStack() as stack:
        yield [stack.enter_context(relay_node(tmp_path_factory.mktemp("pod"), settings)) for _ in range(2)]


def seen_by(node: RelayNode) -> dict[str, dict[str, Any]]:
    """Return the pods that a pod sees, by id."""
    return {pod["pod"]: pod for pod in node.ask("GET", "/v1/status")["pods"]}


def own_id(node: RelayNode) -> str:
    return next(name for name, pod in seen_by(node).items() if pod["own"])


def store_status(node: RelayNode) -> dict[str, Any]:
    groups = {group["name"]: group for group in seen_by(node)[own_id(node)]["groups"]}
    found: dict[str, Any] = groups["store"]["identifiers"][0]
    return found


def sees(node: RelayNode, ids: set[str]) -> bool:
    return set(seen_by(node)) == ids


def misses_the_store(node: RelayNode) -> bool:
    return bool(store_status(node)["status"] == -1)


def test_each_pod_shows_the_other(pods: list[RelayNode]) -> None:
    ids = {own_id(node) for node in pods}
    assert len(ids) == 2
    for node in pods:
        wait_until(partial(sees, node, ids), seconds=15, what="other pod")
        other = next(pod for pod in seen_by(node).values() if not pod["own"])
        assert other["age"] < 30


def test_what_happens_at_one_pod_is_read_at_the_other(pods: list[RelayNode]) -> None:
    here, there = pods
    assert here.command("routes", "reload").returncode == 0

    def reports() -> list[str]:
        rows = json_of(there.command("status", "reports", "--group", "routes", "--pod", own_id(here), "--json"))
        return [row["text"] for row in rows]

    wait_until(lambda: reports().count("0 routes loaded") == 2, seconds=15, what="report of the other pod")


def test_a_pod_that_ends_in_good_order_is_forgotten_and_its_coming_and_going_told(
    redis: RedisServer, pods: list[RelayNode], tmp_path: Path
) -> None:
    here = pods[0]

    def told(name: str) -> list[str]:
        rows = json_of(here.command("status", "reports", "--group", "cluster", "--pod", own_id(here), "--json"))
        return [row["text"].removeprefix(name) for row in rows if row["text"].startswith(name)]

    with relay_node(tmp_path, {**relay_settings(kinds=("tcp",)), "redis": {"url": redis.url}}) as third:
        name = own_id(third)
        wait_until(lambda: told(name) == [" joined"], seconds=15, what="third pod")
        assert name in seen_by(here)
        third.process.terminate()
        assert third.process.wait(30) == 0
    wait_until(lambda: told(name) == [" joined", " is gone"], seconds=15, what="report of its end")
    assert name not in seen_by(here)


def test_without_the_store_pods_stay_ready_and_it_tells_the_story(redis: RedisServer, pods: list[RelayNode]) -> None:
    ids = {own_id(node) for node in pods}
    redis.stop()
    for node in pods:
        wait_until(partial(misses_the_store, node), seconds=20, what="store that is away")
        assert node.is_ready()
        assert set(seen_by(node)) == {own_id(node)}
        assert "can't be seen" in node.ask("GET", "/v1/status")["problem"]
        assert "can't be seen" in node.command("status").stderr
    redis.restart(empty=True)
    for node in pods:
        wait_until(partial(sees, node, ids), seconds=30, what="all pods again")
        assert store_status(node)["ready"]
        rows = json_of(node.command("status", "reports", "--group", "store", "--severity", "error", "--json"))
        assert rows
