"""Two pods of the user agent's message side over one ledger, which reach each other or not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

from tests.support.ua_messages import FakeOwned, MessageWorld, message_world, outbound, record
from wigwag.api.ua.v1 import owner_pb2
from wigwag.bus.sqlite import SqliteBus
from wigwag.database.ledger import NewMessage
from wigwag.errors import OverloadedError
from wigwag.runtime.ua_messages import OUTBOUND, SERVICE, SessionFields, conversation_of, headers_of
from wigwag.ua.config import ApplicationSettings
from wigwag.ua.messages.checking import message_id_of
from wigwag.ua.messages.handover import OpenCall

HELPDESK = ApplicationSettings(name="helpdesk")


class Call:
    """A stream to a pod in the same process."""

    def __init__(self, world: MessageWorld, requests: AsyncIterator[owner_pb2.DeliverRequest]) -> None:
        self._responses = world.pipeline.handover.serve(requests)

    def __aiter__(self) -> AsyncIterator[owner_pb2.DeliverResponse]:
        return self._responses

    def cancel(self) -> bool:
        return True


class Pods:
    """Which pods there are, and are reached."""

    def __init__(self) -> None:
        self.worlds: dict[str, MessageWorld] = {}
        self.refused = 0
        self.loses_answers = False
        self.hangs = False

    def open_call(self, pod: str) -> OpenCall:
        world = self._reached(pod)
        return lambda requests: cast(Any, Call(world, requests))

    async def accept_at(self, pod: str, batch: owner_pb2.AcceptBatch) -> owner_pb2.AcceptResponse:
        if self.hangs:
            await asyncio.Event().wait()
        response = await self._reached(pod).pipeline.forwarding.serve(batch)
        if self.loses_answers:
            self.loses_answers = False
            raise OverloadedError("the connection is lost")
        return response

    def _reached(self, pod: str) -> MessageWorld:
        if pod not in self.worlds:
            self.refused += 1
            raise OverloadedError("not reached")
        return self.worlds[pod]


class TwoPods(NamedTuple):
    """Pods over the same ledger."""

    first: MessageWorld
    second: MessageWorld
    pods: Pods


@asynccontextmanager
async def two_pods(directory: Path, bus: SqliteBus | None = None) -> AsyncIterator[TwoPods]:
    """Return a pod that is asked, and one that owns the session s1."""
    pods = Pods()
    async with (
        message_world(directory, pod="pod-1", accept_at=pods.accept_at, open_call=pods.open_call, bus=bus) as first,
        message_world(directory, pod="pod-2", accept_at=pods.accept_at, open_call=pods.open_call) as second,
    ):
        pods.worlds = {"pod-1": first, "pod-2": second}
        yield TwoPods(first, second, pods)


async def accept(world: MessageWorld, *bodies: str) -> list[str]:
    """Have messages of the session s1 accepted at a pod that does not own it."""
    messages = [outbound(body) for body in bodies]
    outcomes = await world.pipeline.accept(record(), HELPDESK, messages)
    assert not any(outcome.error or outcome.duplicate for outcome in outcomes)
    return [outcome.message_id for outcome in outcomes]


def bodies(own: FakeOwned) -> list[object]:
    return [message.body for message in own.wire.sent]


async def strand(world: MessageWorld, body: str, key: str = "", blob: str | None = None) -> str:
    """Leave a message in the ledger that nobody knows of, as an owner does who loses the session while he writes it.

    Args:
        world: At whose ledger.
        body: Its body; without a key also its id.
        key: Its idempotency key.
        blob: Where a large body is.
    """
    size = len(body) if blob is not None else None
    message = NewMessage(
        id=message_id_of("s1", key) if key else body,
        conversation=conversation_of("s1"),
        service=SERVICE,
        direction=OUTBOUND,
        sender="sip:helpdesk@example.com",
        recipient="sip:alice@example.net",
        content_type="text/plain",
        headers=headers_of(SessionFields(session_id="s1", application="helpdesk", size=size)),
        body=body.encode() if blob is None else None,
        blob=blob,
        expires=world.clock() + 600.0,
    )
    return (await world.ledger.accept_one(message)).id
