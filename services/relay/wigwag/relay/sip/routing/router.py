"""The routing table in force: rows of the settings, then those of the database; the hook; reload without restart."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from wigwag.database import Database, SipPoolMemberRow, SipRouteRow, sip_pool_members, sip_routes
from wigwag.errors import ConfigurationError, NotFoundError
from wigwag.protocols.sip import SipError
from wigwag.relay.sip.incoming import Identity, Incoming
from wigwag.relay.sip.ports import Decision, Later
from wigwag.runtime.agents import GATEWAY
from wigwag.runtime.http_hook import HookError, HttpHook

from .config import SipPoolMemberSettings, SipRouteSettings
from .pools import MemberState, Pool, pools_of
from .table import RouteTable, Row, sender_class

if TYPE_CHECKING:
    from wigwag.relay.sip.config import SipSettings

_HOOK_FIELDS: Final = frozenset(
    [
        "action",
        "service",
        "pool",
        "next_hops",
        "status",
        "reason",
        "answer",
        "allow_private",
        "strip",
        "prefix",
        "set_domain",
    ]
)
"""What an answer of the hook may say."""


class Router:
    """Decides where requests go.

    Args:
        settings: Settings of SIP.
        now: Seconds, monotonic.
        hook: Asked before the table; None: nobody is.

    Attributes:
        table: The rows in force.
        pools: By name.
        refused: Requests that a row refused.
        hook_answers: Questions to the hook that it answered.
        hook_failures: Questions to the hook without a usable answer.
    """

    def __init__(self, settings: "SipSettings", *, now: Callable[[], float], hook: HttpHook | None = None) -> None:
        self._settings = settings
        self._now = now
        self._hook = hook
        self._listeners: Collection[str] = frozenset(listener.name for listener in settings.listeners)
        self.refused = 0
        self.hook_answers = self.hook_failures = 0
        self.pools: dict[str, Pool] = {}
        self.table: RouteTable
        self.use([], [])

    def use(self, routes: "list[SipRouteRow]", members: "list[SipPoolMemberRow]") -> None:
        """Take rows of the database behind those of the settings.

        Raises:
            ConfigurationError: One makes no sense; everything stays as it was.
        """
        stored = [(row.pool, _member(row)) for row in members]
        pools = pools_of(self._settings.pools, stored, self.pools)
        rows = [*self._settings.routes, *map(_route, routes)]
        self.table = RouteTable(rows, pools, self._listeners)
        self.pools = pools

    async def load(self, database: Database | None) -> int:
        """Read the database's rows, if there is one; returns how many rows there are now.

        Raises:
            ConfigurationError: A row makes no sense; everything stays as it was.
            DatabaseError: The database cannot be reached.
        """
        if database is not None:
            self.use(await sip_routes(database), await sip_pool_members(database))
        return len(self.table)

    # Routing

    def admit(self, incoming: Incoming, *, ours: bool) -> Identity | None:
        """Let a request in without proof if a row says so; see ``RouteTable.admit``."""
        try:
            return self.table.admit(incoming, self._now(), ours=ours)
        except SipError:
            self.refused += 1
            raise

    @property
    def is_silent(self) -> bool:
        """Whether there is neither a hook nor a row."""
        return self._hook is None and not self.table.rows

    def decide(self, incoming: Incoming) -> "Decision | Later[Decision]":
        """Return what holds for a request; SipError: it is refused."""
        if incoming.decision is not None:
            return incoming.decision
        if self._hook is not None:
            return self._ask(self._hook, incoming)
        return self._by_table(incoming)

    def _by_table(self, incoming: Incoming) -> Decision:
        try:
            return self.table.decide(incoming, self._now())
        except SipError:
            self.refused += 1
            raise

    async def _ask(self, hook: HttpHook, incoming: Incoming) -> Decision:
        try:
            answer = await hook.ask(_question(incoming))
            row = None if answer is None else self._answered(dict(answer))
        except HookError as error:
            self.hook_failures += 1
            settings = self._settings.route_hook
            if settings is not None and settings.on_failure == "table":
                return self._by_table(incoming)
            raise SipError("Routes Are Not Available", status=503, headers=(("Retry-After", "5"),)) from error
        self.hook_answers += 1
        if row is None or (incoming.past_gateway and row.settings.service == GATEWAY):
            return self._by_table(incoming)
        return row.decision(incoming, self._now())

    def _answered(self, answer: dict[str, Any]) -> Row:
        """Return the hook's answer as a row, under the same rules."""
        unknown = answer.keys() - _HOOK_FIELDS
        if unknown:
            raise HookError(f"the route hook's answer has {min(unknown)!r}")
        try:
            settings = SipRouteSettings.model_validate(answer)
            return RouteTable([settings], self.pools, self._listeners).rows[0]
        except (ValidationError, ConfigurationError) as error:
            raise HookError(f"the route hook's answer can't be used: {error}") from error

    # For operators

    def pool(self, name: str) -> Pool:
        """Return a pool; NotFoundError."""
        if name not in self.pools:
            raise NotFoundError(f"there is no pool {name}")
        return self.pools[name]

    def set_state(self, pool: str, uri: str, state: MemberState) -> None:
        """Take a member out or back in; NotFoundError."""
        self.pool(pool).set_state(uri, state)


def _question(incoming: Incoming) -> dict[str, str]:
    request, flow = incoming.request, incoming.flow
    return {
        "listener": flow.address.name,
        "transport": flow.address.transport,
        "source": flow.remote[0],
        "method": request.method,
        "uri": request.uri,
        "from": request.from_.uri,
        "to": request.to.uri,
        "sender": sender_class(incoming.identity),
        "user": incoming.identity.aor,
    }


def _route(row: SipRouteRow) -> SipRouteSettings:
    try:
        return SipRouteSettings.model_validate(row.settings())
    except ValidationError as error:
        raise ConfigurationError(f"wigwag_sip_route, id {row.id}: {_first(error)}") from error


def _member(row: SipPoolMemberRow) -> SipPoolMemberSettings:
    try:
        return SipPoolMemberSettings.model_validate(row.settings())
    except ValidationError as error:
        raise ConfigurationError(f"wigwag_sip_pool_member, id {row.id}: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
