"""Edge pods are killed under load, again and again: promise 2 holds, and dialogs stay usable."""

from pathlib import Path

from tests.support.device_load import DIALOGS, EdgePods, device_load
from tests.support.load import LONG, RATE

KILLS = 20 if LONG else 3


def test_no_promise_is_broken_by_kills_and_dialogs_stay_usable(edge: EdgePods, tmp_path: Path) -> None:
    with device_load(edge, tmp_path / "load") as load:
        for _ in range(4 if LONG else 1):
            load.kill_again_and_again(KILLS // 4 if LONG else KILLS)
            load.use_every_dialog()
        load.go_on(RATE)
        counts = load.finish(f"{KILLS} kills")
    assert counts["disturbances"] == KILLS
    assert counts["flows lost"] > 0
    assert counts["INVITE answered 200"] == counts["BYE answered 200"] == DIALOGS
