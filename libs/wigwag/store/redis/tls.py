"""TLS toward Redis: one context for all connections, made again when a file has changed."""

import os
import ssl
from collections.abc import Mapping
from typing import Any

from redis.asyncio.connection import SSLConnection


class TlsFiles:
    """What is trusted and shown.

    Args:
        files: ``ca_file``, ``cert_file`` and ``key_file``, PEM. Without ``ca_file`` the system's authorities are
            trusted, with it no other.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files
        self._context: ssl.SSLContext | None = None
        self._changed: tuple[int, ...] = ()

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection: reading the system's authorities takes tens of milliseconds.

        Raises:
            OSError: A file can't be read or used.
        """
        changed = tuple(os.stat(path).st_mtime_ns for path in self._files.values())
        if self._context is None or changed != self._changed:
            context = ssl.create_default_context(cafile=self._files.get("ca_file"))
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if "cert_file" in self._files:
                context.load_cert_chain(self._files["cert_file"], self._files.get("key_file"))
            self._context, self._changed = context, changed
        return self._context


class TlsConnection(SSLConnection):
    """A connection that takes its context from ``tls``; the server's certificate and name are checked."""

    def __init__(self, *, tls: TlsFiles, **options: Any) -> None:
        super().__init__(**options)
        self._tls = tls

    async def _connect(self) -> None:
        self.ssl_context.context = self._tls.context()
        await super()._connect()  # type: ignore[no-untyped-call]
