"""From the host of an MSRP URI to addresses: SRV (RFC 4976 section 4.2), AAAA and A, in bounded time."""

import asyncio
from pathlib import Path

from wigwag.transport.addresses import Endpoint, parse_address
from wigwag.transport.errors import ConnectError, ConnectFailure
from wigwag.transport.hosts_file import HOSTS
from wigwag.transport.name_service import NameService
from wigwag.transport.service_records import Choose, endpoints_of, targets

DEFAULT_PORT = 2855
"""MSRP's registered port (RFC 4976 section 10)."""
MOST_ADDRESSES = 16
"""Addresses returned."""


class Resolver:
    """Finds where MSRP URIs lead.

    Args:
        timeout: Seconds that all questions about one host may take together.
        choose: Draws a number from 0 up to and including its argument; spreads load over SRV records of one priority.
        nameserver: (address, port) of a server to ask in place of the system's.
        hosts: The hosts file.
    """

    def __init__(
        self,
        *,
        choose: Choose,
        timeout: float = 5.0,
        nameserver: tuple[str, int] | None = None,
        hosts: Path = HOSTS,
    ) -> None:
        self._timeout = timeout
        self._choose = choose
        self._names = NameService(timeout=timeout, nameserver=nameserver, hosts=hosts)

    async def endpoints(self, host: str, port: int | None, *, secure: bool) -> list[Endpoint]:
        """Where ``host`` is reached, best first.

        With a port, a numeric host, or one in the hosts file only addresses are looked up. Else SRV records decide
        (``_msrps._tcp``, or ``_msrp._tcp`` when not ``secure``); where there are none it is port 2855.

        Raises:
            ConnectError: There is no address, or no answer.
        """
        try:
            async with asyncio.timeout(self._timeout):
                found = await self._endpoints(host.rstrip("."), port, secure)
        except TimeoutError:
            raise ConnectError(ConnectFailure.RESOLUTION, f"{host}: the name service did not answer") from None
        if not found:
            raise ConnectError(ConnectFailure.NO_ADDRESS, f"{host}: no address")
        return found[:MOST_ADDRESSES]

    async def _endpoints(self, host: str, port: int | None, secure: bool) -> list[Endpoint]:
        numeric = parse_address(host)
        if numeric is not None:
            return [Endpoint(str(numeric), port or DEFAULT_PORT)]
        if port is None and not self._names.local_addresses(host):
            service = f"_{'msrps' if secure else 'msrp'}._tcp.{host}"
            offered = await targets(self._names, service, self._choose)
            if offered is not None:
                lists = await endpoints_of(self._names, offered)
                return [endpoint for endpoints in lists for endpoint in endpoints]
        return [Endpoint(address, port or DEFAULT_PORT) for address in await self._names.addresses(host)]
