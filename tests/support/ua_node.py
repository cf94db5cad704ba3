"""A node with relay and user agent in the test's own loop, and its applications as a test drives them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from tests.support.certificates import Authority
from tests.support.edge_under_test import DOMAIN, RESOLVABLE, TRANSPORTS, USERS, SipEdge, free_sip_port
from tests.support.waiting import until
from wigwag.api.ua.v1 import message_pb2, session_pb2, ua_pb2
from wigwag.node.application import Node
from wigwag.node.modules import CONSTRUCTORS, UA, Module, Surroundings
from wigwag.node.settings import Settings
from wigwag.ua.applications.registry import Applications
from wigwag.ua.config import ApplicationSettings
from wigwag.ua.ports import Caller

HOST: Final = "127.0.0.1"
NAME: Final = "relay.example"
"""Name of the relay in its certificate; endpoints of tests know where it is."""
PATIENCE: Final = 20.0


@dataclass
class UserAgentNode:
    """The node, its SIP edge and its relay as peers see them, and its applications.

    Args:
        node: What runs.
        edge: Its SIP edge.
        relay: Port of the relay's listeners by kind.
        ca_file: Authority of its certificates.
        certificate: That of its listeners.
    """

    node: Node
    edge: SipEdge
    relay: Mapping[str, int]
    ca_file: str
    certificate: str

    @property
    def module(self) -> Any:
        return self.node.modules["ua"]

    def relay_uri(self, kind: str = "tls") -> str:
        """URI of the relay at one of its listeners."""
        return f"{'msrps' if kind in ('tls', 'wss') else 'msrp'}://localhost:{self.relay[kind]};tcp"

    async def start(self, application: str, to: str, **more: Any) -> session_pb2.Session:
        """Let an application call a user of the edge."""
        request = ua_pb2.StartSessionRequest(
            application=application, to_uri=to, from_uri=f"sip:{application}@{DOMAIN}", **more
        )
        started: ua_pb2.StartSessionResponse = await self.module.agent.start_session(caller(application), request)
        return started.session

    async def end(self, application: str, session_id: str) -> None:
        """Let an application end a session."""
        await self.module.agent.end_session(caller(application), ua_pb2.EndSessionRequest(session_id=session_id))

    async def session(self, application: str, session_id: str) -> session_pb2.Session:
        """Return a session as its application sees it."""
        request = ua_pb2.GetSessionRequest(session_id=session_id)
        found: ua_pb2.GetSessionResponse = await self.module.agent.get_session(caller(application), request)
        return found.session

    async def last_session(self, application: str) -> session_pb2.Session:
        """Wait for a session of an application; returns the newest."""
        found: list[session_pb2.Session] = []

        async def look() -> bool:
            for state in (session_pb2.SESSION_STATE_UNSPECIFIED, session_pb2.SESSION_STATE_ENDED):
                request = ua_pb2.ListSessionsRequest(state=state)
                found.extend((await self.module.agent.list_sessions(caller(application), request)).sessions)
            found.sort(key=lambda one: one.created_at.ToNanoseconds())
            return bool(found)

        await wait_for(look, "session")
        return found[-1]

    async def until_state(self, application: str, session_id: str, state: str) -> session_pb2.Session:
        """Wait until a session is ``open`` or ``ended``."""
        wanted = session_pb2.SessionState.Value(f"SESSION_STATE_{state.upper()}")
        last: list[session_pb2.Session] = []

        async def look() -> bool:
            last[:] = [await self.session(application, session_id)]
            return last[0].state == wanted

        try:
            await wait_for(look, f"{state} session")
        except AssertionError as error:
            raise AssertionError(f"{error}, but {last}") from None
        return last[0]

    async def send(self, application: str, session_id: str, text: str | bytes, kind: str = "text/plain") -> str:
        """Let an application say something; returns the message's id."""
        body = text if isinstance(text, bytes) else text.encode()
        message = ua_pb2.OutboundMessage(session_id=session_id, content_type=kind, body=body)
        (outcome,) = await self.module.agent.send_messages(caller(application), [message])
        assert outcome.error is None, outcome.error
        return str(outcome.message_id)

    async def outcome(self, application: str, message_id: str, state: str = "") -> message_pb2.Message:
        """Wait until a message has a final state, or the one given; returns it."""
        last: list[message_pb2.Message] = []

        async def look() -> bool:
            request = ua_pb2.GetMessageRequest(message_id=message_id)
            last[:] = [(await self.module.agent.get_message(caller(application), request)).message]
            name = message_pb2.DeliveryState.Name(last[0].state).removeprefix("DELIVERY_STATE_").lower()
            return name == state if state else name != "accepted"

        await wait_for(look, "outcome")
        return last[0]

    async def received(self, application: str, session_id: str, count: int = 1) -> list[message_pb2.Message]:
        """Wait until so many messages have come in a session; returns them."""
        found: list[message_pb2.Message] = []

        async def look() -> bool:
            request = ua_pb2.ListMessagesRequest(session_id=session_id, page_size=1000)
            listed = await self.module.agent.list_messages(caller(application), request)
            found[:] = [one for one in listed.messages if one.direction == message_pb2.MESSAGE_DIRECTION_INBOUND]
            return len(found) >= count

        await wait_for(look, f"{count} messages")
        return found


