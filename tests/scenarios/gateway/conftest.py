"""A node that hosts the gateway; Bob is a session-mode user."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.gateway_node import gateway_node
from tests.support.ua_node import UserAgentNode


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[UserAgentNode]:
    """A node with the usual settings."""
    async with gateway_node(tmp_path) as node:
        yield node
