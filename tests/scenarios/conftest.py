"""Relay nodes for all scenarios that need none of their own: a node takes seconds to start."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.http_server import HttpServer, http_server
from tests.support.live_relay import HOST, KINDS, Clients, relay_settings
from tests.support.node import RelayNode, relay_node
from tests.support.processes import free_port

LIMITS = {"header_timeout": 1.5, "body_timeout": 3.0, "first_request_timeout": 4.0, "auth_failure_delay": 0.05}


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


@dataclass
class Hooks:
    """Both HTTP services that the bridge asks; each knows nothing until a test says otherwise."""

    credentials: HttpServer
    routes: HttpServer


@pytest.fixture(scope="session")
def hook_ports() -> tuple[int, int]:
    return free_port(), free_port()


@pytest.fixture(scope="session")
def bridge(hook_ports: tuple[int, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayNode]:
    """A relay with HTTP hooks, the usual limits and no route of its own."""
    urls = [f"http://127.0.0.1:{port}/hook" for port in hook_ports]
    credentials, routes = ({"url": url, "timeout": 1.0, "cache": 0.0} for url in urls)
    settings = relay_settings(kinds=("tcp", "ws", "tcp6", "closed"), credentials_hook=credentials, route_hook=routes)
    with relay_node(tmp_path_factory.mktemp("bridge"), settings) as node:
        yield node


@pytest.fixture
async def hooks(hook_ports: tuple[int, int]) -> AsyncIterator[Hooks]:
    """The services behind the bridge's hooks."""
    async with http_server(hook_ports[0]) as credentials, http_server(hook_ports[1]) as routes:
        yield Hooks(credentials, routes)


@pytest.fixture
async def bridged(bridge: RelayNode, hooks: Hooks) -> AsyncIterator[Clients]:
    """Opens clients at the bridge while its hooks are there."""
    async with Clients(bridge) as opened:
        yield opened
