"""The user agent in the same process as the gateway: ``Agents`` without gRPC."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from wigwag.api.ua.v1 import message_pb2, session_pb2, ua_pb2
from wigwag.errors import NotFoundError
from wigwag.gateway.ports import Handed
from wigwag.ua.ports import Agent, Caller

_OPERATOR: Final = Caller("")


class DirectAgents:
    """Implements ``Agents``.

    Args:
        agent: The use cases of the user agent.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def start(self, request: ua_pb2.StartSessionRequest) -> session_pb2.Session:
        """Call a session-mode user, as whom the request says; the same key starts one session."""
        return (await self._agent.start_session(_OPERATOR, request)).session

    async def answer(self, session_id: str, labels: dict[str, str]) -> None:
        """Take a session that was offered; ConflictError: it is offered no more."""
        request = ua_pb2.AnswerSessionRequest(session_id=session_id, labels=labels)
        await self._agent.answer_session(_OPERATOR, request)

    async def reject(self, session_id: str, status: int, reason: str) -> None:
        """Turn it away with a SIP status."""
        request = ua_pb2.RejectSessionRequest(session_id=session_id, sip_status=status, sip_reason=reason)
        await self._agent.reject_session(_OPERATOR, request)

    async def end(self, session_id: str) -> None:
        """Hang up; nothing if it is over."""
        with suppress(NotFoundError):
            await self._agent.end_session(_OPERATOR, ua_pb2.EndSessionRequest(session_id=session_id))

    async def session(self, session_id: str) -> session_pb2.Session:
        """Return a session; NotFoundError."""
        return (await self._agent.get_session(_OPERATOR, ua_pb2.GetSessionRequest(session_id=session_id))).session

    async def send(self, messages: Sequence[ua_pb2.OutboundMessage]) -> list[Handed]:
        """Hand in messages, those of one session in order."""
        outcomes = await self._agent.send_messages(_OPERATOR, list(messages))
        return [Handed(outcome.message_id, outcome.duplicate, outcome.error) for outcome in outcomes]

    async def settle(
        self, message_id: str, state: "message_pb2.DeliveryState", *, status: int = 0, reason: str = ""
    ) -> None:
        """Say what became of a message of a session-mode user; the same once more only tells him again."""
        request = ua_pb2.SettleMessageRequest(message_id=message_id, state=state, status=status, reason=reason)
        await self._agent.settle_message(_OPERATOR, request)
