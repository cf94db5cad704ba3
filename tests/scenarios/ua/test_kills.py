"""Pods of the user agent are killed under load, and one is paused: no message is lost, doubled, or told twice."""

from pathlib import Path

from tests.scenarios.ua.conftest import Agents
from tests.support.load import LONG
from tests.support.ua_load import RATE, SESSIONS, ua_load

KILLS = 20 if LONG else 2


def test_no_promise_is_broken_by_kills_and_a_pause(agents: Agents, tmp_path: Path) -> None:
    load_in = tmp_path / "load"
    with ua_load(agents.cluster, load_in, database=agents.database, kafka=agents.kafka) as load:
        load.set_up()
        load.kill_again_and_again(KILLS)
        load.go_on(RATE)
        load.pause(agents.cluster.pods[0])
        load.go_on(RATE)
        counts = load.finish()
    assert counts["disturbances"] == KILLS + 1
    assert counts["sessions"] == SESSIONS
    assert not agents.cluster.errors()
