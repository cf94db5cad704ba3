"""An application's session through a real edge and relay goes on at another ua pod, with the same path."""

import asyncio
import secrets
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.unit.node.test_agents import HostedAgent, settings_in
from wigwag.node.application import Node
from wigwag.node.demo_data import DOMAIN, ensure_demo_data
from wigwag.node.modules import CONSTRUCTORS
from wigwag.protocols.msrp import MsrpUri
from wigwag.protocols.sip.digest import Account, DigestClient
from wigwag.protocols.sip.user_agent import Identity
from wigwag.runtime.agents import pod_instance
from wigwag.store import Store
from wigwag.store.agent_sessions import AgentSession
from wigwag.transport.addresses import Endpoint as Address
from wigwag.transport.connector import Connector
from wigwag.transport.resolver import Resolver
from wigwag.transport.sip_servers import SipLocation
from wigwag.transport.tls import client_context
from wigwag.ua.endpoint.endpoint import Endpoint
from wigwag.ua.endpoint.media import MediaSide, RelayWay
from wigwag.ua.endpoint.model import (
    CallReceived,
    Ended,
    EndpointEvent,
    MediaWish,
    Opened,
    OutgoingCall,
    OutgoingMessage,
    Received,
    Settled,
    Settlement,
    Superseded,
)
from wigwag.ua.endpoint.sip_side import SipSide

HELPDESK = f"sip:helpdesk@{DOMAIN}"
APPLICATIONS = {"applications": [{"name": "helpdesk", "uris": [HELPDESK]}]}


class Party:
    """An endpoint that notes what it is told, and accepts what comes unless it ``hangs``."""

    hangs = False

    def __init__(self, identity: Identity, sip: int, relay: RelayWay, tls: ssl.SSLContext, account: Account) -> None:
        self.events: asyncio.Queue[EndpointEvent] = asyncio.Queue()
        self.endpoint = Endpoint(MediaSide({"relay": relay}, secrets.token_bytes), secrets.token_bytes, self._told)
        location = SipLocation(transport="TLS", endpoint=Address("127.0.0.1", sip), server_name="127.0.0.1")

        async def locate() -> list[SipLocation]:
            return [location]

        is_pod = identity.aor.host == "agents.invalid"
        self.side = self.endpoint.sip = SipSide(
            identity,
            DigestClient(lambda _: account, secrets.token_bytes),
            locate=locate,
            connector=connector(tls),
            random=secrets.token_bytes,
            wall=time.time,
            contact=lambda flow, session: f"sip:{session}@agents.invalid" if is_pod else flow.contact(identity.aor),
            on_dialog=self.endpoint.dialog_event,
        )

    def _told(self, event: EndpointEvent) -> None:
        if isinstance(event, CallReceived):
            event.session.accept(MediaWish())
        if isinstance(event, Received) and not self.hangs:
            event.accept()
        self.events.put_nowait(event)

    async def heard(self, kind: type[Any], wanted: Callable[[Any], bool] = lambda _: True) -> Any:
        """Wait for an event."""
        async with asyncio.timeout(15):
            while True:
                event = await self.events.get()
                if isinstance(event, kind) and wanted(event):
                    return event


def connector(tls: ssl.SSLContext) -> Connector:
    return Connector(Resolver(choose=lambda most: secrets.randbelow(most + 1)), tls=lambda: tls)


def message(text: str) -> OutgoingMessage:
    return OutgoingMessage(message_id=text, content_type="text/plain", body=text.encode())


async def delivered(sender: Party, session: Any, receiver: Party, text: str) -> None:
    session.send(message(text))
    assert (await receiver.heard(Received)).body == text.encode()
    settled = await sender.heard(Settled, lambda event: event.message_id == text)
    assert settled.settlement is Settlement.DELIVERED


async def under_way(sender: Party, session: Any, receiver: Party) -> list[str]:
    """Send some messages that the receiver gets and does not answer; returns their texts."""
    texts = [f"under-way-{number}" for number in range(5)]
    for text in texts:
        session.send(message(text))
    for text in texts:
        assert (await receiver.heard(Received)).body == text.encode()
    return texts


async def all_arrive(sender: Party, receiver: Party, texts: list[str]) -> None:
    """What was under way when the owner was lost comes to the next one, once and in order, and no failure is told."""
    for text in texts:
        assert (await receiver.heard(Received)).message_id == text
    for text in texts:
        settled = await sender.heard(Settled)
        assert (settled.message_id, settled.settlement) == (text, Settlement.DELIVERED)


