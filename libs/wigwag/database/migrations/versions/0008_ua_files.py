"""Parts of files that can be gone on with; whether an application is asked for files."""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MARIADB: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"))
}
PARTS = "wigwag_file_part"
APPLICATIONS = "wigwag_application"


def upgrade() -> None:
    """Create what is missing: a migration that was cut off on MariaDB has left some of it behind."""
    offline = context.is_offline_mode()
    inspector = None if offline else sa.inspect(op.get_bind())
    if inspector is None or PARTS not in inspector.get_table_names():
        _create_parts()
    known = set() if inspector is None else {column["name"] for column in inspector.get_columns(APPLICATIONS)}
    if "file_requests" not in known:
        op.add_column(APPLICATIONS, sa.Column("file_requests", sa.String(16), nullable=False, server_default="ask"))
    there = set() if offline else {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(PARTS)}
    for name, columns in (
        ("wigwag_file_part_peer_idx", ["application", "peer"]),
        ("wigwag_file_part_blob_idx", ["blob"]),
    ):
        if name not in there:
            op.create_index(name, PARTS, columns)


def downgrade() -> None:
    """Drop it; the parts go with their blobs."""
    op.drop_table(PARTS)
    op.drop_column(APPLICATIONS, "file_requests")


def _exact(length: int) -> Any:
    return sa.String(length).with_variant(mysql.VARCHAR(length, collation="utf8mb4_bin"), "mysql", "mariadb")


def _create_parts() -> None:
    op.create_table(
        PARTS,
        sa.Column("session", _exact(64), primary_key=True),
        sa.Column("application", _exact(63), nullable=False),
        sa.Column("peer", _exact(255), nullable=False),
        sa.Column("direction", sa.String(8), nullable=False),
        sa.Column("blob", _exact(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("content_type", sa.String(255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("hashes", sa.String(512), nullable=False),
        **MARIADB,
    )
