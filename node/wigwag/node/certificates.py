"""A self-made authority and a server certificate for this machine alone, for trying things out."""

import datetime
import os
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
SERVER_DAYS = 397
RENEW_DAYS = 7
"""A certificate that ends sooner is made anew."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files."""

    authority: Path
    certificate: Path
    key: Path


def ensure_certificates(directory: Path, now: datetime.datetime) -> CertificateFiles:
    """Return a server certificate for localhost, 127.0.0.1 and ::1, made or renewed when needed.

    Args:
        directory: Where the files are kept.
        now: The time, with its zone.
    """
    files = CertificateFiles(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    authority_key = directory / "ca.key"
    if not (authority_key.exists() and _holds(files.authority, now)):
        _make_authority(files.authority, authority_key, now)
        files.certificate.unlink(missing_ok=True)
    if not (files.key.exists() and _holds(files.certificate, now)):
        _make_server(files, authority_key, now)
    return files


def _holds(path: Path, now: datetime.datetime) -> bool:
    if not path.exists():
        return False
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        return False
    return certificate.not_valid_after_utc - now > datetime.timedelta(days=RENEW_DAYS)


def _make_authority(path: Path, key_path: Path, now: datetime.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder("Wigwag demo authority", "Wigwag demo authority", now, AUTHORITY_DAYS)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        # Somebody may import it into a browser: it can speak for nobody but this machine.
        .add_extension(
            x509.NameConstraints(
                [
                    x509.DNSName("localhost"),
                    x509.IPAddress(IPv4Network("127.0.0.0/8")),
                    x509.IPAddress(IPv6Network("::1/128")),
                ],
                None,
            ),
            critical=True,
        )
    )
    certificate = builder.sign(key, hashes.SHA256())
    _write_private(key_path, _pem(key))
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _make_server(files: CertificateFiles, authority_key: Path, now: datetime.datetime) -> None:
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    issuer = serialization.load_pem_private_key(authority_key.read_bytes(), None)
    if not isinstance(issuer, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{authority_key} holds a key of another kind than this program writes")
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("localhost"),
            x509.IPAddress(IPv4Address("127.0.0.1")),
            x509.IPAddress(IPv6Address("::1")),
        ]
    )
    builder = (
        _builder("localhost", "Wigwag demo authority", now, SERVER_DAYS)
        .public_key(key.public_key())
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
    )
    chain = [builder.sign(issuer, hashes.SHA256()), authority]
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
