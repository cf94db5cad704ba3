"""Whether ``c=`` and ``m=`` lead where ``path`` leads (RFC 6714 section 4.4)."""

from collections.abc import Collection, Mapping
from ipaddress import ip_address

from .msrp_media import MsrpMedia


def addresses_match(media: MsrpMedia, resolved: Mapping[str, Collection[str]]) -> bool:
    """Tell whether the address in ``c=`` and ``m=`` is that of a URI in the path; if not, a middlebox wrote it.

    Args:
        media: The peer's stream.
        resolved: IP addresses by host name in lower case. A name that is absent is taken to be equal to anything.
    """
    port, host = media.connection_port, media.connection_address
    return any(uri.port == port and _same_host(uri.host, host, resolved) for uri in media.uris)


def _same_host(one: str, other: str, resolved: Mapping[str, Collection[str]]) -> bool:
    first, second = one.lower().rstrip("."), other.lower().rstrip(".")
    if first == second:
        return True
    addresses, others = _addresses(first, resolved), _addresses(second, resolved)
    return addresses is None or others is None or not addresses.isdisjoint(others)


def _addresses(host: str, resolved: Mapping[str, Collection[str]]) -> set[object] | None:
    try:
        return {ip_address(host)}
    except ValueError:
        known = resolved.get(host)
        return None if known is None else {ip_address(address) for address in known}
