"""SIP servers as users name them, and the places where they are."""

import re
from dataclasses import dataclass, replace
from typing import cast

from wigwag.errors import ConfigurationError
from wigwag.protocols.sip.user_agent import Transport
from wigwag.transport.addresses import Endpoint
from wigwag.transport.sip_locations import Location, SipTransport

_SERVER = re.compile(
    r"(udp|tcp|tls|ws|wss):(?://)?(\[[0-9A-Fa-f:.]+\]|[^\s:/?#\[\]@]+)(?::([0-9]{1,5}))?(/[^\s?#]*)?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SipServer:
    """A server as a user names it."""

    transport: SipTransport | None
    """None: as the name service says (RFC 3263 section 4.1)."""
    host: str
    """Name or numeric address, without brackets."""
    port: int | None = None
    """None: by SRV, else the transport's usual one."""
    secure: bool = False
    """Whether only TLS will do, as for ``sips`` URIs."""
    path: str = "/"
    """Of a WebSocket."""

    @classmethod
    def parse(cls, text: str) -> "SipServer":
        """Read ``tcp:host:port``, ``tls:host``, ``wss://host/path`` and the like.

        Raises:
            ConfigurationError: It is none of them.
        """
        match = _SERVER.fullmatch(text)
        port = int(match[3]) if match is not None and match[3] is not None else None
        if match is None or (port is not None and not 0 < port < 65536):
            raise ConfigurationError(
                f"{text!r} is no server; write udp:HOST, tcp:HOST:PORT, tls:..., ws://... or wss://..."
            )
        transport = cast(SipTransport, match[1].lower())
        return cls(transport=transport, host=match[2].strip("[]"), port=port, path=match[4] or "/")

    def at(self, location: Location) -> "SipLocation":
        """Return one of the places where the name service says that it is."""
        return SipLocation(
            transport=cast(Transport, location.transport.upper()),
            endpoint=location.endpoint,
            server_name=location.server_name or self.host,
            path=self.path,
        )

    def __str__(self) -> str:
        """As ``parse`` reads it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        transport = "" if self.transport is None else f"{self.transport}:"
        return f"{transport}{host}" + ("" if self.port is None else f":{self.port}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SipLocation:
    """One address of a server."""

    transport: Transport
    endpoint: Endpoint
    server_name: str
    """Whom its certificate has to speak for (RFC 5922 section 4), and a WebSocket's host."""
    path: str = "/"
    """Of a WebSocket."""

    def over_tcp(self) -> "SipLocation":
        """Return the same place for what is too large for UDP (RFC 3261 section 18.1.1)."""
        return replace(self, transport="TCP")
