"""From the host of a URI to addresses: SRV (RFC 2782), AAAA and A, in bounded time.

Names in the hosts file come first, as everywhere on the system; ``localhost`` is never asked of a server (RFC 6761).
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver
from dns.rdtypes.IN.SRV import SRV

from wigwag.transport.addresses import parse_address
from wigwag.transport.errors import ConnectError, ConnectFailure

DEFAULT_PORT = 2855
"""MSRP's registered port (RFC 4976 section 10)."""
MOST_TARGETS = 8
"""SRV targets looked at."""
MOST_ADDRESSES = 16
"""Addresses returned."""

_HOSTS = Path("/etc/hosts")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect to."""

    address: str
    """Numeric, IPv4 or IPv6."""
    port: int


class Resolver:
    """Asks the name service.

    Args:
        timeout: Seconds that all questions about one host may take together.
        choose: Draws a number from 0 up to and including its argument; spreads load over SRV records of one priority.
        nameserver: (address, port) of a server to ask in place of the system's.
        hosts: The hosts file.
    """

    def __init__(
        self,
        *,
        choose: Callable[[int], int],
        timeout: float = 5.0,
        nameserver: tuple[str, int] | None = None,
        hosts: Path = _HOSTS,
    ) -> None:
        self._timeout = timeout
        self._choose = choose
        self._hosts = hosts
        self._dns = dns.asyncresolver.Resolver(configure=False)
        if nameserver is None:
            self._configure()
        else:
            self._dns.nameservers, self._dns.port = [nameserver[0]], nameserver[1]
        self._dns.lifetime = timeout
        self._dns.cache = dns.resolver.LRUCache(10_000)

    async def endpoints(self, host: str, port: int | None, *, secure: bool) -> list[Endpoint]:
        """Where ``host`` is reached, best first.

        With a port, or a numeric host, only addresses are looked up. Without, SRV records decide (``_msrps._tcp``, or
        ``_msrp._tcp`` when not ``secure``); where there are none it is port 2855.

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
        if port is None:
            targets = await self._targets(host, secure)
            if targets is not None:
                lists = await asyncio.gather(*(self._addresses(target) for target, _ in targets))
                return [
                    Endpoint(address, target_port)
                    for (_, target_port), addresses in zip(targets, lists, strict=True)
                    for address in addresses
                ]
        return [Endpoint(address, port or DEFAULT_PORT) for address in await self._addresses(host)]

    async def _targets(self, host: str, secure: bool) -> list[tuple[str, int]] | None:
        """(host, port) of the SRV records in the order of RFC 2782; None when there are none."""
        name = f"_{'msrps' if secure else 'msrp'}._tcp.{host}"
        records = await self._ask(name, dns.rdatatype.SRV)
        services = [record for record in records if isinstance(record, SRV)]
        if not services:
            return None
        ordered = in_order(services, self._choose)
        # A target of "." says that the service is decidedly not offered (RFC 2782).
        return [
            (record.target.to_text(omit_final_dot=True), record.port)
            for record in ordered[:MOST_TARGETS]
            if record.target != dns.name.root
        ]

    async def _addresses(self, host: str) -> list[str]:
        numeric = parse_address(host)
        if numeric is not None:
            return [str(numeric)]
        known = _in_hosts_file(self._hosts, host)
        if known:
            return known
        if host.lower() == "localhost" or host.lower().endswith(".localhost"):
            return ["127.0.0.1", "::1"]
        sixes, fours = await asyncio.gather(
            self._ask(host, dns.rdatatype.AAAA), self._ask(host, dns.rdatatype.A), return_exceptions=True
        )
        if isinstance(sixes, BaseException) and isinstance(fours, BaseException):
            raise fours
        return interleave(_texts(sixes), _texts(fours))

    async def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> Iterable[object]:
        try:
            answer = await self._dns.resolve(name, kind, search=True, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return ()
        except (dns.exception.DNSException, OSError, UnicodeError, ValueError) as error:
            raise ConnectError(ConnectFailure.RESOLUTION, f"{name}: {str(error) or type(error).__name__}") from error
        return answer.rrset or ()

    def _configure(self) -> None:
        try:
            self._dns.read_resolv_conf("/etc/resolv.conf")
        except (dns.resolver.NoResolverConfiguration, OSError):
            # Nobody to ask: numeric hosts and the hosts file still work.
            self._dns.nameservers = []


def in_order(records: Iterable[SRV], choose: Callable[[int], int]) -> list[SRV]:
    """Sort SRV records by priority, and those of one priority by weighted chance (RFC 2782, "Usage rules")."""
    left = sorted(records, key=lambda record: (record.priority, record.weight > 0))
    ordered: list[SRV] = []
    while left:
        group = [record for record in left if record.priority == left[0].priority]
        point = choose(sum(record.weight for record in group))
        for record in group:
            point -= record.weight
            if point <= 0:
                break
        ordered.append(record)
        left.remove(record)
    return ordered


def interleave(first: list[str], second: list[str]) -> list[str]:
    """Take from both in turn, beginning with ``first``, so that neither address family is tried last as a whole."""
    result: list[str] = []
    for index in range(max(len(first), len(second))):
        result += first[index : index + 1] + second[index : index + 1]
    return result


def _texts(records: Iterable[object] | BaseException) -> list[str]:
    return [] if isinstance(records, BaseException) else [str(record) for record in records]


def _in_hosts_file(path: Path, host: str) -> list[str]:
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if host.lower() in (name.lower() for name in names) and parse_address(address) is not None:
            found.append(address)
    return found
