"""Settling a message at whatever pod: its session's owner tells the sender, and only what is so is answered with OK."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.ua_messages import FakeOwned, MessageWorld, message_world, record
from tests.support.waiting import until
from wigwag.api.ua.v1 import message_pb2, owner_pb2, ua_pb2
from wigwag.database.ledger import LedgerRow, State
from wigwag.errors import ConflictError, NotAuthorizedError, NotFoundError, OverloadedError
from wigwag.ua.at_owner import AtOwner
from wigwag.ua.config import UaSettings
from wigwag.ua.ports import Caller
from wigwag.ua.service import UserAgent
from wigwag.ua.sessions.ports import FinalState

POLICY = {"reports": "application", "content": "as_is", "accept_types": ("*",)}
HELPDESK = Caller("helpdesk", frozenset(("messages:write",)))
OPERATOR = Caller("")
DELIVERED = message_pb2.DELIVERY_STATE_DELIVERED
FAILED = message_pb2.DELIVERY_STATE_FAILED


class Others:
    """The other pods: one, or nobody is reached."""

    def __init__(self) -> None:
        self.owner: AtOwner | None = None
        self.loses_answers = False

    async def control(self, pod: str, request: owner_pb2.ControlRequest) -> None:
        if self.owner is None:
            raise OverloadedError(f"pod {pod} is not reached")
        await self.owner.control(request)
        if self.loses_answers:
            raise OverloadedError(f"pod {pod} does not answer")


def owner_side(world: MessageWorld, others: Others) -> AtOwner:
    sessions: Any = world.sessions
    nothing: Any = None
    return AtOwner(
        UaSettings(),
        sessions=sessions,
        life=sessions,
        ownership=sessions,
        ledger=world.ledger,
        messages=world.pipeline,
        files=nothing,
        elsewhere=others,
    )


def user_agent(world: MessageWorld, owner: AtOwner) -> UserAgent:
    sessions: Any = world.sessions
    nothing: Any = None
    return UserAgent(
        UaSettings(),
        sessions=sessions,
        life=sessions,
        store=nothing,
        ledger=world.ledger,
        messages=world.pipeline,
        files=nothing,
        bodies=nothing,
        applications=nothing,
        owner=owner,
        watch=nothing,
    )


@dataclass
class Pods:
    """The pod that owns a session with one message, and another one that is asked."""

    owner: MessageWorld
    asked: MessageWorld
    own: FakeOwned
    others: Others
    at_owner: UserAgent
    at_asked: UserAgent
    message_id: str

    def request(self, state: message_pb2.DeliveryState = DELIVERED) -> ua_pb2.SettleMessageRequest:
        return ua_pb2.SettleMessageRequest(message_id=self.message_id, state=state)


@pytest.fixture
async def pods(tmp_path: Path) -> AsyncIterator[Pods]:
    async with message_world(tmp_path, pod="pod-1") as owner, message_world(tmp_path, pod="pod-2") as asked:
        own = await owner.open(policy=POLICY)
        answer = owner.arrive(own, b"hello", success_report=True)
        await until(lambda: answer.given)
        asked.sessions.others["s1"] = (record(), "pod-1")
        others = Others()
        others.owner = owner_side(owner, others)
        at_owner = user_agent(owner, others.owner)
        (row,) = await owner.rows()
        yield Pods(owner, asked, own, others, at_owner, user_agent(asked, owner_side(asked, others)), row.id)


async def test_the_owner_tells_the_sender_whichever_pod_is_asked(pods: Pods) -> None:
    here = await pods.at_owner.settle_message(HELPDESK, pods.request())
    there = await pods.at_asked.settle_message(OPERATOR, pods.request())
    assert here.message.state == there.message.state == DELIVERED
    assert here.message.version == there.message.version == 2
    assert [report.status for report in pods.own.wire.reports] == [200, 200]
    with pytest.raises(ConflictError, match="delivered already"):
        await pods.at_asked.settle_message(OPERATOR, pods.request(FAILED))


async def test_it_is_not_said_to_be_done_while_the_owner_is_not_reached(pods: Pods) -> None:
    pods.others.owner = None
    with pytest.raises(OverloadedError):
        await pods.at_asked.settle_message(OPERATOR, pods.request())
    assert await pods.owner.states() == [State.ACCEPTED]


async def test_nor_when_the_row_is_settled_and_nobody_knows_whether_the_sender_was_told(pods: Pods) -> None:
    await pods.at_owner.settle_message(OPERATOR, pods.request())
    pods.asked.sessions.others["s1"] = (record(), "")
    with pytest.raises(OverloadedError):
        await pods.at_asked.settle_message(OPERATOR, pods.request())
    with pytest.raises(ConflictError):
        await pods.at_asked.settle_message(OPERATOR, pods.request(FAILED))


@pytest.mark.parametrize("is_asked_by_another", [False, True])
async def test_nor_when_the_session_was_lost_to_another_pod_unnoticed(pods: Pods, is_asked_by_another: bool) -> None:
    pods.owner.sessions.lost_to["s1"] = "pod-3"
    with pytest.raises(OverloadedError):
        await (pods.at_asked if is_asked_by_another else pods.at_owner).settle_message(OPERATOR, pods.request())
    assert pods.own.wire.reports == []


async def test_what_somebody_has_begun_to_settle_who_is_gone_is_told_all_the_same(
    pods: Pods, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, begun, go_on = pods.owner.pipeline.settle, asyncio.Event(), asyncio.Event()

    async def slow(row: LedgerRow, outcome: FinalState) -> LedgerRow:
        begun.set()
        await go_on.wait()
        return await settle(row, outcome)

    monkeypatch.setattr(pods.owner.pipeline, "settle", slow)
    asking = asyncio.create_task(pods.at_asked.settle_message(OPERATOR, pods.request()))
    await begun.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    go_on.set()
    await until(lambda: [report.status for report in pods.own.wire.reports] == [200])


async def test_a_session_without_an_owner_is_taken_over_for_it(pods: Pods) -> None:
    pods.asked.sessions.others["s1"] = (record(), "")
    pods.asked.sessions.to_take.add("s1")
    await pods.at_asked.settle_message(OPERATOR, pods.request())
    taken = pods.asked.sessions.owned("s1")
    assert taken is not None
    assert [report.status for report in taken.wire.reports] == [200]


async def test_a_store_that_came_back_empty_makes_no_session_over(pods: Pods) -> None:
    stored = pods.asked.sessions.others.pop("s1")
    pods.asked.sessions.store_is_young = True
    with pytest.raises(OverloadedError):
        await pods.at_asked.settle_message(OPERATOR, pods.request())
    assert await pods.owner.states() == [State.ACCEPTED]
    pods.asked.sessions.others["s1"] = stored
    await pods.at_asked.settle_message(OPERATOR, pods.request())
    assert [report.status for report in pods.own.wire.reports] == [200]


@pytest.mark.parametrize("is_forgotten", [False, True])
async def test_of_a_session_that_is_over_only_the_row_is_settled(pods: Pods, is_forgotten: bool) -> None:
    if is_forgotten:
        del pods.asked.sessions.others["s1"]
    else:
        pods.asked.sessions.others["s1"] = (replace(record(), state="ended"), "")
    settled = await pods.at_asked.settle_message(OPERATOR, pods.request(FAILED))
    assert (settled.message.state, settled.message.status) == (FAILED, 403)
    assert await pods.owner.states() == [State.FAILED]


async def test_who_may_not_write_or_does_not_know_the_message_can_not_settle_it(pods: Pods) -> None:
    with pytest.raises(NotAuthorizedError):
        await pods.at_owner.settle_message(Caller("helpdesk", frozenset()), pods.request())
    with pytest.raises(NotFoundError):
        await pods.at_owner.settle_message(Caller("other", HELPDESK.scopes), pods.request())
    assert await pods.owner.states() == [State.ACCEPTED]
