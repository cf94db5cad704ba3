"""A SIP edge without sockets: a clock turned by hand, clients whose datagrams and connections are lists."""

import itertools
from collections.abc import Mapping
from typing import Any, cast

from tests.support.fake_connection import FakeConnection
from tests.support.relay import FakeRuntime
from tests.support.sip_hops import FakeHops
from wigwag.bus import Bus
from wigwag.database.ledger import Ledger
from wigwag.protocols.digest import SigningKey, SigningKeys, StoredCredentials
from wigwag.protocols.sip import Request, Response, parse_datagram
from wigwag.protocols.sip.digest import Account, DigestClient
from wigwag.relay.config import RelaySettings
from wigwag.relay.sip.agents import AgentDirectory, SessionOwners
from wigwag.relay.sip.assembly import SipParts, assemble
from wigwag.relay.sip.edge import Edge
from wigwag.relay.sip.flows.flow import SipAddress, StreamFlow
from wigwag.relay.sip.ports import Applications
from wigwag.relay.sip.registrar.waker import Pusher
from wigwag.relay.sip.routing.router import Router
from wigwag.runtime.agents import ApplicationUris
from wigwag.store import Store
from wigwag.store.memory import MemoryStore
from wigwag.transport.channel import Channel

DOMAIN = "example.com"
PASSWORDS = {"alice": "secret", "bob": "hidden", "carol": "quiet"}
TRUSTED = "198.51.100.7"
"""Address of a neighbour."""
_PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443, "peer": 5071}
_serials = itertools.count(1)


