"""Network addresses: which of them nobody may make us connect to, and how they are grouped for limits."""

import functools
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_SHARED = ipaddress.ip_network("100.64.0.0/10")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect to."""

    address: str
    """Numeric, IPv4 or IPv6."""
    port: int


@functools.lru_cache(maxsize=4096)
def parse_address(text: str) -> IpAddress | None:
    """The numeric address in ``text`` (IPv6 with or without brackets), or None when it is a name."""
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def forbidden(address: str, own: Iterable[str] = ()) -> str | None:
    """Why ``address`` must not be connected to on behalf of a stranger; None when nothing speaks against it.

    To be asked about every address that a name resolved to, right before connecting to that very address, so that a
    name that changes its mind cannot lead inside.

    Args:
        address: A numeric address.
        own: The addresses we listen on ourselves.
    """
    parsed = parse_address(address)
    if parsed is None:
        return "not a numeric address"
    parsed = _embedded(parsed)
    for name, applies in (
        ("unspecified", parsed.is_unspecified),
        ("loopback", parsed.is_loopback),
        ("link-local", parsed.is_link_local),
        ("multicast", parsed.is_multicast),
        ("private", parsed.is_private or _is_shared(parsed)),
        ("reserved", parsed.is_reserved),
    ):
        if applies:
            return name
    return "our own" if any(_same(parsed, other) for other in own) else None


def leads_to_ourselves(address: str) -> bool:
    """Whether ``address`` is one of this host's interfaces, whatever it is called from outside.

    Asks the kernel for a route and sends nothing: what we would reach from the very same address is ourselves.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return bool(parse_address(probe.getsockname()[0].partition("%")[0]) == parse_address(address))
    except OSError:
        return False


def closed_to_strangers(address: str, own: Iterable[str] = ()) -> str | None:
    """Why nobody may make us send to ``address``: `forbidden`, or one of this host's own; None when one may.

    `Connector` asks by itself; who sends datagrams where a stranger says has to.
    """
    return forbidden(address, own) or ("our own" if leads_to_ourselves(address) else None)


def interleave(first: list[str], second: list[str]) -> list[str]:
    """Take from both in turn, beginning with ``first``, so that neither address family is tried last as a whole."""
    result: list[str] = []
    for index in range(max(len(first), len(second))):
        result += first[index : index + 1] + second[index : index + 1]
    return result


def network_of(address: str) -> str:
    """What limits count by: an IPv4 address itself, the /64 of an IPv6 one, since its owner has all of that."""
    if ":" not in address:
        return address
    try:
        packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except OSError:
        return address
    if packed[:12] == b"\0" * 10 + b"\xff\xff":
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed[:8] + b"\0" * 8)


def _embedded(address: IpAddress) -> IpAddress:
    """The IPv4 address that an IPv6 one reaches in truth (mapped, 6to4, NAT64), else itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[12:])
    return address


def _is_shared(address: IpAddress) -> bool:
    """Carrier-grade NAT space (RFC 6598), which `ipaddress` calls neither private nor global."""
    return isinstance(address, ipaddress.IPv4Address) and address in _SHARED


def _same(address: IpAddress, other: str) -> bool:
    parsed = parse_address(other)
    return parsed is not None and _embedded(parsed) == address
