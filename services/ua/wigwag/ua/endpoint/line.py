"""The MSRP of one session: its URIs, its connection, and getting both back when they are lost.

Theory of operation. ``prepare`` gets the path for our session description; at a relay that is an AUTH, whose grant is
renewed in time. ``open`` begins the session that was agreed on. When a connection is lost the line opens another, with
the same URI (a relay of ours grants it again; DESIGN.md section 4), and the peer need not know. What was on its way is
for the user to send again, under the same Message-IDs, after ``up``.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, Final, Protocol

import structlog

from wigwag.errors import ConflictError, WigwagError
from wigwag.protocols.msrp import Authenticated, Event, Path, Session, SessionTable, parse_path
from wigwag.protocols.sdp import Agreement
from wigwag.transport.msrp_client import AuthenticationError, MsrpClient

from .direct import DirectWay
from .getting_back import get_back
from .grant import Grant
from .media import MediaSide, RelayWay

_PEER_CONNECTS: Final = 30.0
"""Seconds that a passive session waits for the peer's connection."""
_FORBIDDEN: Final = 403

logger = structlog.get_logger("wigwag.ua")


class LineUser(Protocol):
    """Who uses a line."""

    def line_up(self) -> None:
        """The session has a connection, the first or another: what is unsettled may be sent (again)."""

    def line_down(self, reason: str) -> None:
        """The connection is lost, and another is being opened."""

    def line_failed(self, reason: str) -> None:
        """There will be no other."""

    def line_superseded(self, reason: str) -> None:
        """A later owner has the session: the relay takes nothing of it from us any more."""

    def line_moved(self, path: tuple[str, ...]) -> None:
        """Our path has changed: the peer has to be told."""

    def line_event(self, event: Event) -> None:
        """The engine tells something of our session."""


