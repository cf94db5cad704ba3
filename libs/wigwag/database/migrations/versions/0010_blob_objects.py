"""Where the pieces of a blob are, and those that are objects."""

from typing import Any, Final

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BLOBS: Final = "wigwag_blob"
OBJECTS: Final = "wigwag_blob_object"
MARIADB: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"))
}


def upgrade() -> None:
    """Create what is missing: a migration that was cut off on MariaDB has left some of it behind."""
    inspector = None if context.is_offline_mode() else sa.inspect(op.get_bind())
    known = set() if inspector is None else {column["name"] for column in inspector.get_columns(BLOBS)}
    for column in (
        sa.Column("place", sa.String(8), nullable=False, server_default=""),
        sa.Column("piece", sa.Integer(), nullable=False, server_default="262144"),
    ):
        if column.name not in known:
            op.add_column(BLOBS, column)
    if inspector is None or OBJECTS not in inspector.get_table_names():
        op.create_table(
            OBJECTS,
            sa.Column("blob", _exact(64), primary_key=True),
            sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
            sa.Column("name", _exact(32), nullable=False),
            sa.Column("size", sa.Integer(), nullable=False),
            **MARIADB,
        )


def downgrade() -> None:
    """Drop it; blobs that are objects can't be read any more."""
    op.drop_table(OBJECTS)
    with op.batch_alter_table(BLOBS) as table:
        table.drop_column("piece")
        table.drop_column("place")


def _exact(length: int) -> Any:
    return sa.String(length).with_variant(mysql.VARCHAR(length, collation="utf8mb4_bin"), "mysql", "mariadb")
