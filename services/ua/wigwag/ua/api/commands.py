"""Commands that come over a WebSocket: each has a name, fields like the REST interface's, and a result."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from wigwag.api.ua.v1 import message_pb2, ua_pb2
from wigwag.errors import InvalidRequestError
from wigwag.runtime.json_messages import word_of
from wigwag.ua.ports import Agent, Caller

from . import models
from .presenting import message_json, session_json
from .problems import said_of
from .web_messages import outbound, settle_request
from .web_sessions import start_request

Fields = Mapping[str, Any]


class OfSession(models.Asked):
    """Which session."""

    session_id: models.Text


class Start(models.StartSession):
    """As the body of ``POST /v1/sessions``."""

    idempotency_key: models.Text = ""


class Answer(models.AnswerSession, OfSession):
    """As the body of ``answer``."""


class Reject(models.RejectSession, OfSession):
    """As the body of ``reject``."""


class Hold(models.HoldSession, OfSession):
    """As the body of ``hold``."""


class Send(models.SendMessage, OfSession):
    """As the body of ``messages``."""

    idempotency_key: models.Text = ""


class Compose(models.Composing, OfSession):
    """As the body of ``composing``."""


class Display(models.Asked):
    """Which message."""

    message_id: models.Text


class Settle(models.SettleMessage):
    """As the body of ``settle``."""

    message_id: models.Text


async def _start(agent: Agent, who: Caller, asked: Start) -> Any:
    request = start_request(models.StartSession(**asked.model_dump(exclude={"idempotency_key"})), asked.idempotency_key)
    return session_json((await agent.start_session(who, request)).session)


async def _answer(agent: Agent, who: Caller, asked: Answer) -> Any:
    request = ua_pb2.AnswerSessionRequest(
        session_id=asked.session_id, accept_types=asked.accept_types, labels=asked.labels
    )
    return session_json((await agent.answer_session(who, request)).session)


async def _reject(agent: Agent, who: Caller, asked: Reject) -> Any:
    await agent.reject_session(who, ua_pb2.RejectSessionRequest(**asked.model_dump()))
    return {}


async def _hold(agent: Agent, who: Caller, asked: Hold) -> Any:
    request = ua_pb2.HoldSessionRequest(session_id=asked.session_id, hold=asked.hold)
    return session_json((await agent.hold_session(who, request)).session)


async def _end(agent: Agent, who: Caller, asked: OfSession) -> Any:
    ended = await agent.end_session(who, ua_pb2.EndSessionRequest(session_id=asked.session_id))
    return session_json(ended.session)


async def _send(agent: Agent, who: Caller, asked: Send) -> Any:
    (outcome,) = await agent.send_messages(who, [outbound(asked.session_id, asked, asked.idempotency_key)])
    if outcome.error is not None:
        raise outcome.error
    state = word_of(message_pb2.DeliveryState.DESCRIPTOR, outcome.state)
    return {"message_id": outcome.message_id, "duplicate": outcome.duplicate, "state": state}


async def _compose(agent: Agent, who: Caller, asked: Compose) -> Any:
    await agent.set_composing(who, ua_pb2.SetComposingRequest(**asked.model_dump()))
    return {}


async def _display(agent: Agent, who: Caller, asked: Display) -> Any:
    await agent.mark_displayed(who, ua_pb2.MarkDisplayedRequest(message_id=asked.message_id))
    return {}


async def _settle(agent: Agent, who: Caller, asked: Settle) -> Any:
    settled = await agent.settle_message(who, settle_request(asked.message_id, asked))
    return message_json(settled.message)


Run = Callable[[Agent, Caller, Any], Awaitable[Any]]
COMMANDS: Final[Mapping[str, tuple[type[BaseModel], Run]]] = {
    "start_session": (Start, _start),
    "answer": (Answer, _answer),
    "reject": (Reject, _reject),
    "hold": (Hold, _hold),
    "end": (OfSession, _end),
    "send_message": (Send, _send),
    "composing": (Compose, _compose),
    "displayed": (Display, _display),
    "settle": (Settle, _settle),
}


async def carried_out(agent: Agent, who: Caller, name: str, fields: Fields) -> Any:
    """Carry out a command.

    Raises:
        InvalidRequestError: There is no such command, or a field is malformed; names it.
        WigwagError: As ``Agent`` says.
    """
    found = COMMANDS.get(name)
    if found is None:
        raise InvalidRequestError(f"command: one of {', '.join(COMMANDS)}")
    model, run = found
    try:
        asked = model.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "command"
        raise InvalidRequestError(f"{field}: {said_of(first)}") from error
    return await run(agent, who, asked)


def session_of(fields: Fields) -> str:
    """Return what keeps its order: commands for one session are carried out one after the other."""
    session_id = fields.get("session_id")
    return session_id if isinstance(session_id, str) else ""
