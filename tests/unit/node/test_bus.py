import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.waiting import until
from wigwag.bus import Record, Topic
from wigwag.bus.kafka import KafkaBus
from wigwag.bus.sqlite import SqliteBus
from wigwag.errors import ConfigurationError
from wigwag.node.bus import bus_readings, open_bus
from wigwag.node.settings import Settings


def settings_in(directory: Path, **kafka: Any) -> Settings:
    return Settings.model_validate({"node": {"data_dir": directory}, "kafka": kafka})


async def test_bus_is_a_log_in_the_data_directory_without_an_address(tmp_path: Path) -> None:
    async with open_bus(settings_in(tmp_path)) as bus:
        assert isinstance(bus, SqliteBus)
        assert (tmp_path / "bus.sqlite3").is_file()


async def test_bus_is_kafka_when_its_address_is_given_and_opens_without_it(tmp_path: Path) -> None:
    async with open_bus(settings_in(tmp_path, bootstrap_servers="127.0.0.1:1, 127.0.0.1:2", partitions=3)) as bus:
        assert isinstance(bus, KafkaBus)
    assert not (tmp_path / "bus.sqlite3").exists()


async def test_second_process_is_told_how_processes_share_a_bus(tmp_path: Path) -> None:
    async with open_bus(settings_in(tmp_path)):
        with pytest.raises(ConfigurationError, match=r"another process uses it .*kafka\.bootstrap_servers"):
            async with open_bus(settings_in(tmp_path)):
                pass


async def test_workers_that_share_the_data_directory_have_a_log_each(tmp_path: Path) -> None:
    async with open_bus(settings_in(tmp_path)), open_bus(settings_in(tmp_path), worker=2):
        assert {"bus.sqlite3", "bus-2.sqlite3"} <= set(os.listdir(tmp_path))


async def test_certificates_that_cannot_be_used_are_named_at_once(tmp_path: Path) -> None:
    kafka = {"bootstrap_servers": "127.0.0.1:1", "security_protocol": "SSL", "ca_file": tmp_path / "missing.pem"}
    with pytest.raises(ConfigurationError, match="certificates can't be used"):
        async with open_bus(settings_in(tmp_path, **kafka)):
            pass


def test_user_who_signs_in_has_a_name_and_a_password(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="SASL_SSL needs username and password"):
        settings_in(tmp_path, bootstrap_servers="127.0.0.1:1", security_protocol="SASL_SSL", username="wigwag")


async def test_password_is_shown_nowhere(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, security_protocol="SASL_SSL", username="wigwag", password="secret-word")
    assert "secret-word" not in repr(settings)


async def test_metrics_tell_what_the_bus_did_and_what_its_consumers_have_still_to_do(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def handle(record: Record) -> None:
        await go_on.wait()

    topic = Topic("wigwag.test.metrics")
    async with open_bus(settings_in(tmp_path)) as bus:
        bus.declare(topic)
        await bus.publish(topic.name, b"value", key="key")
        async with bus.consume("group", [topic.name], handle):
            await until(lambda: any(bus.lag().values()))
            found = {reading.metric.name: (reading.value, dict(reading.attributes)) for reading in bus_readings(bus)}
            go_on.set()
    assert found["wigwag.bus.published"] == (1, {})
    assert found["wigwag.bus.lag"] == (1, {"group": "group", "topic": topic.name})
