"""A call that we make: its INVITE, the answers of its branches, and where a 3xx leads (RFC 3261 section 13.2)."""

import asyncio
from typing import TYPE_CHECKING

from wigwag.errors import WigwagError
from wigwag.protocols.sip import Response, SipError
from wigwag.protocols.sip.dialogs import InviteClient, Redirections
from wigwag.protocols.sip.dialogs import Session as Dialog

from .causes import cause_of_refusal
from .descriptions import Descriptions
from .invitations import invite_of
from .line import MediaLine
from .model import Cause, OutgoingCall, Ringing
from .states import State

if TYPE_CHECKING:
    from .endpoint import Endpoint
    from .session import ChatSession


class Calling:
    """Calls for a session until a dialog stands, or nothing is left to try.

    Args:
        session: For which.
        call: Whom, and how.
        endpoint: Sends.
        descriptions: Makes the offer.

    Attributes:
        session: For which.
        client: The present INVITE; None: there is none yet.
        call_id: Of the present INVITE.
    """

    def __init__(
        self, session: "ChatSession", call: OutgoingCall, endpoint: "Endpoint", descriptions: Descriptions
    ) -> None:
        self.session = session
        self.client: InviteClient | None = None
        self.call_id = ""
        self._call = call
        self._endpoint = endpoint
        self._descriptions = descriptions
        self._redirections: Redirections | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._early: dict[Dialog, bytes] = {}
        """Answers of branches of our INVITE, none of which has won yet."""

    async def begin(self) -> None:
        """Call; what becomes of it is told."""
        session, call = self.session, self._call
        try:
            line = session.new_line(call.media)
            await line.prepare()
            if session.state is State.ENDED:
                return
            session.state = State.CALLING
            self._timer = asyncio.get_running_loop().call_later(call.timeout, self._unanswered)
            uri = call.request_uri or call.to_uri
            self._redirections = Redirections(uri)
            line.await_answer()
            self._invite(line, uri)
        except (WigwagError, SipError) as error:
            session.finish(Cause.MEDIA_FAILED, 0, str(error))

    def _invite(self, line: MediaLine, uri: str) -> None:
        endpoint = self._endpoint
        self.call_id = endpoint.sip_token()
        offer = self._descriptions.offer(line.path, line.way)
        contact, routes = endpoint.sip.contact(self.session.id), endpoint.sip.routes()
        made = invite_of(self._call, uri, offer, contact=contact, routes=routes, call_id=self.call_id)
        client = endpoint.call(self, made)
        if self.session.state is State.CALLING:
            self.client = client

    def _unanswered(self) -> None:
        if self.session.state is State.CALLING and self.session.dialog is None:
            self.session.end_because(Cause.TIMEOUT, "nobody answered")

    # What comes of it

    def provisional(self, response: Response) -> None:
        """Hear that the call makes progress."""
        if self.session.state is State.CALLING and response.status > 100:
            self._endpoint.tell(Ringing(session=self.session, status=response.status, reason=response.reason))

    def refused(self, response: Response) -> None:
        """Hear that the call came to nothing."""
        status, ending = response.status, self.session.end_cause
        self._early.clear()
        if 300 <= status < 400 and ending is None and self._redirected(response):
            return
        self.session.finish(ending or cause_of_refusal(status), status, response.reason)

    def _redirected(self, response: Response) -> bool:
        """Call where a 3xx says, if there is anything left to try."""
        if self._redirections is None:
            return False
        self._redirections.take(response)
        uri = self._redirections.next()
        if uri is None:
            return False
        if self.client is not None:
            self._endpoint.forget_call(self)
        # The response is still being dealt with.
        asyncio.get_running_loop().call_soon(self._call_again, uri)
        return True

    def _call_again(self, uri: str) -> None:
        session = self.session
        if session.state is not State.CALLING:
            return
        if session.end_cause is not None:
            session.finish(session.end_cause)
            return
        try:
            assert session.line is not None
            self._invite(session.line, uri)
        except (WigwagError, SipError) as error:
            session.finish(Cause.MEDIA_FAILED, 0, str(error))

    def early_answer(self, dialog: Dialog, description: bytes) -> None:
        """Keep the answer of an early dialog: it counts when the dialog is the one that stands."""
        self._early[dialog] = description

    def early_ended(self, dialog: Dialog) -> None:
        """Hear that a branch of our INVITE did not win."""
        self._early.pop(dialog, None)

    def confirmed(self, dialog: Dialog) -> bytes | None:
        """Hear that a dialog stands; return the answer that came in it before."""
        self.stop()
        early = self._early.pop(dialog, None)
        self._early.clear()
        return early

    def stop(self) -> None:
        """Wait for nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
