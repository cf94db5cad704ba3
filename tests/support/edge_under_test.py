"""What tests of SIP interoperability know of an edge: where it listens, whom it serves, by which passwords."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.processes import free_port

DOMAIN: Final = "edge.example"
RESOLVABLE: Final = "localhost"
"""A second domain with the same users, for programs that look up the host of every URI."""
USERS: Final = {"alice": "secret-of-alice", "bob": "secret-of-bob", "carol": "secret-of-carol", "100": "secret-of-100"}
TRANSPORTS: Final = ("udp", "tcp", "tls", "ws", "wss")


@dataclass(frozen=True, slots=True, kw_only=True)
class SipEdge:
    """A registrar and proxy under test.

    Args:
        name: ``wigwag`` or ``kamailio``.
        host: Address of all its listeners.
        ports: Port by transport: ``udp``, ``tcp``, ``tls``, ``ws``, ``wss``.
        ca_file: PEM file of the authority behind its certificate, which names ``host``.
        log: What it writes.
        domain: The domain that it serves; it is resolved by nobody.
        users: Password by user.
    """

    name: str
    host: str
    ports: Mapping[str, int]
    ca_file: str
    log: Path
    domain: str = DOMAIN
    users: Mapping[str, str] = field(default_factory=lambda: USERS)

    def address(self, transport: str) -> str:
        """``host:port`` of a listener."""
        return f"{self.host}:{self.ports[transport]}"

    def aor(self, user: str) -> str:
        """Address-of-record of a user, whether he exists or not."""
        return f"sip:{user}@{self.domain}"

    def url(self, transport: str) -> str:
        """URL of a WebSocket listener."""
        return f"{transport}://{self.address(transport)}/"


def free_sip_port(host: str = "127.0.0.1") -> int:
    """Return a port of ``host`` for SIP over TCP and UDP; see ``ports``."""
    return free_port(host)
