"""What transport raises on purpose.

::

    WigwagError
    └── TransportError
        ├── ListenError         an address cannot be listened on
        ├── CertificateError    a certificate, key or authority file cannot be used; says which and why
        └── ConnectError        no connection to the other side; ``reason`` says at which step
"""

import enum

from wigwag.errors import WigwagError


class TransportError(WigwagError):
    """Sockets, TLS or name resolution did not do what was asked."""


class ListenError(TransportError):
    """An address cannot be listened on."""


class CertificateError(TransportError):
    """A certificate, key or authority file cannot be used; the text names the file and the defect."""


class ConnectFailure(enum.Enum):
    """At which step an outgoing connection failed."""

    NO_ADDRESS = "no-address"
    """The name has no usable address."""
    RESOLUTION = "resolution"
    """The name service did not answer in time, or refused."""
    FORBIDDEN = "forbidden"
    """Every address is loopback, link-local, private, multicast, unspecified or our own."""
    NO_NEW_CONNECTION = "no-new-connection"
    """A TCP profile forbids connecting there (``no_new_conn``)."""
    REFUSED = "refused"
    """The peer refused the connection, or is unreachable."""
    TIMEOUT = "timeout"
    """The peer did not complete the TCP connection or the handshake in time."""
    CERTIFICATE = "certificate"
    """The peer's certificate is not trusted, or names somebody else."""
    HANDSHAKE = "handshake"
    """TLS failed for another reason."""
    TRANSPORT = "transport"
    """The URI asks for a transport that is not spoken here, or cannot be secured (SIP)."""
    UNAVAILABLE = "unavailable"
    """Every server asked to be left alone for a while (SIP: 503 with Retry-After)."""
    RESOURCES = "resources"
    """This process has no descriptor, port or memory left for it."""


class ConnectError(TransportError):
    """No connection to the other side.

    Args:
        failure: At which step.
        detail: Whereto and why, fit for a log line.
        retry_after: Seconds after which it may be tried again; None: not known.
    """

    def __init__(self, failure: ConnectFailure, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.failure = failure
        self.detail = detail
        self.retry_after = retry_after
