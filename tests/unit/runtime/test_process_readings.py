import os
from itertools import pairwise

from tests.support.waiting import until
from wigwag.runtime.process_readings import LagWindow, ProcessReadings, open_descriptors


def by_name(process: ProcessReadings) -> dict[str, float]:
    return {reading.metric.name: reading.value for reading in process.readings()}


def test_a_delay_is_seen_for_at_least_a_window_and_at_most_two() -> None:
    window = LagWindow(100.0, 10.0)
    window.add(0.5, 109.0)
    window.add(0.1, 115.0)
    assert window.longest == 0.5
    window.add(0.1, 119.5)
    assert window.longest == 0.5
    window.add(0.2, 125.0)
    assert window.longest == 0.2


def test_after_a_pause_nothing_old_is_left() -> None:
    window = LagWindow(100.0, 10.0)
    window.add(0.5, 109.0)
    window.add(0.1, 500.0)
    assert (window.longest, window.mean) == (0.1, 0.1)


def test_the_mean_is_over_all_delays_known() -> None:
    window = LagWindow(0.0, 10.0)
    assert window.mean == 0
    for lag, now in ((0.1, 1.0), (0.3, 2.0), (0.2, 12.0)):
        window.add(lag, now)
    assert round(window.mean, 6) == 0.2


async def test_a_blocked_event_loop_is_seen() -> None:
    now = 0.0
    process = ProcessReadings(lambda: now)
    process.start()
    now = 1.5
    await until(lambda: by_name(process)["wigwag.node.loop_lag.max"])
    process.stop()
    assert by_name(process)["wigwag.node.loop_lag.max"] == 1.25
    assert by_name(process)["wigwag.node.uptime"] == 1.5


async def test_memory_processor_and_descriptors_are_those_of_the_process() -> None:
    found = by_name(ProcessReadings())
    assert found["wigwag.node.memory"] > 10_000_000
    assert found["wigwag.node.cpu_time"] > 0
    assert 0 < found["wigwag.node.descriptors"] < found["wigwag.node.descriptors.limit"]


def test_an_opened_file_is_counted() -> None:
    counts = [open_descriptors()]
    files = []
    for _ in range(3):
        files.append(os.open(os.devnull, os.O_RDONLY))
        counts.append(open_descriptors())
    for file in files:
        os.close(file)
    assert [later - earlier for earlier, later in pairwise(counts)] == [1, 1, 1]
