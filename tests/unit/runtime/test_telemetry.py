from collections.abc import Iterable

from wigwag.runtime.telemetry import Instrument, Reading, Telemetry


class Service:
    def __init__(self) -> None:
        self.chunks = 0
        self.rounds = 0

    def readings(self) -> Iterable[Reading]:
        self.rounds += 1
        yield Reading(name="wigwag.test.chunks", value=self.chunks, description="Chunks")
        for state in ("open", "closed"):
            yield Reading(
                name="wigwag.test.doors",
                value=len(state),
                description="Doors",
                unit="{door}",
                instrument=Instrument.GAUGE,
                attributes={"state": state},
            )


def shown(telemetry: Telemetry) -> dict[str, float]:
    lines = telemetry.prometheus()[0].decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line.startswith("wigwag")}


def value(telemetry: Telemetry, name: str, label: str = "") -> float:
    (found,) = [value for key, value in shown(telemetry).items() if key.startswith(name) and label in key]
    return found


def test_a_scrape_shows_what_the_integers_are_now() -> None:
    service, telemetry = Service(), Telemetry("1")
    telemetry.register(service.readings)
    service.chunks = 5
    assert value(telemetry, "wigwag_test_chunks_total") == 5
    service.chunks = 7
    assert value(telemetry, "wigwag_test_chunks_total") == 7
    telemetry.close()


def test_a_scrape_reads_a_service_once() -> None:
    service, telemetry = Service(), Telemetry("1")
    telemetry.register(service.readings)
    before = service.rounds
    telemetry.prometheus()
    telemetry.prometheus()
    assert service.rounds == before + 2
    telemetry.close()


def test_readings_of_one_name_are_told_apart_by_attributes() -> None:
    service, telemetry = Service(), Telemetry("1")
    telemetry.register(service.readings)
    assert value(telemetry, "wigwag_test_doors", 'state="open"') == 4
    assert value(telemetry, "wigwag_test_doors", 'state="closed"') == 6
    telemetry.close()


def test_two_nodes_in_one_process_do_not_see_each_other() -> None:
    first, second = Telemetry("1"), Telemetry("1")
    first.register(Service().readings)
    assert shown(second) == {}
    first.close()
    second.close()
