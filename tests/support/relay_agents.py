"""Connections of ua pods to a relay without sockets: mutual TLS, and the fencing token of their claim."""

from tests.support.relay import FakeClient, RelayUnderTest, value_of
from wigwag.relay.views import ListenerAddress

AGENT = "agents.invalid"
URI = f"msrps://{AGENT}:9/s1;tcp"
TO = "msrps://127.0.0.1:2857;tcp"


def opened(under_test: RelayUnderTest) -> RelayUnderTest:
    """Give a relay a peer listener that ua pods come by."""
    under_test.relay.listeners["peer"] = ListenerAddress("peer", "peer", "127.0.0.1", 2857, 2857, "127.0.0.1", False)
    return under_test


class AgentClient(FakeClient):
    """A ua pod's connection for one session."""

    def __init__(self, under_test: RelayUnderTest, uri: str = URI, **attributes: object) -> None:
        known = {"listener": "peer", "certificate_names": (AGENT,), **attributes}
        super().__init__(under_test, under_test.connect(**known), "", uri)

    async def claim(self, token: object, fields: str = "") -> str:
        """AUTH with a fencing token; returns the answer's first line without its transaction."""
        head = f"MSRP auth1 AUTH\r\nTo-Path: {TO}\r\nFrom-Path: {self.uri}\r\nFencing-Token: {token}\r\n{fields}"
        self.channel.receive(f"{head}-------auth1$\r\n".encode())
        await self.under_test.runtime.settle()
        self.answer, *self.handed_over = self.channel.taken() or [b""]
        answer = self.answer
        self.use_path = value_of(answer, "Use-Path") or ""
        return answer.split(b"\r\n")[0].decode().removeprefix("MSRP auth1 ")
