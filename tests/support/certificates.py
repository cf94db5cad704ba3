"""Certificates for tests: an authority, and what it (or a stranger) signs."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Pair = tuple[str, str]
"""Paths of a certificate chain and its key, PEM."""


@dataclass(frozen=True)
class Authority:
    """An authority whose files live in ``directory``."""

    directory: Path
    name: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def create(cls, directory: Path, name: str = "authority") -> "Authority":
        """A new authority; its own certificate is at ``ca_file``."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        certificate = (
            _builder(subject, subject, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        authority = cls(directory, name, key, certificate)
        Path(authority.ca_file).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return authority

    @property
    def ca_file(self) -> str:
        """PEM file to trust this authority by."""
        return str(self.directory / f"{self.name}.pem")

    def issue(
        self,
        *names: str,
        addresses: tuple[str, ...] = (),
        uris: tuple[str, ...] = (),
        common_name: str = "test",
        expired: bool = False,
        file: str | None = None,
    ) -> Pair:
        """A certificate for DNS ``names``, IP ``addresses`` and URIs; with none it has no subjectAltName at all."""
        return self._write(names, addresses, common_name, expired, file, self_signed=False, uris=uris)

    def self_signed(self, *names: str, file: str = "self-signed") -> Pair:
        """A certificate that nobody vouches for."""
        return self._write(names, (), "self-signed", False, file, self_signed=True)

    def _write(
        self,
        names: tuple[str, ...],
        addresses: tuple[str, ...],
        common_name: str,
        expired: bool,
        file: str | None,
        *,
        self_signed: bool,
        uris: tuple[str, ...] = (),
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(common_name)
        issuer = subject if self_signed else self.certificate.subject
        builder = _builder(subject, issuer, key, expired=expired)
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        alternatives += [x509.IPAddress(ip_address(a)) for a in addresses]
        alternatives += [x509.UniformResourceIdentifier(uri) for uri in uris]
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        certificate = builder.sign(key if self_signed else self.key, hashes.SHA256())
        stem = file or f"{self.name}-{common_name}-{'-'.join(names).replace('*', 'any')}"
        chain_file, key_file = self.directory / f"{stem}.crt", self.directory / f"{stem}.key"
        chain_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return str(chain_file), str(key_file)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, expired: bool = False
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    end = now - timedelta(days=1) if expired else now + timedelta(days=30)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(end)
    )