def is_continued(session: Any) -> bool:
    """Tell whether what comes in a session may follow what came to an owner before this one."""
    return bool(session.line.session.continued)


def port_of(uri: str) -> int:
    return int(uri.partition("127.0.0.1:")[2].partition(";")[0])


class Stage:
    """A node with relay and edge, a user, and ua pods."""

    def __init__(self, path: Path, node: Node, hosted: HostedAgent, store: Store) -> None:
        self.hosted, self.store = hosted, store
        relay: Any = node.modules["relay"]
        self.sessions = relay.relay.sessions
        data = ensure_demo_data(path)
        ca_file = str(data.certificates.authority)
        tls = client_context(ca_file=ca_file)
        listener = relay.relay.listeners["tls"]
        way = RelayWay(
            uri=MsrpUri.parse(f"msrps://localhost:{listener.port};tcp"),
            connector=connector(tls),
            username="alice",
            password=data.passwords["alice"],
            own_host="alice.invalid",
        )
        sip = next(port for name, _, port in relay.sip.addresses() if "tls" in name)
        account = Account("alice", data.passwords["alice"])
        self.alice = Party(Identity.of(f"sip:alice@{DOMAIN}", instance="urn:x:1"), sip, way, tls, account)

    def pod(self, name: str) -> Party:
        edge = self.hosted.edge
        tls = client_context(ca_file=edge.ca_file, certificate=edge.certificate)
        way = RelayWay(uri=MsrpUri.parse(edge.relay), connector=connector(tls), fencing=True)
        identity = Identity.of("sip:pods@agents.invalid", instance=pod_instance(name))
        return Party(identity, port_of(edge.sip[0]), way, tls, Account("nobody", ""))

    async def own(self, pod: str) -> int:
        """Let a pod own the session; returns its token."""
        session = AgentSession(session_id="session-1", application="helpdesk", content=b"", pod=pod)
        made = await self.store.create_agent_session(session, lease=60.0)
        if made is None:
            made = await self.store.claim_agent_session("session-1", pod, lease=60.0, dead=["ua-1"])
        assert made is not None
        assert made.pod == pod
        return made.token


async def test_session_goes_on_at_another_pod_with_the_same_path(tmp_path: Path) -> None:
    hosted, stores = HostedAgent(), []

    def host(surroundings: Any) -> HostedAgent:
        stores.append(surroundings.store)
        return hosted.hosted_by(surroundings)

    settings = settings_in(tmp_path, ua=APPLICATIONS)
    async with Node(settings, ["relay", "ua"], constructors={**CONSTRUCTORS, "ua": host}) as node:
        stage = Stage(tmp_path, node, hosted, stores[0])
        alice, first, second = stage.alice, stage.pod("ua-1"), stage.pod("ua-2")
        for party in (alice, first, second):
            await party.side.start()
        try:
            await play(stage, alice, first, second)
        finally:
            for party in (alice, first, second):
                await party.endpoint.close()
                await party.side.close()


async def play(stage: Stage, alice: Party, first: Party, second: Party) -> None:
    call = OutgoingCall(session_id="session-1", from_uri=HELPDESK, to_uri=f"sip:alice@{DOMAIN}")
    session = first.endpoint.start(call, token=await stage.own("ua-1"))
    await first.heard(Opened)
    theirs = (await alice.heard(CallReceived)).session
    await delivered(first, session, alice, "hello")
    assert not is_continued(session)
    await delivered(alice, theirs, first, "yes-please")
    # The first pod hangs with its connections up; the second takes the session over.
    state, uris = session.to_state(), {str(each.uri) for each in stage.sessions}
    first.hangs = True
    texts = await under_way(alice, theirs, first)
    token = await stage.own("ua-2")
    taken = second.endpoint.restore(state, MediaWish(), token=token)
    await all_arrive(alice, second, texts)
    assert is_continued(taken)
    await delivered(second, taken, alice, "still-here")
    await delivered(alice, theirs, second, "good")
    # The one that hung is told by the relay, and leaves the session alone.
    assert (await first.heard(Superseded)).session is session
    assert {str(each.uri) for each in stage.sessions} == uris
    theirs.end()
    assert (await second.heard(Ended)).session is taken
