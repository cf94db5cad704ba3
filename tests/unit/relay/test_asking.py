"""Operators see and end the sessions of all pods at any pod."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from tests.support.relay_cluster import ClusterUnderTest
from tests.unit.relay.test_cluster import ALICE, BOB, client
from wigwag.errors import NotFoundError, OverloadedError
from wigwag.relay.cluster.asking import SessionsEverywhere, answer_of
from wigwag.relay.selection import SessionFilter

T = TypeVar("T")


async def asked(cluster: ClusterUnderTest, question: Coroutine[Any, Any, T]) -> T:
    task = asyncio.create_task(question)
    await cluster.settle()
    return await task


async def test_a_page_holds_the_sessions_of_all_pods_in_the_order_of_their_ids() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        await client(cluster, one)
        await client(cluster, two, "bob", BOB)
        page, more = await asked(cluster, SessionsEverywhere(one.relay).page(SessionFilter(), after="", size=10))
        assert {(view.user, view.pod) for view in page} == {("alice", "pod1"), ("bob", "pod2")}
        assert [view.id for view in page] == sorted(view.id for view in page)
        assert not more


async def test_pages_together_hold_each_session_once() -> None:
    async with ClusterUnderTest(3) as cluster:
        for number in range(7):
            await client(cluster, cluster.pods[number % 3], uri=f"msrps://c{number}.invalid:9/a;tcp")
        found: list[str] = []
        everywhere, more = SessionsEverywhere(cluster.pods[0].relay), True
        while more:
            after = found[-1] if found else ""
            page, more = await asked(cluster, everywhere.page(SessionFilter(), after=after, size=2))
            found += [view.id for view in page]
        assert len(found) == len(set(found)) == 7


async def test_a_session_is_shown_and_ended_at_another_pod() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        await client(cluster, one)
        name = next(iter(one.relay.sessions)).id
        everywhere = SessionsEverywhere(two.relay)
        assert (await asked(cluster, everywhere.session(name))).pod == "pod1"
        await asked(cluster, everywhere.end(name))
        assert not list(one.relay.sessions)
        with pytest.raises(NotFoundError):
            await asked(cluster, everywhere.session(name))


async def test_a_pod_that_does_not_answer_makes_no_half_truth() -> None:
    async with ClusterUnderTest() as cluster:
        one, two = cluster.pods
        await client(cluster, two, uri=ALICE)
        cluster.network.pods.pop("pod2")
        with pytest.raises(OverloadedError, match="pod2"):
            await asked(cluster, SessionsEverywhere(one.relay).page(SessionFilter(), after="", size=10))


async def test_a_question_that_is_not_understood_is_answered_so() -> None:
    async with ClusterUnderTest(1) as cluster:
        assert b"not understood" in answer_of(cluster.pods[0].relay, b"{}")
