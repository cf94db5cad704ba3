"""How Kafka is reached, and how topics are made there."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from wigwag.errors import ConfigurationError

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

DEFAULT_PARTITIONS: Final = 12
BROKERS_FOR_REPLICATION: Final = 3
"""With so many brokers, or more, each record is on three and acknowledged by two."""
_RETRY_BACKOFF_MS: Final = 200


@dataclass(frozen=True, kw_only=True)
class KafkaOptions:
    """Options for every connection to Kafka."""

    bootstrap_servers: str
    """``host:port``, several with commas."""
    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: SaslMechanism = "SCRAM-SHA-512"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    """PEM certificates that sign the brokers'; None: the system's."""
    certificate_file: Path | None = None
    """PEM certificate that this client shows, with its chain; None: none."""
    key_file: Path | None = None
    partitions: int = DEFAULT_PARTITIONS
    """Of new topics that don't say otherwise."""
    replication: int | None = None
    """Of new topics; None: 3 with three brokers or more, else as many as there are."""
    client_id: str = "wigwag"

    @cached_property
    def ssl_context(self) -> ssl.SSLContext | None:
        """What connections are encrypted with; None: they are not.

        Raises:
            ConfigurationError: A file can't be used.
        """
        if not self.security_protocol.endswith("SSL"):
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.certificate_file is not None:
                context.load_cert_chain(self.certificate_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"kafka: the certificates can't be used: {error}") from error
        return context

    def arguments(self) -> Mapping[str, Any]:
        """Return the arguments that aiokafka's clients have in common."""
        return {
            "bootstrap_servers": [server.strip() for server in self.bootstrap_servers.split(",")],
            "client_id": self.client_id,
            "security_protocol": self.security_protocol,
            "ssl_context": self.ssl_context,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
            "retry_backoff_ms": _RETRY_BACKOFF_MS,
        }
