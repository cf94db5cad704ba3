"""A call that came: rung, taken or turned away (RFC 3261 section 13.3)."""

from typing import TYPE_CHECKING, Final

from wigwag.errors import WigwagError
from wigwag.protocols.sdp import SdpError
from wigwag.protocols.sip.dialogs import InviteServer, SessionState

from .descriptions import Descriptions, warning
from .line import MediaLine
from .model import Cause
from .states import State

if TYPE_CHECKING:
    from .endpoint import Endpoint
    from .session import ChatSession

_LATER: Final = (("Retry-After", "60"),)
_FOR_NOW: Final = frozenset((480, 503))


class Answering:
    """Answers the INVITE of a session.

    Args:
        session: Whose.
        invite: It.
        endpoint: Sends.
        descriptions: Makes our side of the agreement.

    Attributes:
        invite: The INVITE.
    """

    def __init__(
        self, session: "ChatSession", invite: InviteServer, endpoint: "Endpoint", descriptions: Descriptions
    ) -> None:
        self.invite = invite
        self._session = session
        self._endpoint = endpoint
        self._sip = endpoint.sip
        self._descriptions = descriptions

    def ring(self) -> None:
        """Answer 180."""
        self.invite.ring(self._sip.now)
        self._sip.wake()

    def reject(self, status: int, reason: str) -> None:
        """Turn the call away as the user says; for now only, if that is what the status says."""
        self._session.finish(Cause.DECLINED, status, reason)
        self.invite.reject(self._sip.now, status, reason, _LATER if status in _FOR_NOW else ())
        self._sip.wake()

    async def accept(self) -> None:
        """Take the call once its MSRP is there."""
        invite, session = self.invite, self._session
        try:
            line = session.new_line(self._descriptions.wish)
            offered = self._descriptions.read_offer(invite.offer) if invite.offer is not None else None
            path = await line.prepare(secure=offered.secure if offered is not None else None)
            if session.state is not State.ACCEPTING:
                return
            description = self._describe(line, path)
            await self._endpoint.before_answer(session, invite.session.to_state().to_json())
            if session.state is not State.ACCEPTING:
                return
            invite.accept(self._sip.now, description)
            self._sip.wake()
        except SdpError as error:
            self.turn_away(488, "Not Acceptable Here", Cause.NO_COMMON_TYPE, str(error), warning(error))
        except WigwagError as error:
            self.turn_away(503, "Service Unavailable", Cause.MEDIA_FAILED, str(error))

    def _describe(self, line: MediaLine, path: tuple[str, ...]) -> bytes:
        """Return our answer, or our offer where the caller made none."""
        made, offer = self._descriptions, self.invite.offer
        if offer is None:
            description = made.offer(path, line.way)
            line.await_answer()
            return description
        description = made.answer(offer, path, line.way)
        assert made.agreement is not None
        line.expect(made.agreement)
        return description

    def turn_away(
        self, status: int, phrase: str, cause: Cause, reason: str, fields: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Reject the call, or hang up if it was answered and its ACK is not here."""
        invite, session = self.invite, self._session
        if session.state is State.ENDED:
            return
        answered = invite.session.state is not SessionState.EARLY
        session.finish(cause, 0 if answered else status, reason)
        if answered:
            invite.session.hang_up(self._sip.now)
        else:
            invite.reject(self._sip.now, status, phrase, fields)
        self._sip.wake()
