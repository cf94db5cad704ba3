"""``python -m tests.support.ua_callers PLAN``: an application that chats with SIP users over gRPC, at any ua pod.

It does what a plain application does: a call that fails is made again, at another pod, under the same idempotency key;
the next message of a session is sent once the one before was acknowledged.
"""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
import grpc.aio

from tests.support.ua_plan import UaStatus, body_of, digest_of
from tests.support.ua_process import UaProcess, main
from wigwag.api.ua.v1 import session_pb2, ua_pb2, ua_pb2_grpc
from wigwag.runtime.ua_recording import MessageAccepted, MessageOffered, SessionStarted

T = TypeVar("T")
_PATIENCE = 4.0
"""Seconds for one call."""
_AVOIDED = 1.0
"""Seconds for which a pod that failed is not asked."""
_PAUSE = 0.1
_LONGEST_PAUSE = 1.6
"""Seconds between two tries, at first and at most: pods that are slow get slower by being asked again and again."""
_LOOKS = 16
"""Sessions that are looked at at once."""
_AGAIN = frozenset(
    (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,
    )
)


class Chat:
    """A session with one user."""

    def __init__(self, user: str, world: "Callers") -> None:
        self.user = user
        self.session_id = ""
        self.busy = False
        self._sequence = 0
        self._world = world

    async def start(self) -> None:
        """Call the user."""
        world = self._world
        request = ua_pb2.StartSessionRequest(
            application=world.plan.application,
            to_uri=f"sip:{self.user}@{world.plan.domain}",
            idempotency_key=f"call-{self.user}",
        )
        response = await world.ask(lambda stub: stub.StartSession(request, timeout=_PATIENCE))
        session_id = response.session.session_id
        world.record(SessionStarted, session=session_id, user=self.user)
        await world.wait_until_open(session_id)
        self.session_id = session_id

    async def send(self) -> None:
        """Send one message, however often it takes."""
        self._sequence += 1
        key = f"to-{self.user}.{self._sequence}"
        body = body_of(key, self._sequence)
        world = self._world
        world.record(MessageOffered, session=self.session_id, key=key, sequence=self._sequence, digest=digest_of(body))
        message = ua_pb2.OutboundMessage(
            session_id=self.session_id, content_type="text/plain", body=body, idempotency_key=key
        )
        request = ua_pb2.SendMessageRequest(message=message)
        response = await world.ask(lambda stub: stub.SendMessage(request, timeout=_PATIENCE))
        world.record(MessageAccepted, key=key, message_id=response.message_id)
        self.busy = False


class Callers(UaProcess):
    """The application."""

    async def open(self) -> None:
        """Open channels to all pods."""
        self.chats = [Chat(user, self) for user in self.plan.clients]
        self._turns = itertools.cycle(self.chats)
        self._tasks: set[asyncio.Task[None]] = set()
        self._looks = asyncio.Semaphore(_LOOKS)
        self._avoided = dict.fromkeys(self.plan.targets, 0.0)
        options = [("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 1_000)]
        self._channels = {target: grpc.aio.insecure_channel(target, options=options) for target in self.plan.targets}
        self._stubs = {target: ua_pb2_grpc.UaServiceStub(channel) for target, channel in self._channels.items()}

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._tasks)
        for channel in self._channels.values():
            await channel.close(None)

    async def ask(self, call: Callable[[Any], Awaitable[T]]) -> T:
        """Make a call until it succeeds.

        Raises:
            grpc.aio.AioRpcError: It was refused for good.
        """
        now, pause = asyncio.get_running_loop().time, _PAUSE
        while True:
            usable = [target for target, until in self._avoided.items() if until <= now()] or list(self._avoided)
            target = random.choice(usable)
            try:
                return await call(self._stubs[target])
            except grpc.aio.AioRpcError as error:
                if error.code() not in _AGAIN:
                    self.note(f"{target}: {error.code().name} {error.details()}")
                    raise
                self._avoided[target] = now() + _AVOIDED
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def wait_until_open(self, session_id: str) -> None:
        """Wait until every pod knows that a session is open: then it is stored, and outlives its pod."""
        request = ua_pb2.GetSessionRequest(session_id=session_id)
        for stub in self._stubs.values():
            state = session_pb2.SESSION_STATE_UNSPECIFIED
            while state != session_pb2.SESSION_STATE_OPEN:
                await asyncio.sleep(5 * _PAUSE)
                try:
                    async with self._looks:
                        state = (await stub.GetSession(request, timeout=_PATIENCE)).session.state
                except grpc.aio.AioRpcError as error:
                    if error.code() not in _AGAIN:
                        raise

    def call(self) -> None:
        """Start a session with every user."""
        for chat in self.chats:
            self._spawn(chat.start())

    def send_one(self) -> bool:
        """Send in the next session whose last message was acknowledged."""
        for _ in self.chats:
            chat = next(self._turns)
            if chat.session_id and not chat.busy:
                chat.busy = True
                self._spawn(chat.send())
                return True
        return False

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(asyncio.get_running_loop(), {"message": "a call failed", "exception": error})

    def status(self) -> UaStatus:
        """How it stands."""
        chats = getattr(self, "chats", [])
        return UaStatus(
            clients=len(self.plan.clients),
            ready=len(self.plan.clients),
            sending=self.sending,
            sent=self.sent,
            unanswered=len(getattr(self, "_tasks", ())),
            open=sum(bool(chat.session_id) for chat in chats),
        )


if __name__ == "__main__":
    main(Callers)
