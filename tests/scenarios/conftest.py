"""One relay node for all scenarios that need nothing of their own: a node takes seconds to start."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.live_relay import HOST, KINDS, Clients, relay_settings
from tests.support.node import RelayNode, relay_node

LIMITS = {"header_timeout": 2.0, "body_timeout": 3.0, "first_request_timeout": 4.0, "sessions_per_user": 1000}


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def certificate(authority: Authority) -> tuple[str, str]:
    """Chain and key that the shared relay serves; a test may replace the files."""
    return authority.issue(HOST, file="relay")


@pytest.fixture(scope="session")
def relay(
    authority: Authority, certificate: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RelayNode]:
    """A relay with a listener of each kind, impatient with slow senders."""
    directory: Path = tmp_path_factory.mktemp("relay")
    with relay_node(directory, relay_settings(certificate, authority.ca_file, KINDS, limits=LIMITS)) as node:
        yield node


@pytest.fixture
async def clients(relay: RelayNode, authority: Authority) -> AsyncIterator[Clients]:
    """Opens clients at the shared relay."""
    async with Clients(relay, authority) as opened:
        yield opened
