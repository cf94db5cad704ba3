"""TCP connection profiles: OpenSIPS's ``tcp_mgm`` table, row by row, unjudged."""

from dataclasses import dataclass

from sqlalchemy import select

from .engine import Database
from .tables import tcp_mgm


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpProfileRow:
    """A row as it is stored, with OpenSIPS's names, units and defaults; columns that are not there have these."""

    id: int
    proto: str = "any"
    remote_addr: str | None = None
    """Address or CIDR; None: any."""
    remote_port: int = 0
    local_addr: str | None = None
    local_port: int = 0
    priority: int = 0
    """Lower is tried first."""
    attrs: str | None = None
    connect_timeout: int = 100
    """Milliseconds."""
    con_lifetime: int = 120
    """Seconds."""
    msg_read_timeout: int = 4
    """Seconds."""
    send_threshold: int = 0
    """Microseconds."""
    no_new_conn: int = 0
    alias_mode: int = 0
    parallel_read: int = 0
    """Dropped by OpenSIPS 4.0."""
    keepalive: int = 1
    keepcount: int = 9
    keepidle: int = 7200
    """Seconds."""
    keepinterval: int = 75
    """Seconds."""


async def tcp_profiles(database: Database) -> list[TcpProfileRow]:
    """Return all rows, by priority and id.

    Raises:
        DatabaseError: The database cannot be reached or refuses.
    """
    columns = await database.columns_of(tcp_mgm)
    query = select(*columns).order_by(tcp_mgm.c.priority, tcp_mgm.c.id)
    async with database.transaction() as connection:
        return [TcpProfileRow(**row._mapping) for row in await connection.execute(query)]
