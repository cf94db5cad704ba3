"""All settings of a node; ``configuration`` fills them from the environment and the TOML file."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from wigwag.gateway.config import GatewaySettings
from wigwag.relay.config import RelaySettings
from wigwag.runtime.settings import (
    Port,
    PositiveCount,
    PositiveSeconds,
    Seconds,
    Secret,
    SecretUrl,
    Section,
    is_loopback,
)
from wigwag.ua.config import UaSettings

from .blob_settings import BlobSettings

Role = Literal["read", "operate"]


def endpoint_parts(url: str) -> tuple[str, str]:
    """Return scheme and host of a collector's address.

    Raises:
        ValueError: It is no ``http://host:port`` or ``https://host:port``.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.port) and parts.netloc.find("@") < 0
    except ValueError:
        usable = False
    if not usable or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("otlp_endpoint has the form http://host:port or https://host:port")
    return parts.scheme, parts.hostname


def header_pairs(text: str | None) -> dict[str, str]:
    """Return headers from ``name=value,name=value``; names in lower case, as gRPC wants them.

    Raises:
        ValueError: A part is no ``name=value``, or not fit for gRPC metadata.
    """
    pairs = {}
    for part in filter(None, (text or "").split(",")):
        name, found, value = (piece.strip() for piece in part.partition("="))
        if not found or not re.fullmatch(r"[a-z0-9_.-]+", name.lower()) or not re.fullmatch(r"[ -~]*", value):
            raise ValueError("headers has the form name=value, several with commas, in printable ASCII")
        pairs[name.lower()] = value
    return pairs


class NodeSettings(Section):
    """The process itself."""

    data_dir: Path = Path("wigwag-data")
    """Directory of the default database, signing keys, demo data and traces; made when missing."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level that is logged."""
    log_format: Literal["auto", "text", "json"] = "auto"
    """``auto``: text on a terminal, otherwise one JSON object a line."""
    workers: PositiveCount = 1
    """Processes that share the listeners' ports on this host, each a pod; more than one needs ``redis.url``."""
    shutdown_grace: Seconds = 30.0
    """Seconds that SIGTERM leaves for open chunks to end before connections are closed."""
    status_groups: tuple[str, ...] = ()
    """Groups of the status tree that operators write to through MI, as OpenSIPS's ``script_sr_group``."""


class DatabaseSettings(Section):
    """Where subscribers, routes and TCP profiles are."""

    url: SecretUrl = None
    """``sqlite:///path``, ``postgresql://...``, ``mysql://...``; None: ``wigwag.sqlite3`` in the data directory."""


class RedisSettings(Section):
    """The store that all pods share; without an address state lives in the process."""

    url: SecretUrl = None
    """``redis://``, ``rediss://`` or ``redis+cluster://``, ``rediss+cluster://``; None: in the process."""
    ca_file: Path | None = None
    """PEM file of the authorities to trust, for ``rediss``; None: the system's."""
    timeout: PositiveSeconds = 2.0
    """Seconds after which an operation is given up."""
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]+$")] = "wigwag"
    """Of all keys and of the channel: what shares a Redis with others needs one of its own."""


class KafkaSettings(Section):
    """The bus between services; without an address it is a log in the data directory."""

    bootstrap_servers: str | None = None
    """``host:port``, several with commas; None: an SQLite log."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Whether connections are encrypted (``SSL``), and whether a user signs in (``SASL``)."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """How the user signs in."""
    username: str | None = None
    password: Secret = None
    ca_file: Path | None = None
    """PEM certificates of who signed the brokers'; None: those that the system trusts."""
    certificate_file: Path | None = None
    """PEM certificate, with its chain, that brokers are shown; None: none."""
    key_file: Path | None = None
    """PEM key of that certificate; None: it stands in the same file."""
    partitions: PositiveCount = 12
    """Of topics that are made; never changed afterwards, since keys would move."""
    replication: PositiveCount | None = None
    """Of topics that are made; None: 3 with three brokers or more, else as many as there are."""

    @model_validator(mode="after")
    def _user_is_complete(self) -> Self:
        if self.security_protocol.startswith("SASL") and (self.username is None or self.password is None):
            raise ValueError(f"{self.security_protocol} needs username and password (or password_file)")
        return self


