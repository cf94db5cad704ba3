"""A ua pod's session has one owner, whatever breaks: ua pods claim late, relay pods pause, links are cut.

Random claims with rising and with outdated fencing tokens at three relay pods. No outdated claim is granted once a
later one was; the URI stays the same; in the end what is sent to it reaches the last owner and nobody else.
"""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.relay import ok_to, send
from tests.support.relay_agents import URI, AgentClient, opened
from tests.support.relay_cluster import ClusterUnderTest
from wigwag.relay.config import RelaySettings

PODS = 3
PEER = "msrp://peer.invalid:7/p;tcp"
POD = st.integers(0, PODS - 1)
NAMES = ["claim"] * 6 + ["late"] * 4 + ["wait"] * 3 + ["refresh", "lose", "pause", "go on", "cut", "heal", "empty"]
STEP = st.tuples(st.sampled_from(NAMES), POD, POD, st.sampled_from([0.25, 1.0, 4.0]))


class Story:
    """One course of things."""

    def __init__(self, cluster: ClusterUnderTest) -> None:
        self.cluster = cluster
        self.token = 1
        """The highest that was granted."""
        self.owners: list[tuple[AgentClient, int]] = []
        """Connections that were granted the session, in that order, and their pod."""
        self.uris: set[str] = set()

    async def step(self, name: str, one: int, other: int, seconds: float) -> None:
        pods = self.cluster.pods
        match name:
            case "claim":
                await self.claim(one, self.token + other)
            case "late":
                await self.claim(one, max(1, self.token - 1 - other))
            case "refresh" if self.has_owner:
                assert await self.settled(self.owners[-1][0], self.token) == "200 OK"
            case "lose" if self.has_owner:
                self.owners[-1][0].channel.lose()
            case "pause" if sum(pod.paused for pod in pods) < PODS - 1:
                pods[one].paused = True
            case "go on":
                pods[one].paused = False
            case "cut":
                self.cluster.network.silent.add((pods[one].name, pods[other].name))
            case "heal":
                self.cluster.network.silent.clear()
            case "empty" if not any(pod.paused for pod in pods):
                await self.empty()
            case "wait":
                await self.cluster.advance(seconds)
        await self.cluster.settle()

    @property
    def has_owner(self) -> bool:
        """Whether somebody's connection stands, at a pod that runs."""
        if not self.owners:
            return False
        agent, pod = self.owners[-1]
        return agent.channel.is_open and not self.cluster.pods[pod].paused

    async def empty(self) -> None:
        """Let the store come back empty, and all pods notice."""
        self.cluster.store._records.clear()
        self.cluster.store._owners.clear()
        self.cluster.store._generation += "'"
        await self.cluster.advance(4)

    async def settled(self, agent: AgentClient, token: int) -> str:
        asking = asyncio.ensure_future(agent.claim(token))
        while not asking.done():
            await self.cluster.advance(0.25)
        return asking.result()

    async def claim(self, at: int, token: int) -> None:
        pod = self.cluster.pods[at]
        if pod.paused:
            return
        agent = AgentClient(pod)
        status = await self.settled(agent, token)
        if token < self.token:
            assert status.startswith("403 fenced")
            return
        assert status == "200 OK"
        self.token = token
        self.owners.append((agent, at))
        self.uris.add(agent.use_path)

    async def end(self) -> None:
        """Let all heal, claim once more, and send."""
        cluster = self.cluster
        cluster.network.silent.clear()
        for pod in cluster.pods:
            pod.paused = False
        await cluster.advance(10)
        await self.claim(0, self.token + 1)
        await cluster.advance(5)
        for agent, _ in self.owners:
            agent.channel.taken()
        assert len(self.uris) == 1
        for pod in cluster.pods:
            peer = pod.connect()
            peer.receive(send(f"{self.uris.copy().pop()} {URI}", f"{PEER[:-4]}{pod.name};tcp"))
            await cluster.settle()
        *former, (last, _) = self.owners
        came = last.channel.taken()
        assert len(came) == len(cluster.pods)
        for frame in came:
            last.channel.receive(ok_to(frame))
        assert all(b"SEND" not in frame for agent, _ in former for frame in agent.channel.taken())


@hypothesis_settings(max_examples=40, deadline=None)
@given(steps=st.lists(STEP, min_size=3, max_size=30))
def test_session_has_one_owner_whatever_breaks(steps: list[tuple[Any, ...]]) -> None:
    async def played() -> None:
        settings = RelaySettings.model_validate({"resume_window": 3600})
        async with ClusterUnderTest(PODS, settings) as cluster:
            for pod in cluster.pods:
                opened(pod)
            story = Story(cluster)
            for step in steps:
                await story.step(*step)
            await story.end()

    asyncio.run(played())
