"""A relay without sockets behind the admin API's ports, so that the API is tested by itself."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from fastapi import APIRouter

from wigwag.errors import ConflictError, NotFoundError
from wigwag.node.modules import Surroundings
from wigwag.relay.cluster import Cluster
from wigwag.relay.draining import DrainState, DrainView
from wigwag.relay.metrics import relay_readings
from wigwag.relay.mi import drain_commands, relay_commands
from wigwag.relay.selection import Found, SessionFilter
from wigwag.relay.views import ConnectionView, ListenerAddress, SessionView
from wigwag.relay.web import ProfileChange, ProfileReload, TraceView, relay_router
from wigwag.runtime.rpc import RpcService
from wigwag.runtime.status import StatusTree
from wigwag.runtime.telemetry import Reading

SESSION = SessionView(
    id="0" * 16,
    user="alice",
    realm="example.com",
    client_uri="msrp://alice.invalid:7654/ansp71weztas;tcp",
    state="active",
    listener="tls",
    remote="127.0.0.1:50000",
    connection_id=1,
    created=1_700_000_000.0,
    expires=1_700_001_800.0,
    messages_in=1,
    messages_out=2,
    bytes_in=3,
    bytes_out=4,
    reports=0,
    failures=0,
)
CONNECTION = ConnectionView(
    id=1,
    kind="tls",
    listener="tls",
    remote="127.0.0.1:50000",
    local="127.0.0.1:2855",
    opened=1_700_000_000.0,
    bytes_received=10,
    bytes_sent=20,
    unsent=0,
    sessions=(SESSION.id,),
    transactions=0,
    profile=7,
)


class FakeRelay:
    """Use cases on lists."""

    def __init__(self, sessions: int = 1) -> None:
        self.counters = {"auth_successes": sessions}
        self.listeners: dict[str, ListenerAddress] = {}
        self.sessions = {view.id: view for view in (replace(SESSION, id=f"{index:016x}") for index in range(sessions))}

    def totals(self) -> dict[str, int]:
        return self.counters

    cluster: Cluster | None = None

    def session_states(self) -> Counter[str]:
        return Counter(view.state for view in self.sessions.values())

    def find_sessions(self, wanted: SessionFilter) -> Found[SessionView]:
        matching = [view for view in self.sessions.values() if wanted.matches(view.user, view.realm, view.state)]
        return Found(matching, replace)

    def session(self, session_id: str) -> SessionView:
        if session_id not in self.sessions:
            raise NotFoundError(f"no session {session_id}")
        return self.sessions[session_id]

    def end_session(self, session_id: str) -> None:
        self.session(session_id)
        del self.sessions[session_id]

    def connection_views(self) -> list[ConnectionView]:
        return [CONNECTION]

    def connection(self, connection_id: int) -> ConnectionView:
        if connection_id != CONNECTION.id:
            raise NotFoundError(f"no connection {connection_id}")
        return CONNECTION


class FakeDrain:
    """A drain that only remembers what was asked."""

    def __init__(self) -> None:
        self.state = DrainState.SERVING
        self.graces: list[float | None] = []
        self.too_late = False

    async def start(self, grace: float | None) -> None:
        self.graces.append(grace)
        self.state = DrainState.DRAINING

    async def cancel(self) -> None:
        if self.too_late:
            raise ConflictError("connections are being closed")
        self.state = DrainState.SERVING

    def view(self) -> DrainView:
        return DrainView(state=self.state.value, sessions=3, connections=2, open_chunks=1, transactions=4)

    @property
    def deadline(self) -> float | None:
        return 1_700_000_000.5 if self.state is not DrainState.SERVING else None


class FakeRelayModule:
    """A module whose relay is fake; remembers what was asked of it."""

    def __init__(self, surroundings: object = None, *, sessions: int = 1) -> None:
        self.relay = FakeRelay(sessions)
        self.drain_control = FakeDrain()
        self.router: APIRouter = relay_router(self.relay, self, self.drain_control)
        self.rpc_services: Sequence[RpcService] = ()
        self.commands = [*relay_commands(self.relay, self), *drain_commands(self.drain_control)]
        self.tree: StatusTree = getattr(surroundings, "status", None) or StatusTree(time.time)
        self.calls: list[str] = []
        self.running: dict[str, TraceView] = {}

    def hosted_by(self, surroundings: Surroundings) -> Self:
        """Tell its status to the node that makes it."""
        self.tree = surroundings.status
        return self

    async def __aenter__(self) -> Self:
        self.calls.append("enter")
        self.can_serve(True)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.calls.append("exit")

    async def drain(self, grace: float) -> None:
        self.calls.append("drain")

    def can_serve(self, ready: bool) -> None:
        self.tree.group("relay").identifier().set(1 if ready else -1)

    def ready(self) -> tuple[bool, dict[str, Any]]:
        return self.tree.group("relay").identifier().ready, {"listeners": 1}

    def readings(self) -> Iterable[Reading]:
        return relay_readings(self.relay)

    def profiles(self) -> Sequence[Mapping[str, object]]:
        return [{"id": 7, "proto": "any", "priority": 0}]

    async def reload_profiles(self, *, dry_run: bool) -> ProfileReload:
        self.calls.append(f"profiles dry_run={dry_run}")
        change = ProfileChange(connection_id=1, remote="127.0.0.1:50000", changes=("keepidle 120 -> 60",))
        return ProfileReload(profiles=1, invalid=("row 9: proto",), changes=(change,), applied=not dry_run)

    def reload_certificates(self) -> dict[str, str]:
        self.calls.append("reload certificates")
        return {"tls": "reloaded"}

    async def reload_routes(self) -> int:
        self.calls.append("routes")
        return 3

    def traces(self) -> list[TraceView]:
        return list(self.running.values())

    def start_trace(self, *, user: str | None, session: str | None, call_id: str | None = None) -> TraceView:
        selector = user or session or ""
        if selector in self.running:
            raise ConflictError(f"{selector} is traced already")
        view = TraceView(selector=selector, file="a.pcap", started=0, packets=0, bytes=0, active=True)
        self.running[selector] = view
        return view

    def stop_trace(self, *, user: str | None, session: str | None, call_id: str | None = None) -> TraceView:
        selector = user or session or ""
        if selector not in self.running:
            raise NotFoundError(f"{selector} is not traced")
        return self.running.pop(selector)
