"""WebSocket connections that we open (RFC 6455), for SIP (RFC 7118) and MSRP (RFC 7977).

Theory of operation. It is the channel that a listener has, with websockets' client engine inside: our frames are
masked, and the opening handshake is a request of ours whose answer `WebSocketClientChannel.handshake` waits for.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from websockets.client import ClientProtocol
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from wigwag.transport.channel import Address, Application, Channel, ChannelKind, Receiver
from wigwag.transport.websocket import WebSocketChannel, WebSocketOwner, WebSocketRules, engine_logger, is_utf8

if TYPE_CHECKING:
    from wigwag.transport.profiles import TcpProfile


class WebSocketClientChannel(WebSocketChannel):
    """An outgoing channel whose messages travel as WebSocket messages (kinds ``ws`` and ``wss``).

    Args:
        receiver: Gets the messages.
        owner: Keeps account of the channel.
        rules: Subprotocol, limits, frames.
        kind: ``ws`` or ``wss``.
        host: Name or numeric address that the handshake's Host field carries.
        path: Path of the WebSocket resource.
        remote: The peer's address and port.
        local: Our address and port.
        profile: The TCP profile that matched, or None.
        application: What the channel carries.
    """

    __slots__ = ("_client", "_opened", "was_too_slow")

    def __init__(
        self,
        receiver: Receiver,
        owner: WebSocketOwner,
        rules: WebSocketRules,
        *,
        kind: ChannelKind,
        host: str,
        path: str,
        remote: Address,
        local: Address,
        profile: "TcpProfile | None" = None,
        application: Application = "msrp",
    ) -> None:
        super().__init__(
            receiver,
            owner,
            rules,
            kind=kind,
            listener=None,
            remote=remote,
            local=local,
            profile=profile,
            application=application,
        )
        uri = WebSocketURI(secure=kind == "wss", host=host.strip("[]"), port=remote[1], path=path, query="")
        self._engine = self._client = ClientProtocol(
            uri,
            subprotocols=[Subprotocol(rules.subprotocol)],
            max_size=rules.largest_message,
            logger=engine_logger,
        )
        self.was_too_slow = False
        """Whether the opening handshake failed because it took too long."""
        self._opened: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    async def handshake(self) -> str | None:
        """Wait for the end of the opening handshake; return why it failed, or None when the channel is open."""
        return await self._opened

    def send(self, frames: Sequence[bytes]) -> None:
        """Send protocol messages, each as one masked WebSocket message."""
        if self._engine.state is not OPEN or self._ending:
            return
        for frame in frames:
            if self._rules.text_frames and is_utf8(frame):
                self._engine.send_text(frame)
            else:
                self._engine.send_binary(frame)
        Channel.send(self, (b"".join(self._engine.data_to_send()),))

    def _begin(self) -> None:
        super()._begin()
        self._client.send_request(self._client.connect())
        self._write(self._client.data_to_send())

    def _handshake(self, event: Request | Response) -> None:
        engine = self._client
        if engine.state is not OPEN:
            return  # The refusal has been told.
        if engine.subprotocol != self._rules.subprotocol:
            engine.fail(CloseCode.PROTOCOL_ERROR, "missing subprotocol")
            self._fail_handshake(f"the server does not speak {self._rules.subprotocol}")
            self.abort("missing subprotocol")
            return
        self._open_now()
        if not self._opened.done():
            self._opened.set_result(None)

    def _fail_handshake(self, reason: str, *, too_slow: bool = False) -> None:
        super()._fail_handshake(reason, too_slow=too_slow)
        if not self._opened.done():
            self.was_too_slow = too_slow
            self._opened.set_result(reason)
