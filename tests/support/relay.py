"""A relay without sockets: a clock turned by hand, connections whose bytes are lists."""

import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import cast

from wigwag.protocols.digest import Challenge, Credentials, SigningKey, SigningKeys, StoredCredentials, ha1
from wigwag.protocols.digest import response as digest_response
from wigwag.protocols.msrp import MsrpUri
from wigwag.relay.config import RelaySettings
from wigwag.relay.hop import Hop
from wigwag.relay.routing import RouteDecision, RoutingTable
from wigwag.relay.selection import SessionFilter
from wigwag.relay.service import Relay
from wigwag.relay.views import ListenerAddress, SessionView
from wigwag.transport.channel import Channel
from wigwag.transport.errors import ConnectError, ConnectFailure

PASSWORDS = {"alice": "secret", "bob": "hidden"}
REALM = "relay.test"
RELAY_URI = f"msrps://{REALM}:2855;tcp"


class FakeRuntime:
    """The world as the relay sees it; ``later`` holds (time, callback)."""

    def __init__(self, seed: int = 1) -> None:
        self.time = 1000.0
        self.clock_error = 0.0
        self._random = Random(seed)
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.lines: list[tuple[str, dict[str, object]]] = []
        self.on_sleep: Callable[[float], None] = lambda seconds: None

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return 1_700_000_000.0 + self.time + self.clock_error

    def random(self, octets: int) -> bytes:
        return self._random.randbytes(octets)

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self.later.append((self.time + delay, callback))

    async def sleep(self, seconds: float) -> None:
        """Only the test turns the clock on, here too."""
        self.on_sleep(seconds)
        await asyncio.sleep(0)

    def spawn(self, work: Awaitable[None]) -> None:
        self.tasks.append(asyncio.ensure_future(cast("asyncio.Future[None]", work)))

    def log(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))

    async def settle(self) -> None:
        """Let background work finish."""
        while self.tasks:
            await self.tasks.pop(0)


@dataclass
class FakeChannel:
    """A connection: what the relay writes lands in ``frames``."""

    hop: Hop
    kind: str = "tls"
    listener: str | None = "main"
    remote: tuple[str, int] = ("192.0.2.1", 40000)
    local: tuple[str, int] = ("192.0.2.100", 2855)
    certificate_names: tuple[str, ...] = ()
    profile: None = None
    frames: list[bytes] = field(default_factory=list)
    reading: bool = True
    is_open: bool = True
    bytes_received: int = 0
    bytes_sent: int = 0
    backlog: int = 0
    """What ``unsent`` says."""
    full_above: int | None = None
    """Bytes of backlog above which the relay is asked to pause; None: everything leaves at once."""
    id: int = field(default_factory=itertools.count(1).__next__)

    def send(self, frames: Sequence[bytes]) -> None:
        self.frames.extend(frames)
        octets = sum(map(len, frames))
        self.bytes_sent += octets
        if self.full_above is not None:
            self.backlog += octets
            if self.backlog > self.full_above and not self.hop.full:
                self.hop.pause_sending()

    def drain(self) -> None:
        """Let the backlog leave."""
        self.backlog = 0
        if self.hop.full:
            self.hop.resume_sending()

    def unsent(self) -> int:
        return self.backlog

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def hold(self) -> None:
        pass

    def release(self) -> None:
        pass

    def close(self, reason: str = "") -> None:
        self.is_open = False

    def abort(self, reason: str = "") -> None:
        self.is_open = False

    # What a test does at the other end.

    def receive(self, data: bytes) -> None:
        """Let bytes arrive from the peer."""
        self.bytes_received += len(data)
        self.hop.data_received(data)

    def lose(self) -> None:
        """The peer is gone."""
        self.is_open = False
        self.hop.disconnected("reset by the peer")

    def taken(self) -> list[bytes]:
        """Return the frames sent since the last call."""
        frames, self.frames = self.frames, []
        return frames


class MemoryCredentials:
    """Users with passwords."""

    async def credentials(self, username: str, domain: str) -> StoredCredentials | None:
        password = PASSWORDS.get(username)
        return StoredCredentials(username=username, domain=domain, password=password) if password else None


class FakeConnector:
    """Connects to what a test has put into ``peers``."""

    def __init__(self) -> None:
        self.peers: dict[str, FakeChannel] = {}
        self.asked: list[str] = []

    async def connect(self, hop: Hop, uri: MsrpUri, decision: RouteDecision) -> None:
        self.asked.append(str(uri))
        if str(uri) not in self.peers:
            raise ConnectError(ConnectFailure.REFUSED, "connection refused")
        channel = self.peers[str(uri)]
        channel.hop = hop
        channel.listener = None
        hop.connected(cast(Channel, channel))


