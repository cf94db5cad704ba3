"""When a MESSAGE that is kept is answered, by row of the SIP routing table."""

from typing import Final

import sqlalchemy as sa
from alembic import context, op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLE: Final = "wigwag_sip_route"
COLUMN: Final = "answer"


def upgrade() -> None:
    """Add what is missing: a migration that was cut off on MariaDB has left the column behind."""
    if context.is_offline_mode() or COLUMN not in _columns():
        op.add_column(TABLE, sa.Column(COLUMN, sa.String(16)))


def downgrade() -> None:
    """Drop the column."""
    with op.batch_alter_table(TABLE) as table:
        table.drop_column(COLUMN)


def _columns() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(TABLE)}
