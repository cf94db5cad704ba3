"""The SIP user of ``bench.ua``: takes all calls, accepts all messages, and notes when they came."""

import secrets
import time
from collections.abc import Callable
from typing import Final

from bench.ua_site import Site
from wigwag.protocols.msrp import MsrpUri
from wigwag.protocols.sip.digest import Account, DigestClient
from wigwag.protocols.sip.user_agent import Identity
from wigwag.transport.addresses import Endpoint as Address
from wigwag.transport.connector import Connector
from wigwag.transport.resolver import Resolver
from wigwag.transport.sip_servers import SipLocation
from wigwag.transport.tls import client_context
from wigwag.ua.endpoint.endpoint import Endpoint
from wigwag.ua.endpoint.media import MediaSide, RelayWay
from wigwag.ua.endpoint.model import CallReceived, Ended, EndpointEvent, MediaWish, Opened, Received
from wigwag.ua.endpoint.sip_side import SipSide

USER: Final = "alice"
URI: Final = f"sip:{USER}@localhost"


class Peer:
    """Registers with ``start``; one end of all chats, in this process.

    Args:
        site: Where edge and relay are.

    Attributes:
        on_opened: Told the Subject of each chat that has begun.
        on_ended: Likewise, of each that has ended.
        on_message: Told the body of each message.
    """

    def __init__(self, site: Site) -> None:
        self.on_opened: Callable[[str], None] = lambda subject: None
        self.on_ended: Callable[[str], None] = lambda subject: None
        self.on_message: Callable[[bytes], None] = lambda body: None
        self._subjects: dict[str, str] = {}
        tls = client_context(ca_file=site.ca_file)
        connector = Connector(Resolver(choose=lambda most: secrets.randbelow(most + 1)), tls=lambda: tls)
        account = Account(USER, site.passwords[USER])
        way = RelayWay(
            uri=MsrpUri.parse(f"msrps://localhost:{site.msrp};tcp"),
            connector=connector,
            username=account.username,
            password=site.passwords[USER],
            own_host="alice.invalid",
        )
        location = SipLocation(transport="TCP", endpoint=Address("127.0.0.1", site.sip), server_name="")

        async def locate() -> list[SipLocation]:
            return [location]

        identity = Identity.of(URI, instance="urn:uuid:00000000-0000-4000-8000-000000000001")
        self._endpoint = Endpoint(MediaSide({"relay": way}, secrets.token_bytes), secrets.token_bytes, self._told)
        self._sip = self._endpoint.sip = SipSide(
            identity,
            DigestClient(lambda realm: account, secrets.token_bytes),
            locate=locate,
            connector=connector,
            random=secrets.token_bytes,
            wall=time.time,
            contact=lambda flow, session_id: flow.contact(identity.aor),
            on_dialog=self._endpoint.dialog_event,
        )

    async def start(self) -> None:
        """Register."""
        await self._sip.start()

    async def close(self) -> None:
        """End all chats and the registration."""
        await self._endpoint.close()
        await self._sip.close()

    def _told(self, event: EndpointEvent) -> None:
        match event:
            case Received(body=body):
                event.accept()
                self.on_message(body)
            case CallReceived(session=session):
                self._subjects[session.id] = event.subject
                session.accept(MediaWish())
            case Opened(session=session):
                self.on_opened(self._subjects[session.id])
            case Ended(session=session):
                self.on_ended(self._subjects.pop(session.id, ""))
            case _:
                pass
