"""A SIP server over real sockets that does what a test's script says: for what happens on the way to a client."""

from collections.abc import Callable
from typing import cast

from tests.support.certificates import Authority
from wigwag.protocols.sip import KeepAlive, Request, Response, SipError, StreamFramer, parse_datagram
from wigwag.transport.channel import Address, Channel
from wigwag.transport.datagrams import DatagramListener, DatagramOptions
from wigwag.transport.errors import ListenError
from wigwag.transport.listener import Listener, ListenerKind, ListenerOptions

Script = Callable[[Request], Response | None]
"""Returns the answer to a request; None: silence."""


class ScriptedPeer:
    """One client as the server sees it."""

    def __init__(self, server: "ScriptedSipServer", send: Callable[[bytes], None]) -> None:
        self.channel: Channel | None = None
        self._server = server
        self._send = send
        self._framer = StreamFramer()

    def send(self, message: Request | Response) -> None:
        """Send a message."""
        self._send(bytes(message))

    def take(self, message: Request | Response) -> None:
        """Keep a message, and answer it by the script."""
        if isinstance(message, Response):
            self._server.responses.append(message)
            return
        self._server.requests.append(message)
        answer = self._server.script(message)
        if answer is not None:
            self.send(answer)

    # Receiver

    def connected(self, channel: Channel) -> None:
        self.channel = channel
        self._send = lambda data: channel.send((data,))
        self._server.peers.append(self)

    def data_received(self, data: bytes) -> None:
        if self.channel is not None and self.channel.kind in ("ws", "wss"):
            self.take(parse_datagram(data))
            return
        for message in self._framer.receive_data(data):
            if isinstance(message, KeepAlive):
                self._server.pings += 1
                if not self._server.is_silent:
                    self._send(b"\r\n")
            else:
                assert not isinstance(message, SipError)
                self.take(message)

    def pause_sending(self) -> None:
        """Tests send little."""

    def resume_sending(self) -> None:
        """Tests send little."""

    def disconnected(self, reason: str) -> None:
        self.channel = None


class ScriptedSipServer:
    """A server at one port, over one or several transports.

    Args:
        script: Answers requests; may be replaced at any time.
        authority: Issues its certificate for ``example.test``.
    """

    def __init__(self, script: Script, authority: Authority | None = None) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.responses: list[Response] = []
        self.peers: list[ScriptedPeer] = []
        self.pings = 0
        self.is_silent = False
        self.port = 0
        self._authority = authority
        self._listeners: list[Listener] = []
        self._datagrams: list[DatagramListener] = []
        self._sources: dict[Address, ScriptedPeer] = {}

    async def start(self, *kinds: str) -> "ScriptedSipServer":
        """Listen over these transports, all at one port that the system chooses."""
        for _ in range(20):
            try:
                for kind in kinds:
                    await self._listen(kind)
            except ListenError:
                # Free for UDP is not free for TCP.
                await self.close()
                self.port = 0
            else:
                return self
        raise AssertionError("no port is free for all of them")

    async def close(self) -> None:
        """Stop; connections are cut."""
        for peer in self.peers:
            if peer.channel is not None:
                peer.channel.abort("the server is gone")
        for listener in self._listeners:
            await listener.close()
        for datagrams in self._datagrams:
            datagrams.close()
        self._listeners, self._datagrams = [], []

    def methods(self) -> list[str]:
        """Methods of the requests that came."""
        return [request.method for request in self.requests]

    def keep_alives(self) -> int:
        """Keep-alives that came over UDP."""
        return sum(datagrams.keep_alives for datagrams in self._datagrams)

    def fall_silent(self) -> None:
        """Answer nothing any more, while connections stand and the port takes what comes."""
        self.is_silent = True
        self.script = lambda request: None
        for datagrams in self._datagrams:
            datagrams.send = lambda data, remote: None  # type: ignore[method-assign]

    async def _listen(self, kind: str) -> None:
        if kind == "udp":
            datagrams = DatagramListener(DatagramOptions(name="udp", port=self.port), self._datagram)
            await datagrams.start()
            self._datagrams.append(datagrams)
            self.port = datagrams.address[1]
            return
        pairs = () if self._authority is None else (self._authority.issue("example.test"),)
        options = ListenerOptions(
            name=kind,
            kind=cast(ListenerKind, kind),
            port=self.port,
            certificates=pairs if kind in ("tls", "wss") else (),
            application="sip",
            subprotocol="sip",
            text_frames=True,
            whole_messages=True,
        )
        listener = Listener(options, lambda: ScriptedPeer(self, lambda _: None))
        await listener.start()
        self._listeners.append(listener)
        self.port = listener.address[1]

    def _datagram(self, data: bytes, remote: Address, listener: DatagramListener) -> None:
        peer = self._sources.get(remote)
        if peer is None:
            peer = self._sources[remote] = ScriptedPeer(self, lambda each: listener.send(each, remote))
            self.peers.append(peer)
        peer.take(parse_datagram(data))


def ok(request: Request) -> Response:
    """Answer everything 200, a REGISTER with its own contact."""
    fields = [("Contact", f"{contact};expires=600") for contact in request.get_all("contact")]
    return Response.to_request(request, 200, "OK", to_tag="server", fields=fields)
