"""The key that all pods sign with is changed while they run: nothing is refused, and no session ends."""

import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.cluster import Cluster, Pod, log_events
from tests.support.load import LONG, RATE, load
from tests.support.node import json_of, wigwag
from tests.support.processes import wait_until
from wigwag.runtime.recording import Opened, Recording

ROTATIONS = 3 if LONG else 1
NOTICE = 10
"""Seconds between a new key and its first signature: twice as long as a pod takes to read the file again."""
OLD = "A"
"""The key that a cluster begins with."""
COUNT = 30
_KEY_ID = re.compile(r"msrp://relay\.test:2855/(.)")


def command(pod: Pod, *words: str) -> Any:
    return json_of(wigwag(*words, "--config", str(pod.directory / "wigwag.toml"), "--json", environment={}))


def signing_key(pod: Pod) -> str:
    (found,) = (row["id"] for row in command(pod, "keys", "list") if row["signs_now"])
    return str(found)


def rotate(pod: Pod) -> None:
    config = str(pod.directory / "wigwag.toml")
    done = wigwag("keys", "rotate", "--in", str(NOTICE), "--config", config, environment={})
    assert done.returncode == 0, done.stderr


def signs_at(pod: Pod) -> str:
    """Return the key that a running pod signs with, as its log says."""
    said = log_events(pod, "signing keys are in force")
    return str(said[-1]["ids"][0]) if said else OLD


def key_ids(recordings: list[Recording]) -> Counter[str]:
    """Count connections by the key that signed the URI which the relay gave them."""
    records = (record for recording in recordings for record in recording.records)
    found = (_KEY_ID.match(record.path) for record in records if isinstance(record, Opened))
    return Counter(match[1] for match in found if match)


def next_key(cluster: Cluster, key: str) -> str:
    """Wait until every pod signs with another key than this; returns it."""
    began = time.monotonic()
    wait_until(lambda: all(signs_at(pod) != key for pod in cluster.pods), seconds=3 * NOTICE, what="other key")
    (found,) = {signs_at(pod) for pod in cluster.pods} | {signing_key(cluster.pods[0])}
    print(f"\nall pods sign with key {found} {time.monotonic() - began:.1f} s after it was made")
    return found


def test_nothing_is_refused_while_keys_change_and_old_uris_go_on(cluster: Cluster, tmp_path: Path) -> None:
    with load(cluster, tmp_path / "load", count=COUNT, jitter=0.1) as traffic:
        key = OLD
        for number in range(ROTATIONS):
            rotate(cluster.pods[number])
            key = next_key(cluster, key)
            with load(cluster, tmp_path / f"new{number}", count=COUNT, rate=RATE / 2) as new:
                new.go_on(RATE / 2)
                assert set(key_ids(new.recordings())) == {key}
                # URIs of the old key are granted again, by other pods too.
                for process in traffic.processes:
                    process.tell(f"move {COUNT // 2} gently")
                traffic.wait_until_ready()
                traffic.go_on(RATE)
                new_counts = new.finish(f"clients that came after rotation {number + 1}")
            assert new_counts["delivered"] == new_counts["sent"]
        counts = traffic.finish(f"{ROTATIONS} rotations")
        assert set(key_ids(traffic.recordings())) == {OLD}
    assert counts["delivered"] == counts["sent"]
    assert counts["connections left"] == ROTATIONS * 2 * (COUNT // 2)
    assert counts["connections lost"] == counts["clients set up again"] == 0


def test_each_pod_lists_the_sessions_of_all(cluster: Cluster, tmp_path: Path) -> None:
    with load(cluster, tmp_path / "load", count=COUNT) as traffic:
        for pod in cluster.pods:
            rows = command(pod, "relay", "sessions", "list")
            assert len(rows) == len({row["id"] for row in rows}) == 2 * COUNT
            assert len({row["pod"] for row in rows}) == len(cluster.pods)
            assert {row["state"] for row in rows} == {"active"}
        traffic.finish("sessions listed")