def caller(application: str) -> Caller:
    """Return an application with every scope."""
    return Caller(application, frozenset(("sessions:read", "sessions:write", "messages:read", "messages:write")))


async def wait_for(look: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for something that has to be asked for."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not await look():
        assert asyncio.get_running_loop().time() < deadline, f"no {what}"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def user_agent_node(
    directory: Path,
    applications: Sequence[Mapping[str, Any]],
    *,
    origins: Sequence[str] = (),
    builtin: Sequence[ApplicationSettings] = (),
    sip: Mapping[str, Any] | None = None,
    gateway: Mapping[str, Any] | None = None,
    telemetry: Mapping[str, Any] | None = None,
    **ua: Any,
) -> AsyncIterator[UserAgentNode]:
    """Run a node with relay and user agent on free loopback ports until the block ends.

    Args:
        directory: For its data.
        applications: Settings of the applications.
        origins: Of pages that may come to the WebSocket listeners; empty: of any.
        builtin: Those that are parts of Wigwag.
        sip: More settings of the edge.
        gateway: Settings of the gateway, hosted too; None: it is not.
        telemetry: Where traces and metrics go; None: nowhere.
        **ua: More settings of the user agent.
    """
    authority = Authority.create(directory)
    pair = list(authority.issue("localhost", DOMAIN, NAME, addresses=(HOST,)))
    ports = {transport: free_sip_port() for transport in TRANSPORTS}
    layer = node_layer(directory, ports, pair, origins)
    layer["relay"]["sip"] |= dict(sip or {})
    # Users have gone by the end, and what they are told then gets no answer.
    layer["node"]["shutdown_grace"] = 0.5
    if gateway is not None:
        layer["gateway"] = dict(gateway)
    if telemetry is not None:
        layer["telemetry"] = dict(telemetry)
    services = ["relay", "ua"] if gateway is None else ["relay", "ua", "gateway"]
    layer["ua"] = {"applications": [dict(one) for one in applications], "api": {"port": 0}, **ua}

    def user_agent(surroundings: Surroundings) -> Module:
        made: Any = CONSTRUCTORS[UA](surroundings)
        if builtin:
            made.applications = Applications(surroundings.settings.ua.applications, made._load, builtin)
        return cast(Module, made)

    node = Node(Settings.model_validate(layer), services, constructors={**CONSTRUCTORS, UA: user_agent})
    async with node:
        relay: Any = node.modules["relay"]
        listeners = {name: listener.port for name, listener in relay.relay.listeners.items()}
        edge = SipEdge(name="wigwag", host=HOST, ports=ports, ca_file=authority.ca_file, log=directory / "log")
        made = UserAgentNode(node, edge, listeners, authority.ca_file, pair[0])
        await until(lambda: made.module.ready()[0], PATIENCE)
        yield made
        await node.drain()


def node_layer(
    directory: Path, ports: Mapping[str, int], pair: list[str], origins: Sequence[str] = ()
) -> dict[str, Any]:
    """Return settings of a node with relay and edge.

    Args:
        directory: Holds its data.
        ports: SIP port by kind of listener; those of the relay are left to the system.
        pair: Certificate and key.
        origins: Of pages that may come to the WebSocket listeners; empty: of any.
    """
    return {
        "node": {"data_dir": str(directory / "data")},
        "admin": {"port": 0},
        "relay": {
            "domains": [DOMAIN, RESOLVABLE],
            "listeners": [_listener(kind, 0, pair, origins) for kind in ("tls", "tcp", "ws", "wss")],
            "digest_algorithms": ["MD5"],
            "sip": {
                "listeners": [_listener(kind, port, pair, origins) for kind, port in ports.items()],
                "domains": [DOMAIN],
            },
        },
        "users": [
            {"username": user, "domain": domain, "password": password}
            for user, password in USERS.items()
            for domain in (DOMAIN, RESOLVABLE)
        ],
    }


def _listener(kind: str, port: int, pair: list[str], origins: Sequence[str]) -> dict[str, Any]:
    listener: dict[str, Any] = {"name": kind, "kind": kind, "host": HOST, "port": port, "advertised_host": "localhost"}
    if kind in ("tls", "wss"):
        listener["certificates"] = [pair]
    if kind in ("ws", "wss"):
        listener["origins"] = list(origins)
    if kind in ("tcp", "ws") and port == 0:
        listener["plain_auth"] = True
    return listener


def application(name: str, **more: Any) -> dict[str, Any]:
    """Settings of an application that answers at once."""
    return {"name": name, "uris": [f"sip:{name}@{DOMAIN}"], "answer": "automatic", **more}
