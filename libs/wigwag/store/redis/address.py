"""Where Redis is and how it is to be talked to, read from a URL."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from wigwag.errors import ConfigurationError

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
    is_tls: bool
    username: str | None
    password: str | None
    database: int
    files: Mapping[str, str]
    """``ca_file``, ``cert_file`` and ``key_file``, PEM, as far as they are given."""

    @property
    def connection_class(self) -> type[Connection]:
        """The kind of connection."""
        return SSLConnection if self.is_tls else Connection

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
        if self.is_tls:
            options |= {
                "ssl_ca_certs": self.files.get("ca_file"),
                "ssl_certfile": self.files.get("cert_file"),
                "ssl_keyfile": self.files.get("key_file"),
                "ssl_cert_reqs": "required",
                "ssl_check_hostname": True,
                "ssl_min_version": ssl.TLSVersion.TLSv1_2,
            }
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
        is_tls=is_tls,
        username=username,
        password=password,
        database=_database(parts.path, is_cluster=is_cluster),
        files=_files(query, ca_file, is_tls=is_tls),
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


def _files(query: Mapping[str, str], ca_file: str | Path | None, *, is_tls: bool) -> Mapping[str, str]:
    if unknown := sorted(query.keys() - set(_FILES)):
        raise ConfigurationError(f"redis.url: does not know {', '.join(unknown)}; there are {', '.join(_FILES)}")
    files = {**query, **({"ca_file": str(ca_file)} if ca_file is not None else {})}
    if files and not is_tls:
        raise ConfigurationError(f"redis.url: {', '.join(sorted(files))} need rediss:// or rediss+cluster://")
    _check_files(files)
    return files


def _check_files(files: Mapping[str, str]) -> None:
    names: Sequence[str] = sorted(files)
    for name in names:
        try:
            Path(files[name]).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"redis.{name}: {files[name]} cannot be read: {error.strerror}") from error
    try:
        context = ssl.create_default_context(cafile=files.get("ca_file"))
        if "cert_file" in files:
            context.load_cert_chain(files["cert_file"], files.get("key_file"))
    except ssl.SSLError as error:
        raise ConfigurationError(f"redis.url: {', '.join(names)} cannot be used: {error.reason or error}") from error
