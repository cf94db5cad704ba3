"""A node with all services as one process, which is killed (-9) and started again with what it has on disk."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from tests.support.certificates import Authority
from tests.support.cluster import Pod
from tests.support.edge_under_test import DOMAIN, TRANSPORTS, SipEdge, free_sip_port
from tests.support.gateway_node import ROUTE
from tests.support.ua_node import HOST, NAME, node_layer


class GatewayProcess(Pod):
    """See the module's text; users reach it as ``Reachable``.

    Args:
        directory: For its settings, data and log.
        redis_url: Its store; None: its own memory.
        **gateway: Settings of the gateway.
    """

    service = "all"

    def __init__(self, directory: Path, *, redis_url: str | None = None, **gateway: Any) -> None:
        authority = Authority.create(directory)
        pair = list(authority.issue("localhost", DOMAIN, NAME, addresses=(HOST,)))
        ports = {transport: free_sip_port() for transport in TRANSPORTS}
        layer = node_layer(directory / "pod", ports, pair)
        self.relay: Mapping[str, int] = {one["kind"]: free_sip_port() for one in layer["relay"]["listeners"]}
        for listener in layer["relay"]["listeners"]:
            listener["port"] = self.relay[listener["kind"]]
        layer["relay"]["sip"]["routes"] = [ROUTE]
        layer["gateway"] = gateway
        if redis_url is not None:
            layer["redis"] = {"url": redis_url}
        super().__init__("node", directory / "pod", layer)
        self.ca_file = authority.ca_file
        self.edge = SipEdge(name="wigwag", host=HOST, ports=ports, ca_file=self.ca_file, log=self.log)

    async def ready(self) -> None:
        """Start it, and wait until it takes clients."""
        self.start()
        await asyncio.to_thread(self.wait_until_ready)

    def open_conversations(self) -> int:
        """Return how many of the gateway's conversations have an open session."""
        found = self.ask("/v1/gateway/conversations")["conversations"]
        return len([each for each in found if each["state"] == "open"])

    def messages(self, direction: str) -> list[tuple[str, str]]:
        """Return body and state of the ledger's messages of a direction, in the order of their acceptance."""
        with closing(sqlite3.connect(self.directory / "data" / "wigwag.sqlite3")) as database:
            query = "SELECT body, state FROM wigwag_ledger WHERE direction = ? ORDER BY position"
            return [(bytes(body).decode(), str(state)) for body, state in database.execute(query, [direction])]


@asynccontextmanager
async def gateway_process(directory: Path, **settings: Any) -> AsyncIterator[GatewayProcess]:
    """Run a node until the block ends; its log is part of what went wrong in it."""
    process = GatewayProcess(directory, **settings)
    try:
        await process.ready()
        yield process
    except BaseException as error:
        error.add_note(process.log_tail())
        raise
    finally:
        process.end()