class BusSettings(Section):
    """The bus as such."""

    sync: Literal["normal", "full"] = "normal"
    """Of the SQLite log: ``full`` survives power loss, ``normal`` a kill of the process."""
    publish_timeout: PositiveSeconds = 10.0
    """How long a record may take to become durable; then the operation it belongs to is refused."""
    buffer: PositiveCount = 33_554_432
    """Octets of records that may wait to become durable; more are refused at once."""
    retention: PositiveSeconds = 604_800.0
    """How long records are kept, consumed or not; of topics that are made, and that don't say otherwise."""


class TelemetrySettings(Section):
    """Traces and metrics for an OpenTelemetry collector; /metrics is there without it."""

    otlp_endpoint: str | None = None
    """The collector's gRPC address, ``http://host:4317`` or ``https://host:4317``; None: nothing is exported."""
    insecure: bool = False
    """Whether ``http://`` may be used to another machine: spans and headers can be read on the way."""
    ca_file: Path | None = None
    """PEM of the authorities that may have signed the collector's certificate; None: those of the system."""
    headers: Secret = None
    """Sent with each export, such as credentials: ``name=value``, several with commas."""
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How many of the traces that begin here are recorded, from 0 to 1; those begun elsewhere go on as they began."""
    metrics_interval: PositiveSeconds = 15.0
    """Seconds between two exports of the metrics to the collector."""
    service_name: str = "wigwag"
    """What this installation is called there (``service.name``)."""
    service_instance: str | None = None
    """Unique among the processes of that name (``service.instance.id``); None: the pod's id."""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.otlp_endpoint is None:
            if self.sample_ratio:
                raise ValueError("sample_ratio needs otlp_endpoint: nobody would get the traces")
            return self
        scheme, host = endpoint_parts(self.otlp_endpoint)
        if scheme == "http" and not is_loopback(host) and not self.insecure:
            raise ValueError(f"http to {host} is readable on the way: use https, or set insecure")
        if scheme == "http" and self.ca_file is not None:
            raise ValueError("ca_file is of no use with http")
        header_pairs(self.headers)
        return self


class TokenSettings(Section):
    """A bearer token of the admin API or of gRPC."""

    token: Secret = None
    """At least 16 characters; nothing else is asked of the caller, so make it random."""
    role: Role = "read"
    """``read``: look at everything; ``operate``: also change it."""

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        if self.token is None:
            raise ValueError("needs token or token_file")
        if len(self.token) < 16:
            raise ValueError("a token has at least 16 characters")
        return self


class RpcSettings(Section):
    """gRPC between services and for operators."""

    host: str = "127.0.0.1"
    """Address to bind; anything but loopback demands ``tokens`` or ``client_ca``."""
    port: Port = 0
    """Port to bind; 0 lets the system choose, and ``admin.json`` in the data directory says which."""
    advertised_host: str | None = None
    """Name or address by which other pods reach this one, in its certificate if it has one; None: ``host``."""
    advertised_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Port by which other pods reach this one; None: the bound port."""
    tokens: tuple[TokenSettings, ...] = ()
    """When there are any, every call but health checks has to carry one, unless the caller shows a certificate."""
    certificate: tuple[str, str] | None = None
    """PEM files (certificate chain, private key), read again when they change; None: plain text."""
    client_ca: str | None = None
    """PEM file of authorities (mutual TLS): every caller shows a certificate of theirs, and may operate."""
    ca_file: str | None = None
    """PEM file of the authorities of other pods' certificates, when this one calls them; None: ``client_ca``."""
    default_timeout: PositiveSeconds = 10.0
    """Seconds that a call without a deadline gets; streams have none."""
    max_calls: PositiveCount = 1_000
    """Calls under way at a time, streams included; more are refused with RESOURCE_EXHAUSTED."""

    @model_validator(mode="after")
    def _guarded_when_reachable(self) -> Self:
        if self.client_ca is not None and self.certificate is None:
            raise ValueError("rpc.client_ca needs rpc.certificate")
        if not is_loopback(self.host) and not self.tokens and self.client_ca is None:
            raise ValueError(f"rpc.host {self.host} is not loopback, so rpc.tokens or rpc.client_ca has to be set")
        return self