class Passwords:
    """Users and passwords; ``away`` makes the look-up fail."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self.passwords = dict(passwords)
        self.asked = 0

    async def credentials(self, username: str, domain: str) -> StoredCredentials | None:
        self.asked += 1
        password = self.passwords.get(username)
        if password is None or domain != DOMAIN:
            return None
        return StoredCredentials(username=username, domain=domain, password=password)


class Socket:
    """The UDP socket of the edge: what it sends is kept by the address it is sent to."""

    def __init__(self) -> None:
        self.sent: dict[tuple[str, int], list[bytes]] = {}

    def send(self, data: bytes, remote: tuple[str, int]) -> None:
        self.sent.setdefault(remote, []).append(data)


class EdgeUnderTest:
    """One edge.

    Args:
        sip: Settings of ``relay.sip`` beside the listeners.
        store: Where registrations are; shared to have several pods.
        pod: Its id.
        clustered: Whether there are others.
        settings: More of the relay's settings.
        bus: Hears of registrations.
        pusher: Wakes devices.
        ledger: Where messages are kept; None: none are.
        sessions: Knows owners of the user agent's sessions.
        applications: Knows whose an address is.
    """

    def __init__(
        self,
        sip: Mapping[str, Any] | None = None,
        *,
        store: Store | None = None,
        pod: str = "pod-a",
        clustered: bool = False,
        settings: Mapping[str, Any] | None = None,
        bus: Bus | None = None,
        pusher: Pusher | None = None,
        ledger: Ledger | None = None,
        sessions: SessionOwners | None = None,
        applications: Applications | None = None,
    ) -> None:
        self.runtime = FakeRuntime()
        self.passwords = Passwords(PASSWORDS)
        self.store = store or MemoryStore(clock=self.runtime.wall)
        self.socket = Socket()
        self.addresses = {kind: _address(kind, port) for kind, port in _PORTS.items()}
        listeners = [{"name": kind, "kind": kind, "certificates": [("c", "k")], "client_ca": "ca"} for kind in _PORTS]
        self.settings = RelaySettings.model_validate(
            {
                "domains": [DOMAIN],
                "sip": {"listeners": listeners, "trusted_networks": [f"{TRUSTED}/32"], **(sip or {})},
                **(settings or {}),
            }
        )
        self.hops = FakeHops(lambda: self.edge)
        self.router = Router(self.settings.sip, now=self.runtime.now)
        self.parts: SipParts = assemble(
            self.settings,
            addresses=list(self.addresses.values()),
            sockets={"udp": (self.socket, self.addresses["udp"])},
            runtime=self.runtime,
            keys=SigningKeys([SigningKey("a", b"k" * 32)]),
            source=self.passwords,
            store=self.store,
            next_hops=self.hops,
            router=self.router,
            pod=pod,
            clustered=clustered,
            wall=self.runtime.wall,
            bus=bus,
            pusher=pusher,
            ledger=ledger,
            directory=AgentDirectory(sessions=sessions, applications=applications or ApplicationUris()),
        )
        self.edge: Edge = self.parts.edge
        self.others: list[EdgeUnderTest] = []
        """The other pods of its cluster."""

    async def settle(self) -> None:
        """Let background work finish."""
        await self.runtime.settle()
        for other in self.others:
            await other.runtime.settle()

    def pass_time(self, seconds: float, step: float = 0.05) -> None:
        """Turn the clock on, looking at the timers on the way."""
        end = self.runtime.time + seconds
        while self.runtime.time < end:
            self.runtime.time = min(self.runtime.time + step, end)
            self.parts.tick(self.runtime.time)


class SipClient:
    """A client of an edge, over UDP or over a connection of its own.

    Args:
        edge: Its edge.
        user: User part of its AOR.
        kind: udp, tcp, tls, ws, wss, or peer: a neighbour with a certificate.
        host: Where it is.
        port: Likewise; 0: some port.
    """

    def __init__(
        self, edge: EdgeUnderTest, user: str, *, kind: str = "udp", host: str = "203.0.113.1", port: int = 0
    ) -> None:
        serial = next(_serials)
        self.under_test = edge
        self.user = user
        self.kind = kind
        self.remote = (host, port or 20_000 + serial)
        self.aor = f"sip:{user}@{DOMAIN}"
        self.contact = f"sip:{user}@{host}:{self.remote[1]}" + ("" if kind == "udp" else f";transport={kind}")
        account = Account(user, PASSWORDS.get(user, "wrong"))
        self.digest = DigestClient(lambda realm: account, lambda octets: b"c" * octets)
        self.cseq = 0
        self.call_id = f"call-{serial}"
        self._branches = itertools.count(1)
        self._read = 0
        self.flow: StreamFlow | None = None
        if kind != "udp":
            self.connect()

    def connect(self) -> None:
        """Open a new connection."""
        edge = self.under_test
        self.connection = FakeConnection(next(_serials), self.remote)
        self.flow = StreamFlow(edge.edge, edge.addresses[self.kind], 65_536, edge.runtime.time)
        self.flow.connected(cast("Channel", self.connection))
        self._read = 0

    def disconnect(self) -> None:
        """Lose the connection."""
        assert self.flow is not None
        self.flow.disconnected("gone")

    # Out

    def send(self, message: Request | Response | bytes) -> None:
        """Send one message."""
        edge, data = self.under_test, bytes(message)
        if self.flow is not None:
            self.flow.data_received(data)
        else:
            edge.edge.datagram_received(data, self.remote, edge.socket, edge.addresses["udp"])

    def request(
        self,
        method: str,
        uri: str = "",
        fields: "list[tuple[str, str]] | None" = None,
        body: bytes = b"",
        *,
        to: str = "",
        branch: str = "",
        call_id: str = "",
    ) -> Request:
        """Make a request of this client."""
        self.cseq += 1
        branch = branch or f"z9hG4bK{self.user}{self.remote[1]}-{next(self._branches)}"
        transport = self.under_test.addresses[self.kind].via_transport
        via = f"SIP/2.0/{transport} {self.remote[0]}:{self.remote[1]};branch={branch};rport"
        head = [
            ("Via", via),
            ("Max-Forwards", "70"),
            ("From", f"<{self.aor}>;tag={self.user}1"),
            ("To", f"<{to or uri}>"),
            ("Call-ID", call_id or self.call_id),
            ("CSeq", f"{self.cseq} {method}"),
        ]
        return Request.create(method, uri, [*head, *(fields or [])], body)

    def message(self, to: str, text: str = "hello", **more: Any) -> Request:
        """Make a MESSAGE to a user or URI, with a Call-ID of its own."""
        uri = to if ":" in to else f"sip:{to}@{DOMAIN}"
        call_id = more.pop("call_id", "") or f"message-{next(_serials)}"
        return self.request("MESSAGE", uri, [("Content-Type", "text/plain")], text.encode(), call_id=call_id, **more)

    def answer(self, request: Request, status: int = 200, reason: str = "OK", **more: Any) -> Response:
        """Answer a request."""
        response = Response.to_request(request, status, reason, to_tag=f"{self.user}-tag", **more)
        self.send(response)
        return response

    # In

    def received(self) -> "list[Request | Response]":
        """What came since it was asked last."""
        if self.flow is not None:
            came = self.connection.written[self._read :]
        else:
            came = self.under_test.socket.sent.get(self.remote, [])[self._read :]
        self._read += len(came)
        return [parse_datagram(data) for data in came if data.strip()]

    def response(self) -> Response:
        """The one response that came."""
        (message,) = self.received()
        assert isinstance(message, Response), message.start_line
        return message

    def incoming(self) -> Request:
        """The one request that came."""
        (message,) = self.received()
        assert isinstance(message, Request), message.start_line
        return message

    # Whole exchanges

    async def exchange(self, request: Request) -> Response:
        """Send a request and return its answer, with credentials if they are asked for."""
        self.send(request)
        await self.under_test.settle()
        response = self.response()
        if response.status in (401, 407):
            again = self.authenticated(request, response)
            self.send(again)
            await self.under_test.settle()
            response = self.response()
        return response

    def authenticated(self, request: Request, challenge: Response) -> Request:
        """Return the request once more, with credentials."""
        self.cseq += 1
        again = request.copy()
        assert self.digest.exchange().answer(challenge), challenge.start_line
        self.digest.sign(again)
        again.set("CSeq", f"{self.cseq} {request.method}")
        via = request.via
        via.parameters["branch"] = f"{via.branch}a"
        again.replace_item("via", str(via))
        return again

    async def register(self, expires: int = 600, contact: str = "", **parameters: str) -> Response:
        """Register; returns the final response."""
        extra = "".join(f";{name.replace('_', '-')}={value}" for name, value in parameters.items())
        fields = [("Contact", f"<{contact or self.contact}>{extra}"), ("Expires", str(expires))]
        request = self.request("REGISTER", f"sip:{DOMAIN}", fields, to=self.aor)
        return await self.exchange(request)

    async def register_unasked(self, contact: str = "", expires: int = 600, parameters: str = "") -> Response:
        """Write a binding as if this client were a neighbour's: nobody asks for credentials. What came is forgotten."""
        edge = self.under_test
        fields = [("Contact", f"<{contact or self.contact}>{parameters}"), ("Expires", str(expires))]
        request = self.request(
            "REGISTER", f"sip:{DOMAIN}", fields, to=self.aor, branch=f"z9hG4bK-r{self.cseq}", call_id=self.contact
        )
        edge.edge._trusted[self.remote[0]] = True
        self.received()
        self.send(request)
        await edge.settle()
        edge.edge._trusted[self.remote[0]] = False
        return self.response()


def _address(kind: str, port: int) -> SipAddress:
    return SipAddress(
        name=kind,
        kind=kind,
        host="edge.example.com",
        port=port,
        bound_host="192.0.2.9",
        bound_port=port,
        trusted=kind == "peer",
    )
