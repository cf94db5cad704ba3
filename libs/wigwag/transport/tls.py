"""TLS contexts: certificates chosen by name, replaced while running, and names checked when we connect.

A context is never loaded in place, because a failed load breaks the one in use for every later handshake. A reload
makes new contexts and swaps them in when all of them are good.

RFC 8996 forbids TLS 1.0 and 1.1. Session tickets of TLS 1.3 are off: a client that never reads would have unread
tickets in its socket when it closes, the kernel then sends RST, and what it sent last is lost.
"""

import ssl
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from wigwag.transport.asked_certificates import ask_without_judging
from wigwag.transport.errors import CertificateError


class ServerTls:
    """The certificates of one listener.

    Args:
        certificates: Pairs of PEM files (chain, private key); the first serves clients that name no other.
        client_ca: PEM file of authorities; when given, a client has to show a certificate of theirs.
        ask: Whether clients are asked for a certificate that nobody judges here; without ``client_ca``.

    Raises:
        CertificateError: A file cannot be used.
    """

    def __init__(
        self, certificates: Sequence[tuple[str, str]], *, client_ca: str | None = None, ask: bool = False
    ) -> None:
        self._files = tuple(certificates)
        self._client_ca = client_ca
        self._ask = ask
        self._served = self._load()

    def reload(self) -> None:
        """Read all files again; connections that stand are not touched.

        Raises:
            CertificateError: A file cannot be used; the old certificates go on serving.
        """
        self._served = self._load()

    @property
    def needs_server_name(self) -> bool:
        """Whether the certificate depends on the name that the client asks for."""
        return len(self._served) > 1

    @property
    def expires(self) -> datetime:
        """When the first of the certificates in use ends."""
        return min(served.expires for served in self._served)

    def context(self, server_name: str | None = None) -> ssl.SSLContext:
        """The context for a client that asks for ``server_name`` (SNI); None: it names none."""
        if server_name is not None and len(self._served) > 1:
            name = server_name.lower().rstrip(".")
            wildcard = "*." + name.partition(".")[2]
            for wanted in (name, wildcard):
                for served in self._served:
                    if wanted in served.names:
                        return served.context
        return self._served[0].context

    @property
    def asks(self) -> bool:
        """Whether every client is asked for a certificate that nobody has judged yet; False: it can't be done here."""
        return self._ask and all(served.asks for served in self._served)

    def _load(self) -> tuple["_Served", ...]:
        if not self._files:
            raise CertificateError("no certificate is configured")
        return tuple(_Served(chain, key, self._client_ca, self._ask) for chain, key in self._files)


class _Served:
    """One certificate in its context, with the names it is for."""

    def __init__(self, chain: str, key: str, client_ca: str | None, ask: bool) -> None:
        certificate = _leaf(chain)
        self.names = _dns_names(certificate)
        self.expires = certificate.not_valid_after_utc
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.num_tickets = 0
        self.context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        _load_pair(self.context, chain, key)
        if client_ca is not None:
            _load_authorities(self.context, client_ca)
            self.context.verify_mode = ssl.CERT_REQUIRED
        self.asks = ask and client_ca is None and ask_without_judging(self.context)


def client_context(*, ca_file: str | None = None, certificate: tuple[str, str] | None = None) -> ssl.SSLContext:
    """A context to connect with: the peer's certificate must be trusted and carry its name as dNSName.

    The common name alone does not count (RFC 4976 section 9.2 asks for subjectAltName).

    Args:
        ca_file: PEM file of the authorities to trust; None: the system's.
        certificate: Our own chain and key, shown to a peer that asks (mutual TLS between relays).

    Raises:
        CertificateError: A file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.hostname_checks_common_name = False
    if ca_file is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _load_authorities(context, ca_file)
    if certificate is not None:
        _load_pair(context, *certificate)
    return context


def sip_client_context(*, ca_file: str | None = None, certificate: tuple[str, str] | None = None) -> ssl.SSLContext:
    """A context to connect with in SIP, where `Connector.connect_to` checks whom the certificate speaks for.

    OpenSSL's own check is off: it knows no ``sip:`` URIs, and lets wildcards match (RFC 5922 section 7.2).

    Args:
        ca_file: PEM file of the authorities to trust; None: the system's.
        certificate: Our own chain and key, shown to a peer that asks (RFC 5922 section 7.3).

    Raises:
        CertificateError: A file cannot be used.
    """
    context = client_context(ca_file=ca_file, certificate=certificate)
    context.check_hostname = False
    return context


def certificate_of(chain: str) -> bytes:
    """Return the certificate, in DER, that a PEM file of a chain begins with.

    Raises:
        CertificateError: The file cannot be used.
    """
    return _leaf(chain).public_bytes(Encoding.DER)


def _leaf(chain: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(Path(chain).read_bytes())[0]
    except OSError as error:
        raise CertificateError(f"{chain}: {error.strerror}") from error
    except ValueError as error:
        raise CertificateError(f"{chain}: no certificate in PEM: {error}") from error


def _dns_names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(name.lower() for name in extension.value.get_values_for_type(x509.DNSName))


def _load_pair(context: ssl.SSLContext, chain: str, key: str) -> None:
    def no_password() -> str:
        # Without this OpenSSL would ask on the terminal.
        raise CertificateError(f"{key}: the key is encrypted")

    try:
        context.load_cert_chain(chain, key, password=no_password)
    except ssl.SSLError as error:
        raise CertificateError(f"{chain} and {key} do not work together: {error.reason or error}") from error
    except OSError as error:
        raise CertificateError(f"{chain} or {key}: {error.strerror}") from error


def _load_authorities(context: ssl.SSLContext, path: str) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        raise CertificateError(f"{path}: no authority in PEM: {error.reason or error}") from error
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}") from error
