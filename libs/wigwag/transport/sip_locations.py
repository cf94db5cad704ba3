"""Where a SIP request goes (RFC 3263): NAPTR, SRV, AAAA and A, and who is left alone for a while.

Theory of operation. A URI's host, port and transport become an ordered list of locations, to be tried one after the
other until one answers (section 4.3). NAPTR records choose the transports; without them SRV records of each transport
are looked for; without those it is the host itself at the transport's port. The list is drawn anew each time, so that
weights spread the load; the records behind it are kept by the name service.

A location that failed is tried after all others until a time that the caller names. One that asked to be left alone
(503 with Retry-After, RFC 3261 section 21.5.4) is left out, whoever else is left.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import dns.rdatatype
from dns.rdtypes.IN.NAPTR import NAPTR

from wigwag.transport.addresses import Endpoint, parse_address
from wigwag.transport.errors import ConnectError, ConnectFailure
from wigwag.transport.name_service import NameService, Records
from wigwag.transport.service_records import Choose, endpoints_of, settled, targets

SipTransport = Literal["udp", "tcp", "tls", "ws", "wss"]

DEFAULT_PORTS: dict[SipTransport, int] = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}
"""RFC 3261 section 19.1.2, RFC 7118 section 5.5."""
MOST_SERVICES = 4
"""NAPTR records followed."""
MOST_LOCATIONS = 16
"""Locations returned."""
LONGEST_MARK = 3600.0
"""Seconds that a location is left alone at most, whatever it asks for."""
MOST_MARKS = 10_000
"""Locations remembered as failed or unavailable; the one marked first is forgotten first."""

_SECURE: dict[SipTransport, SipTransport] = {"tcp": "tls", "tls": "tls", "ws": "wss", "wss": "wss"}
"""What a transport parameter means in a ``sips`` URI; UDP cannot be secured (RFC 3261 section 26.2.1)."""
_SERVICES: dict[bytes, SipTransport] = {
    b"SIP+D2U": "udp",
    b"SIP+D2T": "tcp",
    b"SIPS+D2T": "tls",
    b"SIP+D2W": "ws",
    b"SIPS+D2W": "wss",
}
"""NAPTR services (RFC 3263 section 4.1, RFC 7118 section 5.5)."""
_LABELS: dict[SipTransport, str] = {
    "udp": "_sip._udp",
    "tcp": "_sip._tcp",
    "tls": "_sips._tcp",
    "ws": "_sip._ws",
    "wss": "_sips._ws",
}
"""SRV names (RFC 3263 section 4.2); those of WebSocket follow the pattern, no RFC gives them."""


@dataclass(frozen=True, slots=True)
class Location:
    """One place to send a request to."""

    transport: SipTransport
    address: str
    """Numeric."""
    port: int
    server_name: str | None = None
    """Domain that the certificate has to speak for (RFC 5922 section 4): the URI's host, not the name that DNS gave;
    None where there is no TLS."""

    @property
    def endpoint(self) -> Endpoint:
        """Where to connect to."""
        return Endpoint(self.address, self.port)


@dataclass(frozen=True, slots=True)
class _Mark:
    until: float
    left_out: bool


class SipLocations:
    """Finds where SIP URIs lead, and remembers who failed.

    Args:
        names: Asks the name service.
        choose: Draws a number from 0 up to and including its argument; spreads load over SRV records of one priority.
        transports: What we can send over, best first.
        timeout: Seconds that all questions about one host may take together.
        clock: Returns seconds that never go back.
    """

    def __init__(
        self,
        names: NameService,
        *,
        choose: Choose,
        transports: Sequence[SipTransport] = ("udp", "tcp", "tls"),
        timeout: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._names = names
        self._choose = choose
        self._transports = tuple(transports)
        self._timeout = timeout
        self._clock = clock
        self._marks: dict[tuple[SipTransport, str, int], _Mark] = {}

    async def locate(
        self, host: str, port: int | None = None, *, transport: str | None = None, secure: bool = False
    ) -> list[Location]:
        """Where a request goes, in the order in which to try.

        Args:
            host: The URI's ``maddr`` if it has one, else its host: a name or a numeric address.
            port: The URI's port.
            transport: The URI's ``transport`` parameter.
            secure: Whether it is a ``sips`` URI.

        Raises:
            ConnectError: There is no address, no answer, no such transport; or every server asked to be left alone
                (``UNAVAILABLE``, with ``retry_after``).
        """
        host = host.rstrip(".")
        asked = None if transport is None else self._asked_for(transport, secure)
        try:
            async with asyncio.timeout(self._timeout):
                found = await self._locate(host, port, asked, secure)
        except TimeoutError:
            raise ConnectError(ConnectFailure.RESOLUTION, f"{host}: the name service did not answer") from None
        if not found:
            raise ConnectError(ConnectFailure.NO_ADDRESS, f"{host}: no address")
        return self._usable(host, list(dict.fromkeys(found))[:MOST_LOCATIONS])

    def mark_failed(self, location: Location, until: float) -> None:
        """Try a location after all others until then, by the clock: it could not be reached, or did not answer."""
        mark = self._marks.get(_key(location))
        if mark is None or not mark.left_out or mark.until <= self._clock():
            self._mark(location, until, left_out=False)

    def mark_unavailable(self, location: Location, until: float) -> None:
        """Leave a location alone until then, by the clock: it asked for that (503 with Retry-After)."""
        self._mark(location, until, left_out=True)

    def mark_reached(self, location: Location) -> None:
        """Forget that a location failed: it answered."""
        self._marks.pop(_key(location), None)

    # -- RFC 3263 section 4 ------------------------------------------------------------------------------------------

    def _asked_for(self, name: str, secure: bool) -> SipTransport:
        """What a ``transport`` parameter means.

        Raises:
            ConnectError: It is not spoken here, or cannot be secured.
        """
        transport = cast(SipTransport, name.lower())
        meant = _SECURE.get(transport) if secure else transport
        if meant is None or meant not in self._transports:
            raise ConnectError(ConnectFailure.TRANSPORT, f"{'sips over ' if secure else ''}{name} is not spoken here")
        return meant

    def _supported(self, secure: bool) -> tuple[SipTransport, ...]:
        supported = tuple(it for it in self._transports if not secure or it in ("tls", "wss"))
        if not supported:
            raise ConnectError(ConnectFailure.TRANSPORT, "no transport for sips is spoken here")
        return supported

    def _default(self, secure: bool) -> SipTransport:
        """UDP for SIP, TLS for SIPS (section 4.1), as far as they are spoken here."""
        preferred: SipTransport = "tls" if secure else "udp"
        supported = self._supported(secure)
        return preferred if preferred in supported else supported[0]

    async def _locate(self, host: str, port: int | None, asked: SipTransport | None, secure: bool) -> list[Location]:
        if port is not None or parse_address(host) is not None or self._names.local_addresses(host):
            transport = asked or self._default(secure)
            return await self._host(host, transport, port)
        if asked is not None:
            services = [(asked, f"{_LABELS[asked]}.{host}")]
        else:
            services = await self._services(host, secure) or [
                (transport, f"{_LABELS[transport]}.{host}") for transport in self._supported(secure)
            ]
        found = await self._offered(host, services)
        return await self._host(host, asked or self._default(secure), None) if found is None else found

    async def _host(self, host: str, transport: SipTransport, port: int | None) -> list[Location]:
        addresses = await self._names.addresses(host)
        return _locations(host, transport, [Endpoint(it, port or DEFAULT_PORTS[transport]) for it in addresses])

    async def _services(self, host: str, secure: bool) -> list[tuple[SipTransport, str]]:
        """(transport, SRV name) by NAPTR: the lowest order that we can use, by preference (section 4.1, RFC 3403)."""
        supported = self._supported(secure)
        usable = []
        for record in await self._naptr(host):
            if isinstance(record, NAPTR) and record.flags.lower() == b"s" and not record.regexp:
                transport = _SERVICES.get(record.service.upper())
                if transport in supported:
                    usable.append((record.order, record.preference, transport, record.replacement.to_text()))
        usable.sort(key=lambda entry: entry[:2])
        return [(transport, name) for order, _, transport, name in usable if order == usable[0][0]][:MOST_SERVICES]

    async def _naptr(self, host: str) -> Records:
        """The NAPTR records. There are servers that do not answer this question and know SRV all the same."""
        try:
            async with asyncio.timeout(self._timeout / 2):
                return await self._names.records(host, dns.rdatatype.NAPTR)
        except (ConnectError, TimeoutError):
            return ()

    async def _offered(self, host: str, services: Sequence[tuple[SipTransport, str]]) -> list[Location] | None:
        """The locations of all services; None when none has an SRV record.

        Raises:
            ConnectError: No answer to any of the questions.
        """
        known = all(self._names.remembers(name, dns.rdatatype.SRV) for _, name in services)
        results = await settled([targets(self._names, name, self._choose) for _, name in services], at_once=known)
        errors = [result for result in results if isinstance(result, ConnectError)]
        answers = [result for result in results if isinstance(result, list)]
        if not answers:
            if errors:
                raise errors[0]
            return None
        pairs = [
            (transport, target)
            for (transport, _), result in zip(services, results, strict=True)
            if isinstance(result, list)
            for target in result
        ][:MOST_LOCATIONS]
        lists = await endpoints_of(self._names, [target for _, target in pairs])
        return [
            location
            for (transport, _), endpoints in zip(pairs, lists, strict=True)
            for location in _locations(host, transport, endpoints)
        ]

    # -- who is left alone -------------------------------------------------------------------------------------------

    def _usable(self, host: str, found: Sequence[Location]) -> list[Location]:
        """Those never marked, then those that failed, the one marked for the shortest time first.

        Raises:
            ConnectError: All asked to be left alone.
        """
        if not self._marks:
            return list(found)
        now = self._clock()
        marks = [(location, self._marks.get(_key(location))) for location in found]
        held = [(mark.until, location, mark.left_out) for location, mark in marks if mark and mark.until > now]
        failed = sorted((entry for entry in held if not entry[2]), key=lambda entry: entry[0])
        marked = {location for _, location, _ in held}
        usable = [location for location in found if location not in marked] + [location for _, location, _ in failed]
        if not usable:
            raise ConnectError(
                ConnectFailure.UNAVAILABLE,
                f"{host}: every server asked to be left alone for a while",
                retry_after=min(until for until, _, _ in held) - now,
            )
        return usable

    def _mark(self, location: Location, until: float, *, left_out: bool) -> None:
        key = _key(location)
        self._marks.pop(key, None)
        self._marks[key] = _Mark(min(until, self._clock() + LONGEST_MARK), left_out)
        if len(self._marks) > MOST_MARKS:
            del self._marks[next(iter(self._marks))]


def _key(location: Location) -> tuple[SipTransport, str, int]:
    """A server is the same whatever domain led to it."""
    return location.transport, location.address, location.port


def _locations(host: str, transport: SipTransport, endpoints: Sequence[Endpoint]) -> list[Location]:
    server_name = host if transport in ("tls", "wss") else None
    return [Location(transport, endpoint.address, endpoint.port, server_name) for endpoint in endpoints]
