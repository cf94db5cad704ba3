"""Every adapter of the ports: the one in the process and the real servers."""

from collections.abc import Iterator

import pytest

from tests.support.mariadb import running_mariadb
from tests.support.postgresql import running_postgresql
from tests.support.sql import SqlServer


@pytest.fixture(scope="session")
def postgresql() -> Iterator[SqlServer]:
    with running_postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[SqlServer]:
    with running_mariadb() as server:
        yield server
