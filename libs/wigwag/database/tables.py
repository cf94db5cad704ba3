"""The tables. Those that OpenSIPS has too keep its names, columns, types and defaults.

An existing OpenSIPS database may be older or newer than this: before version 3.2 ``subscriber`` has no SHA columns,
from version 4.0 ``tcp_mgm`` has no ``parallel_read``, and there may be columns that we do not know. So what is
written here is what gets created when there is nothing; queries use only the columns that are really there.
"""

from typing import Any

from sqlalchemy import (
    CHAR,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.dialects import mysql, postgresql

metadata = MetaData()


def _characters(length: int) -> Any:
    """OpenSIPS's strings: CHAR, on PostgreSQL VARCHAR."""
    return CHAR(length).with_variant(postgresql.VARCHAR(length), "postgresql")


def _number() -> Any:
    """OpenSIPS's numbers: without sign where the database has such."""
    return Integer().with_variant(mysql.INTEGER(unsigned=True), "mysql", "mariadb")


def _exact(length: int) -> Any:
    """Our own keys: MariaDB compares them letter for letter too."""
    return String(length).with_variant(mysql.VARCHAR(length, collation="utf8mb4_bin"), "mysql", "mariadb")


def _text(name: str, length: int) -> Column[Any]:
    return Column(name, _characters(length), nullable=False, server_default="")


def _numeric(name: str, default: int) -> Column[Any]:
    return Column(name, _number(), nullable=False, server_default=text(str(default)))


def _id() -> Column[Any]:
    return Column("id", _number(), primary_key=True, autoincrement=True)


subscriber = Table(
    "subscriber",
    metadata,
    _id(),
    _text("username", 64),
    _text("domain", 64),
    _text("password", 25),
    _text("ha1", 64),
    _text("ha1_sha256", 64),
    _text("ha1_sha512t256", 64),
    UniqueConstraint("username", "domain", name="subscriber_account_idx"),
    Index("subscriber_username_idx", "username"),
    sqlite_autoincrement=True,
)
"""Users, as OpenSIPS's auth_db has them (its table version 8)."""

tcp_mgm = Table(
    "tcp_mgm",
    metadata,
    _id(),
    Column("proto", _characters(8), nullable=False, server_default="any"),
    Column("remote_addr", _characters(43)),
    _numeric("remote_port", 0),
    Column("local_addr", _characters(43)),
    _numeric("local_port", 0),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    Column("attrs", _characters(255)),
    _numeric("connect_timeout", 100),
    _numeric("con_lifetime", 120),
    _numeric("msg_read_timeout", 4),
    _numeric("send_threshold", 0),
    _numeric("no_new_conn", 0),
    _numeric("alias_mode", 0),
    _numeric("parallel_read", 0),
    _numeric("keepalive", 1),
    _numeric("keepcount", 9),
    _numeric("keepidle", 7200),
    _numeric("keepinterval", 75),
    sqlite_autoincrement=True,
)
"""TCP connection profiles, as OpenSIPS's tcp_mgm has them (its table version 1)."""

wigwag_subscriber = Table(
    "wigwag_subscriber",
    metadata,
    Column("subscriber_id", _number(), primary_key=True, autoincrement=False),
    Column("may_relay", Boolean, nullable=False, server_default=true()),
)
"""What we know about a subscriber beyond OpenSIPS's columns; no row means the defaults."""

wigwag_relay_route = Table(
    "wigwag_relay_route",
    metadata,
    _id(),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    Column("source_network", String(43)),
    Column("listener", String(64)),
    Column("scheme", String(8)),
    Column("destination", String(255)),
    Column("action", String(8), nullable=False, server_default="forward"),
    Column("out_listener", String(64)),
    Column("next_hop", String(255)),
    Column("allow_private", Boolean, nullable=False, server_default=false()),
    Column("comment", String(255)),
    sqlite_autoincrement=True,
)
"""The relay's routing table; the lowest priority is tried first."""

wigwag_ledger = Table(
    "wigwag_ledger",
    metadata,
    Column("position", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("id", _exact(128), nullable=False),
    Column("conversation", _exact(512), nullable=False),
    Column("service", String(32), nullable=False),
    Column("direction", String(16), nullable=False),
    Column("sender", String(255), nullable=False),
    Column("recipient", _exact(255), nullable=False),
    Column("content_type", String(255), nullable=False),
    Column("headers", Text, nullable=False),
    Column("body", LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")),
    Column("blob", String(255)),
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("owner", String(128), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("doubts", Integer, nullable=False),
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Column("settled", Double),
    Column("expires", Double, nullable=False),
    Column("due", Double, nullable=False),
    Column("published", Integer, nullable=False),
    Column("event_pending", Boolean, nullable=False),
    Column("status", Integer),
    Column("reason", String(255), nullable=False),
    UniqueConstraint("id", name="wigwag_ledger_id_idx"),
    Index("wigwag_ledger_conversation_idx", "conversation", "position"),
    Index("wigwag_ledger_recipient_idx", "recipient", "state", "position"),
    Index("wigwag_ledger_due_idx", "state", "due"),
    Index("wigwag_ledger_event_idx", "event_pending", "position"),
    sqlite_autoincrement=True,
)
"""One row per accepted message: outbox, idempotency memory and final state in one."""

wigwag_message_archive = Table(
    "wigwag_message_archive",
    metadata,
    Column("position", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False),
    Column("id", _exact(128), nullable=False),
    Column("conversation", _exact(512), nullable=False),
    Column("origin", String(8), nullable=False),
    Column("way", String(8), nullable=False),
    Column("sender", _exact(255), nullable=False),
    Column("recipient", _exact(255), nullable=False),
    Column("created", Double, nullable=False),
    Column("settled", Double),
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("status", Integer),
    Column("reason", String(255), nullable=False),
    Column("content_type", String(255), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("body", LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")),
    Column("until", Double, nullable=False),
    UniqueConstraint("id", name="wigwag_message_archive_id_idx"),
    Index("wigwag_message_archive_conversation_idx", "conversation", "position"),
    Index("wigwag_message_archive_sender_idx", "sender", "position"),
    Index("wigwag_message_archive_recipient_idx", "recipient", "position"),
    Index("wigwag_message_archive_until_idx", "until"),
)
"""Messages of the gateway that are over, one row each; ``position`` is that of the ledger, which has forgotten it."""

wigwag_lease = Table(
    "wigwag_lease",
    metadata,
    Column("name", _exact(64), primary_key=True),
    Column("holder", _exact(128), nullable=False),
    Column("until", Double, nullable=False),
)
"""Who does alone what one process is enough for; seconds since 1970."""

wigwag_sip_route = Table(
    "wigwag_sip_route",
    metadata,
    _id(),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    Column("name", String(64), nullable=False, server_default=""),
    Column("listener", String(64)),
    Column("source_network", String(43)),
    Column("methods", String(128), nullable=False, server_default=""),
    Column("scheme", String(8)),
    Column("user_pattern", _exact(128)),
    Column("domain", String(255)),
    Column("sender", String(16)),
    Column("action", String(16), nullable=False),
    Column("service", String(64), nullable=False, server_default=""),
    Column("pool", String(64), nullable=False, server_default=""),
    Column("next_hops", String(1024), nullable=False, server_default=""),
    Column("status", Integer, nullable=False, server_default=text("403")),
    Column("reason", String(128), nullable=False, server_default="Forbidden"),
    Column("trust", Boolean, nullable=False, server_default=false()),
    Column("allow_private", Boolean, nullable=False, server_default=false()),
    Column("strip", Integer, nullable=False, server_default=text("0")),
    Column("prefix", String(64), nullable=False, server_default=""),
    Column("set_domain", String(255), nullable=False, server_default=""),
    Column("answer", String(16)),
    Column("comment", String(255)),
    sqlite_autoincrement=True,
)
"""The SIP routing table; the lowest priority is tried first."""

wigwag_sip_pool_member = Table(
    "wigwag_sip_pool_member",
    metadata,
    _id(),
    Column("pool", String(64), nullable=False),
    Column("uri", String(255), nullable=False),
    Column("weight", Integer, nullable=False, server_default=text("1")),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    sqlite_autoincrement=True,
)
"""Servers of pools that the SIP routing table sends to."""

wigwag_block = Table(
    "wigwag_block",
    metadata,
    _id(),
    Column("username", _exact(64), nullable=False),
    Column("domain", _exact(64), nullable=False),
    Column("pattern", _exact(255), nullable=False),
    UniqueConstraint("username", "domain", "pattern", name="wigwag_block_entry_idx"),
    sqlite_autoincrement=True,
)
"""From whom users want nothing."""

wigwag_application = Table(
    "wigwag_application",
    metadata,
    Column("name", _exact(63), primary_key=True),
    Column("uris", String(4096), nullable=False, server_default=""),
    Column("answer", String(16), nullable=False, server_default="ask"),
    Column("answer_timeout", Double, nullable=False, server_default=text("20.0")),
    Column("fallback", String(16), nullable=False, server_default="reject"),
    Column("reject_status", Integer, nullable=False, server_default=text("480")),
    Column("accept_types", String(1024)),
    Column("accept_wrapped_types", String(1024)),
    Column("greeting", String(1024), nullable=False, server_default=""),
    Column("idle_timeout", Double, nullable=False, server_default=text("0.0")),
    Column("max_duration", Double, nullable=False, server_default=text("43200.0")),
    Column("message_expires", Double, nullable=False, server_default=text("86400.0")),
    Column("outcome_timeout", Double, nullable=False, server_default=text("60.0")),
    Column("way", String(64), nullable=False, server_default="relay"),
    Column("file_requests", String(16), nullable=False, server_default="ask"),
    Column("webhook_url", String(1024)),
    Column("webhook_secret", String(255)),
    Column("comment", String(255)),
    Column("content", String(16)),
    Column("reports", String(16)),
)
"""Programs that chat with SIP users, and their policies; lists are separated by white space."""

wigwag_api_key = Table(
    "wigwag_api_key",
    metadata,
    _id(),
    Column("application", _exact(63), nullable=False),
    Column("sha256", _exact(64), nullable=False),
    Column("prefix", String(16), nullable=False),
    Column("scopes", String(255), nullable=False),
    Column("created", Double, nullable=False),
    Column("comment", String(255), nullable=False, server_default=""),
    UniqueConstraint("sha256", name="wigwag_api_key_sha256_idx"),
    sqlite_autoincrement=True,
)
"""Keys of applications, by their hash: the key itself is nowhere."""

wigwag_blob = Table(
    "wigwag_blob",
    metadata,
    Column("id", _exact(64), primary_key=True),
    Column("created", Double, nullable=False),
    Column("expires", Double, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("place", String(8), nullable=False, server_default=""),
    Column("piece", Integer, nullable=False, server_default="262144"),
    Index("wigwag_blob_expires_idx", "expires"),
)
"""Bodies that are too large for a row of the ledger, and files; ``place`` is empty, or ``s3``."""

wigwag_blob_chunk = Table(
    "wigwag_blob_chunk",
    metadata,
    Column("blob", _exact(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb"), nullable=False),
)
"""Their pieces, all but the last of the same size."""

wigwag_blob_object = Table(
    "wigwag_blob_object",
    metadata,
    Column("blob", _exact(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", _exact(32), nullable=False),
    Column("size", Integer, nullable=False),
)
"""Pieces that are objects of S3, ``<blob>/<name>``."""

wigwag_file_part = Table(
    "wigwag_file_part",
    metadata,
    Column("session", _exact(64), primary_key=True),
    Column("application", _exact(63), nullable=False),
    Column("peer", _exact(255), nullable=False),
    Column("direction", String(8), nullable=False),
    Column("blob", _exact(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("content_type", String(255), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("hashes", String(512), nullable=False),
    Index("wigwag_file_part_peer_idx", "application", "peer"),
    Index("wigwag_file_part_blob_idx", "blob"),
)
"""Files of which the beginning is in a blob that is not committed: they can be gone on with as long as it is there."""
