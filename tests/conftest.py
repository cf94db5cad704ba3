"""Settings of all tests: property tests are the same in every run, none depends on the speed of the machine, and a
socket or file that stays open is reported in the module that left it.
"""

import gc
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.bytecode import kept_bytecode
from tests.support.descriptors import opened_since, what_is_open
from tests.support.logs import reset_logs

settings.register_profile("wigwag", deadline=None, derandomize=True, database=None)
settings.load_profile("wigwag")
reset_logs()


@pytest.fixture(scope="session", autouse=True)
def _kept_bytecode() -> Iterator[None]:
    with kept_bytecode():
        yield


@pytest.fixture(scope="module", autouse=True)
def _nothing_left_open() -> Iterator[None]:
    """Have garbage that holds a socket or a file reported here, not in the test that happens to collect it."""
    before = what_is_open()
    yield
    # A collection after each of 400 modules would take minutes.
    if opened_since(before):
        gc.collect()
