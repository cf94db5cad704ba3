"""Who may offer when (RFC 3264 section 4, RFC 3311 section 5, RFC 6337)."""

from typing import Final

from wigwag.errors import LocalProtocolError
from wigwag.protocols.sip.errors import SipError

from .machines import OFFERS, OfferEvent, OfferState

RETRY_AFTER: Final = (("Retry-After", "5"),)
"""Of a 500 to an offer that came before ours was done with: 0 to 10 seconds (RFC 3261 section 14.2)."""


class OfferAnswer:
    """The exchange of session descriptions in one dialog.

    Attributes:
        state: Whose turn it is.
        local: Our description, offered or agreed on.
        remote: The peer's.
    """

    def __init__(self) -> None:
        self.state = OfferState.INITIAL
        self.local: bytes | None = None
        self.remote: bytes | None = None
        self._before: tuple[bytes | None, bytes | None] = (None, None)

    @property
    def settled(self) -> bool:
        """Whether both sides have described the session, and no offer is open."""
        return self.state is OfferState.STABLE and self.local is not None

    @property
    def open(self) -> bool:
        """Whether an offer waits for its answer."""
        return self.state in (OfferState.LOCAL_OFFER, OfferState.REMOTE_OFFER)

    def send_offer(self, description: bytes) -> None:
        """Offer; LocalProtocolError while an offer is open."""
        self._note()
        self._step(OfferEvent.SEND_OFFER)
        self.local = description

    def send_answer(self, description: bytes) -> None:
        """Answer; LocalProtocolError if nothing was offered."""
        self._step(OfferEvent.SEND_ANSWER)
        self.local = description

    def receive_offer(self, description: bytes) -> None:
        """Take an offer.

        Raises:
            SipError: 491 while ours is open, 500 while we owe the answer to one before (RFC 3311 section 5.2).
        """
        if self.state is OfferState.LOCAL_OFFER:
            raise SipError("Request Pending", status=491)
        if self.state is OfferState.REMOTE_OFFER:
            raise SipError("an offer is being answered", status=500, headers=RETRY_AFTER)
        self._note()
        self._step(OfferEvent.RECEIVE_OFFER)
        self.remote = description

    def receive_answer(self, description: bytes) -> None:
        """Take the answer; LocalProtocolError unless ``state`` says that we offered."""
        self._step(OfferEvent.RECEIVE_ANSWER)
        self.remote = description

    def refuse(self) -> None:
        """Refuse the peer's offer: what was agreed on before holds."""
        self._step(OfferEvent.REFUSE)
        self.local, self.remote = self._before

    def refused(self) -> None:
        """Hear that ours was refused: what was agreed on before holds."""
        self._step(OfferEvent.REFUSED)
        self.local, self.remote = self._before

    def restore(self, local: bytes | None) -> None:
        """Go on with what was agreed on elsewhere."""
        self.state, self.local = OfferState.STABLE, local

    def _note(self) -> None:
        if not self.open:
            self._before = self.local, self.remote

    def _step(self, event: OfferEvent) -> None:
        following = OFFERS.get((self.state, event))
        if following is None:
            raise LocalProtocolError(f"can't {event.value} in state {self.state.value}")
        self.state = following
