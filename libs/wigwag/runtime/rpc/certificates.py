"""The certificate of a gRPC server, read again when its files change."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import grpc
import structlog

from wigwag.errors import ConfigurationError
from wigwag.transport.errors import CertificateError
from wigwag.transport.tls import ServerTls

logger = structlog.get_logger(__name__)


class ServerCertificate:
    """Certificate and key, and the authorities of clients.

    gRPC asks for them at each handshake, on a thread of its own. Files that can't be used leave the old ones in place.

    Args:
        pair: PEM files (chain, private key).
        client_ca: PEM file of authorities; when given, a client has to show a certificate of theirs.
    """

    def __init__(self, pair: tuple[str, str], client_ca: str | None) -> None:
        self._pair = pair
        self._client_ca = client_ca
        self._stamps: tuple[int, ...] = ()

    def credentials(self) -> grpc.ServerCredentials:
        """Return what the server is opened with.

        Raises:
            ConfigurationError: A file can't be used.
        """
        try:
            initial = self._load()
        except (CertificateError, OSError) as error:
            raise ConfigurationError(f"rpc.certificate: {error}") from error
        # The stubs don't know that None means: no change.
        renewed = cast("Callable[[], grpc.ServerCertificateConfiguration]", self._renewed)
        return grpc.dynamic_ssl_server_credentials(initial, renewed, self._client_ca is not None)

    def _load(self) -> grpc.ServerCertificateConfiguration:
        stamps = self._now()
        # gRPC finds out at the first handshake, and then says only that it failed.
        ServerTls([self._pair], client_ca=self._client_ca)
        chain, key = (Path(path).read_bytes() for path in self._pair)
        authorities = Path(self._client_ca).read_bytes() if self._client_ca is not None else None
        self._stamps = stamps
        return grpc.ssl_server_certificate_configuration([(key, chain)], authorities)

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        try:
            return self._load() if self._now() != self._stamps else None
        except (CertificateError, OSError) as error:
            logger.warning("certificate of rpc stays as it was", reason=str(error))
            return None

    def _now(self) -> tuple[int, ...]:
        files = (*self._pair, self._client_ca) if self._client_ca is not None else self._pair
        return tuple(Path(path).stat().st_mtime_ns for path in files)
