"""Whom a certificate speaks for in SIP (RFC 5922): domains, not hosts."""

from collections.abc import Iterator
from typing import cast

from wigwag.transport.addresses import parse_address


def sip_identities(certificate: object) -> tuple[str, ...]:
    """The SIP domains in a verified certificate's subjectAltName, in lower case (RFC 5922 section 7.1).

    URIs of the form ``sip:domain`` decide where there are any; else it is the dNSNames. The common name never counts.

    Args:
        certificate: As `ssl.SSLSocket.getpeercert` returns it.
    """
    names = tuple(_alternative_names(certificate))
    domains = [_domain_of(value) for kind, value in names if kind == "URI"]
    uris = tuple(domain for domain in domains if domain is not None)
    return uris or tuple(value.lower() for kind, value in names if kind == "DNS")


def speaks_for(certificate: object, domain: str, *, wildcards: bool = False) -> bool:
    """Whether a verified certificate may answer for a SIP URI's host.

    Args:
        certificate: As `ssl.SSLSocket.getpeercert` returns it.
        domain: The host of the URI that the request is for, a name or a numeric address.
        wildcards: Whether ``*.example.com`` matches ``a.example.com``. In SIP it must not (RFC 5922 section 7.2); for
            secure WebSocket the rules of HTTPS hold (RFC 6455 section 10.6).
    """
    address = parse_address(domain)
    if address is not None:
        found = (value for kind, value in _alternative_names(certificate) if kind == "IP Address")
        return any(parse_address(value.strip()) == address for value in found)
    wanted = domain.lower().rstrip(".")
    identities = sip_identities(certificate)
    return wanted in identities or (wildcards and "." in wanted and f"*.{wanted.partition('.')[2]}" in identities)


def _alternative_names(certificate: object) -> Iterator[tuple[str, str]]:
    if isinstance(certificate, dict):
        yield from cast("tuple[tuple[str, str], ...]", certificate.get("subjectAltName", ()))


def _domain_of(uri: str) -> str | None:
    """The host of ``sip:host``; None for other schemes and URIs of users (RFC 5922 section 7.1)."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() != "sip" or "@" in rest:
        return None
    return rest.partition(";")[0].partition("?")[0].lower() or None
