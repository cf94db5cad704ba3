"""Applications of the user agent, their API keys, and blobs: bodies that are too large for a row of the ledger."""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NUMBER = sa.Integer().with_variant(mysql.INTEGER(unsigned=True), "mysql", "mariadb")
DATA = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
MARIADB: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"))
}


def upgrade() -> None:
    """Create what is missing: a migration that was cut off on MariaDB has left tables behind."""
    existing = set() if context.is_offline_mode() else set(sa.inspect(op.get_bind()).get_table_names())
    for name, create in (
        ("wigwag_application", _create_applications),
        ("wigwag_api_key", _create_keys),
        ("wigwag_blob", _create_blobs),
        ("wigwag_blob_chunk", _create_chunks),
    ):
        if name not in existing:
            create(name)
    known = set() if context.is_offline_mode() else _indexes("wigwag_blob")
    if "wigwag_blob_expires_idx" not in known:
        op.create_index("wigwag_blob_expires_idx", "wigwag_blob", ["expires"])


def downgrade() -> None:
    """Drop the tables; bodies of messages go with them."""
    for name in ("wigwag_blob_chunk", "wigwag_blob", "wigwag_api_key", "wigwag_application"):
        op.drop_table(name)


def _exact(length: int) -> Any:
    return sa.String(length).with_variant(mysql.VARCHAR(length, collation="utf8mb4_bin"), "mysql", "mariadb")


def _indexes(table: str) -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}


def _text(name: str, length: int, default: str = "") -> sa.Column[Any]:
    return sa.Column(name, sa.String(length), nullable=False, server_default=default)


def _seconds(name: str, default: float) -> sa.Column[Any]:
    return sa.Column(name, sa.Double(), nullable=False, server_default=sa.text(str(default)))


def _create_applications(name: str) -> None:
    op.create_table(
        name,
        sa.Column("name", _exact(63), primary_key=True),
        _text("uris", 4096),
        _text("answer", 16, "ask"),
        _seconds("answer_timeout", 20.0),
        _text("fallback", 16, "reject"),
        sa.Column("reject_status", sa.Integer(), nullable=False, server_default=sa.text("480")),
        sa.Column("accept_types", sa.String(1024)),
        sa.Column("accept_wrapped_types", sa.String(1024)),
        _text("greeting", 1024),
        _seconds("idle_timeout", 0.0),
        _seconds("max_duration", 43_200.0),
        _seconds("message_expires", 86_400.0),
        _seconds("outcome_timeout", 60.0),
        _text("way", 64, "relay"),
        sa.Column("webhook_url", sa.String(1024)),
        sa.Column("webhook_secret", sa.String(255)),
        sa.Column("comment", sa.String(255)),
        **MARIADB,
    )


def _create_keys(name: str) -> None:
    op.create_table(
        name,
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("application", _exact(63), nullable=False),
        sa.Column("sha256", _exact(64), nullable=False),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("scopes", sa.String(255), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        _text("comment", 255),
        sa.UniqueConstraint("sha256", name="wigwag_api_key_sha256_idx"),
        sqlite_autoincrement=True,
        **MARIADB,
    )


def _create_blobs(name: str) -> None:
    op.create_table(
        name,
        sa.Column("id", _exact(64), primary_key=True),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        **MARIADB,
    )


def _create_chunks(name: str) -> None:
    op.create_table(
        name,
        sa.Column("blob", _exact(64), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("data", DATA, nullable=False),
        **MARIADB,
    )
