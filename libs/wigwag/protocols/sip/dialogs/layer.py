"""All INVITE sessions of one user agent (RFC 3261 sections 12 to 15)."""

from collections.abc import Callable
from typing import Final

from wigwag.errors import OverloadedError
from wigwag.protocols.sip.errors import SipError
from wigwag.protocols.sip.message import Request, Response
from wigwag.protocols.sip.transactions import ServerTransaction, TransactionsFullError
from wigwag.protocols.sip.user_agent import UserAgentClient, Way

from .client import Call, InviteClient
from .events import Event
from .incoming import IncomingRequest
from .registry import DialogOptions, Registry
from .server import InviteServer
from .session import Session
from .state import DialogState

_OURS: Final = frozenset(("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE", "INFO"))
_RETRY_AFTER: Final = (("Retry-After", "5"),)


class Dialogs(Registry):
    """Sans-IO sessions: requests and time in, messages out through transactions, the user told of events.

    Theory of operation. Requests that ``concerns`` names go to ``receive``; responses go to the transaction layer,
    which calls whoever sent the request. Messages must have passed ``validate``. A request with tags is of the
    session that has them; an INVITE without makes one. The transaction layer is shared with others and driven by
    whoever made it; ``next_timeout`` and ``handle_timeout`` are about the sessions only.

    Args:
        client: Sends requests; its transaction layer has the same timers as ``options``.
        on_event: Told what happens; may call back at any time.
        contact: Returns the URI of our Contact for calls that come by a way.
        options: How sessions behave.
    """

    def __init__(
        self,
        client: UserAgentClient,
        *,
        on_event: Callable[[Event], None],
        contact: Callable[[Way], str],
        options: DialogOptions = DialogOptions(),  # noqa: B008 - it is frozen
    ) -> None:
        super().__init__(client, on_event=on_event, options=options)
        self._contact = contact

    # What the user does

    def call(self, call: Call, way: Way, now: float) -> InviteClient:
        """Call somebody; ProvisionalReceived, SessionConfirmed or CallFailed follow, perhaps from within this call.

        Raises:
            OverloadedError: There are as many sessions as may be.
        """
        if self._full:
            raise OverloadedError("too many sessions")
        client = InviteClient(self, call, way)
        client.start(now)
        return client

    def restore(self, state: DialogState, way: Way, now: float) -> Session:
        """Go on with a session that another held."""
        return Session.restored(self, state, way, now)

    def move(self, old: Way, new: Way) -> None:
        """Let the requests of sessions go another way from now on: the one before is gone."""
        for session in self.sessions.values():
            if session.way is old:
                session.way = new

    # What comes

    def concerns(self, request: Request) -> bool:
        """Tell whether a request is of a session, or makes or ends one."""
        return request.method in _OURS or request.to.tag is not None

    def receive(self, request: Request, way: Way, now: float) -> None:
        """Take a request that came by a way, over which responses go."""
        if request.method == "ACK":
            self._receive_ack(request, now)
            return
        try:
            server = self.transactions.receive_request(request, way.wire, now)
        except TransactionsFullError:
            refusal = Response.to_request(request, 503, "Service Unavailable", fields=_RETRY_AFTER)
            way.wire.send(bytes(refusal))
            return
        if server is not None:
            self._dispatch(server, self.incoming(server, request), way, now)

    def next_timeout(self) -> float | None:
        """Return when ``handle_timeout`` has something to do; None: never, as things are."""
        return self.alarms.next_timeout()

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        self.alarms.handle_timeout(now)

    @property
    def _full(self) -> bool:
        return 0 < self.options.limit <= len(self.sessions)

    def _receive_ack(self, ack: Request, now: float) -> None:
        if not self.transactions.receive_ack(ack, now):
            session = self._session_of(ack)
            if session is not None:
                session.incoming.receive_ack(ack, now)

    def _session_of(self, request: Request) -> Session | None:
        return self.sessions.get((request.call_id, request.to.tag or "", request.from_.tag or ""))

    def _dispatch(self, server: ServerTransaction, incoming: IncomingRequest, way: Way, now: float) -> None:
        request = incoming.request
        if request.method == "CANCEL":
            self._receive_cancel(incoming, now)
        elif request.to.tag is not None:
            session = self._session_of(request)
            if session is None:
                incoming.respond(481, "Call/Transaction Does Not Exist", now)
            else:
                session.incoming.receive(incoming, now)
        elif request.method == "INVITE":
            self._receive_invite(server, incoming, way, now)
        else:
            incoming.respond(481, "Call/Transaction Does Not Exist", now)

    def _receive_cancel(self, incoming: IncomingRequest, now: float) -> None:
        """Answer a CANCEL: 200 if its INVITE is known, whatever becomes of that (section 9.2, S34)."""
        invite = self.transactions.find_invite(incoming.request)
        if invite is None:
            incoming.respond(481, "Call/Transaction Does Not Exist", now)
            return
        incoming.respond(200, "OK", now)
        pending = self.invites.get(invite)
        if pending is not None:
            pending.cancel(now)

    def _receive_invite(self, server: ServerTransaction, incoming: IncomingRequest, way: Way, now: float) -> None:
        try:
            if self.transactions.is_merged(incoming.request):
                raise SipError("Loop Detected", status=482)
            server.as_uas()
            self.check_required(incoming.request)
            if self._full:
                raise SipError("too many sessions", status=503, headers=_RETRY_AFTER)
            InviteServer(self, incoming, way, self._contact(way)).begin(now)
        except SipError as error:
            incoming.refuse(error, now)
