"""The relay's routing table, row by row, unjudged."""

from dataclasses import dataclass

from sqlalchemy import select

from .engine import Database
from .tables import wigwag_relay_route


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayRouteRow:
    """A row of ``wigwag_relay_route``; None in a condition matches anything."""

    id: int
    priority: int
    """Lower is tried first, equal ones by id."""
    source_network: str | None
    """CIDR of the previous hop."""
    listener: str | None
    """Listener on which the previous hop is connected."""
    scheme: str | None
    """``msrp`` or ``msrps``."""
    destination: str | None
    """Host pattern with ``*``, in lower case."""
    action: str
    """``forward`` or ``refuse``."""
    out_listener: str | None
    next_hop: str | None
    """MSRP URI, without a session, to connect to in place of the request's own."""
    allow_private: bool
    comment: str | None


async def relay_routes(database: Database) -> list[RelayRouteRow]:
    """Return all rows in the order in which they are tried.

    Raises:
        DatabaseError: The database cannot be reached or refuses.
    """
    query = select(wigwag_relay_route).order_by(wigwag_relay_route.c.priority, wigwag_relay_route.c.id)
    async with database.transaction() as connection:
        return [RelayRouteRow(**row._mapping) for row in await connection.execute(query)]
