"""The endpoint's SIP: one link to its proxy, and all INVITE sessions over it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from wigwag.errors import WigwagError
from wigwag.protocols.sip import Request
from wigwag.protocols.sip.dialogs import Call, DialogOptions, Dialogs, DialogState, InviteClient, Session
from wigwag.protocols.sip.dialogs import Event as DialogEvent
from wigwag.protocols.sip.digest import DigestClient
from wigwag.protocols.sip.transactions import Wire
from wigwag.protocols.sip.user_agent import Event, Flow, Identity, MessageReceived, UserAgent, Way
from wigwag.transport.connector import Connector
from wigwag.transport.sip_client import Sent, deliver
from wigwag.transport.sip_client_options import SipClientOptions
from wigwag.transport.sip_link import Locate, SipLink

ALLOW: Final = ("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE", "OPTIONS", "INFO")

Contact = Callable[[Flow, str], str]
"""Returns our Contact's URI for a flow and a session's id."""


class NoFlowError(WigwagError):
    """There is no connection to the proxy at this moment."""


class _LinkWay:
    """The way over whatever flow the link has at the moment."""

    def __init__(self) -> None:
        self.link: SipLink | None = None
        self._last: Flow | None = None

    @property
    def flow(self) -> Flow:
        """The link's flow; the one before, which takes nothing any more, while there is none."""
        flow = self.link.flow if self.link is not None else None
        if flow is not None:
            self._last = flow
        if self._last is None:
            raise NoFlowError("there is no connection to the proxy")
        return self._last

    @property
    def wire(self) -> Wire:
        """Where messages go."""
        return self.flow.wire

    def via(self, branch: str) -> str:
        """Return our Via."""
        return self.flow.via(branch)


class SipSide:
    """A SIP user agent with a link to its proxy.

    Args:
        identity: Who we are.
        digest: Knows our passwords.
        locate: Returns where the proxy is.
        connector: Opens connections.
        random: Returns so many unpredictable bytes.
        wall: Seconds since 1970.
        contact: Returns our Contact.
        on_dialog: Told what happens to INVITE sessions.
        on_message: Told of each MESSAGE.
        on_change: Told whether the proxy is reached, whenever that changes.
        options: Of the link.
        session_expires: Seconds of the session timer that we ask for (RFC 4028); 0: none.
    """

    def __init__(
        self,
        identity: Identity,
        digest: DigestClient,
        *,
        locate: Locate,
        connector: Connector,
        random: Callable[[int], bytes],
        wall: Callable[[], float],
        contact: Contact,
        on_dialog: Callable[[DialogEvent], None],
        on_message: Callable[[MessageReceived], None] = lambda _: None,
        on_change: Callable[[bool], None] = lambda _: None,
        options: SipClientOptions | None = None,
        session_expires: int = 1800,
    ) -> None:
        options = options or SipClientOptions()
        self.identity = identity
        self._loop = asyncio.get_running_loop()
        self._contact = contact
        self._on_message = on_message
        self._way = _LinkWay()
        self._agent = UserAgent(
            identity, digest, random=random, wall=wall, on_event=self._happened, options=options.agent
        )
        self._dialogs = Dialogs(
            self._agent.client,
            on_event=on_dialog,
            contact=lambda _: self.contact(""),
            options=DialogOptions(allow=ALLOW, session_expires=session_expires, timers=options.agent.timers),
        )
        self._agent.calls = _Calls(self._dialogs, self._way)
        self._link = self._way.link = SipLink(
            self._agent,
            locate=locate,
            connector=connector,
            random=random,
            on_lost=digest.forget,
            on_change=on_change,
            options=options,
        )

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self._loop.time()

    @property
    def is_up(self) -> bool:
        """Whether there is a flow to the proxy."""
        return self._link.flow is not None

    async def start(self) -> None:
        """Reach the proxy and register.

        Raises:
            RegistrationError: The registrar refuses.
            TransportError: There is no way to the proxy.
        """
        await self._link.start()

    async def wait_lost(self) -> None:
        """Wait until there is no hope any more of getting the registration back."""
        await self._link.wait_lost()

    async def close(self) -> None:
        """Unregister and close."""
        await self._link.close()

    def contact(self, session_id: str) -> str:
        """Return our Contact's URI.

        Raises:
            NoFlowError: There has been no flow yet.
        """
        return self._contact(self._way.flow, session_id)

    def routes(self) -> tuple[str, ...]:
        """Return the Route fields of requests outside dialogs (RFC 3608)."""
        return tuple(self._way.flow.routes)

    def call(self, call: Call) -> InviteClient:
        """Send an INVITE.

        Raises:
            NoFlowError: There is no flow to the proxy.
            OverloadedError: There are as many sessions as may be.
        """
        if not self.is_up:
            raise NoFlowError("there is no connection to the proxy")
        made = self._dialogs.call(call, self._way, self.now)
        self.wake()
        return made

    async def send_message(
        self, to: str, content_type: str, body: bytes, fields: Sequence[tuple[str, str]] = ()
    ) -> Sent:
        """Send a MESSAGE outside of any session and wait for its final response (RFC 3428).

        Raises:
            SipError: ``to`` is no such URI.
            UnansweredError: No final response came, over no flow.
            RegistrationError: The registrar refuses for good.
        """
        return await deliver(self._agent, self._link, self._agent.messages.request(to, content_type, body, fields))

    def restore(self, state: DialogState) -> Session:
        """Go on with a dialog that another held."""
        session = self._dialogs.restore(state, self._way, self.now)
        self.wake()
        return session

    def forget(self, session: Session) -> None:
        """Let go of a dialog without a word to the peer."""
        session.let_go(self.now)

    def wake(self) -> None:
        """Look at the timers again: something was done."""
        self._link.wake()

    def _happened(self, event: Event) -> None:
        if isinstance(event, MessageReceived):
            self._on_message(event)
        else:
            self._link.registration_changed(event)


class _Calls:
    """Leads requests of INVITE sessions to the dialogs, by a way that outlives the flow."""

    def __init__(self, dialogs: Dialogs, way: _LinkWay) -> None:
        self._dialogs = dialogs
        self._way: Way = way

    def concerns(self, request: Request) -> bool:
        """Tell whether a request is of a session, or makes or ends one."""
        return self._dialogs.concerns(request)

    def receive(self, request: Request, way: Flow, now: float) -> None:
        """Take a request."""
        self._dialogs.receive(request, self._way, now)

    def next_timeout(self) -> float | None:
        """Return when there is something to do."""
        return self._dialogs.next_timeout()

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        self._dialogs.handle_timeout(now)
