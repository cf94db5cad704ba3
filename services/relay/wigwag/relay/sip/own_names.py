"""Which URIs mean this edge, and which domains' users register here."""

from collections.abc import Iterable

from wigwag.protocols.sip import SipUri

from .flows.flow import SipAddress

_DEFAULT_PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}


class OwnNames:
    """Domains and addresses that are ours.

    Args:
        domains: Domains served, lower case.
        addresses: The listeners.
        aliases: More names of theirs.
        agents: Host of the user agent's Contacts.
    """

    def __init__(
        self,
        domains: Iterable[str],
        addresses: Iterable[SipAddress],
        aliases: Iterable[str] = (),
        *,
        agents: str,
    ) -> None:
        aliases = tuple(aliases)
        self._agents = agents.lower() or "\0"  # Not that of a tel URI, which has no host.
        self.domains = frozenset(domain.lower() for domain in domains)
        self._hostports: set[tuple[str, int | None]] = set()
        sent_by = set()
        for address in addresses:
            named = [(address.host, address.port), (address.bound_host, address.bound_port)]
            named += [(alias, address.port) for alias in aliases]
            for host, port in named:
                host = f"[{host}]" if ":" in host and host[0] != "[" else host
                self._hostports.add((host.lower(), port))
                if port == _DEFAULT_PORTS[address.transport]:
                    self._hostports.add((host.lower(), None))
            sent_by.add(f"{address.host.lower()}:{address.port}")
        self.sent_by = frozenset(sent_by)
        """What our Vias name."""

    def is_address(self, uri: SipUri) -> bool:
        """Tell whether the URI's host and port are a listener's."""
        return (uri.host, uri.port) in self._hostports

    def is_ours(self, uri: SipUri) -> bool:
        """Tell whether the URI's host is a listener or a domain of ours."""
        return self.is_address(uri) or self.is_domain(uri)

    def is_agents(self, uri: SipUri) -> bool:
        """Tell whether the URI is of the user agent: one of its sessions, or its pods."""
        return uri.host == self._agents

    def is_claimed(self, uri: SipUri) -> bool:
        """Tell whether a sender's URI looks like one of our users', with whatever port or dot behind the domain."""
        return uri.host.removesuffix(".") in self.domains or self.is_address(uri)

    def is_domain(self, uri: SipUri) -> bool:
        """Tell whether the URI is in a domain of ours, whatever its port if that is one of ours too."""
        return uri.host in self.domains and (uri.port is None or self._port_is_ours(uri.port))

    def _port_is_ours(self, port: int) -> bool:
        return any(held == port for _, held in self._hostports) or port in (5060, 5061)
