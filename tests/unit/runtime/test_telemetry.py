from collections.abc import Iterable

import pytest

from wigwag.errors import LocalProtocolError
from wigwag.runtime.telemetry import Instrument, Metric, Reading, Telemetry

CHUNKS = Metric("wigwag.test.chunks", "{chunk}", "Chunks")
DOORS = Metric("wigwag.test.doors", "{door}", "Doors", Instrument.GAUGE, ("state",))
LATE = Metric("wigwag.test.late", "{door}", "Seen later only", Instrument.GAUGE)
DECLARED = (CHUNKS, DOORS, LATE)


class Service:
    def __init__(self) -> None:
        self.chunks = 0
        self.rounds = 0
        self.late: list[int] = []

    def readings(self) -> Iterable[Reading]:
        self.rounds += 1
        yield CHUNKS.read(self.chunks)
        for state in ("open", "closed"):
            yield DOORS.read(len(state), state=state)
        for value in self.late:
            yield LATE.read(value)


def shown(telemetry: Telemetry) -> dict[str, float]:
    lines = telemetry.prometheus()[0].decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line.startswith("wigwag")}


def value(telemetry: Telemetry, name: str, label: str = "") -> float:
    (found,) = [value for key, value in shown(telemetry).items() if key.startswith(name) and label in key]
    return found


def test_a_scrape_shows_what_the_integers_are_now() -> None:
    service, telemetry = Service(), Telemetry("1", metrics=DECLARED)
    telemetry.register(service.readings)
    service.chunks = 5
    assert value(telemetry, "wigwag_test_chunks_total") == 5
    service.chunks = 7
    assert value(telemetry, "wigwag_test_chunks_total") == 7
    telemetry.close()


def test_each_look_reads_a_service_once_whoever_looks() -> None:
    service, telemetry = Service(), Telemetry("1", metrics=DECLARED, collects=True)
    telemetry.register(service.readings)
    before = service.rounds
    telemetry.prometheus()
    telemetry.collect()
    telemetry.prometheus()
    assert service.rounds == before + 3
    telemetry.close()


def test_a_metric_may_have_its_first_reading_later() -> None:
    service, telemetry = Service(), Telemetry("1", metrics=DECLARED)
    telemetry.register(service.readings)
    assert not [key for key in shown(telemetry) if "late" in key]
    service.late = [3]
    assert value(telemetry, "wigwag_test_late") == 3
    telemetry.close()


def test_readings_of_one_name_are_told_apart_by_attributes() -> None:
    service, telemetry = Service(), Telemetry("1", metrics=DECLARED)
    telemetry.register(service.readings)
    assert value(telemetry, "wigwag_test_doors", 'state="open"') == 4
    assert value(telemetry, "wigwag_test_doors", 'state="closed"') == 6
    telemetry.close()


def test_two_nodes_in_one_process_do_not_see_each_other() -> None:
    first, second = Telemetry("1", metrics=DECLARED), Telemetry("1", metrics=DECLARED)
    first.register(Service().readings)
    assert shown(second) == {}
    first.close()
    second.close()


def test_readings_that_are_not_declared_are_refused() -> None:
    telemetry = Telemetry("1", metrics=(CHUNKS,))
    with pytest.raises(LocalProtocolError, match=r"wigwag\.test\.doors"):
        telemetry.register(Service().readings)
    telemetry.close()


@pytest.mark.parametrize("attributes", [{}, {"stat": "open"}, {"state": "open", "peer": "x"}])
def test_a_reading_has_exactly_the_declared_attributes(attributes: dict[str, str]) -> None:
    with pytest.raises(LocalProtocolError, match="state"):
        DOORS.read(1, **attributes)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("relay.chunks", "1"),
        ("wigwag.chunks", "1"),
        ("wigwag.relay.Chunks", "1"),
        ("wigwag.relay.chunks-in", "1"),
        ("wigwag.relay.chunks", "bytes"),
        ("wigwag.relay.chunks", "ms"),
        ("wigwag.relay.chunks", ""),
    ],
)
def test_a_declaration_that_breaks_the_rules_is_refused(name: str, unit: str) -> None:
    with pytest.raises(LocalProtocolError):
        Metric(name, unit, "Chunks")


def test_a_service_whose_readings_fail_does_not_hide_the_others() -> None:
    service, telemetry = Service(), Telemetry("1", metrics=DECLARED)
    is_broken = False

    def breaking() -> Iterable[Reading]:
        if is_broken:
            raise ValueError("broken")
        return []

    telemetry.register(breaking)
    telemetry.register(service.readings)
    is_broken = True
    service.chunks = 9
    assert value(telemetry, "wigwag_test_chunks_total") == 9
    telemetry.close()
