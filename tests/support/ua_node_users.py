"""SIP users at the edge of a node in the test's own loop: they call, are called, and tell what they hear."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from tests.support.edge_under_test import DOMAIN, USERS, SipEdge
from tests.support.ua_node import PATIENCE
from tests.support.ua_plan import UaPlan
from tests.support.ua_users import endpoint_of
from tests.support.waiting import until
from wigwag.ua.endpoint.direct import DirectWay
from wigwag.ua.endpoint.model import (
    CallReceived,
    EndpointEvent,
    EndpointSession,
    MediaWish,
    Opened,
    OutgoingCall,
    OutgoingMessage,
    Received,
)

TYPES: Final = ("message/cpim", "text/plain")
T = TypeVar("T")


class Reachable(Protocol):
    """A node as users reach it."""

    @property
    def edge(self) -> SipEdge:
        """Its SIP edge."""

    @property
    def relay(self) -> Mapping[str, int]:
        """Port of its relay's listeners by kind."""

    @property
    def ca_file(self) -> str:
        """Authority of its certificates."""


class NodeUser:
    """A SIP user, who takes every call and every message.

    Args:
        name: Of ``USERS``.
        node: Where he is registered.
        directory: For what he would record.
        answers: Whether he takes calls.

    Attributes:
        types: What he takes in sessions.
        refuses: MSRP status and comment with which he answers messages; None: he takes them.
    """

    def __init__(self, name: str, node: Reachable, directory: Path, *, answers: bool = True) -> None:
        self.name = name
        self.uri = f"sip:{name}@{DOMAIN}"
        self.events: list[EndpointEvent] = []
        self.takes_calls = answers
        self.types: tuple[str, ...] = TYPES
        self.refuses: tuple[int, str] | None = None
        plan = UaPlan(
            name=name,
            directory=str(directory),
            clients=(name,),
            rate=0.0,
            domain=DOMAIN,
            sip_port=node.edge.ports["tcp"],
            msrp_port=node.relay["tls"],
            ca_file=node.ca_file,
            password=USERS[name],
            targets=(),
            application="",
        )
        self.is_up = False
        self.endpoint = endpoint_of(name, plan, self._told, self._reached)
        ways = self.endpoint.media.ways
        ways["direct"] = DirectWay(ways["relay"].connector, secrets.token_bytes, allow_private=True)

    def _reached(self, up: bool) -> None:
        self.is_up = up

    def _told(self, event: EndpointEvent) -> None:
        self.events.append(event)
        if isinstance(event, CallReceived) and self.takes_calls:
            event.session.accept(MediaWish(accept_types=self.types))
        elif isinstance(event, Received) and self.refuses is not None:
            event.refuse(*self.refuses)
        elif isinstance(event, Received):
            event.accept()

    def heard(self, kind: type[T]) -> list[T]:
        """Return the events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    async def hears(self, kind: type[T], count: int = 1, which: Callable[[T], bool] = lambda _: True) -> T:
        """Wait for so many events of a kind; returns the last."""
        await until(lambda: len([event for event in self.heard(kind) if which(event)]) >= count, PATIENCE)
        return [event for event in self.heard(kind) if which(event)][count - 1]

    def call(self, to_uri: str, *, way: str = "relay", **more: Any) -> EndpointSession:
        """Call somebody."""
        call = OutgoingCall(
            session_id=secrets.token_hex(8),
            from_uri=self.uri,
            to_uri=to_uri,
            media=MediaWish(accept_types=TYPES, way=way),
            **more,
        )
        return self.endpoint.start(call)

    async def opens(self, to_uri: str, **more: Any) -> EndpointSession:
        """Call somebody who takes the call."""
        session = self.call(to_uri, **more)
        await self.hears(Opened, which=lambda event: event.session is session)
        return session

    def say(self, session: EndpointSession, text: bytes, content_type: str = "text/plain", **more: Any) -> str:
        """Send a message; returns its Message-ID."""
        message_id = secrets.token_hex(8)
        session.send(OutgoingMessage(message_id=message_id, content_type=content_type, body=text, **more))
        return message_id


@asynccontextmanager
async def node_user(
    name: str, node: Reachable, directory: Path, *, answers: bool = True, types: tuple[str, ...] = TYPES
) -> AsyncIterator[NodeUser]:
    """Let a user register, until the block ends."""
    user = NodeUser(name, node, directory, answers=answers)
    user.types = types
    async with asyncio.timeout(PATIENCE):
        await user.endpoint.sip.start()
    try:
        await until(lambda: user.is_up, PATIENCE)
        yield user
    finally:
        await user.endpoint.close()
        await user.endpoint.sip.close()
