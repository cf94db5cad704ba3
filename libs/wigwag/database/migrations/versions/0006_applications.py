"""How applications take what SIP users send: as it is or interpreted, and who tells them what became of it."""

from typing import Final

import sqlalchemy as sa
from alembic import context, op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLE: Final = "wigwag_application"
COLUMNS: Final = ("content", "reports")


def upgrade() -> None:
    """Add what is missing: a migration that was cut off on MariaDB has left columns behind."""
    existing = set() if context.is_offline_mode() else _columns()
    for name in COLUMNS:
        if name not in existing:
            op.add_column(TABLE, sa.Column(name, sa.String(16)))


def downgrade() -> None:
    """Drop the columns."""
    with op.batch_alter_table(TABLE) as table:
        for name in COLUMNS:
            table.drop_column(name)


def _columns() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(TABLE)}
