"""Messages over HTTP: ``/v1/sessions/{session_id}/messages`` and ``/v1/messages``."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from starlette.responses import StreamingResponse

from wigwag.api.ua.v1 import message_pb2, ua_pb2
from wigwag.errors import InvalidRequestError
from wigwag.runtime.json_messages import word_of
from wigwag.ua.ports import Agent, Caller

from . import models
from .blob_responses import blob_response, whole_response
from .presenting import body_of, message_json
from .web_sessions import IdempotencyKey, PageSize, Who

_OCTETS: dict[str, Any] = {
    "requestBody": {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}, "required": True}
}
_BODY: dict[int | str, dict[str, Any]] = {
    200: {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}},
    206: {"description": "The part that Range asks for"},
    416: {"description": "The body is shorter"},
}


def messages_router(agent: Agent) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["messages"])
    _add_sending(router, agent)
    _add_reading(router, agent)
    _add_telling(router, agent)
    return router


def _add_sending(router: APIRouter, agent: Agent) -> None:
    @router.post("/v1/sessions/{session_id}/messages", status_code=HTTPStatus.CREATED)
    async def send_message(
        session_id: str, asked: models.SendMessage, who: Who, response: Response, key: IdempotencyKey = ""
    ) -> models.Accepted:
        """Send a message; 201 when it is durable, 200 when it was before."""
        return await _sent(agent, who, outbound(session_id, asked, key), response)

    @router.put("/v1/sessions/{session_id}/messages/{key}", status_code=HTTPStatus.CREATED, openapi_extra=_OCTETS)
    async def put_message(session_id: str, key: str, who: Who, request: Request, response: Response) -> models.Accepted:
        """Send the body as it is, of the type that Content-Type says; the last part of the path is the idempotency key.

        The same request again is the same message.
        """
        content_type = request.headers.get("content-type", "")
        if not content_type:
            raise InvalidRequestError("content_type: the header Content-Type is missing")
        message = ua_pb2.OutboundMessage(
            session_id=session_id, content_type=content_type, body=await request.body(), idempotency_key=key
        )
        return await _sent(agent, who, message, response)


async def _sent(agent: Agent, who: Caller, message: ua_pb2.OutboundMessage, response: Response) -> models.Accepted:
    (outcome,) = await agent.send_messages(who, [message])
    if outcome.error is not None:
        raise outcome.error
    response.headers["Location"] = f"/v1/messages/{outcome.message_id}"
    if outcome.duplicate:
        response.status_code = HTTPStatus.OK
    state = word_of(message_pb2.DeliveryState.DESCRIPTOR, outcome.state)
    return models.Accepted(message_id=outcome.message_id, duplicate=outcome.duplicate, state=state)


def outbound(session_id: str, asked: models.SendMessage, key: str) -> ua_pb2.OutboundMessage:
    """Return what to send."""
    message = ua_pb2.OutboundMessage(
        session_id=session_id,
        content_type=asked.content_type,
        body=body_of(asked.text, asked.base64),
        idempotency_key=key,
        reference=asked.reference,
        cpim_headers=[message_pb2.CpimHeader(name=each.name, value=each.value) for each in asked.cpim_headers],
    )
    wanted = asked.notifications.model_dump()
    if any(wanted.values()):
        message.notifications.CopyFrom(message_pb2.Notifications(**wanted))
    if asked.reports is not None:
        failure = f"FAILURE_REPORTS_{(asked.reports.failure or 'yes').upper()}"
        message.reports.CopyFrom(message_pb2.Reports(success=asked.reports.success, failure=failure))
    if asked.expires_at is not None:
        message.expires_at.FromDatetime(asked.expires_at)
    return message


def settle_request(message_id: str, asked: models.SettleMessage) -> ua_pb2.SettleMessageRequest:
    """Return what became of a message."""
    state = f"DELIVERY_STATE_{asked.state.upper()}"
    return ua_pb2.SettleMessageRequest(message_id=message_id, state=state, status=asked.status, reason=asked.reason)


def _add_reading(router: APIRouter, agent: Agent) -> None:
    @router.get("/v1/sessions/{session_id}/messages")
    async def list_messages(
        session_id: str, who: Who, page_size: PageSize = 100, page_token: str = ""
    ) -> models.MessagePage:
        """Messages of a session, both ways, in the order in which they were accepted."""
        request = ua_pb2.ListMessagesRequest(session_id=session_id, page_size=page_size, page_token=page_token)
        page = await agent.list_messages(who, request)
        messages = [models.Message(**message_json(each)) for each in page.messages]
        return models.MessagePage(messages=messages, next_page_token=page.next_page_token)

    @router.get("/v1/messages/{message_id}")
    async def get_message(message_id: str, who: Who) -> models.MessageWhere:
        """A message, and where it is now."""
        found = await agent.get_message(who, ua_pb2.GetMessageRequest(message_id=message_id))
        message = models.Message(**message_json(found.message))
        return models.MessageWhere(message=message, pod=found.pod, attempts=found.attempts)

    @router.get("/v1/messages/{message_id}/body", response_class=StreamingResponse, responses=_BODY)
    async def get_body(message_id: str, who: Who, range_: Annotated[str, Header(alias="Range")] = "") -> Response:
        """The body as it came, of its own type; Range asks for a part of it."""
        found = (await agent.get_message(who, ua_pb2.GetMessageRequest(message_id=message_id))).message
        if found.blob_id:
            return await blob_response(agent, who, found.blob_id, range_, found.content_type)
        return whole_response(found.body, range_, found.content_type)


def _add_telling(router: APIRouter, agent: Agent) -> None:
    @router.put("/v1/messages/{message_id}/displayed", status_code=HTTPStatus.NO_CONTENT)
    async def mark_displayed(message_id: str, who: Who) -> None:
        """Tell the sender of an inbound message that it was shown, if he asked for it (RFC 5438)."""
        await agent.mark_displayed(who, ua_pb2.MarkDisplayedRequest(message_id=message_id))

    @router.post("/v1/messages/{message_id}/settle")
    async def settle_message(message_id: str, asked: models.SettleMessage, who: Who) -> models.Message:
        """Say what became of an inbound message: its sender is told by a REPORT, as he asked (RFC 4975).

        Only of applications whose `reports` is `application`. The same state once more tells him once more.
        """
        settled = await agent.settle_message(who, settle_request(message_id, asked))
        return models.Message(**message_json(settled.message))

    @router.put("/v1/sessions/{session_id}/composing", status_code=HTTPStatus.NO_CONTENT)
    async def set_composing(session_id: str, asked: models.Composing, who: Who) -> None:
        """Tell the SIP user that somebody types, or has stopped (RFC 3994)."""
        request = ua_pb2.SetComposingRequest(
            session_id=session_id, active=asked.active, content_type=asked.content_type
        )
        await agent.set_composing(who, request)
