"""Where Redis is and how it is to be talked to, read from a URL."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis.asyncio.connection import Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from wigwag.errors import ConfigurationError

from .tls import TlsConnection, TlsFiles

_SCHEMES: Final = ("redis", "rediss", "redis+cluster", "rediss+cluster")
_FILES: Final = ("ca_file", "cert_file", "key_file")
_PORT: Final = 6379

HostPort = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """What a URL says."""

    hosts: tuple[HostPort, ...]
    """One, or for a cluster as many as one likes: any of them tells about the others."""
    is_cluster: bool
    username: str | None
    password: str | None
    database: int
    tls: TlsFiles | None
    """None without TLS."""

    @property
    def connection_class(self) -> type[Connection]:
        """The kind of connection."""
        return TlsConnection if self.tls is not None else Connection

    def options(self, timeout: float) -> dict[str, Any]:
        """Return the arguments of a connection but for host and port."""
        options: dict[str, Any] = {
            "username": self.username,
            "password": self.password,
            "db": self.database,
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "socket_keepalive": True,
            # Whether to try again is decided where it is known what else is waiting.
            "retry": Retry(NoBackoff(), 0),
            "encoding_errors": "surrogateescape",
            "protocol": 2,
            "driver_info": None,
        }
        if self.tls is not None:
            options["tls"] = self.tls
        return options


def parse_address(url: str, *, ca_file: str | Path | None = None) -> RedisAddress:
    """Read a URL.

    Args:
        url: ``redis://[user:password@]host[:port][/database]``, with ``rediss`` by TLS; ``redis+cluster`` and
            ``rediss+cluster`` name some servers of a cluster, joined by commas. User and password are
            percent-encoded. ``?ca_file=``, ``cert_file=`` and ``key_file=`` name PEM files for TLS.
        ca_file: The same as ``ca_file`` in the URL; without either, the system's authorities are trusted.

    Raises:
        ConfigurationError: It can't be used; the text names the setting and does not hold the password.
    """
    try:
        parts = urlsplit(url)
        hosts = tuple(_host_and_port(part) for part in parts.netloc.rpartition("@")[2].split(","))
        query = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError as error:
        raise ConfigurationError("redis.url: is not of the form redis://user:password@host:port") from error
    if parts.scheme not in _SCHEMES:
        raise ConfigurationError(f"redis.url: has to begin with {', '.join(s + '://' for s in _SCHEMES)}")
    is_cluster, is_tls = parts.scheme.endswith("+cluster"), parts.scheme.startswith("rediss")
    if len(hosts) > 1 and not is_cluster:
        raise ConfigurationError("redis.url: several hosts need redis+cluster:// or rediss+cluster://")
    username, password = _user(parts)
    return RedisAddress(
        hosts=hosts,
        is_cluster=is_cluster,
        username=username,
        password=password,
        database=_database(parts.path, is_cluster=is_cluster),
        tls=_tls(query, ca_file, is_tls=is_tls),
    )


def _host_and_port(text: str) -> HostPort:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("no host")
    return parts.hostname, parts.port or _PORT


def _user(parts: SplitResult) -> tuple[str | None, str | None]:
    user, separator, _ = parts.netloc.rpartition("@")
    if not separator:
        return None, None
    name, _, password = user.partition(":")
    return unquote(name) or None, unquote(password) or None


def _database(path: str, *, is_cluster: bool) -> int:
    text = path.strip("/")
    if not text:
        return 0
    if is_cluster or not (text.isascii() and text.isdigit()):
        raise ConfigurationError("redis.url: only the number of a database may follow the host, and a cluster has none")
    return int(text)


def _tls(query: Mapping[str, str], ca_file: str | Path | None, *, is_tls: bool) -> TlsFiles | None:
    if unknown := sorted(query.keys() - set(_FILES)):
        raise ConfigurationError(f"redis.url: does not know {', '.join(unknown)}; there are {', '.join(_FILES)}")
    files = {**query, **({"ca_file": str(ca_file)} if ca_file is not None else {})}
    if not is_tls:
        if files:
            raise ConfigurationError(f"redis.url: {', '.join(sorted(files))} needs rediss:// or rediss+cluster://")
        return None
    for name, path in files.items():
        _check_readable(name, path)
    tls = TlsFiles(files)
    try:
        tls.context()
    except OSError as error:
        raise ConfigurationError(f"redis.url: {', '.join(sorted(files))} cannot be used for TLS: {error}") from error
    return tls


def _check_readable(name: str, path: str) -> None:
    try:
        Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"redis.{name}: {path} cannot be read: {error.strerror}") from error
