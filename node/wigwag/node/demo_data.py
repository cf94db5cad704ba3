"""What ``run --demo`` adds: a domain, two users and a certificate, kept in the data directory and used again."""

import datetime
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wigwag.errors import ConfigurationError

from .certificates import CertificateFiles, ensure_certificates
from .data_directory import make_data_directory

DOMAIN = "localhost"
USERS = ("alice", "bob")
PORTS: Mapping[str, int] = {"tls": 2855, "tcp": 2856, "ws": 2857, "wss": 2858}
"""Demo listeners of MSRP, all on loopback, named by their kind."""
SIP_PORTS: Mapping[str, int] = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 5066, "wss": 5067}
"""Demo listeners of SIP, likewise."""


@dataclass(frozen=True, slots=True)
class DemoData:
    """The demo's domain, users with passwords, and certificate."""

    passwords: Mapping[str, str]
    certificates: CertificateFiles

    def layer(self, *, ports: Mapping[str, int] = PORTS, sip_ports: Mapping[str, int] = SIP_PORTS) -> dict[str, Any]:
        """Return the settings of the demo, which stand under file and environment."""
        pair = [str(self.certificates.certificate), str(self.certificates.key)]
        listeners: list[dict[str, Any]] = [
            {
                "name": kind,
                "kind": kind,
                "port": port,
                "advertised_host": DOMAIN,
                # A client on this machine may AUTH without TLS; nobody else reaches these listeners.
                "plain_auth": kind in ("tcp", "ws"),
                "certificates": [pair] if kind in ("tls", "wss") else [],
            }
            for kind, port in ports.items()
        ]
        sip_listeners = [
            {
                "name": kind,
                "kind": kind,
                "port": port,
                "advertised_host": DOMAIN,
                "certificates": [pair] if kind in ("tls", "wss") else [],
            }
            for kind, port in sip_ports.items()
        ]
        users = [
            {"username": name, "domain": DOMAIN, "password": password} for name, password in self.passwords.items()
        ]
        relay = {"domains": [DOMAIN], "listeners": listeners, "sip": {"listeners": sip_listeners}}
        return {"relay": relay, "users": users}


def ensure_demo_data(data_dir: Path) -> DemoData:
    """Return the demo data below ``data_dir``, making what is missing or has expired.

    Raises:
        ConfigurationError: The files can't be written, or are not what this program wrote.
    """
    make_data_directory(data_dir)
    directory = data_dir / "demo"
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        certificates = ensure_certificates(directory, datetime.datetime.now(datetime.UTC))
        return DemoData(_passwords(directory / "users.json"), certificates)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"demo data in {directory}: {error}; remove the directory to begin anew") from error


def existing_demo_data(data_dir: Path) -> DemoData | None:
    """Return the demo data when a demo node has made them; None when there are none."""
    return ensure_demo_data(data_dir) if (data_dir / "demo" / "users.json").exists() else None


def _passwords(path: Path) -> dict[str, str]:
    if path.exists():
        known = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(known, dict) or set(known) != set(USERS):
            raise ValueError(f"{path.name} does not hold the passwords of {' and '.join(USERS)}")
        return {str(name): str(password) for name, password in known.items()}
    passwords = {name: secrets.token_hex(5) for name in USERS}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(passwords, file, indent=2)
    return passwords
