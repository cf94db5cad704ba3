"""A user's chat endpoint: SIP with the account's server, and MSRP through a relay or without one."""

import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from wigwag.errors import ConfigurationError, RemoteProtocolError
from wigwag.protocols.msrp import MsrpUri
from wigwag.protocols.sip.user_agent import AgentOptions, MessageReceived
from wigwag.transport.connector import Connector
from wigwag.transport.listener import Listener, ListenerOptions
from wigwag.transport.sip_client_options import SipClientOptions
from wigwag.transport.sip_locations import SipTransport
from wigwag.transport.tls import client_context
from wigwag.ua.endpoint.direct import DirectWay
from wigwag.ua.endpoint.endpoint import Endpoint
from wigwag.ua.endpoint.media import MediaSide, RelayWay, Way
from wigwag.ua.endpoint.model import EndpointEvent
from wigwag.ua.endpoint.sip_side import SipSide

from .demo_data import DOMAIN, PORTS
from .sip_account import SipAccount, resolver

RELAY, DIRECT = "relay", "direct"
"""Names of the ways of MSRP; an endpoint has one of them."""
_TRANSPORTS: Final[tuple[SipTransport, ...]] = ("tcp", "tls", "ws", "wss")
"""A session's descriptions don't fit datagrams, and a flow outlives what a datagram can't tell."""
_OPTIONS: Final = SipClientOptions(agent=AgentOptions(expires=600), first_wait=0.5, longest_wait=10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointAccount:
    """Who chats, and by which way."""

    account: SipAccount
    relay: MsrpUri | None
    """The relay that our sessions are behind; None: peers connect to us, or we to them."""

    @classmethod
    def of(cls, account: SipAccount, *, relay: str | None, direct: bool) -> "EndpointAccount":
        """Return the account with the relay that options name, else the demo's, else the domain's (RFC 4976).

        Raises:
            ConfigurationError: The relay's URI is none.
        """
        if direct:
            return cls(account=account, relay=None)
        domain = account.identity.aor.host
        usual = f"msrps://{domain}:{PORTS['tls']};tcp" if domain == DOMAIN else f"msrps://{domain};tcp"
        try:
            return cls(account=account, relay=MsrpUri.parse(relay or usual))
        except RemoteProtocolError as error:
            raise ConfigurationError(f"--relay {relay or usual}: {error.reason}") from error

    @property
    def way(self) -> str:
        """Name of the way, for ``MediaWish``."""
        return DIRECT if self.relay is None else RELAY

    @asynccontextmanager
    async def endpoint(
        self,
        tell: Callable[[EndpointEvent], None],
        on_message: Callable[[MessageReceived], None],
        on_change: Callable[[bool], None],
    ) -> AsyncIterator[Endpoint]:
        """Return an endpoint that is registered, and close it at the end.

        Args:
            tell: Told what happens to sessions; from the event loop's thread, must not block.
            on_message: Told of each MESSAGE outside of sessions.
            on_change: Told whether the server is reached, whenever that changes.

        Raises:
            RegistrationError: The server refuses.
            TransportError: There is no way to it.
        """
        account = self.account
        async with AsyncExitStack() as opened:
            connector = account.connector()
            opened.push_async_callback(connector.close)
            media = MediaSide({self.way: await self._open_way(opened)}, secrets.token_bytes)
            endpoint = Endpoint(media, secrets.token_bytes, tell)
            endpoint.sip = SipSide(
                account.identity,
                account.digest(),
                locate=account.locate(_TRANSPORTS),
                connector=connector,
                random=secrets.token_bytes,
                wall=time.time,
                contact=lambda flow, _: flow.contact(account.identity.aor),
                on_dialog=endpoint.dialog_event,
                on_message=on_message,
                on_change=on_change,
                options=_OPTIONS,
            )
            opened.push_async_callback(endpoint.sip.close)
            await endpoint.sip.start()
            opened.push_async_callback(endpoint.close)
            yield endpoint

    async def _open_way(self, opened: AsyncExitStack) -> Way:
        context = client_context(ca_file=self.account.ca_file)
        connector = Connector(resolver(), tls=lambda: context)
        opened.push_async_callback(connector.close)
        if self.relay is not None:
            username, password = self.account.username, self.account.password
            return RelayWay(
                uri=self.relay, connector=connector, username=username, password=password, own_host="chat.invalid"
            )
        way = DirectWay(connector, secrets.token_bytes, allow_private=True)
        listener = Listener(
            ListenerOptions(name="chat", kind="tcp", host=await self._own_address(), port=0), way.accepted
        )
        await listener.start()
        opened.push_async_callback(listener.close)
        host, port = listener.address[:2]
        way.uri = MsrpUri.parse(f"msrp://{f'[{host}]' if ':' in host else host}:{port};tcp")
        return way

    async def _own_address(self) -> str:
        """Return the address by which this host is seen from the server."""
        places = await self.account.locate(_TRANSPORTS)()
        if not places:
            raise ConfigurationError(f"{self.account.server} has no address")
        return await asyncio.to_thread(_address_towards, places[0].endpoint.address)


def _address_towards(remote: str) -> str:
    family = socket.AF_INET6 if ":" in remote else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: a datagram socket that connects only learns its route.
        probe.connect((remote, 5060))
        return str(probe.getsockname()[0])
