from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import free_port
from wigwag.errors import ConfigurationError, StoreError
from wigwag.node.application import Node, open_store
from wigwag.node.settings import RedisSettings, Settings
from wigwag.store import Pod, Store

POD = Pod(id="relay-0.1", address="")


async def test_state_lives_in_the_process_without_an_address() -> None:
    async with open_store(RedisSettings()) as store:
        assert len((await store.beat(POD)).sightings) == 1


async def test_redis_that_is_away_fails_operations_but_not_the_start(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {
            "node": {"data_dir": tmp_path},
            "admin": {"port": 0},
            "redis": {"url": f"redis://127.0.0.1:{free_port()}", "timeout": 0.5},
        }
    )
    async with Node(settings, []), open_store(settings.redis) as store:
        with pytest.raises(StoreError, match=r"redis 127\.0\.0\.1"):
            await store.beat(POD)


async def test_a_store_that_is_closed_while_redis_is_away_does_not_say_that_it_is_there() -> None:
    told: list[bool] = []
    settings = RedisSettings(url=f"redis://127.0.0.1:{free_port()}", timeout=0.5)
    async with open_store(settings, lambda available, detail: told.append(available)):
        pass
    assert told == [False]


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ({"url": "http://redis.example"}, r"redis\.url: has to begin with redis://"),
        ({"url": "rediss://redis.example", "ca_file": "/nowhere"}, r"redis\.ca_file: /nowhere cannot be read"),
        ({"url": "redis://redis.example", "ca_file": "/nowhere"}, r"redis\.url: ca_file needs rediss://"),
    ],
)
def test_a_wrong_setting_is_named(section: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        open_store(RedisSettings.model_validate(section))


def test_what_the_settings_say_is_a_store() -> None:
    store: Any = open_store(RedisSettings(url="redis+cluster://redis.example"))
    for name in vars(Store):
        if not name.startswith("_"):
            assert callable(getattr(store, name))
