"""The SIP routing table, and the members of its pools."""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
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
    if "wigwag_sip_route" not in existing:
        _create_routes()
    if "wigwag_sip_pool_member" not in existing:
        _create_members()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("wigwag_sip_pool_member")
    op.drop_table("wigwag_sip_route")


def _text(name: str, length: int, default: str = "") -> sa.Column[Any]:
    return sa.Column(name, sa.String(length), nullable=False, server_default=default)


def _number(name: str, default: int) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text(str(default)))


def _flag(name: str, default: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=default)


def _create_routes() -> None:
    op.create_table(
        "wigwag_sip_route",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        _number("priority", 0),
        _text("name", 64),
        sa.Column("listener", sa.String(64)),
        sa.Column("source_network", sa.String(43)),
        _text("methods", 128),
        sa.Column("scheme", sa.String(8)),
        sa.Column(
            "user_pattern",
            sa.String(128).with_variant(mysql.VARCHAR(128, collation="utf8mb4_bin"), "mysql", "mariadb"),
        ),
        sa.Column("domain", sa.String(255)),
        sa.Column("sender", sa.String(16)),
        sa.Column("action", sa.String(16), nullable=False),
        _text("service", 64),
        _text("pool", 64),
        _text("next_hops", 1024),
        _number("status", 403),
        _text("reason", 128, "Forbidden"),
        _flag("trust", sa.false()),
        _flag("allow_private", sa.false()),
        _number("strip", 0),
        _text("prefix", 64),
        _text("set_domain", 255),
        sa.Column("comment", sa.String(255)),
        sqlite_autoincrement=True,
        **MARIADB,
    )


def _create_members() -> None:
    op.create_table(
        "wigwag_sip_pool_member",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("pool", sa.String(64), nullable=False),
        sa.Column("uri", sa.String(255), nullable=False),
        _number("weight", 1),
        _number("priority", 0),
        _flag("enabled", sa.true()),
        sqlite_autoincrement=True,
        **MARIADB,
    )
