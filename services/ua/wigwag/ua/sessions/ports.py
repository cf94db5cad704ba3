"""What the message side and the life of sessions ask of each other."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from wigwag.api.ua.v1 import message_pb2, ua_pb2
from wigwag.database.ledger import LedgerRow, State
from wigwag.protocols.sdp import FileTransfer
from wigwag.ua.config import ApplicationSettings
from wigwag.ua.endpoint.model import EndpointEvent, MediaWish, OutgoingMessage
from wigwag.ua.endpoint.session import ChatSession
from wigwag.ua.ports import Outcome

from .record import SessionRecord


class OwnedSession(Protocol):
    """A session of this pod."""

    record: SessionRecord
    token: int
    """Fencing token of our claim: owner token of ledger claims."""
    chat: ChatSession
    application: ApplicationSettings
    lost: bool
    """Whether it is another pod's by now."""
    transfer: FileTransfer | None
    """What was said of the file that it is for; None: nothing."""

    def change(self, **changes: Any) -> None:
        """Change what is known, and write it soon."""


class Sessions(Protocol):
    """What the message side asks."""

    @property
    def pod(self) -> str:
        """Id of this pod."""

    def owned(self, session_id: str) -> OwnedSession | None:
        """Return a session of this pod; None: it is another's, or nobody's."""

    def is_between(self, session_id: str) -> bool:
        """Tell whether a session is about to begin, or to end, here."""

    async def find(self, session_id: str) -> SessionRecord:
        """Return a session wherever it is.

        Raises:
            NotFoundError: There is none.
            StoreError: The store is away and it is not ours.
        """

    async def confirm(self) -> None:
        """Make sure that what this pod owns is its own still, if nothing has told for long: the process may have
        slept."""

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
        """Send what waits: the session was just opened."""

    async def taken_over(self, session: OwnedSession) -> None:
        """Go on where a lost pod has stopped: what was on its way is sent again, under the same identities, and what
        it may have had to tell still is told."""

    async def ended(self, session: OwnedSession, reason: str) -> None:
        """Settle what waits: the session is over. Outcomes of what was on its way were told before."""

    async def leaving(self, session: OwnedSession) -> None:
        """Make durable what came of a file in a session that is about to be given back."""

    async def resumable(self, session: SessionRecord, transfer: FileTransfer) -> str | None:
        """Find the part of a file that a peer offers to go on with.

        Returns:
            The session that left it; empty: none is needed; None: it is not here.

        Raises:
            DatabaseError: The database can't be reached.
        """


@dataclass(frozen=True, slots=True)
class FinalState:
    """What an application says became of a message that came."""

    state: State
    """Delivered, failed, unconfirmed or expired."""
    status: int = 0
    """MSRP status of the REPORT; 0: that of the state."""
    reason: str = ""


class MessageSide(Messages, Protocol):
    """What the use cases ask of the message side."""

    async def accept(
        self, record: SessionRecord, application: ApplicationSettings, messages: Sequence[ua_pb2.OutboundMessage]
    ) -> Sequence[Outcome]:
        """Accept messages of one session, in order; returns when each is durable or refused.

        Raises:
            OverloadedError: Too much waits.
            DatabaseError: They may or may not be there: sending again under the same keys tells.
        """

    def set_composing(self, session: OwnedSession, *, active: bool, content_type: str) -> None:
        """Tell the peer that the application's user types, or has stopped (RFC 3994)."""

    async def mark_displayed(self, row: LedgerRow) -> None:
        """Tell the sender of an inbound message of a session of this pod that it was shown, if he asked; once."""

    async def settle(self, row: LedgerRow, outcome: FinalState) -> LedgerRow:
        """Give a message that came its outcome, and tell its sender if his session is this pod's.

        Returns:
            The row as it is then.

        Raises:
            ConflictError: It has another outcome, or its sender was told by ourselves.
            DatabaseError: It may or may not be written down.
        """


class FileSide(Protocol):
    """Files in sessions of their own (RFC 5547)."""

    async def send(
        self, application: ApplicationSettings, file: ua_pb2.FileDescription, data: AsyncIterator[bytes]
    ) -> message_pb2.File:
        """Keep a file and offer it; returns once it is durable and the session is written down."""

    async def look(self, application: str, request: ua_pb2.GetFileRequest) -> message_pb2.File:
        """Return how a file stands; NotFoundError: there is no such of the application (empty: of any)."""

    async def wish_to_answer(self, own: OwnedSession, row_id: str) -> MediaWish:
        """Return what answers a session of this pod, in which a file is asked for, with one that was kept.

        Raises:
            ConflictError: It is not what was asked for, or not there.
        """

    async def give_up(self, row_id: str, reason: str) -> None:
        """Give an outcome to a file whose session will not be."""

    async def fetch(self, application: ApplicationSettings, request: ua_pb2.FetchFileRequest) -> message_pb2.File:
        """Ask a SIP user for a file."""
