"""What all pods of the SIP edge share is taken away and comes back: known users stay reachable, and all recovers."""

from pathlib import Path

from tests.support.device_load import EdgePods, device_load
from tests.support.kafka_broker import Broker
from tests.support.load import LONG, RATE
from tests.support.redis_server import RedisServer

OUTAGE = 20.0 if LONG else 5.0
"""Seconds."""


def other_than_delivered(counts: dict[str, int]) -> dict[str, int]:
    """Return how often requests ended otherwise than with 200."""
    endings = ("MESSAGE ", "INFO ", "INVITE ", "BYE ")
    return {what: count for what, count in counts.items() if what.startswith(endings) and "200" not in what}


def test_redis_goes_and_comes_back_empty_and_known_users_stay_reachable(
    edge: EdgePods, redis: RedisServer, tmp_path: Path
) -> None:
    with device_load(edge, tmp_path / "load") as load:
        # So long that every pod knows every user that anybody writes to through it.
        load.go_on((12 if LONG else 6) * RATE, seconds=120)
        redis.stop()
        load.go_on_for(OUTAGE)
        load.use_every_dialog()
        redis.restart(empty=True)
        load.go_on_for(OUTAGE)
        counts = load.finish(f"Redis away for {OUTAGE:g} s, then empty")
    assert other_than_delivered(counts) == {}


def test_registrations_are_written_again_into_empty_redis(edge: EdgePods, redis: RedisServer, tmp_path: Path) -> None:
    """A pod that starts afterwards knows nothing but what stands there."""
    with device_load(edge, tmp_path / "load") as load:
        load.go_on(RATE)
        redis.restart(empty=True)
        load.go_on_for(OUTAGE)
        victim = edge.cluster.pods[0]
        load.kill(victim)
        victim.start()
        victim.wait_until_ready()
        load.use_every_dialog()
        load.go_on(2 * RATE)
        # Between devices on UDP all was delivered, which the verifier holds.
        load.finish("Redis emptied, then a kill")


def test_kafka_goes_and_comes_back_and_traffic_does_not_care(edge: EdgePods, kafka: Broker, tmp_path: Path) -> None:
    with device_load(edge, tmp_path / "load") as load:
        load.go_on(RATE)
        kafka.kill()
        load.go_on_for(OUTAGE)
        load.use_every_dialog()
        kafka.start()
        load.go_on_for(OUTAGE)
        counts = load.finish(f"Kafka away for {OUTAGE:g} s")
    assert other_than_delivered(counts) == {}