class RelayUnderTest:
    """A relay and the ends of its connections."""

    def __init__(
        self,
        settings: RelaySettings | None = None,
        *,
        table: RoutingTable | None = None,
        runtime: FakeRuntime | None = None,
    ) -> None:
        self.runtime = runtime or FakeRuntime()
        self.connector = FakeConnector()
        self.relay = Relay(
            settings or RelaySettings(),
            runtime=self.runtime,
            keys=SigningKeys([SigningKey("A", b"k" * 32)]),
            source=MemoryCredentials(),
            connector=self.connector,
            table=table or RoutingTable([]),
        )
        self.relay.listeners = {
            "main": ListenerAddress("main", "tls", REALM, 2855, 2855, REALM, False),
            "plain": ListenerAddress("plain", "tcp", REALM, 2856, 2856, REALM, False),
        }

    def connect(self, **attributes: object) -> FakeChannel:
        """Open a connection to the relay."""
        channel = FakeChannel(Hop(self.relay), **attributes)  # type: ignore[arg-type]
        channel.hop.connected(cast(Channel, channel))
        return channel

    async def client(
        self, username: str = "alice", uri: str = "msrps://client.invalid:9/a;tcp", **attributes: object
    ) -> "FakeClient":
        """Open a connection and AUTH on it."""
        client = FakeClient(self, self.connect(**attributes), username, uri)
        await client.authenticate()
        return client

    def advance(self, seconds: float) -> None:
        """Let time pass, a quarter of a second at a time, with the timers running."""
        end = self.runtime.time + seconds
        while self.runtime.time < end:
            self.runtime.time = min(end, self.runtime.time + 0.25)
            due = [call for call in self.runtime.later if call[0] <= self.runtime.time]
            self.runtime.later = [call for call in self.runtime.later if call[0] > self.runtime.time]
            for _, callback in due:
                callback()
            self.relay.deadlines.tick(self.runtime.time)
        self.relay.deadlines.round(end)


def session_views(relay: Relay) -> list[SessionView]:
    """Return the relay's sessions, oldest first."""
    found = relay.find_sessions(SessionFilter())
    return [found.view(session) for session in found.sessions]


class FakeClient:
    """A client that has AUTHed (or tried to)."""

    def __init__(self, under_test: RelayUnderTest, channel: FakeChannel, username: str, uri: str) -> None:
        self.under_test = under_test
        self.channel = channel
        self.username = username
        self.uri = uri
        self.use_path = ""

    async def auth(self, fields: str = "", to_path: str = RELAY_URI, transaction_id: str = "auth1") -> bytes:
        """Send an AUTH with more header lines; returns the answer, or nothing."""
        head = f"MSRP {transaction_id} AUTH\r\nTo-Path: {to_path}\r\nFrom-Path: {self.uri}\r\n{fields}"
        self.channel.taken()
        self.channel.receive(f"{head}-------{transaction_id}$\r\n".encode())
        await self.under_test.runtime.settle()
        frames = self.channel.taken()
        return frames[0] if frames else b""

    def authorization(
        self, challenge: bytes, password: str | None = None, to_path: str = RELAY_URI, **overrides: object
    ) -> str:
        """Answer the last challenge of a 401."""
        values = re.findall(rb"WWW-Authenticate: ([^\r]*)", challenge)
        parsed = Challenge.parse(values[-1].decode())
        secret = password if password is not None else PASSWORDS[self.username]
        algorithm = parsed.algorithm
        nc = str(overrides.pop("nc", "00000001"))
        answer = digest_response(
            algorithm, ha1(algorithm, self.username, parsed.realm, secret),
            nonce=parsed.nonce, nc=nc, cnonce="0a4f113b", qop="auth", method="AUTH", uri=to_path.split()[-1],
        )  # fmt: skip
        values_of: dict[str, object] = {
            "username": self.username, "realm": parsed.realm, "nonce": parsed.nonce, "response": answer,
            "algorithm": algorithm, "cnonce": "0a4f113b", "nc": nc, "qop": "auth", "opaque": parsed.opaque, "uri": None,
        }  # fmt: skip
        return f"Authorization: {Credentials(**{**values_of, **overrides})}\r\n"  # type: ignore[arg-type]

    async def authenticate(self, fields: str = "") -> bytes:
        """AUTH with the right password; keeps the Use-Path and returns the last answer."""
        challenge = await self.auth()
        answer = await self.auth(self.authorization(challenge) + fields, transaction_id="auth2")
        found = re.search(rb"Use-Path: ([^\r]*)", answer)
        self.use_path = found[1].decode() if found else ""
        return answer


def send(
    to_path: str, from_path: str, body: bytes | None = b"hello", *,
    transaction_id: str = "t001", message_id: str = "m001",
    byte_range: str | None = None, flag: str = "$", fields: str = "",
) -> bytes:  # fmt: skip
    """Build a SEND by hand."""
    octets = len(body or b"")
    if byte_range is None:
        byte_range = f"1-{octets}/{octets}"
    head = (
        f"MSRP {transaction_id} SEND\r\nTo-Path: {to_path}\r\nFrom-Path: {from_path}\r\n"
        f"Message-ID: {message_id}\r\nByte-Range: {byte_range}\r\n{fields}"
    ).encode()
    content = b"Content-Type: text/plain\r\n\r\n" + body + b"\r\n" if body is not None else b""
    return head + content + f"-------{transaction_id}{flag}\r\n".encode()


def ok_to(frame: bytes, status: str = "200 OK") -> bytes:
    """Build the response that the receiver of ``frame`` gives."""
    transaction_id = frame.split(b" ", 2)[1]
    to_path = re.search(rb"To-Path: ([^\r ]*)", frame)
    from_path = re.search(rb"From-Path: ([^\r ]*)", frame)
    assert to_path is not None
    assert from_path is not None
    return b"MSRP %b %b\r\nTo-Path: %b\r\nFrom-Path: %b\r\n-------%b$\r\n" % (
        transaction_id, status.encode(), from_path[1], to_path[1], transaction_id
    )  # fmt: skip


def body_of(frame: bytes) -> bytes:
    """Return a frame's body."""
    transaction_id = frame.split(b" ", 2)[1]
    return frame.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n-------" + transaction_id, 1)[0]


def value_of(frame: bytes, name: str) -> str | None:
    """Return a header's value."""
    found = re.search(rb"\r\n" + name.encode() + rb": ([^\r]*)", frame)
    return found[1].decode() if found else None
