"""When a MESSAGE that is kept is answered, by row of the SIP routing table."""

import sqlalchemy as sa
from alembic import context, op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLE = "wigwag_sip_route"


def upgrade() -> None:
    """Add what is missing."""
    known = (
        set()
        if context.is_offline_mode()
        else {column["name"] for column in sa.inspect(op.get_bind()).get_columns(TABLE)}
    )
    if "answer" not in known:
        op.add_column(TABLE, sa.Column("answer", sa.String(16)))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column(TABLE, "answer")
