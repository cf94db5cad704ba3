"""A neighbour that sends MESSAGEs that recur, and what may happen meanwhile; all that can be seen of it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.sip_edge import TRUSTED, EdgeUnderTest, SipClient
from wigwag.protocols.sip import Request, Response, parse_datagram
from wigwag.relay.sip.edge import Edge
from wigwag.relay.sip.protection.screening import Block, BlockLists
from wigwag.relay.sip.routing.config import SipRouteSettings
from wigwag.relay.sip.routing.table import RouteTable


def message(number: int, transport: str) -> bytes:
    """Return one of the requests that recur."""
    return (
        b"MESSAGE sip:bob@example.com SIP/2.0\r\n"
        b"Via: SIP/2.0/%(transport)b 198.51.100.7:5060;rport;branch=z9hG4bKx%(number)d\r\n"
        b"Max-Forwards: 70\r\n"
        b'From: "G" <sip:gateway@example.net>;tag=t%(number)d\r\n'
        b"To: <sip:bob@example.com>\r\n"
        b"Call-ID: call-%(number)d@x\r\n"
        b"CSeq: %(number)d MESSAGE\r\n"
        b"Content-Type: text/plain\r\n"
        b"Content-Length: 5\r\n\r\nhello"
    ) % {b"transport": transport.upper().encode(), b"number": number}


class Scene:
    """A neighbour that sends to bob, and what happens meanwhile.

    Args:
        come: Transport by which requests come.
        go: Transport by which they go on.
        limit: Of open transactions.
        edge: Their edge; None: one that keeps nothing.
    """

    def __init__(self, come: str, go: str, limit: int = 0, *, edge: EdgeUnderTest | None = None) -> None:
        self.edge = edge or EdgeUnderTest(sip={"limits": {"transactions": limit}} if limit else None)
        self.sender = SipClient(self.edge, "gateway", kind=come, host=TRUSTED, port=5060)
        self.bob = SipClient(self.edge, "bob", kind=go, port=4000)
        self.come = come
        self.sent = b""

    async def send(self, data: bytes) -> None:
        self.sent = data
        self.sender.send(data)
        await self.edge.settle()

    async def again(self) -> None:
        if self.sent:
            await self.send(self.sent)

    async def register_again(self) -> None:
        await self.register()

    async def move(self) -> None:
        await self.register(contact=self.bob.contact.replace("bob@", "bobby@"))

    async def leave(self) -> None:
        await self.register(expires=0)

    async def second_device(self) -> None:
        other = SipClient(self.edge, "bob", host="203.0.113.9", port=4009)
        await other.register_unasked()

    async def take_sessions_only(self) -> None:
        await self.register(parameters=';methods="INVITE,ACK,BYE"')

    async def register(self, contact: str = "", expires: int = 600, parameters: str = "") -> None:
        if self.bob.flow is not None and not self.bob.flow.is_open:
            self.bob.connect()
        await self.bob.register_unasked(contact, expires, parameters)

    async def disconnect(self) -> None:
        if self.bob.flow is not None:
            self.bob.disconnect()

    async def route(self) -> None:
        row = SipRouteSettings(action="refuse", status=403, reason="Not Today")
        self.edge.router.table = RouteTable([row], {}, ["udp", "tcp"])

    async def block(self) -> None:
        lists = self.edge.edge.neighbours.screening
        assert isinstance(lists, BlockLists)
        lists.replace([Block("sip:bob@example.com", "gateway@example.net")])

    async def forget_flows(self) -> None:
        self.edge.edge._datagram_flows.clear()

    async def wait(self) -> None:
        self.edge.pass_time(1)

    async def wait_long(self) -> None:
        self.edge.pass_time(33)

    async def answer(self, status: int, change: tuple[bytes, bytes] = (b"", b"")) -> None:
        for data in self.came()[-1:]:
            request = parse_datagram(data)
            if isinstance(request, Request):
                answer = bytes(Response.to_request(request, status, "So", to_tag="bob"))
                self.bob.send(answer.replace(*change) if change[0] else answer)

    def came(self) -> list[bytes]:
        """What bob got of requests."""
        got = self.bob.connection.written if self.bob.flow is not None else self.edge.socket.sent[self.bob.remote]
        return [data for data in got if data.startswith(b"MESSAGE")]

    def record(self) -> dict[str, Any]:
        """Return all that can be seen of it."""
        edge = self.edge.edge
        layer = edge.transactions
        streams = [each.connection.written for each in (self.sender, self.bob) if each.flow is not None]
        return {
            "datagrams": self.edge.socket.sent,
            "streams": streams,
            "clients": sorted((key, held.state) for key, held in layer.clients.items()),
            "servers": sorted((key, held.state) for key, held in layer.servers.items()),
            "counters": dict(edge.counters),
            "requests": edge.requests,
            "responses": edge.responses,
            "layer": {name: value for name, value in vars(layer).items() if isinstance(value, int)},
            "waiting": sorted(len(held) for held in layer._waiting.values()),
            "messages": [each.flow.messages for each in (self.sender, self.bob) if each.flow is not None],
        }


Event = Callable[[Scene], Awaitable[None]]
EVENTS: list[Event] = [
    lambda scene: scene.answer(200),
    lambda scene: scene.answer(200),
    lambda scene: scene.answer(200),
    lambda scene: scene.answer(202, (b"Via: ", b"v: ")),
    lambda scene: scene.answer(100),
    lambda scene: scene.answer(180),
    lambda scene: scene.answer(404),
    lambda scene: scene.answer(503),
    lambda scene: scene.answer(603),
    Scene.again,
    Scene.register_again,
    Scene.move,
    Scene.leave,
    Scene.second_device,
    Scene.disconnect,
    Scene.route,
    Scene.block,
    Scene.forget_flows,
    Scene.wait,
    Scene.wait_long,
]


def never_read(patch: pytest.MonkeyPatch) -> None:
    """Let no request be read from now on."""

    def read(*_: object) -> None:
        raise AssertionError("the long way")

    patch.setattr(Edge, "message_received", read)
