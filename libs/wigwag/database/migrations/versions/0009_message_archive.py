"""The archive of the gateway's messages."""

from typing import Any, Final

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLE: Final = "wigwag_message_archive"
POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BODY = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
MARIADB: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"))
}
INDEXES = {
    "wigwag_message_archive_conversation_idx": ["conversation", "position"],
    "wigwag_message_archive_sender_idx": ["sender", "position"],
    "wigwag_message_archive_recipient_idx": ["recipient", "position"],
    "wigwag_message_archive_until_idx": ["until"],
}


def upgrade() -> None:
    """Create what is missing: a migration that was cut off on MariaDB has left the table behind."""
    existing = set() if context.is_offline_mode() else set(sa.inspect(op.get_bind()).get_table_names())
    if TABLE not in existing:
        _create()
    known = set() if context.is_offline_mode() else _indexes()
    for name, columns in INDEXES.items():
        if name not in known:
            op.create_index(name, TABLE, columns)


def downgrade() -> None:
    """Drop the table and what it remembers."""
    op.drop_table(TABLE)


def _exact(length: int) -> Any:
    return sa.String(length).with_variant(mysql.VARCHAR(length, collation="utf8mb4_bin"), "mysql", "mariadb")


def _indexes() -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(TABLE)}


def _create() -> None:
    op.create_table(
        TABLE,
        sa.Column("position", POSITION, primary_key=True, autoincrement=False),
        sa.Column("id", _exact(128), nullable=False),
        sa.Column("conversation", _exact(512), nullable=False),
        sa.Column("origin", sa.String(8), nullable=False),
        sa.Column("way", sa.String(8), nullable=False),
        sa.Column("sender", _exact(255), nullable=False),
        sa.Column("recipient", _exact(255), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("settled", sa.Double()),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("reason", sa.String(255), nullable=False),
        sa.Column("content_type", sa.String(255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("body", BODY),
        sa.Column("until", sa.Double(), nullable=False),
        sa.UniqueConstraint("id", name="wigwag_message_archive_id_idx"),
        **MARIADB,
    )
