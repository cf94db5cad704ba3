"""Makes the next hops of an edge: name service, connector, certificates, from the relay's settings."""

import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from wigwag.errors import ConfigurationError
from wigwag.relay.config import RelaySettings
from wigwag.transport.addresses import parse_address
from wigwag.transport.connector import Connector
from wigwag.transport.errors import CertificateError
from wigwag.transport.name_service import NameService
from wigwag.transport.profiles import ProfileTable
from wigwag.transport.resolver import Resolver
from wigwag.transport.sip_locations import SipLocations
from wigwag.transport.tls import sip_client_context

from .flow import SipAddress
from .outbound import Outbound, spoken

if TYPE_CHECKING:
    from wigwag.relay.sip.edge import Edge


def outbound(
    settings: RelaySettings,
    *,
    edge: "Callable[[], Edge]",
    addresses: Sequence[SipAddress],
    profiles: Callable[[], ProfileTable],
    now: Callable[[], float],
) -> Outbound:
    """Return the next hops of an edge.

    Args:
        settings: All of the relay's settings.
        edge: Returns the edge, once it is there.
        addresses: Its listeners.
        profiles: TCP profiles that hold now.
        now: Seconds, monotonic.

    Raises:
        ConfigurationError: The authorities or our certificate can't be used.
    """
    sip = settings.sip
    try:
        context = sip_client_context(ca_file=settings.outbound_ca, certificate=settings.outbound_certificate)
    except CertificateError as error:
        raise ConfigurationError(f"relay.outbound_ca or relay.outbound_certificate, {error}") from error
    own = own_addresses(addresses)
    locations = SipLocations(
        NameService(timeout=sip.resolve_timeout, clock=now),
        choose=_choose,
        transports=spoken(sip),
        timeout=sip.resolve_timeout,
        clock=now,
    )
    connector = Connector(Resolver(choose=_choose), tls=lambda: context, own_addresses=lambda: own, profiles=profiles)
    return Outbound(sip, edge=edge, locations=locations, connector=connector, tls=lambda: context, own=own, now=now)


def own_addresses(addresses: Sequence[SipAddress]) -> list[str]:
    """Return the numeric addresses at which we listen, bound and advertised."""
    hosts = {host.strip("[]") for address in addresses for host in (address.host, address.bound_host)}
    return sorted(host for host in hosts if parse_address(host) is not None)


def _choose(most: int) -> int:
    return secrets.randbelow(most + 1)
