"""Subscribers, TCP profiles and the relay's routes.

``subscriber`` and ``tcp_mgm`` are OpenSIPS's. Where they exist they are used as they are.
"""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql, postgresql

revision = "0001"
down_revision = None
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
    creators = {
        "subscriber": _create_subscriber,
        "tcp_mgm": _create_tcp_mgm,
        "wigwag_subscriber": _create_wigwag_subscriber,
        "wigwag_relay_route": _create_wigwag_relay_route,
    }
    for name, create in creators.items():
        if name not in existing:
            create()


def downgrade() -> None:
    """Drop our own tables; OpenSIPS's may be in use by OpenSIPS."""
    op.drop_table("wigwag_relay_route")
    op.drop_table("wigwag_subscriber")


def _characters(length: int) -> Any:
    return sa.CHAR(length).with_variant(postgresql.VARCHAR(length), "postgresql")


def _text(name: str, length: int) -> sa.Column[Any]:
    return sa.Column(name, _characters(length), nullable=False, server_default="")


def _numeric(name: str, default: int) -> sa.Column[Any]:
    return sa.Column(name, NUMBER, nullable=False, server_default=sa.text(str(default)))


def _id() -> sa.Column[Any]:
    return sa.Column("id", NUMBER, primary_key=True, autoincrement=True)


def _create_subscriber() -> None:
    op.create_table(
        "subscriber",
        _id(),
        _text("username", 64),
        _text("domain", 64),
        _text("password", 25),
        _text("ha1", 64),
        _text("ha1_sha256", 64),
        _text("ha1_sha512t256", 64),
        sa.UniqueConstraint("username", "domain", name="subscriber_account_idx"),
        sqlite_autoincrement=True,
        **MARIADB,
    )
    op.create_index("subscriber_username_idx", "subscriber", ["username"])


def _create_tcp_mgm() -> None:
    op.create_table(
        "tcp_mgm",
        _id(),
        sa.Column("proto", _characters(8), nullable=False, server_default="any"),
        sa.Column("remote_addr", _characters(43)),
        _numeric("remote_port", 0),
        sa.Column("local_addr", _characters(43)),
        _numeric("local_port", 0),
        sa.Column("priority", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("attrs", _characters(255)),
        _numeric("connect_timeout", 100),
        _numeric("con_lifetime", 120),
        _numeric("msg_read_timeout", 4),
        _numeric("send_threshold", 0),
        _numeric("no_new_conn", 0),
        _numeric("alias_mode", 0),
        _numeric("parallel_read", 0),
        _numeric("keepalive", 1),
        _numeric("keepcount", 9),
        _numeric("keepidle", 7200),
        _numeric("keepinterval", 75),
        sqlite_autoincrement=True,
        **MARIADB,
    )


def _create_wigwag_subscriber() -> None:
    op.create_table(
        "wigwag_subscriber",
        sa.Column("subscriber_id", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("may_relay", sa.Boolean(), nullable=False, server_default=sa.true()),
        **MARIADB,
    )


def _create_wigwag_relay_route() -> None:
    op.create_table(
        "wigwag_relay_route",
        _id(),
        sa.Column("priority", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("source_network", sa.String(43)),
        sa.Column("listener", sa.String(64)),
        sa.Column("scheme", sa.String(8)),
        sa.Column("destination", sa.String(255)),
        sa.Column("action", sa.String(8), nullable=False, server_default="forward"),
        sa.Column("out_listener", sa.String(64)),
        sa.Column("next_hop", sa.String(255)),
        sa.Column("allow_private", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("comment", sa.String(255)),
        sqlite_autoincrement=True,
        **MARIADB,
    )
