"""The SIP routing table and the members of its pools, row by row, unjudged."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select

from .engine import Database
from .tables import wigwag_sip_pool_member, wigwag_sip_route


@dataclass(frozen=True, slots=True, kw_only=True)
class SipRouteRow:
    """A row of ``wigwag_sip_route``; None in a condition matches anything."""

    id: int
    priority: int
    """Lower is tried first, equal ones by id."""
    name: str
    listener: str | None
    source_network: str | None
    methods: str
    """Separated by commas; empty: any."""
    scheme: str | None
    user: str | None
    domain: str | None
    sender: str | None
    action: str
    service: str
    pool: str
    next_hops: str
    """Separated by blanks."""
    status: int
    reason: str
    trust: bool
    allow_private: bool
    strip: int
    prefix: str
    set_domain: str
    answer: str | None

    def settings(self) -> dict[str, Any]:
        """Return the row as settings have it."""
        row = asdict(self)
        del row["id"], row["priority"]
        row["methods"] = tuple(method.strip() for method in self.methods.split(",") if method.strip())
        row["next_hops"] = tuple(self.next_hops.split())
        return row


@dataclass(frozen=True, slots=True, kw_only=True)
class SipPoolMemberRow:
    """A row of ``wigwag_sip_pool_member``."""

    id: int
    pool: str
    uri: str
    weight: int
    priority: int
    enabled: bool

    def settings(self) -> dict[str, Any]:
        """Return the row as settings have it."""
        row = asdict(self)
        del row["id"], row["pool"]
        return row


async def sip_routes(database: Database) -> list[SipRouteRow]:
    """Return all rows in the order in which they are tried.

    Raises:
        DatabaseError: The database cannot be reached or refuses.
    """
    table = wigwag_sip_route
    columns = [column for column in table.c if column.name != "comment"]
    query = select(*columns).order_by(table.c.priority, table.c.id)
    async with database.transaction() as connection:
        return [SipRouteRow(**_by_field(row._mapping)) for row in await connection.execute(query)]


async def sip_pool_members(database: Database) -> list[SipPoolMemberRow]:
    """Return the members of all pools, in the order of their ids; DatabaseError."""
    query = select(wigwag_sip_pool_member).order_by(wigwag_sip_pool_member.c.id)
    async with database.transaction() as connection:
        return [SipPoolMemberRow(**row._mapping) for row in await connection.execute(query)]


def _by_field(row: Any) -> dict[str, Any]:
    fields = dict(row)
    fields["user"] = fields.pop("user_pattern")
    return fields
