"""Sockets of the pod links: where other pods connect, and how they are connected to."""

import secrets
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack

from wigwag.errors import ConfigurationError
from wigwag.relay.config import ClusterSettings
from wigwag.transport.channel import Receiver
from wigwag.transport.connector import Connector
from wigwag.transport.errors import CertificateError, ListenError
from wigwag.transport.listener import Listener, ListenerOptions
from wigwag.transport.resolver import Resolver
from wigwag.transport.tls import client_context

_HANDSHAKE = 2.0
"""Seconds that TLS between pods may take; a link that does not stand by then counts as lost anyway."""


def pod_id(settings: ClusterSettings) -> str:
    """Return a name for this process that no other has had or will have."""
    return f"{settings.name or socket.gethostname()}.{secrets.token_hex(4)}"


class PodListener:
    """Accepts the links of other pods.

    Args:
        settings: Where, and with which certificate.
        accept: Makes the receiver of a link.
    """

    def __init__(self, settings: ClusterSettings, accept: Callable[[], Receiver]) -> None:
        self._settings = settings
        options = ListenerOptions(
            name="pods",
            kind="tcp" if settings.certificate is None else "peer",
            host=settings.host,
            port=settings.port,
            certificates=() if settings.certificate is None else (settings.certificate,),
            client_ca=settings.ca,
            handshake_timeout=_HANDSHAKE,
        )
        self.listener = Listener(options, accept)

    async def start(self, stack: AsyncExitStack) -> str:
        """Listen; returns the address by which other pods reach this one.

        Raises:
            ConfigurationError: The address can't be bound, or the certificate used.
        """
        try:
            await self.listener.start()
        except (ListenError, CertificateError) as error:
            raise ConfigurationError(f"relay.cluster, {error}") from error
        stack.push_async_callback(self.listener.close)
        settings = self._settings
        host = settings.advertised_host or settings.host
        authority = f"[{host}]" if ":" in host else host
        return f"{authority}:{settings.advertised_port or self.listener.address[1]}"


class PodConnector:
    """Connects to other pods.

    Raises:
        CertificateError: The certificate or authority can't be used.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        context = client_context(ca_file=settings.ca, certificate=settings.certificate)
        self._connector = Connector(
            Resolver(choose=lambda most: secrets.randbelow(most + 1)),
            tls=lambda: context,
            handshake_timeout=_HANDSHAKE,
        )

    async def connect(self, receiver: Receiver, address: str) -> None:
        """Connect to ``host:port``; see ``LinkConnector``."""
        host, _, port = address.rpartition(":")
        await self._connector.connect(
            host.strip("[]"),
            int(port),
            secure=self._settings.certificate is not None,
            receiver=receiver,
            server_name=self._settings.server_name,
            allow_private=True,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._connector.close()
