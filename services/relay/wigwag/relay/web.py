"""The relay's part of the admin API, under ``/v1/relay``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .cluster.asking import SessionsEverywhere, SessionsHere
from .drain_control import DrainControl
from .draining import DrainView
from .selection import LARGEST_PAGE, SessionFilter
from .views import ConnectionView, ListenerAddress, SessionView


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileChange:
    """What a reload changes, or would change, for one live connection."""

    connection_id: int
    remote: str
    changes: tuple[str, ...]
    """Such as ``keepidle 120 -> 60``; what the kernel does not allow on a live socket says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileReload:
    """Result of reading the TCP profiles again."""

    profiles: int
    invalid: tuple[str, ...]
    """Rows that can't be used, and why."""
    changes: tuple[ProfileChange, ...]
    applied: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceView:
    """A running trace of one user's or session's traffic."""

    selector: str
    """``user@realm`` or a session's id."""
    file: str
    started: float
    packets: int
    bytes: int
    active: bool
    """False once the file has reached its largest size."""


class RelayUseCases(SessionsHere, Protocol):
    """What the API needs of the relay itself."""

    listeners: dict[str, ListenerAddress]

    def connection_views(self) -> list[ConnectionView]:
        """All connections."""

    def connection(self, connection_id: int) -> ConnectionView:
        """One connection; NotFoundError."""


class RelayOperations(Protocol):
    """What the API needs of the process around the relay."""

    def profiles(self) -> Sequence[Mapping[str, object]]:
        """The TCP profiles in force, by column, in the order they are tried."""

    async def reload_profiles(self, *, dry_run: bool) -> ProfileReload:
        """Read the profiles again and apply them to live connections; all of them or, on an error, none."""

    async def reload_routes(self) -> int:
        """Read the routing table again; how many rows it has. All of them or, on an error, none."""

    def reload_certificates(self) -> dict[str, str]:
        """Load all certificates again; by listener "reloaded", or why the old ones stay in use."""

    def traces(self) -> list[TraceView]:
        """Running traces."""

    def start_trace(self, *, user: str | None, session: str | None, call_id: str | None) -> TraceView:
        """Begin one; ConflictError when it runs already, NotFoundError for an unknown session."""

    def stop_trace(self, *, user: str | None, session: str | None, call_id: str | None) -> TraceView:
        """End one; NotFoundError."""


class Page(BaseModel):
    """Sessions in the order of their ids, and where the next page begins."""

    sessions: list[SessionView]
    next: str | None
    """Value of ``after`` for the next page; null on the last."""


class Connection(BaseModel):
    """One connection and the TCP profile that holds for it."""

    connection: ConnectionView
    profile: dict[str, object] | None
    """None: our own defaults hold."""


