"""A user's account at a SIP server, and a client that is connected with it."""

import os
import secrets
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import SystemRandom

from wigwag.errors import ConfigurationError
from wigwag.protocols.sip import SipError
from wigwag.protocols.sip.digest import Account, DigestClient, OwnRealm
from wigwag.protocols.sip.uri import normal_user
from wigwag.protocols.sip.user_agent import Identity, MessageReceived
from wigwag.transport.connector import Connector
from wigwag.transport.name_service import NameService
from wigwag.transport.resolver import Resolver
from wigwag.transport.sip_client import SipClient, SipClientOptions
from wigwag.transport.sip_link import Locate
from wigwag.transport.sip_locations import SipLocations, SipTransport
from wigwag.transport.sip_servers import SipLocation, SipServer
from wigwag.transport.tls import sip_client_context

from .demo_data import DOMAIN, existing_demo_data
from .options import read_secret_file, settings_of

PASSWORD_VARIABLE = "WIGWAG_PASSWORD"  # noqa: S105 - its name

_TRANSPORTS: tuple[SipTransport, ...] = ("udp", "tcp", "tls", "ws", "wss")


@dataclass(frozen=True, slots=True, kw_only=True)
class SipAccount:
    """Who a client is, and whom it trusts."""

    identity: Identity
    username: str
    """For digest."""
    password: str = field(repr=False)
    server: SipServer
    ca_file: str | None = None
    """Authorities to trust; None: the system's."""

    @classmethod
    def of(
        cls,
        aor: str,
        *,
        server: str | None,
        username: str | None,
        password_file: Path | None,
        ca_file: Path | None,
        config: Path | None,
        device: str = "",
    ) -> "SipAccount":
        """Return the account that command line options describe.

        The demo's users need neither password nor authority: both are in the demo's data directory.

        Raises:
            ConfigurationError: An address is none, or there is no password.
        """
        try:
            identity = Identity.of(aor)
        except SipError as error:
            raise ConfigurationError(f"--as {aor}: {error.reason}") from error
        demo = existing_demo_data(settings_of(config).settings.node.data_dir) if identity.aor.host == DOMAIN else None
        if ca_file is None and demo is not None:
            ca_file = demo.certificates.authority
        user = username or normal_user(identity.aor.user)
        known = demo.passwords.get(user) if demo is not None else None
        return cls(
            identity=replace(identity, instance=_instance(aor, device) if device else ""),
            username=user,
            password=_password(password_file, known, aor),
            server=SipServer.parse(server) if server is not None else _server_of(identity),
            ca_file=str(ca_file) if ca_file is not None else None,
        )

    def connector(self) -> Connector:
        """Return what opens connections to the server."""
        context = sip_client_context(ca_file=self.ca_file)
        return Connector(resolver(), tls=lambda: context)

    def digest(self) -> DigestClient:
        """Return what answers the server's challenges."""
        account = OwnRealm(Account(self.username, self.password), self.identity.aor.host)
        return DigestClient(account, secrets.token_bytes)

    def locate(self, transports: tuple[SipTransport, ...]) -> Locate:
        """Return what finds the server by one of these transports; without UDP, that of a UDP server is TCP."""
        choose = SystemRandom()
        locations = SipLocations(NameService(), choose=lambda most: choose.randint(0, most), transports=transports)
        server = self.server
        if server.transport == "udp" and "udp" not in transports:
            server = replace(server, transport="tcp")

        async def locate() -> Sequence[SipLocation]:
            found = await locations.locate(server.host, server.port, transport=server.transport, secure=server.secure)
            return [server.at(location) for location in found]

        return locate

    @asynccontextmanager
    async def client(
        self,
        options: SipClientOptions,
        on_message: Callable[[MessageReceived], None] = lambda _: None,
        on_change: Callable[[bool], None] = lambda _: None,
    ) -> AsyncIterator[SipClient]:
        """Return a client that is started already, and close it at the end.

        Raises:
            TransportError: There is no way to the server.
            RegistrationError: It refuses.
        """
        connector = self.connector()
        client = SipClient(
            self.identity,
            self.digest(),
            locate=self.locate(_TRANSPORTS),
            connector=connector,
            random=secrets.token_bytes,
            wall=time.time,
            on_message=on_message,
            on_change=on_change,
            options=options,
        )
        try:
            await client.start()
            yield client
        finally:
            await client.close()
            await connector.close()


def resolver() -> Resolver:
    """Return what finds hosts of MSRP URIs."""
    choose = SystemRandom()
    return Resolver(choose=lambda most: choose.randint(0, most))


def _server_of(identity: Identity) -> SipServer:
    aor = identity.aor
    return SipServer(transport=None, host=aor.host.strip("[]"), port=aor.port, secure=aor.scheme == "sips")


def _instance(aor: str, device: str) -> str:
    """Return the device's name, the same after every start (RFC 5626 section 4.1)."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{aor}/{socket.gethostname()}/{device}").urn


def _password(file: Path | None, known: str | None, aor: str) -> str:
    if file is not None:
        return read_secret_file(file)
    if PASSWORD_VARIABLE in os.environ:
        return os.environ[PASSWORD_VARIABLE]
    if known is not None:
        return known
    if not sys.stdin.isatty():
        raise ConfigurationError(
            f"no password for {aor}: give --password-file, or {PASSWORD_VARIABLE} in the environment"
        )
    import getpass

    return getpass.getpass(f"Password of {aor}: ")
