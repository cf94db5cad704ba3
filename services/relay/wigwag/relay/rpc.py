"""The relay's gRPC service: sessions, what happens to them, and drain."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping

import grpc.aio

from wigwag.api.relay.v1 import relay_pb2, relay_pb2_grpc, session_pb2
from wigwag.errors import InvalidRequestError
from wigwag.runtime.rpc import RpcService
from wigwag.runtime.rpc.types import Context

from .cluster.asking import SessionsEverywhere, SessionsHere
from .drain_control import DrainControl
from .draining import DrainState
from .selection import DEFAULT_PAGE, LARGEST_PAGE, SessionFilter
from .session_journal import SessionJournal
from .session_messages import STATES, change_message, session_message, timestamp
from .views import SessionView

BATCH = 64
"""Changes in one frame."""
LONGEST_GRACE = 86_400.0
SERVICE = relay_pb2.DESCRIPTOR.services_by_name["RelayService"]

_DRAIN_STATES: Mapping[str, relay_pb2.DrainState] = {
    DrainState.SERVING.value: relay_pb2.DRAIN_STATE_SERVING,
    DrainState.DRAINING.value: relay_pb2.DRAIN_STATE_DRAINING,
    DrainState.DRAINED.value: relay_pb2.DRAIN_STATE_DRAINED,
}


class RelayServicer(relay_pb2_grpc.RelayServiceServicer):
    """Serves ``wigwag.api.relay.v1.RelayService``.

    Args:
        relay: The relay.
        journal: Observes it.
        drain: Controls its drain.
        pod: Name of the pod, shown with sessions of a relay of one pod.
    """

    def __init__(self, relay: SessionsHere, *, journal: SessionJournal, drain: DrainControl, pod: str) -> None:
        self._relay = relay
        self._everywhere = SessionsEverywhere(relay)
        self._journal = journal
        self._drain = drain
        self._pod = pod

    def served(self, ready: Callable[[], bool]) -> RpcService:
        """Return the service for a server; ``ready`` tells whether the relay can serve."""

        def add(server: grpc.aio.Server) -> None:
            relay_pb2_grpc.add_RelayServiceServicer_to_server(self, server)

        return RpcService(SERVICE.full_name, add, ready)

    async def ListSessions(
        self, request: relay_pb2.ListSessionsRequest, context: Context
    ) -> relay_pb2.ListSessionsResponse:
        """Return one page."""
        if request.page_size < 0:
            raise InvalidRequestError("page_size is negative")
        size = min(request.page_size or DEFAULT_PAGE, LARGEST_PAGE)
        wanted = SessionFilter(user=request.user, realm=request.realm, state=_state_name(request.state))
        after = wanted.after(request.page_token)
        page, more = await self._everywhere.page(wanted, after=after, size=size)
        return relay_pb2.ListSessionsResponse(
            sessions=[session_message(view, self._pod) for view in page],
            next_page_token=wanted.page_token(page[-1].id) if more else "",
        )

    async def GetSession(self, request: relay_pb2.GetSessionRequest, context: Context) -> relay_pb2.GetSessionResponse:
        """Return one session."""
        view = await self._everywhere.session(request.session_id)
        return relay_pb2.GetSessionResponse(session=session_message(view, self._pod))

    async def EndSession(self, request: relay_pb2.EndSessionRequest, context: Context) -> relay_pb2.EndSessionResponse:
        """End one session."""
        await self._everywhere.end(request.session_id)
        return relay_pb2.EndSessionResponse()

    async def WatchSessions(
        self, request: relay_pb2.WatchSessionsRequest, context: Context
    ) -> AsyncIterator[relay_pb2.WatchSessionsResponse]:
        """Yield a snapshot unless the resume token still says where to go on; then changes as they come."""
        wanted = SessionFilter(user=request.user, realm=request.realm)
        position = self._journal.position_of(request.resume_token) if request.resume_token else None
        while True:
            entries = None if position is None else self._journal.after(position, BATCH)
            if position is None or entries is None:
                # Position and sessions are read in one turn of the loop, so nothing falls between them.
                position = self._journal.position
                for frame in self._snapshot(wanted, position):
                    yield frame
            elif entries:
                position = entries[-1].sequence
                changes = [change_message(entry, self._pod) for entry in entries if _is_of(wanted, entry.view)]
                if changes:
                    token = self._journal.token(position)
                    yield relay_pb2.WatchSessionsResponse(changes=changes, resume_token=token)
            else:
                await self._journal.beyond(position)
                # Let the rest of this turn's changes come into the same frame.
                await asyncio.sleep(0)

    def _snapshot(self, wanted: SessionFilter, position: int) -> Iterable[relay_pb2.WatchSessionsResponse]:
        """Yield all sessions: found now, looked at when their frame is made; changes meanwhile are told afterwards."""
        found = self._relay.find_sessions(wanted)
        last = max(len(found.sessions) - 1, 0) // BATCH
        for index in range(last + 1):
            views = map(found.view, found.sessions[index * BATCH : (index + 1) * BATCH])
            yield relay_pb2.WatchSessionsResponse(
                snapshot_begins=index == 0,
                snapshot_ends=index == last,
                changes=[self._present(view) for view in views if view.state != "ended"],
                resume_token=self._journal.token(position) if index == last else "",
            )

    def _present(self, view: SessionView) -> session_pb2.SessionChange:
        return session_pb2.SessionChange(
            kind=session_pb2.SESSION_CHANGE_KIND_PRESENT, session=session_message(view, self._pod)
        )

    async def Drain(self, request: relay_pb2.DrainRequest, context: Context) -> relay_pb2.DrainResponse:
        """Begin to drain."""
        grace = request.grace.ToTimedelta().total_seconds() if request.HasField("grace") else None
        if grace is not None and not 0 <= grace <= LONGEST_GRACE:
            raise InvalidRequestError(f"grace is not between 0 and {LONGEST_GRACE:.0f} seconds")
        await self._drain.start(grace)
        return relay_pb2.DrainResponse(status=self._drain_status())

    async def CancelDrain(
        self, request: relay_pb2.CancelDrainRequest, context: Context
    ) -> relay_pb2.CancelDrainResponse:
        """Take a drain back."""
        await self._drain.cancel()
        return relay_pb2.CancelDrainResponse(status=self._drain_status())

    async def GetDrain(self, request: relay_pb2.GetDrainRequest, context: Context) -> relay_pb2.GetDrainResponse:
        """Tell how far the drain is."""
        return relay_pb2.GetDrainResponse(status=self._drain_status())

    def _drain_status(self) -> relay_pb2.DrainStatus:
        view, deadline = self._drain.view(), self._drain.deadline
        return relay_pb2.DrainStatus(
            state=_DRAIN_STATES[view.state],
            sessions=view.sessions,
            connections=view.connections,
            open_chunks=view.open_chunks,
            open_transactions=view.transactions,
            deadline=timestamp(deadline) if deadline is not None else None,
        )


def _is_of(wanted: SessionFilter, view: SessionView) -> bool:
    return wanted.matches(view.user, view.realm, view.state)


def _state_name(state: int) -> str:
    if state == session_pb2.SESSION_STATE_UNSPECIFIED:
        return ""
    for name, number in STATES.items():
        if number == state:
            return name
    raise InvalidRequestError(f"state {state} is unknown")
