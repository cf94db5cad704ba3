"""A node that hosts the gateway in the test's own loop, and page-mode users at its edge."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.edge_under_test import DOMAIN, USERS
from tests.support.sip_client import LiveSipClient
from tests.support.ua_node import UserAgentNode, user_agent_node
from tests.support.ua_node_users import Reachable
from wigwag.protocols.sip import Request, Response

ROUTE = {"methods": ["MESSAGE"], "user": "bob", "action": "service", "service": "gateway"}
"""MESSAGEs for Bob go to the gateway."""


@asynccontextmanager
async def gateway_node(
    directory: Path,
    *,
    pager: dict[str, Any] | None = None,
    routes: Sequence[Mapping[str, Any]] = (ROUTE,),
    telemetry: Mapping[str, Any] | None = None,
    **gateway: Any,
) -> AsyncIterator[UserAgentNode]:
    """Run a node with the gateway until the block ends; Bob is a session-mode user by the usual routing table."""
    sip: dict[str, Any] = {"routes": [dict(route) for route in routes]}
    if pager is not None:
        sip["pager"] = pager
    async with user_agent_node(directory, [], gateway=gateway, sip=sip, telemetry=telemetry) as node:
        yield node


class PagePhone(LiveSipClient):
    """A device that says it takes MESSAGE and no calls (RFC 3840)."""

    def request(self, method: str, uri: str, to: str, fields: list[tuple[str, str]], body: bytes = b"") -> Request:
        """Make a request."""
        said = [
            (name, f'{value};methods="MESSAGE,OPTIONS"' if name == "Contact" and method == "REGISTER" else value)
            for name, value in fields
        ]
        return super().request(method, uri, to, said, body)


@asynccontextmanager
async def page_user(node: Reachable, name: str, *, here: bool = True) -> AsyncIterator[LiveSipClient]:
    """Connect a page-mode user, and register him unless he is not to be here."""
    async with PagePhone(node.edge.ports["tcp"], f"{name}@{DOMAIN}", USERS[name]) as client:
        if here:
            assert (await client.register()).status == 200
        yield client


async def next_message(client: LiveSipClient, status: int | None = 200, reason: str = "OK") -> Request:
    """Return the next MESSAGE that comes, answered so; None: not answered."""
    while True:
        message = await client.received()
        if isinstance(message, Request) and message.method == "MESSAGE":
            if status is not None:
                client.send(Response.to_request(message, status, reason, to_tag="t"))
            return message


async def writes(
    client: LiveSipClient, to: str, body: str | bytes = "hello", content_type: str = "text/plain", **headers: str
) -> int:
    """Send a MESSAGE; returns the status of its answer."""
    return (await answer_to(client, to, body, content_type, **headers)).status


async def answer_to(
    client: LiveSipClient, to: str, body: str | bytes = "hello", content_type: str = "text/plain", **headers: str
) -> Response:
    """Send a MESSAGE; returns its answer."""
    fields = [("Content-Type", content_type), *((name.replace("_", "-"), value) for name, value in headers.items())]
    octets = body.encode() if isinstance(body, str) else body
    return await client.exchange(client.request("MESSAGE", to, to, fields, octets))
