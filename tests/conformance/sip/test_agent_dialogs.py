"""Dialogs between a device and the user agent outlive ua pods, their connections, edge pods and the store.

Edges, three ua pods, one device. Whatever happened before, a request of the dialog is answered 200 by the pod that owns
the session if that can be reached, else by the one that takes it over; 503 only when no ua pod is there.
"""

import asyncio
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sip_agents import AGENTS, HELPDESK, AgentPod, Owners, applications
from tests.support.sip_cluster import SipCluster
from tests.support.sip_edge import SipClient
from wigwag.protocols.sip import Request, Response

SESSION = "s1"
CONTACT = f"sip:{SESSION}@{AGENTS}"
NAMES = ("ua-1", "ua-2", "ua-3")


class Story:
    """One course of things."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.owners = Owners()
        self.edges = ["edge-a", "edge-b", "edge-c", "edge-d", "edge-e"]
        self.cluster = SipCluster(*self.edges, sessions=self.owners, applications=applications())
        self.pods: dict[str, AgentPod] = {}
        """Those that are connected."""
        self.owner = ""
        self.device: SipClient
        self.routes: list[str] = []

    def some_edge(self) -> str:
        return self.random.choice(sorted(self.cluster.alive))

    async def settle(self) -> None:
        """Let background work finish, and registrations be heard of everywhere."""
        for name in sorted(self.cluster.alive):
            await self.cluster.edges[name].settle()
            await self.cluster.edges[name].parts.registrations.upkeep.turn()
            self.cluster.edges[name].parts.locations.forget(f"sip:pods@{AGENTS}")
            self.cluster.edges[name].parts.locations.forget(self.device.aor)

    async def begin(self) -> None:
        self.device = SipClient(self.cluster.edges[self.some_edge()], "bob", kind="tcp")
        assert (await self.device.register()).status == 200
        for name in NAMES:
            await self.connect(name)
        await self.settle()
        await (self.call_in if self.random.random() < 0.5 else self.call_out)()

    async def call_out(self) -> None:
        """Let an application call the device."""
        pod = self.pods[self.random.choice(NAMES)]
        self.own(pod.pod)
        pod.send(pod.calls(SESSION, self.device.aor))
        await self.settle()
        invite = self.device.incoming()
        self.routes = invite.get_all("record-route")
        self.device.answer(invite, 200, "OK", fields=[("Record-Route", route) for route in self.routes])
        assert await self.statuses(pod) == [100, 200]

    async def call_in(self) -> None:
        """Let the device call an application."""
        device = self.device
        request = device.request("INVITE", HELPDESK, [("Contact", f"<{device.contact}>")], call_id=SESSION)
        device.send(request)
        await self.settle()
        device.send(device.authenticated(request, device.response()))
        await self.settle()
        pod, invite = self.came()
        self.routes = invite.get_all("record-route")[::-1]
        pod.answer(invite, 200, "OK", fields=[("Record-Route", route) for route in self.routes[::-1]])
        self.own(pod.pod)
        assert await self.statuses(device) == [100, 200]

    def own(self, name: str) -> None:
        self.owner = name
        self.owners.own(SESSION, name)

    async def connect(self, name: str) -> None:
        """Let a ua pod connect to some edge, be it again."""
        self.pods.pop(name, None)
        pod = AgentPod(self.cluster.edges[self.some_edge()], name)
        assert (await pod.register_pod()).status == 200
        self.pods[name] = pod

    def lose(self, name: str) -> None:
        pod = self.pods.pop(name, None)
        if pod is not None:
            pod.disconnect()

    async def kill_edge(self) -> None:
        """Let an edge die, and whoever was connected to it come to another."""
        if len(self.cluster.alive) < 2:
            return
        name = self.some_edge()
        dead = self.cluster.edges[name]
        self.cluster.kill(name)
        for pod in [pod for pod in self.pods.values() if pod.under_test is dead]:
            await self.connect(pod.pod)
        if self.device.under_test is dead:
            self.device.under_test = self.cluster.edges[self.some_edge()]
            self.device.connect()
            assert (await self.device.register()).status == 200

    async def step(self) -> None:
        match self.random.randrange(9):
            case 0:
                self.lose(self.random.choice(NAMES))
            case 1 | 2:
                await self.connect(self.random.choice(NAMES))
            case 3:
                await self.kill_edge()
            case 4 if not self.owners.away:
                # Its lease has run out, or it has given the session back.
                self.owners.own(SESSION, self.random.choice((self.owner, "")), lease_until=0.0)
                self.owner = ""
            case 5:
                self.owners.away = not self.owners.away
            case 6 if self.owner and not self.owners.away:
                self.owners.sessions.pop(SESSION, None)
            case 7 if self.owner and not self.owners.away:
                self.own(self.owner)
        await self.settle()
        await self.ask()

    async def ask(self) -> None:
        """Let the device send a request of the dialog, and an application's pod another."""
        self.device.send(self.within(self.device, CONTACT, self.routes))
        refused: set[str] = set()
        while True:
            await self.settle()
            answered = await self.statuses(self.device)
            if answered:
                break
            pod, request = self.came()
            assert request.uri == CONTACT
            is_known = not self.owners.away and SESSION in self.owners.sessions
            assert refused or not is_known or pod.pod == self.owner or self.owner not in self.pods
            # Who does not own the session may claim it if its owner is gone.
            takes = pod.pod == self.owner or (self.owner not in self.pods and not self.owners.away)
            refused.add(pod.pod)
            pod.answer(request, *((200, "OK") if takes else (503, "Service Unavailable")))
            if takes:
                self.own(pod.pod)
                assert await self.statuses(self.device) == [200]
                await self.ask_back(pod)
                return
        expected = {503} if not self.pods else {500}
        assert set(answered) == expected
        assert refused == set(self.pods)
        assert self.owner not in self.pods

    async def ask_back(self, pod: AgentPod) -> None:
        pod.send(self.within(pod, self.device.contact, self.routes[::-1]))
        await self.settle()
        self.device.answer(self.device.incoming())
        assert await self.statuses(pod) == [200]

    @staticmethod
    def within(sender: SipClient, uri: str, routes: list[str]) -> Request:
        request = sender.request("INFO", uri, [("Route", route) for route in routes], call_id=SESSION)
        request.set("To", f"<{uri}>;tag=other")
        return request

    def came(self) -> tuple[AgentPod, Request]:
        """Return what came to a pod, and to no other."""
        ((pod, request),) = [(pod, message) for pod in self.pods.values() for message in pod.received()]
        assert isinstance(request, Request)
        return pod, request

    async def statuses(self, client: SipClient) -> list[int]:
        await self.settle()
        return [message.status for message in client.received() if isinstance(message, Response)]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 32), steps=st.integers(1, 25))
def test_dialog_with_the_user_agent_outlives_what_it_was_set_up_with(seed: int, steps: int) -> None:
    async def played() -> None:
        story = Story(seed)
        await story.begin()
        for _ in range(steps):
            await story.step()

    asyncio.run(played())
