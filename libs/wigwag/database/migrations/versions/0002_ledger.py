"""The ledger of messages, and the leases of those who sweep it."""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BODY = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
MARIADB: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"))
}
INDEXES = {
    "wigwag_ledger_conversation_idx": ["conversation", "position"],
    "wigwag_ledger_recipient_idx": ["recipient", "state", "position"],
    "wigwag_ledger_due_idx": ["state", "due"],
    "wigwag_ledger_event_idx": ["event_pending", "position"],
}


def upgrade() -> None:
    """Create what is missing: a migration that was cut off on MariaDB has left tables behind."""
    existing = set() if context.is_offline_mode() else set(sa.inspect(op.get_bind()).get_table_names())
    if "wigwag_ledger" not in existing:
        _create_ledger()
    if "wigwag_lease" not in existing:
        _create_lease()
    known = set() if context.is_offline_mode() else _indexes()
    for name, columns in INDEXES.items():
        if name not in known:
            op.create_index(name, "wigwag_ledger", columns)


def downgrade() -> None:
    """Drop the tables; messages without an outcome go with them."""
    op.drop_table("wigwag_lease")
    op.drop_table("wigwag_ledger")


def _exact(length: int) -> Any:
    return sa.String(length).with_variant(mysql.VARCHAR(length, collation="utf8mb4_bin"), "mysql", "mariadb")


def _indexes() -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("wigwag_ledger")}


def _create_ledger() -> None:
    op.create_table(
        "wigwag_ledger",
        sa.Column("position", POSITION, primary_key=True, autoincrement=True),
        sa.Column("id", _exact(128), nullable=False),
        sa.Column("conversation", _exact(512), nullable=False),
        sa.Column("service", sa.String(32), nullable=False),
        sa.Column("direction", sa.String(16), nullable=False),
        sa.Column("sender", sa.String(255), nullable=False),
        sa.Column("recipient", _exact(255), nullable=False),
        sa.Column("content_type", sa.String(255), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("body", BODY),
        sa.Column("blob", sa.String(255)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(128), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("doubts", sa.Integer(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("updated", sa.Double(), nullable=False),
        sa.Column("settled", sa.Double()),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.Column("due", sa.Double(), nullable=False),
        sa.Column("published", sa.Integer(), nullable=False),
        sa.Column("event_pending", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("reason", sa.String(255), nullable=False),
        sa.UniqueConstraint("id", name="wigwag_ledger_id_idx"),
        sqlite_autoincrement=True,
        **MARIADB,
    )


def _create_lease() -> None:
    op.create_table(
        "wigwag_lease",
        sa.Column("name", _exact(64), primary_key=True),
        sa.Column("holder", _exact(128), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        **MARIADB,
    )
