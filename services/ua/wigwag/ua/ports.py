"""What the parts of the user agent ask of each other.

::

    api (gRPC, REST, WebSocket, webhooks, MI)  ->  Agent (this file)
    Agent  ->  sessions (ownership, life) and messages (ledger, delivery, arrivals)
    sessions  ->  endpoint (SIP and MSRP), store
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from wigwag.api.ua.v1 import event_pb2, message_pb2, ua_pb2


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: an application, or an operator."""

    application: str
    """Empty: an operator, who names the application in the request, and sees all."""
    scopes: frozenset[str] = frozenset()
    """``sessions:read``, ``sessions:write``, ``messages:read``, ``messages:write``; an operator has all."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message that was handed in."""

    message_id: str = ""
    duplicate: bool = False
    state: int = message_pb2.DELIVERY_STATE_UNSPECIFIED
    error: Exception | None = None
    """Why it was refused; nothing else is set then."""


class Agent(Protocol):
    """The user agent's use cases; what they return is durable.

    Each may raise ``InvalidRequestError`` (a field is malformed; names it), ``NotAuthorizedError``, ``NotFoundError``,
    ``ConflictError`` (the session's state forbids it), ``OverloadedError``, ``StoreError``, ``DatabaseError``,
    ``BusError``.
    """

    async def start_session(self, caller: Caller, request: ua_pb2.StartSessionRequest) -> ua_pb2.StartSessionResponse:
        """Call a SIP user."""

    async def answer_session(
        self, caller: Caller, request: ua_pb2.AnswerSessionRequest
    ) -> ua_pb2.AnswerSessionResponse:
        """Take a session that was offered."""

    async def reject_session(
        self, caller: Caller, request: ua_pb2.RejectSessionRequest
    ) -> ua_pb2.RejectSessionResponse:
        """Turn it away."""

    async def end_session(self, caller: Caller, request: ua_pb2.EndSessionRequest) -> ua_pb2.EndSessionResponse:
        """End a session; one that is over stays as it is."""

    async def hold_session(self, caller: Caller, request: ua_pb2.HoldSessionRequest) -> ua_pb2.HoldSessionResponse:
        """Stop what the peer sends, or let it come again."""

    async def get_session(self, caller: Caller, request: ua_pb2.GetSessionRequest) -> ua_pb2.GetSessionResponse:
        """Return a session."""

    async def list_sessions(self, caller: Caller, request: ua_pb2.ListSessionsRequest) -> ua_pb2.ListSessionsResponse:
        """Return a page of sessions."""

    async def send_messages(self, caller: Caller, messages: list[ua_pb2.OutboundMessage]) -> list[Outcome]:
        """Accept messages, those of one session in order; returns when each is durable or refused."""

    async def get_message(self, caller: Caller, request: ua_pb2.GetMessageRequest) -> ua_pb2.GetMessageResponse:
        """Return a message and where it is."""

    async def list_messages(self, caller: Caller, request: ua_pb2.ListMessagesRequest) -> ua_pb2.ListMessagesResponse:
        """Return a page of messages."""

    def message_body(self, caller: Caller, request: ua_pb2.GetMessageBodyRequest) -> AsyncIterator[bytes]:
        """Yield a body that is kept as a blob."""

    async def body_size(self, caller: Caller, blob_id: str) -> int:
        """Return how many octets such a body has."""

    async def send_file(
        self, caller: Caller, file: ua_pb2.FileDescription, data: AsyncIterator[bytes]
    ) -> ua_pb2.SendFileResponse:
        """Send a file in a session of its own; returns once it is durable."""

    async def get_file(self, caller: Caller, request: ua_pb2.GetFileRequest) -> ua_pb2.GetFileResponse:
        """Return how a file stands."""

    async def fetch_file(self, caller: Caller, request: ua_pb2.FetchFileRequest) -> ua_pb2.FetchFileResponse:
        """Ask for a file (RFC 5547 pull)."""

    async def set_composing(self, caller: Caller, request: ua_pb2.SetComposingRequest) -> None:
        """Tell the peer that somebody types, or has stopped."""

    async def mark_displayed(self, caller: Caller, request: ua_pb2.MarkDisplayedRequest) -> None:
        """Tell the sender of a message that it was shown."""

    async def settle_message(
        self, caller: Caller, request: ua_pb2.SettleMessageRequest
    ) -> ua_pb2.SettleMessageResponse:
        """Say what became of a message of a SIP user, who is told by a REPORT as he asked."""

    def watch(self, caller: Caller, request: ua_pb2.WatchRequest) -> AsyncIterator[ua_pb2.WatchResponse]:
        """Yield events from the resume token on; OutOfRangeError when what it stands for is kept no more."""


class Events(Protocol):
    """Where events of sessions go."""

    def tell(self, event: event_pb2.Event) -> None:
        """Publish an event soon, in the order of calls within a session."""
