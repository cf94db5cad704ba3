"""Outgoing connections of the relay: what a route decision means for the connector."""

import secrets
from collections.abc import Callable, Iterable

from wigwag.protocols.msrp import MsrpUri
from wigwag.transport.connector import Connector
from wigwag.transport.errors import ConnectError, ConnectFailure
from wigwag.transport.profiles import ProfileTable
from wigwag.transport.resolver import Resolver
from wigwag.transport.tls import client_context

from .config import RelaySettings
from .hop import Hop
from .routing import RouteDecision

_ANY = ("0.0.0.0", "::")  # noqa: S104


class OutgoingConnections:
    """Connects hops to peers and other relays.

    Args:
        settings: The relay's settings.
        profiles: Returns the TCP profiles that hold now.
        own_addresses: Returns the addresses we listen on.

    Raises:
        CertificateError: The authorities or our certificate can't be used.
    """

    def __init__(
        self,
        settings: RelaySettings,
        profiles: Callable[[], ProfileTable],
        own_addresses: Callable[[], Iterable[str]],
    ) -> None:
        context = client_context(ca_file=settings.outbound_ca, certificate=settings.outbound_certificate)
        self._listeners = {listener.name: listener for listener in settings.listeners}
        self._connector = Connector(
            Resolver(choose=lambda most: secrets.randbelow(most + 1)),
            tls=lambda: context,
            own_addresses=own_addresses,
            profiles=profiles,
            handshake_timeout=settings.limits.handshake_timeout,
        )

    async def connect(self, hop: Hop, uri: MsrpUri, decision: RouteDecision) -> None:
        """Connect ``hop`` toward ``uri``, or where the decision says.

        Raises:
            ConnectError: It can't be.
        """
        target = decision.next_hop or uri
        local_address = None
        if decision.out_listener is not None:
            listener = self._listeners.get(decision.out_listener)
            if listener is None:
                raise ConnectError(ConnectFailure.FORBIDDEN, f"there is no listener {decision.out_listener}")
            local_address = listener.host if listener.host not in _ANY else None
        await self._connector.connect(
            target.host,
            target.port,
            secure=target.scheme == "msrps",
            receiver=hop,
            local_address=local_address,
            allow_private=decision.allow_private,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._connector.close()