class AdminSettings(Section):
    """Health, metrics and the admin API, over HTTP."""

    host: str = "127.0.0.1"
    """Address to bind; anything but loopback demands ``tokens``."""
    port: Port = 8080
    """Port to bind; 0 lets the system choose, and ``admin.json`` in the data directory says which."""
    tokens: tuple[TokenSettings, ...] = ()
    """When there are any, every request but /healthz and /readyz has to carry one."""
    allowed_hosts: tuple[str, ...] = ()
    """Names besides ``host`` and loopback that a request's Host header may have."""

    @model_validator(mode="after")
    def _tokens_when_reachable(self) -> Self:
        if not is_loopback(self.host) and not self.tokens:
            raise ValueError(f"admin.host {self.host} is not loopback, so admin.tokens has to hold at least one token")
        return self


class UserSettings(Section):
    """A user who is known without the database."""

    username: str
    domain: str
    password: Secret = None
    ha1: Secret = None
    """MD5 of ``username:domain:password``, 32 hexadecimal digits."""
    ha1_sha256: Secret = None
    ha1_sha512t256: Secret = None
    may_relay: bool = True

    @model_validator(mode="after")
    def _some_credential(self) -> Self:
        if all(value is None for value in (self.password, self.ha1, self.ha1_sha256, self.ha1_sha512t256)):
            raise ValueError("needs password, ha1, ha1_sha256 or ha1_sha512t256 (or one of them as ..._file)")
        return self


class TraceSettings(Section):
    """Traces of one user's or session's traffic; none is taken until an operator asks."""

    directory: Path | None = None
    """Where pcap files go; None: ``traces`` in the data directory."""
    max_bytes: PositiveCount = 104_857_600
    """A trace ends when its file has this size."""
    hep: Annotated[str, Field(pattern=r"^udp:(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+):[0-9]{1,5}$")] | None = None
    """Capture server, such as Homer, that is shown traced SIP messages too (HEP3): ``udp:host:port``."""
    hep_capture_id: Annotated[int, Field(ge=0, le=0xFFFFFFFF)] = 0
    """Number of this capture agent there."""

    @property
    def hep_server(self) -> tuple[str, int] | None:
        """Host and port of ``hep``."""
        if self.hep is None:
            return None
        host, _, port = self.hep.removeprefix("udp:").rpartition(":")
        return host.strip("[]"), int(port)


class Settings(Section):
    """Everything a node can be told."""

    node: NodeSettings = NodeSettings()
    admin: AdminSettings = AdminSettings()
    database: DatabaseSettings = DatabaseSettings()
    blobs: BlobSettings = BlobSettings()
    redis: RedisSettings = RedisSettings()
    kafka: KafkaSettings = KafkaSettings()
    bus: BusSettings = BusSettings()
    rpc: RpcSettings = RpcSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    relay: RelaySettings = RelaySettings()
    ua: UaSettings = UaSettings()
    gateway: GatewaySettings = GatewaySettings()
    users: tuple[UserSettings, ...] = ()
    """Asked before the database."""
    trace: TraceSettings = TraceSettings()

    @property
    def database_url(self) -> str:
        """The database's URL, SQLite in the data directory unless set."""
        return self.database.url or f"sqlite:///{self.node.data_dir / 'wigwag.sqlite3'}"

    @property
    def trace_directory(self) -> Path:
        """Where traces are written."""
        return self.trace.directory or self.node.data_dir / "traces"
