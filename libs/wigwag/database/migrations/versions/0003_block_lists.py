"""Block lists of users."""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NUMBER = sa.Integer().with_variant(mysql.INTEGER(unsigned=True), "mysql", "mariadb")
MARIADB: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"))
}


def upgrade() -> None:
    """Create what is missing."""
    existing = set() if context.is_offline_mode() else set(sa.inspect(op.get_bind()).get_table_names())
    if "wigwag_block" not in existing:
        op.create_table(
            "wigwag_block",
            sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
            sa.Column("username", _exact(64), nullable=False),
            sa.Column("domain", _exact(64), nullable=False),
            sa.Column("pattern", _exact(255), nullable=False),
            sa.UniqueConstraint("username", "domain", "pattern", name="wigwag_block_entry_idx"),
            sqlite_autoincrement=True,
            **MARIADB,
        )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("wigwag_block")


def _exact(length: int) -> Any:
    return sa.String(length).with_variant(mysql.VARCHAR(length, collation="utf8mb4_bin"), "mysql", "mariadb")
