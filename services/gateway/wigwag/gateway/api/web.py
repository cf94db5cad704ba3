"""REST of operators below ``/v1/gateway``, and events as server-sent events (WHATWG HTML section 9.2)."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import AwareDatetime

from wigwag.api.gateway.v1 import conversation_pb2, gateway_pb2
from wigwag.errors import WigwagError
from wigwag.gateway.operations import LARGEST_PAGE, Operations
from wigwag.gateway.presenting import CONVERSATION_STATES
from wigwag.runtime.json_messages import presented
from wigwag.runtime.opensips_gateway import setup_failed

from . import models

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
SILENCE: Final = 15.0
"""Seconds after which a watcher is sent a comment, so that one who is gone is noticed."""

PageSize = Annotated[int, Query(ge=0, le=LARGEST_PAGE)]
Responses = AsyncIterator[gateway_pb2.WatchResponse]


def gateway_router(operations: Operations) -> APIRouter:
    """Return the routes.

    Args:
        operations: The use cases.
    """
    router = APIRouter(prefix="/v1/gateway", tags=["gateway"])
    _add_conversations(router, operations)
    _add_messages(router, operations)
    _add_events(router, operations)
    return router


def _add_conversations(router: APIRouter, operations: Operations) -> None:
    @router.get("/conversations")
    async def list_conversations(
        address: str = "", state: models.State = "", page_size: PageSize = 100, page_token: str = ""
    ) -> models.ConversationPage:
        """Conversations that are not closed, of everybody or with one address on either side."""
        request = gateway_pb2.ListConversationsRequest(
            address=address,
            state=CONVERSATION_STATES.get(state, conversation_pb2.CONVERSATION_STATE_UNSPECIFIED),
            page_size=page_size,
            page_token=page_token,
        )
        return models.ConversationPage(**presented(await operations.list_conversations(request)))

    # A key has blanks and may have slashes.
    @router.get("/conversations/{key:path}")
    async def get_conversation(key: str) -> models.ConversationNow:
        """A conversation, closed or not."""
        found = await operations.get_conversation(gateway_pb2.GetConversationRequest(key=key))
        return models.ConversationNow(**presented(found))

    @router.post("/conversations/{key:path}/end")
    async def end_conversation(key: str) -> models.Conversation:
        """Hang up; one that is closed stays so."""
        ended = await operations.end_conversation(gateway_pb2.EndConversationRequest(key=key))
        return models.Conversation(**presented(ended.conversation))


def _add_messages(router: APIRouter, operations: Operations) -> None:
    @router.get("/messages")
    async def list_messages(
        conversation: str = "",
        address: str = "",
        since: AwareDatetime | None = None,
        before: AwareDatetime | None = None,
        page_size: PageSize = 100,
        page_token: str = "",
    ) -> models.MessagePage:
        """Messages of the ledger and the archive, by conversation, address of either party, and time of acceptance."""
        request = gateway_pb2.ListMessagesRequest(
            conversation=conversation, address=address, page_size=page_size, page_token=page_token
        )
        for field, moment in ((request.since, since), (request.before, before)):
            if moment is not None:
                field.CopyFrom(_timestamp(moment))
        return models.MessagePage(**presented(await operations.list_messages(request)))

    @router.get("/messages/{message_id:path}")
    async def get_message(message_id: str) -> models.MessageNow:
        """A message and where it is now."""
        found = await operations.get_message(gateway_pb2.GetMessageRequest(message_id=message_id))
        shown = presented(found)
        body = shown.pop("body")
        return models.MessageNow(**shown, base64=base64.b64encode(body).decode() if body else None)

    @router.post("/purge")
    async def purge_user(asked: models.PurgeUser) -> models.Purged:
        """Remove the bodies of all that a user has sent and received; what waits for delivery fails."""
        purged = await operations.purge_user(gateway_pb2.PurgeUserRequest(address=asked.address))
        return models.Purged(**presented(purged))


def _add_events(router: APIRouter, operations: Operations) -> None:
    @router.get("/events", response_class=StreamingResponse)
    async def events(
        resume_token: str = "",
        last_event_id: Annotated[str, Header()] = "",
        format: models.EventFormat = "",  # noqa: A002 - as WebSockets of applications name it
    ) -> StreamingResponse:
        """Events, each with its resume token as id; with format=opensips E_MSRP_GW_SETUP_FAILED only, as JSON-RPC."""
        responses = operations.watch(gateway_pb2.WatchRequest(resume_token=resume_token or last_event_id))
        first = await anext(responses)
        return StreamingResponse(_stream(first, responses, format), media_type="text/event-stream")


async def _stream(first: gateway_pb2.WatchResponse, responses: Responses, form: str) -> AsyncIterator[str]:
    yield f"id: {first.resume_token}\n\n"
    pending = _next(responses)
    try:
        while True:
            if not (await asyncio.wait([pending], timeout=SILENCE))[0]:
                yield ": nothing happens\n\n"
                continue
            response = pending.result()
            for event in response.events:
                data = _event(event, form)
                if data is not None:
                    yield f"id: {response.resume_token}\ndata: {json.dumps(data)}\n\n"
            pending = _next(responses)
    except (StopAsyncIteration, WigwagError):
        return  # Who watches comes back with the last id, and is told then.
    finally:
        pending.cancel()
        with suppress(BaseException):
            await pending
        await responses.aclose()  # type: ignore[attr-defined]


def _next(responses: Responses) -> "asyncio.Future[gateway_pb2.WatchResponse]":
    async def following() -> gateway_pb2.WatchResponse:
        async for response in responses:
            return response
        raise WigwagError("the log has ended")

    return asyncio.ensure_future(following())


def _event(event: conversation_pb2.Event, form: str) -> dict[str, Any] | None:
    kind = event.WhichOneof("what") or ""
    if form == "opensips":
        return setup_failed(event.setup_failed) if kind == "setup_failed" else None
    shown = presented(event)
    return {
        "event_id": event.event_id,
        "type": kind,
        "occurred_at": shown["occurred_at"],
        "conversation": shown["conversation_changed"],
        "setup_failed": shown["setup_failed"],
    }


def _timestamp(moment: datetime) -> Timestamp:
    # Not by astimezone(): a time of the first or last day of the calendar may have no name in UTC.
    microseconds = (moment - _EPOCH) // timedelta(microseconds=1)
    return Timestamp(seconds=microseconds // 1_000_000, nanos=microseconds % 1_000_000 * 1_000)
