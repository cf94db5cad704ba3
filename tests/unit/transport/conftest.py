"""Every test here runs on uvloop and on asyncio's own loop, and fails when the loop had to report an error."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.streams import Endpoints


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    try:
        import uvloop
    except ImportError:
        return factories
    return {"uvloop": uvloop.new_event_loop, **factories}


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture
async def endpoints(authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Endpoints]:
    reports: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    caplog.set_level(logging.WARNING)
    endpoints = Endpoints(authority)
    yield endpoints
    await endpoints.close()
    assert reports == []
    noisy = [record for record in caplog.records if record.name in ("asyncio", "aiofastnet")]
    assert noisy == []
