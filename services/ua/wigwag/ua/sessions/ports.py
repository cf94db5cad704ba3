"""What the message side and the life of sessions ask of each other."""

from typing import Protocol

from wigwag.ua.config import ApplicationSettings
from wigwag.ua.endpoint.model import EndpointEvent, OutgoingMessage
from wigwag.ua.endpoint.session import ChatSession

from .record import SessionRecord


class OwnedSession(Protocol):
    """A session of this pod."""

    record: SessionRecord
    token: int
    """Fencing token of our claim: owner token of ledger claims."""
    chat: ChatSession
    application: ApplicationSettings


class Sessions(Protocol):
    """What the message side asks."""

    @property
    def pod(self) -> str:
        """Id of this pod."""

    def owned(self, session_id: str) -> OwnedSession | None:
        """Return a session of this pod; None: it is another's, or nobody's."""

    async def find(self, session_id: str) -> SessionRecord:
        """Return a session wherever it is.

        Raises:
            NotFoundError: There is none.
            StoreError: The store is away and it is not ours.
        """

    async def owner_of(self, session_id: str) -> str:
        """Return the pod that owns it; empty: none."""

    async def take_over(self, session_id: str) -> OwnedSession | None:
        """Become the owner of a session whose owner is gone; None: it has one, or has ended."""

    def active(self, session_id: str) -> None:
        """Note that something was said: the idle time begins anew."""

    def send(self, session_id: str, message: OutgoingMessage) -> None:
        """Send in a session of this pod (``ChatSession.send``).

        Raises:
            ConflictError: It is not ours, or over.
        """


class Messages(Protocol):
    """What the life of sessions asks of the message side."""

    def receive(self, session: OwnedSession, event: EndpointEvent) -> None:
        """Take Received, Stream..., Settled and Reported of a session of this pod."""

    async def opened(self, session: OwnedSession) -> None:
        """Send what waits: the session was just opened, or taken over from a lost pod (then also what was on its way,
        under the same identities)."""

    async def ended(self, session: OwnedSession, reason: str) -> None:
        """Settle what waits: the session is over. Outcomes of what was on its way were told before."""
