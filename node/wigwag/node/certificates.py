"""Self-made authorities and certificates: for trying things out, and between the services of one process."""

import datetime
import os
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
SERVER_DAYS = 397
RENEW_DAYS = 7
"""A certificate that ends sooner is made anew."""
_THIS_MACHINE: Final = (
    x509.DNSName("localhost"),
    x509.IPAddress(IPv4Address("127.0.0.1")),
    x509.IPAddress(IPv6Address("::1")),
)
_ALL_OF_IT: Final = (
    x509.DNSName("localhost"),
    x509.IPAddress(IPv4Network("127.0.0.0/8")),
    x509.IPAddress(IPv6Network("::1/128")),
)
"""What an authority for this machine may speak for."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files."""

    authority: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class InternalCertificates:
    """How the edge and the user agent of one process know each other: nobody else has one of that authority."""

    edge: CertificateFiles
    agent: CertificateFiles


@dataclass(frozen=True, slots=True)
class _Purpose:
    """What a certificate is for."""

    file: str
    names: tuple[x509.GeneralName, ...]
    usage: x509.ObjectIdentifier
    days: int

    @property
    def subject(self) -> str:
        return str(self.names[0].value)


@dataclass(frozen=True, slots=True)
class _Authority:
    """An authority in a directory."""

    directory: Path
    name: str
    speaks_for: tuple[x509.GeneralName, ...]

    @property
    def file(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def key(self) -> Path:
        return self.directory / "ca.key"

    def ensure(self, purposes: Sequence[_Purpose], now: datetime.datetime) -> list[CertificateFiles]:
        """Return a certificate for each purpose, made or renewed when needed."""
        files = [
            CertificateFiles(self.file, self.directory / f"{each.file}.pem", self.directory / f"{each.file}.key")
            for each in purposes
        ]
        if not (self.key.exists() and _holds(self.file, now)):
            _make_authority(self, now)
            for each in files:
                each.certificate.unlink(missing_ok=True)
        for each, purpose in zip(files, purposes, strict=True):
            if not (each.key.exists() and _holds(each.certificate, now, purpose.names)):
                _issue(self, each, purpose, now)
        return files


def ensure_certificates(directory: Path, now: datetime.datetime) -> CertificateFiles:
    """Return a server certificate for localhost, 127.0.0.1 and ::1, made or renewed when needed.

    Args:
        directory: Where the files are kept.
        now: The time, with its zone.
    """
    authority = _Authority(directory, "Wigwag demo authority", _ALL_OF_IT)
    (files,) = authority.ensure([_Purpose("server", _THIS_MACHINE, ExtendedKeyUsageOID.SERVER_AUTH, SERVER_DAYS)], now)
    return files


def ensure_internal_certificates(directory: Path, agent: str, now: datetime.datetime) -> InternalCertificates:
    """Return what the edge and the user agent of one process prove themselves with, made or renewed when needed.

    Args:
        directory: Where the files are kept; made if it is not there.
        agent: DNS name of the user agent.
        now: The time, with its zone.
    """
    directory.mkdir(mode=0o700, exist_ok=True)
    name = x509.DNSName(agent)
    authority = _Authority(directory, "Wigwag internal authority", (*_ALL_OF_IT, name))
    edge, user_agent = authority.ensure(
        [
            _Purpose("edge", _THIS_MACHINE, ExtendedKeyUsageOID.SERVER_AUTH, AUTHORITY_DAYS),
            _Purpose("agent", (name,), ExtendedKeyUsageOID.CLIENT_AUTH, AUTHORITY_DAYS),
        ],
        now,
    )
    return InternalCertificates(edge, user_agent)


def _holds(path: Path, now: datetime.datetime, names: tuple[x509.GeneralName, ...] = ()) -> bool:
    """Tell whether a certificate holds for some time to come, and for these names if there are any."""
    if not path.exists():
        return False
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName) if names else None
    except (ValueError, x509.ExtensionNotFound):
        return False
    if extension is not None and tuple(extension.value) != names:
        return False
    return certificate.not_valid_after_utc - now > datetime.timedelta(days=RENEW_DAYS)


def _make_authority(authority: _Authority, now: datetime.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(authority.name, authority.name, now, AUTHORITY_DAYS)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        # Somebody may import it into a browser: it can speak for nobody but this machine.
        .add_extension(x509.NameConstraints(list(authority.speaks_for), None), critical=True)
    )
    certificate = builder.sign(key, hashes.SHA256())
    _write_private(authority.key, _pem(key))
    authority.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _issue(authority: _Authority, files: CertificateFiles, purpose: _Purpose, now: datetime.datetime) -> None:
    issued_by = x509.load_pem_x509_certificate(authority.file.read_bytes())
    issuer = serialization.load_pem_private_key(authority.key.read_bytes(), None)
    if not isinstance(issuer, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{authority.key} holds a key of another kind than this program writes")
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(purpose.subject, authority.name, now, purpose.days)
        .public_key(key.public_key())
        .add_extension(x509.SubjectAlternativeName(purpose.names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose.usage]), critical=False)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
    )
    chain = [builder.sign(issuer, hashes.SHA256()), issued_by]
    _write_private(files.key, _pem(key))
    files.certificate.write_bytes(b"".join(item.public_bytes(serialization.Encoding.PEM) for item in chain))


def _builder(subject: str, issuer: str, now: datetime.datetime, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_private(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
