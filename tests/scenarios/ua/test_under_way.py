"""A ua pod is killed, or hangs, while messages of a SIP user are under way to it: they arrive, once, in order."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.scenarios.ua.conftest import Agents
from tests.support.ua_archive import Archivist
from tests.support.ua_callers import Callers
from tests.support.ua_cluster import LEASE, UaPod
from tests.support.ua_load import plan_of
from tests.support.ua_plan import UaPlan
from tests.support.ua_users import User, Users
from wigwag.runtime.ua_recording import ChatSettled, MessageTold, read_ua_recording

UNDER_WAY = 20
DEADLINE = 30.0


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"not within {DEADLINE:g} s: {what}"
        await asyncio.sleep(0.05)


def owned(pod: UaPod) -> int:
    return int(pod.ask("/readyz")["services"]["ua"]["sessions"])


class Conversation:
    """One SIP user, and the application that has called him."""

    def __init__(self, agents: Agents, directory: Path, name: str) -> None:
        self.agents = agents
        self.users = Users(self._plan("users", directory, name))
        self.callers = Callers(self._plan("callers", directory, name))

    def _plan(self, process: str, directory: Path, user: str) -> UaPlan:
        return msgspec.structs.replace(plan_of(self.agents.cluster, process, directory), clients=(user,))

    @property
    def user(self) -> User:
        return self.users.users[0]

    async def begin(self) -> None:
        await self.users.open()
        await self.callers.open()
        await until(lambda: self.user.is_up, "registration")
        self.callers.call()
        await until(lambda: self.user.chat is not None and bool(self.session), "session")
        self.send(1)
        await until(lambda: not self.user.unanswered, "first message")

    @property
    def session(self) -> str:
        return self.callers.chats[0].session_id

    def send(self, count: int) -> None:
        for _ in range(count):
            assert self.user.send()

    def owner(self) -> UaPod:
        (owner,) = [pod for pod in self.agents.cluster.pods if owned(pod)]
        return owner

    def under_way(self) -> int:
        """How many messages the relay has passed on without an answer."""
        connections = self.agents.cluster.edge.ask("/v1/relay/connections?limit=1000")
        return sum(connection["transactions"] for connection in connections)

    def outcomes(self) -> list[str]:
        """What the user was told of his messages, in order."""
        records = read_ua_recording(self.users.plan.recording).records
        return [f"{record.key} {record.outcome}" for record in records if isinstance(record, ChatSettled)]

    async def hang_up(self) -> None:
        assert self.user.chat is not None
        self.user.chat.end()
        await until(lambda: sum(map(owned, self.agents.cluster.pods)) == 0, "end of the session")

    async def close(self) -> None:
        await self.callers.close()
        await self.users.close()

    async def told(self, directory: Path) -> list[str]:
        """Return what the application was told of messages, by the bus, in order."""
        archivist = Archivist(self.agents.database, self.agents.kafka, [self.session])
        await archivist.wait_until_settled(DEADLINE)
        await archivist.write(directory / "archive.jsonl")
        records = read_ua_recording(directory / "archive.jsonl").records
        return [record.key for record in records if isinstance(record, MessageTold)]


async def lose_the_owner(conversation: Conversation, *, killed: bool) -> None:
    """Let the owner hang with messages on their way to it until another has the session."""
    owner = conversation.owner()
    others = [pod for pod in conversation.agents.cluster.pods if pod is not owner]
    owner.pause()
    try:
        conversation.send(UNDER_WAY)
        await until(lambda: conversation.under_way() == UNDER_WAY, "messages on their way to a pod that hangs")
        if killed:
            owner.kill()
        await until(lambda: sum(map(owned, others)) == 1, f"takeover, the lease being {LEASE:g} s")
        await until(lambda: not conversation.user.unanswered, "outcome of every message")
    finally:
        if killed:
            owner.start()
        else:
            owner.go_on()
    await until(owner.is_ready, "the lost pod")


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "paused"])
async def test_messages_under_way_to_a_lost_owner_arrive_once_and_none_is_told_lost(
    agents: Agents, tmp_path: Path, killed: bool
) -> None:
    conversation = Conversation(agents, tmp_path, f"user{killed:d}")
    try:
        await conversation.begin()
        await lose_the_owner(conversation, killed=killed)
        conversation.send(1)
        await until(lambda: not conversation.user.unanswered, "last message")
        await conversation.hang_up()
    finally:
        await conversation.close()
    names = [f"{conversation.user.name}.{number}" for number in range(1, UNDER_WAY + 3)]
    assert conversation.outcomes() == [f"{name} delivered" for name in names]
    assert await conversation.told(tmp_path) == names