class TraceSelector(BaseModel):
    """Whose traffic."""

    model_config = ConfigDict(extra="forbid")

    user: str | None = None
    """``username@realm``."""
    session: str | None = None
    call_id: str | None = None
    """Of SIP messages."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "TraceSelector":
        if sum(each is not None for each in (self.user, self.session, self.call_id)) != 1:
            raise ValueError("needs user, session or call_id, and one only")
        return self


class DrainOrder(BaseModel):
    """How to drain."""

    model_config = ConfigDict(extra="forbid")

    grace: Annotated[float, Field(ge=0, le=86_400)] | None = None
    """Seconds that open work may take; null: as the settings say."""


class DrainProgress(BaseModel):
    """How far a drain is."""

    drain: DrainView
    deadline: float | None
    """Wall clock seconds at which what is left gets closed."""


def relay_router(relay: RelayUseCases, operations: RelayOperations, drain: DrainControl) -> APIRouter:
    """Return the routes of ``/v1/relay``."""
    router = APIRouter(prefix="/v1/relay", tags=["relay"])
    _add_sessions(router, SessionsEverywhere(relay))
    _add_connections(router, relay, operations)
    _add_reloads(router, operations)
    _add_traces(router, operations)
    _add_drain(router, drain)
    return router


def routers(*parts: APIRouter) -> APIRouter:
    """Return one router for several, each with its own prefix."""
    whole = APIRouter()
    for part in parts:
        whole.include_router(part)
    return whole


def _add_sessions(router: APIRouter, everywhere: SessionsEverywhere) -> None:
    @router.get("/sessions")
    async def sessions(
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 100,
        after: str | None = None,
        user: str | None = None,
    ) -> Page:
        """Sessions of everybody or of ``user`` (``name`` or ``name@realm``), a page at a time."""
        page, more = await everywhere.page(SessionFilter(user=user or ""), after=after or "", size=limit)
        return Page(sessions=page, next=page[-1].id if more else None)

    @router.get("/sessions/{session_id}")
    async def session(session_id: str) -> SessionView:
        """One session."""
        return await everywhere.session(session_id)

    @router.delete("/sessions/{session_id}", status_code=204)
    async def end_session(session_id: str) -> None:
        """End a session; its URI answers 481 from now on."""
        await everywhere.end(session_id)


def _add_connections(router: APIRouter, relay: RelayUseCases, operations: RelayOperations) -> None:
    @router.get("/listeners")
    async def listeners() -> list[ListenerAddress]:
        """Where the relay listens."""
        return list(relay.listeners.values())

    @router.get("/connections")
    async def connections(
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 100, after: int = 0
    ) -> list[ConnectionView]:
        """Connections with ids above ``after``, in the order of their ids."""
        found = sorted((view for view in relay.connection_views() if view.id > after), key=lambda view: view.id)
        return found[:limit]

    @router.get("/connections/{connection_id}")
    async def connection(connection_id: int) -> Connection:
        """One connection and the TCP profile that holds for it."""
        view = relay.connection(connection_id)
        profile = next((dict(row) for row in operations.profiles() if row["id"] == view.profile), None)
        return Connection(connection=view, profile=profile)


def _add_reloads(router: APIRouter, operations: RelayOperations) -> None:
    @router.get("/profiles")
    async def profiles() -> list[dict[str, object]]:
        """TCP profiles in the order in which they are tried."""
        return [dict(row) for row in operations.profiles()]

    @router.post("/profiles/reload")
    async def reload_profiles(dry_run: bool = False) -> ProfileReload:
        """Read the TCP profiles again; with ``dry_run`` only say what would change."""
        return await operations.reload_profiles(dry_run=dry_run)

    @router.post("/routes/reload")
    async def reload_routes() -> dict[str, int]:
        """Read the routing table again."""
        return {"routes": await operations.reload_routes()}

    @router.post("/certificates/reload")
    async def reload_certificates() -> dict[str, str]:
        """Load all certificates again; by listener "reloaded", or why the old ones stay in use."""
        return operations.reload_certificates()


def _add_drain(router: APIRouter, drain: DrainControl) -> None:
    @router.get("/drain")
    async def progress() -> DrainProgress:
        """How far a drain is, or that this pod serves."""
        return DrainProgress(drain=drain.view(), deadline=drain.deadline)

    @router.post("/drain", status_code=202)
    async def start(order: DrainOrder) -> DrainProgress:
        """Begin a drain of this pod, or go on with the one that has begun; it stays drained until it is called off."""
        await drain.start(order.grace)
        return DrainProgress(drain=drain.view(), deadline=drain.deadline)

    @router.delete("/drain")
    async def cancel() -> DrainProgress:
        """Call the drain off: the pod serves again."""
        await drain.cancel()
        return DrainProgress(drain=drain.view(), deadline=drain.deadline)


def _add_traces(router: APIRouter, operations: RelayOperations) -> None:
    @router.get("/trace")
    async def traces() -> list[TraceView]:
        """Running traces."""
        return operations.traces()

    @router.post("/trace", status_code=201)
    async def start_trace(selector: TraceSelector) -> TraceView:
        """Begin to write one user's or session's traffic, redacted, to a pcap file."""
        return operations.start_trace(user=selector.user, session=selector.session, call_id=selector.call_id)

    @router.post("/trace/stop")
    async def stop_trace(selector: TraceSelector) -> TraceView:
        """End a trace."""
        return operations.stop_trace(user=selector.user, session=selector.session, call_id=selector.call_id)