class MediaLine:
    """One session's MSRP.

    Args:
        session_id: Session part of our URI.
        way: Name of the way.
        side: Knows the ways.
        user: Told what happens.
        accept_types: What the engine lets through.
        max_size: Octets of the largest message; None: any, in pieces.
        token: Fencing token for our own relay.
        automatic_reports: Whether the engine sends success REPORTs for what is accepted.
    """

    def __init__(
        self,
        session_id: str,
        way: str,
        side: MediaSide,
        user: LineUser,
        *,
        accept_types: tuple[str, ...],
        max_size: int | None,
        token: int = 0,
        automatic_reports: bool = True,
    ) -> None:
        self.way = side.way(way)
        self._automatic_reports = automatic_reports
        self.token = token
        self._session_id = session_id
        self._side = side
        self._user = user
        self._accept_types = accept_types
        self._max_size = max_size
        self._own = self.way.own_uri(session_id)
        self._grant = Grant(token, self._renew_soon)
        self._client: MsrpClient | None = None
        self._session: Session | None = None
        self._agreement: Agreement | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._deadline: asyncio.TimerHandle | None = None
        self._getting_back: asyncio.Task[None] | None = None
        self._closed = False
        self._met = False
        """Whether the session had a connection, here or at another pod: the peer can be reached by our relay then."""
        self._moved = False
        """Whether the peer has to be told our path before he takes anything from us."""
        self._waits = False
        """Whether nothing may be read yet: what the peer sends can't be told from what a stranger sends."""
        self._entering = False
        """Whether an AUTH for a session that goes on has no answer yet."""

    @property
    def client(self) -> MsrpClient | None:
        """The connection; None: there is none now."""
        return self._client

    @property
    def session(self) -> Session | None:
        """The session as the engine knows it."""
        return self._session

    @property
    def is_up(self) -> bool:
        """Whether messages can be sent at this moment."""
        bound = self._session is not None and self._session.binding is not None
        # What the relay held for us may be here before its answer, which says whether the session goes on by this path.
        return bound and self._client is not None and not self._moved and not self._entering

    @property
    def carries_traces(self) -> bool:
        """Whether our own relay is at the other end of the connection."""
        return isinstance(self.way, RelayWay) and self.way.fencing

    @property
    def path(self) -> tuple[str, ...]:
        """Our path for SDP: relays, outermost first, then our own URI."""
        return tuple(map(str, (*self._grant.relays, self._own)))

    @property
    def relayed(self) -> bool:
        """Whether a relay is on the path: then only a REPORT tells that something arrived."""
        remote = self._agreement.remote.path if self._agreement is not None else ()
        return bool(self._grant.relays) or len(remote) > 1

    async def prepare(self, *, secure: bool | None = None) -> tuple[str, ...]:
        """Get the path that we are reached by.

        Args:
            secure: Whether the peer offers MSRP over TLS; None: we offer.

        Raises:
            WigwagError: The relay is not reached, or refuses.
        """
        self._own = self.way.own_uri(self._session_id, secure=secure)
        if isinstance(self.way, RelayWay) and self._client is None:
            self._client = await self._enter(self.way)
        return self.path

    def await_answer(self) -> None:
        """Let what the peer sends wait until its answer is here: ``open`` or ``close`` follows.

        He may send as soon as he has answered, and what he sends may be faster than what he answers (section 5.4).
        """
        self._waits = True
        if isinstance(self.way, DirectWay):
            self.way.entrance.expect(self._own)
        elif self._client is not None:
            self._client.hold_reading(on=True)

    def _go_on(self) -> None:
        if not self._waits:
            return
        self._waits = False
        if isinstance(self.way, DirectWay):
            self.way.entrance.admit(self._own)
        elif self._client is not None:
            self._client.hold_reading(on=False)

    def open(self, agreement: Agreement) -> None:
        """Begin the session, or go on with it by another agreement; ``line_up`` follows."""
        before, self._agreement = self._agreement, agreement
        if before is not None and before.remote.path == agreement.remote.path:
            if self._session is not None:
                if agreement.local.path == self.path:
                    self._use_path(self._session)
                self._activate(self._session)
                return
            if self._getting_back is not None:
                return
        if self._session is not None:
            # Nothing of what was on its way is answered over the path that was.
            self._user.line_down("the peer has another path now")
            self._drop_session()
        if isinstance(self.way, RelayWay) and self._client is not None:
            self._carry_over(self._client)
            self._go_on()
        else:
            self._get_back()

    def restore(self, path: tuple[str, ...]) -> None:
        """Go on with the path that was told to the peer."""
        *relays, self._own = parse_path(" ".join(path).encode())
        self._grant.relays, self._met = tuple(relays), True

    def expect(self, agreement: Agreement) -> None:
        """Take what the peer sends from now on, before he knows our path; ``open`` follows when he does."""
        self._agreement = agreement
        if isinstance(self.way, RelayWay) and self._client is not None:
            self._session = session = self._new_session(passive=True)
            self._client.take_session(session)
        elif not agreement.active:
            self._get_back()

    async def close(self) -> None:
        """End the session and its connection once what is to be written has left."""
        self._closed = True
        self._grant.stop()
        if self._deadline is not None:
            self._deadline.cancel()
        for task in list(self._tasks):
            task.cancel()
        client = self._client
        self._drop_session()
        self._go_on()
        self._client = None
        if client is not None and not (isinstance(self.way, DirectWay) and self.way.is_shared(client)):
            await client.close()

    # The session on a connection

    def _carry_over(self, client: MsrpClient) -> None:
        """Carry the session over a connection to a relay."""
        self._session = session = self._new_session(passive=True)
        client.take_session(session)
        self._activate(session)

    def _activate(self, session: Session) -> None:
        """Send first if the peer has not, at a relay of ours: that is possible whoever was to be first."""
        client = self._client
        if session.binding is not None:
            self._tell_up()
        elif isinstance(self.way, RelayWay) and client is not None:
            assert self._agreement is not None
            if self._moved:
                self._expect_peer()
            elif self._met or not _peer_connects(self._agreement):
                client.activate_session(session)
            else:
                # The relay can't reach a peer that has no relay and is about to connect.
                self._expect_peer()

    def _use_path(self, session: Session) -> None:
        """Send by our present path: the peer knows it now."""
        self._moved, path = False, self._remote_path()
        if session.remote_path != path:
            session.other_path, session.remote_path = session.remote_path, path

    def _remote_path(self) -> Path:
        assert self._agreement is not None
        return (*reversed(self._grant.relays), *parse_path(" ".join(self._agreement.remote.path).encode()))

    def _new_session(self, *, passive: bool) -> Session:
        return Session(
            local_uri=self._own,
            remote_path=self._remote_path(),
            accept_types=self._accept_types,
            max_size=self._max_size,
            passive=passive,
            automatic_reports=self._automatic_reports,
            deferred_acceptance=True,
            resumable=self.relayed,
            continued=self._met and self._max_size is not None,
            # A file goes on where its last connection, or the pod that had it, has left it.
            continues=self._max_size is None,
        )

    def _drop_session(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        if self._client is not None:
            self._client.end_session(session)
        if isinstance(self.way, DirectWay):
            self.way.forget(session)

    # What happens (DirectUser)

    def session_bound(self, client: MsrpClient) -> None:
        """The session has a connection; its engine may be in the middle of a request."""
        if self._closed or self._session is None:
            return
        self._client, self._met = client, True
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        asyncio.get_running_loop().call_soon(self._tell_up)

    def _tell_up(self) -> None:
        if self.is_up and not self._closed:
            self._user.line_up()

    def session_event(self, event: Event) -> None:
        """The engine tells something."""
        if self._session is not None and getattr(event, "session", None) is self._session:
            self._user.line_event(event)

    def connection_lost(self, client: MsrpClient, reason: str) -> None:
        """A connection is over, perhaps ours."""
        if client is not self._client:
            return
        self._client = None
        self._grant.stop()
        if self._session is None or self._closed or self._entering:
            return
        self._user.line_down(reason)
        if self._session.passive and isinstance(self.way, DirectWay):
            # The peer may come again; its first request finds the session.
            self._expect_peer()
            return
        self._drop_session()
        self._get_back()

    def _expect_peer(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(_PEER_CONNECTS, self._peer_is_late)

    def _peer_is_late(self) -> None:
        self._deadline = None
        self._user.line_failed("the peer did not connect")

    # Connections

    async def _enter(self, way: RelayWay) -> MsrpClient:
        """Connect to a relay and AUTH there."""
        client = self._new_client()
        await client.connect(way.connector, way.uri, server_name=way.server_name, allow_private=True)
        try:
            granted = await self._grant.ask(client, way, self._own)
            if self._closed:
                raise ConflictError("the session is over")
        except BaseException:
            await client.close()
            raise
        self._granted(granted)
        return client

    async def _enter_again(self, way: RelayWay) -> None:
        """Go on with the session over another connection to its relay."""
        client = self._new_client()
        await client.connect(way.connector, way.uri, server_name=way.server_name, allow_private=True)
        # What the relay has held for us comes right behind its answer: the session has to be there before.
        relays, self._client, self._entering = self._grant.relays, client, True
        self._session = session = self._new_session(passive=True)
        client.take_session(session)
        try:
            granted = await self._grant.ask(client, way, self._own)
        except BaseException:
            self._drop_session()
            self._client = None
            await client.close()
            raise
        finally:
            self._entering = False
        if relays == granted.use_path:
            self._granted(granted)
            client.activate_session(session)
            self.session_bound(client)
        else:
            # The peer knows it by its former path until he is told; what is sent waits for that.
            self._drop_session()
            self._granted(granted)
            self._carry_over(client)

    def _new_client(self) -> MsrpClient:
        holder: list[MsrpClient] = []
        client = MsrpClient(
            random=self._side.random,
            on_event=self.session_event,
            sessions=SessionTable(lambda session, _: self._bound(session, holder[0])),
            on_closed=lambda reason: self.connection_lost(holder[0], reason),
        )
        holder.append(client)
        return client

    def _bound(self, session: Session, client: MsrpClient) -> None:
        if session is self._session:
            self.session_bound(client)

    def _granted(self, granted: Authenticated) -> None:
        if not self._grant.take(granted):
            return
        if self._session is not None:
            self._session.other_path = self._remote_path()
        elif self._met:
            self._moved = True
        self._user.line_moved(self.path)

    def _renew_soon(self) -> None:
        self._spawn(self._renew())

    async def _renew(self) -> None:
        """Extend the grant; a relay that will not is left, and entered anew."""
        client, way = self._client, self.way
        if client is None or not isinstance(way, RelayWay):
            return
        if self._waits:
            client.hold_reading(on=False)
        try:
            self._granted(await self._grant.ask(client, way, self._own))
        except (AuthenticationError, ConflictError) as error:
            logger.info("a grant is not renewed", reason=str(error))
            await client.close()
        if self._waits and client is self._client:
            client.hold_reading(on=True)

    def _get_back(self) -> None:
        if self._getting_back is None:
            self._getting_back = self._spawn(self._keep_trying())

    async def _keep_trying(self) -> None:
        """Get a connection for the session; tell when there will be none."""
        turn = self._side.getting_back if isinstance(self.way, RelayWay) else contextlib.nullcontext()
        problem = await get_back(self._connect, turn=turn, wanted=lambda: not self._closed, is_final=self._is_fenced)
        if problem is None:
            self._getting_back = None
        elif self._is_fenced(problem):
            self._user.line_superseded(str(problem))
        elif not self._closed:
            self._user.line_failed(str(problem))

    def _is_fenced(self, error: WigwagError) -> bool:
        """Tell whether a later owner has been at our relay (``relay.lifecycle`` says so in these words)."""
        if not (isinstance(self.way, RelayWay) and self.way.fencing and isinstance(error, AuthenticationError)):
            return False
        return error.status == _FORBIDDEN and "fenced" in str(error).lower()

    async def _connect(self) -> None:
        if isinstance(self.way, RelayWay):
            await self._enter_again(self.way)
            self._go_on()
            return
        assert self._agreement is not None
        self._session = self._new_session(passive=not self._agreement.active)
        if self._session.passive:
            self._expect_peer()
        try:
            await self.way.carry(self._session, self, self._agreement)
        except WigwagError:
            self._drop_session()
            raise
        self._go_on()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("the MSRP of a session failed", reason=str(task.exception()))
            if not self._closed:
                self._user.line_failed(str(task.exception()))


def _peer_connects(agreement: Agreement) -> bool:
    """Tell whether the peer, who has no relay, opens the connection: nobody reaches him before."""
    return not agreement.active and not agreement.remote.uses_relay
