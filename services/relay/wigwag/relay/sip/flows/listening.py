"""Opens the SIP listeners and watches their connections: deadlines, keep-alives, a drain."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from wigwag.errors import ConfigurationError
from wigwag.relay.sip.config import SipListenerSettings, SipSettings
from wigwag.relay.sip.protection.backlog import Backlog, Measurement
from wigwag.transport.admission import Admission
from wigwag.transport.datagrams import DATAGRAMS_PER_WAKE_UP, DatagramListener, DatagramOptions
from wigwag.transport.errors import CertificateError, ListenError
from wigwag.transport.listener import Listener, ListenerOptions
from wigwag.transport.profiles import ProfileTable

from .flow import SipAddress, StreamFlow

if TYPE_CHECKING:
    from wigwag.relay.sip.edge import Edge
    from wigwag.transport.channel import Address

_READ_AHEAD: Final = 512
"""Datagrams taken at once when most of them only have to be sorted."""
_LOOKED_AT: Final = 256
"""Connections whose deadlines are looked at in one turn."""


class Door(Admission):
    """Lets connections in that both the limits of all listeners and the rate of their address allow.

    Args:
        shared: Limits on open connections of all listeners.
        edge: Returns the edge, once it is there.
    """

    def __init__(self, shared: Admission, edge: "Callable[[], Edge]") -> None:
        super().__init__()
        self.is_open = False
        """Nobody comes in before the edge is there."""
        self._shared = shared
        self._edge = edge

    def admit(self, address: str) -> str | None:
        """As ``Admission.admit``."""
        if not self.is_open:
            return "not ready yet"
        return self._edge().protection.refuses_connection(address) or self._shared.admit(address)

    def release(self, address: str) -> None:
        """As ``Admission.release``."""
        self._shared.release(address)


class SipListeners:
    """The listeners of one edge.

    Args:
        settings: What to listen on.
        admission: Limits on open connections.
        profiles: TCP profiles that hold now.
        reuse_port: Whether other processes of this host listen on the same ports.
        edge: Returns the edge, once it is there.

    Attributes:
        datagrams: UDP listeners; streams: the others.
        addresses: As the world knows them, in the order of the settings.
    """

    def __init__(
        self,
        settings: SipSettings,
        *,
        admission: Admission,
        profiles: Callable[[], ProfileTable],
        reuse_port: bool,
        edge: "Callable[[], Edge]",
    ) -> None:
        self.datagrams: list[DatagramListener] = []
        self.streams: list[Listener] = []
        self.addresses: list[SipAddress] = []
        self._settings = settings
        self._door = Door(admission, edge)
        self._profiles = profiles
        self._reuse_port = reuse_port
        self._edge = edge
        self._looked_at = 0
        self._backlog = Backlog()

    async def open(self, stack: AsyncExitStack) -> None:
        """Listen.

        Raises:
            ConfigurationError: An address or certificate can't be used; names the listener.
        """
        for index, settings in enumerate(self._settings.listeners):
            try:
                if settings.kind == "udp":
                    await self._open_datagrams(stack, settings)
                else:
                    await self._open_streams(stack, settings)
            except (ListenError, CertificateError) as error:
                raise ConfigurationError(f"relay.sip.listeners[{index}], {error}") from error

    def serve(self) -> None:
        """The edge is there: let everybody in."""
        self._door.is_open = True
        addresses = {address.name: address for address in self.addresses}
        for listener in self.datagrams:
            # Without a call in between: it is made for every datagram.
            listener.receive_by(partial(self._edge().datagram_received, address=addresses[listener.name]))

    async def _open_datagrams(self, stack: AsyncExitStack, settings: SipListenerSettings) -> None:
        options = DatagramOptions(
            name=settings.name, host=settings.host, port=settings.port, reuse_port=self._reuse_port
        )
        listener = DatagramListener(
            options,
            _ignore,
            failed=lambda remote, error: self._edge().datagram_failed(settings.name, remote, error),
        )
        await listener.start()
        stack.callback(listener.close)
        self._address(settings, listener.address[1])
        self.datagrams.append(listener)

    async def _open_streams(self, stack: AsyncExitStack, settings: SipListenerSettings) -> None:
        listener = Listener(
            ListenerOptions(
                name=settings.name,
                kind=settings.kind,  # type: ignore[arg-type]
                host=settings.host,
                port=settings.port,
                certificates=settings.certificates,
                client_ca=settings.client_ca,
                origins=settings.origins,
                application="sip",
                subprotocol="sip",
                text_frames=True,
                whole_messages=True,
                ping_interval=settings.ping_interval,
                max_websocket_message=self._settings.limits.body_bytes + 65_536,
                reuse_port=self._reuse_port,
            ),
            lambda: self._stream(address),
            admission=self._door,
            profiles=self._profiles,
        )
        await listener.start()
        stack.push_async_callback(listener.close)
        address = self._address(settings, listener.address[1])
        self.streams.append(listener)

    def _stream(self, address: SipAddress) -> StreamFlow:
        edge = self._edge()
        return StreamFlow(edge, address, self._settings.limits.body_bytes, edge.now())

    def _address(self, settings: SipListenerSettings, port: int) -> SipAddress:
        host = settings.advertised_host or settings.host
        address = SipAddress(
            name=settings.name,
            kind=settings.kind,
            host=f"[{host}]" if ":" in host else host,
            port=settings.advertised_port or port,
            bound_host=settings.host,
            bound_port=port,
            trusted=settings.kind == "peer",
        )
        self.addresses.append(address)
        return address

    # Overload

    def waiting(self, now: float) -> Measurement:
        """Return how the kernel's queues of datagrams are."""
        return self._backlog.measure(self.datagrams, now)

    def read_ahead(self, *, wanted: bool) -> None:
        """Empty the kernel's queues at each wake-up, since new requests wait with us; or do so no more."""
        for listener in self.datagrams:
            listener.per_wake_up = _READ_AHEAD if wanted else DATAGRAMS_PER_WAKE_UP

    # Time

    def tick(self, now: float) -> None:
        """Look at the deadlines of some connections; all of them have their turn within a few seconds."""
        self._edge().release(now)
        streams = list(self._edge().streams.values())
        if not streams:
            return
        start = self._looked_at % len(streams)
        for flow in streams[start : start + _LOOKED_AT]:
            reason = self._overdue(flow, now)
            if reason:
                flow.close(reason)
        self._looked_at = start + _LOOKED_AT if start + _LOOKED_AT < len(streams) else 0

    def _overdue(self, flow: StreamFlow, now: float) -> str:
        limits = self._settings.limits
        if not flow.mid_message or flow.is_paused:
            flow.begun_at = 0.0
        elif not flow.begun_at:
            flow.begun_at = now
        elif now - flow.begun_at > limits.header_timeout:
            return "a message takes too long"
        if not flow.messages and not flow.outbound and now - flow.opened_at > limits.first_message_timeout:
            return "no message came"
        idle = limits.outbound_idle_timeout if flow.outbound else limits.idle_timeout
        if not flow.bindings and now - flow.heard_at > idle:
            return "idle"
        return ""


def _ignore(data: bytes, remote: "Address", listener: DatagramListener) -> None:
    """Let a datagram go that came before the edge was there; its sender repeats it."""
