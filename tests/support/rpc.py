"""gRPC servers on loopback: the relay's service over a fake relay, and a peer that takes batches."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from tests.support.fake_relay import FakeDrain, FakeRelay
from wigwag.relay.rpc import RelayServicer
from wigwag.relay.session_journal import SessionJournal
from wigwag.runtime.rpc import RpcServer, RpcServerOptions

POD = "pod-1"
ITEMS = "/wigwag.test.Items/Exchange"


class RelayService:
    """The relay's service over a fake relay."""

    def __init__(self, *, sessions: int = 1, capacity: int = 4_096) -> None:
        self.relay = FakeRelay(sessions)
        self.journal = SessionJournal(POD, lambda: 1_700_000_000.25, capacity=capacity)
        self.drain = FakeDrain()
        self.can_serve = True
        servicer = RelayServicer(self.relay, journal=self.journal, drain=self.drain, pod=POD)
        self.service = servicer.served(lambda: self.can_serve)

    @asynccontextmanager
    async def served(self, **options: Any) -> AsyncIterator[RpcServer]:
        """Serve it."""
        async with RpcServer(RpcServerOptions(**options), [self.service]) as server:
            yield server


class ItemPeer:
    """Takes batches of texts and acknowledges them; remembers each once, as a careful peer does.

    Attributes:
        frames: Numbers of items in each frame, as they came.
        items: What came, without what came again.
        hold: While true nothing is acknowledged.
        lose_after: Ends the call, unacknowledged, after so many more frames; None: never.
    """

    def __init__(self) -> None:
        self.frames: list[tuple[int, int]] = []
        self.items: list[str] = []
        self.calls = 0
        self.hold = False
        self.lose_after: int | None = None
        self.refuse: grpc.StatusCode | None = None

    async def exchange(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[dict[str, int]]:
        """Deal with one call."""
        self.calls += 1
        if self.refuse is not None:
            await context.abort(self.refuse, "no")
        async for request in requests:
            first, items = request["first"], request["items"]
            self.frames.append((first, len(items)))
            self.items += items[max(0, len(self.items) + 1 - first) :]
            if self.lose_after is not None:
                self.lose_after -= 1
                if self.lose_after < 0:
                    self.lose_after = None
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "lost")
            if not self.hold:
                yield {"last": first + len(items) - 1}

    @asynccontextmanager
    async def served(self, port: int = 0) -> AsyncIterator[str]:
        """Serve it; yields ``host:port``."""
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        handler = grpc.stream_stream_rpc_method_handler(self.exchange, json.loads, _encoded)
        _, service, method = ITEMS.split("/")
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {method: handler})])
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        try:
            yield f"127.0.0.1:{bound}"
        finally:
            await server.stop(0)


def items_call(channel: grpc.aio.Channel, requests: AsyncIterator[Any]) -> Any:
    """Open the call that an ``ItemPeer`` serves."""
    return channel.stream_stream(ITEMS, _encoded, json.loads)(requests)


def items_frame(first: int, items: Sequence[str]) -> dict[str, object]:
    """Make a frame for an ``ItemPeer``."""
    return {"first": first, "items": list(items)}


def _encoded(message: object) -> bytes:
    return json.dumps(message).encode()
