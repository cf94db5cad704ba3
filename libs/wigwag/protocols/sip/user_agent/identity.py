"""Who a user agent is, and by which way it reaches its server."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from wigwag.protocols.sip.errors import SipError
from wigwag.protocols.sip.uri import SipUri, parse_uri
from wigwag.protocols.sip.values import NameAddress

if TYPE_CHECKING:
    from wigwag.protocols.sip.transactions import Wire

Transport = Literal["UDP", "TCP", "TLS", "WS", "WSS"]
"""As Via writes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A user at one device.

    Raises:
        SipError: ``aor`` is no SIP URI with a user.
    """

    aor: SipUri
    """Address of record: what others write to."""
    display_name: str = ""
    instance: str = ""
    """The device as a URN, such as ``urn:uuid:...``, the same after every start (RFC 5626 section 4.1); empty: none."""
    software: str = "Wigwag"
    """For User-Agent and Server."""

    @classmethod
    def of(cls, aor: str, *, display_name: str = "", instance: str = "", software: str = "Wigwag") -> "Identity":
        """Return the identity of an address of record as text."""
        uri = parse_uri(aor)
        if not isinstance(uri, SipUri) or not uri.user:
            raise SipError("an address of record is a sip or sips URI with a user")
        return cls(aor=uri, display_name=display_name, instance=instance, software=software)

    @property
    def domain(self) -> str:
        """Where the user registers: the Request-URI of REGISTER (RFC 3261 section 10.2)."""
        return f"{self.aor.scheme}:{self.aor.hostport}"

    def address(self, tag: str | None = None) -> str:
        """Return what stands in From, or in the To of REGISTER."""
        parameters: dict[str, str | None] = {} if tag is None else {"tag": tag}
        return str(NameAddress(self.display_name, str(self.aor), parameters))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flow:
    """A way to the server and back (RFC 5626 section 2): a connection, or a socket and an address."""

    wire: "Wire"
    transport: Transport
    sent_by: str
    """Where Via and Contact say that we are: ``host:port``, or a made-up name below ``.invalid`` (RFC 7118)."""
    remote: tuple[str, int]
    """The server's numeric address and port."""
    routes: list[str] = field(default_factory=list)
    """Route fields for requests over it: what Service-Route gave (RFC 3608)."""

    def via(self, branch: str) -> str:
        """Return our Via; responses come back to where it was sent from (RFC 3581)."""
        return f"SIP/2.0/{self.transport} {self.sent_by};rport;branch={branch}"

    def contact(self, aor: SipUri) -> str:
        """Return the URI at which requests for a user reach us over this flow."""
        transport = self.transport.lower()
        if self.transport == "UDP" or (self.transport == "TLS" and aor.scheme == "sips"):
            transport = ""
        elif self.transport == "WSS":
            # RFC 7118 section 5.2.2: ws stands for secure WebSocket too.
            transport = "ws"
        return f"{aor.scheme}:{aor.user}@{self.sent_by}" + (f";transport={transport}" if transport else "")
