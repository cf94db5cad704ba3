"""What the gateway asks of the user agent.

::

    bus (pager.inbound, pager.results, sessions.events, messages.states, registrations)
      ->  flows  ->  Agents (this file), ledger, store, bus (pager.outbound)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from wigwag.api.ua.v1 import message_pb2, session_pb2, ua_pb2


@dataclass(frozen=True, slots=True)
class Handed:
    """What became of one message that was handed to the user agent."""

    message_id: str = ""
    """Of its row; empty: refused."""
    duplicate: bool = False
    error: Exception | None = None
    """Why it was refused: ConflictError (the session is over), InvalidRequestError, OverloadedError ..."""


class Agents(Protocol):
    """The user agent: in the same process, or by gRPC.

    Each may raise ``InvalidRequestError``, ``NotFoundError``, ``ConflictError``, ``OverloadedError``, ``StoreError``,
    ``DatabaseError``, ``BusError``; what is returned is durable.
    """

    async def start(self, request: ua_pb2.StartSessionRequest) -> session_pb2.Session:
        """Call a session-mode user, as whom the request says; the same key starts one session."""

    async def answer(self, session_id: str, labels: dict[str, str]) -> None:
        """Take a session that was offered; ConflictError: it is offered no more."""

    async def reject(self, session_id: str, status: int, reason: str) -> None:
        """Turn it away with a SIP status."""

    async def end(self, session_id: str) -> None:
        """Hang up; nothing if it is over."""

    async def session(self, session_id: str) -> session_pb2.Session:
        """Return a session; NotFoundError."""

    async def send(self, messages: Sequence[ua_pb2.OutboundMessage]) -> list[Handed]:
        """Hand in messages, those of one session in order."""

    async def settle(
        self, message_id: str, state: "message_pb2.DeliveryState", *, status: int = 0, reason: str = ""
    ) -> None:
        """Say what became of a message of a session-mode user; the same once more only tells him again.

        Args:
            message_id: Of ua's row.
            state: DELIVERED, FAILED, UNCONFIRMED or EXPIRED.
            status: MSRP status of the REPORT; 0: the state's own.
            reason: Its comment.
        """
