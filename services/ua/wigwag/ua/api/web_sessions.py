"""Sessions over HTTP: ``/v1/sessions``."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from wigwag.api.ua.v1 import ua_pb2
from wigwag.errors import InvalidRequestError
from wigwag.runtime.json_messages import presented
from wigwag.ua.ports import Agent, Caller

from . import models
from .presenting import SESSION_STATES, checked_words

LARGEST_PAGE = 1_000


async def caller_of(request: Request) -> Caller:  # else FastAPI calls it in a thread
    """Return who calls, as the guard has found out."""
    caller: Caller = request.scope["wigwag.caller"]
    return caller


Who = Annotated[Caller, Depends(caller_of)]
IdempotencyKey = Annotated[
    str, Header(alias="Idempotency-Key", max_length=255, description="Who sends it again gets the same, done once.")
]
PageSize = Annotated[int, Query(ge=1, le=LARGEST_PAGE)]


def sessions_router(agent: Agent) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1/sessions", tags=["sessions"])
    _add_start_and_lists(router, agent)
    _add_answers(router, agent)
    _add_ends(router, agent)
    return router


def _add_start_and_lists(router: APIRouter, agent: Agent) -> None:
    @router.post("", status_code=HTTPStatus.CREATED)
    async def start_session(
        asked: models.StartSession, who: Who, response: Response, key: IdempotencyKey = ""
    ) -> models.Session:
        """Call a SIP user; returns at once. What becomes of the call is told by events."""
        started = await agent.start_session(who, start_request(asked, key))
        response.headers["Location"] = f"/v1/sessions/{started.session.session_id}"
        return models.Session(**presented(started.session))

    @router.get("")
    async def list_sessions(
        who: Who,
        state: Annotated[str, Query(description="starting, offered, open, ended; left out: all but ended")] = "",
        remote_uri: str = "",
        label: Annotated[list[str], Query(description="name:value, several: all of them")] = [],  # noqa: B006
        page_size: PageSize = 100,
        page_token: str = "",
        application: Annotated[str, Query(description="only for operators")] = "",
    ) -> models.SessionPage:
        """Sessions in the order of their ids, a page at a time."""
        request = ua_pb2.ListSessionsRequest(
            application=application,
            remote_uri=remote_uri,
            labels=labels_of(label),
            page_size=page_size,
            page_token=page_token,
        )
        request.state = checked_words({"": 0, **SESSION_STATES}, "state", state)  # type: ignore[assignment]
        page = await agent.list_sessions(who, request)
        return models.SessionPage(
            sessions=[models.Session(**presented(each)) for each in page.sessions],
            next_page_token=page.next_page_token,
        )

    @router.get("/{session_id}")
    async def get_session(session_id: str, who: Who) -> models.Session:
        """A session."""
        found = await agent.get_session(who, ua_pb2.GetSessionRequest(session_id=session_id))
        return models.Session(**presented(found.session))


def _add_answers(router: APIRouter, agent: Agent) -> None:
    @router.post("/{session_id}/answer")
    async def answer_session(
        session_id: str,
        who: Who,
        asked: models.AnswerSession = models.AnswerSession(),  # noqa: B008
    ) -> models.Session:
        """Take a session that was offered."""
        request = ua_pb2.AnswerSessionRequest(
            session_id=session_id, accept_types=asked.accept_types, labels=asked.labels
        )
        return models.Session(**presented((await agent.answer_session(who, request)).session))

    @router.post("/{session_id}/reject", status_code=HTTPStatus.NO_CONTENT)
    async def reject_session(
        session_id: str,
        who: Who,
        asked: models.RejectSession = models.RejectSession(),  # noqa: B008
    ) -> None:
        """Turn a session away that was offered."""
        request = ua_pb2.RejectSessionRequest(
            session_id=session_id, sip_status=asked.sip_status, sip_reason=asked.sip_reason
        )
        await agent.reject_session(who, request)

    @router.post("/{session_id}/hold")
    async def hold_session(session_id: str, who: Who, asked: models.HoldSession) -> models.Session:
        """Stop what the SIP user sends, or let it come again."""
        request = ua_pb2.HoldSessionRequest(session_id=session_id, hold=asked.hold)
        return models.Session(**presented((await agent.hold_session(who, request)).session))


def _add_ends(router: APIRouter, agent: Agent) -> None:
    async def end(session_id: str, who: Caller) -> models.Session:
        ended = await agent.end_session(who, ua_pb2.EndSessionRequest(session_id=session_id))
        return models.Session(**presented(ended.session))

    @router.post("/{session_id}/end")
    async def end_session(session_id: str, who: Who) -> models.Session:
        """End a session; one that is over stays as it is."""
        return await end(session_id, who)

    @router.delete("/{session_id}")
    async def delete_session(session_id: str, who: Who) -> models.Session:
        """The same as ``end``."""
        return await end(session_id, who)


def start_request(asked: models.StartSession, key: str) -> ua_pb2.StartSessionRequest:
    """Return what to start."""
    fields: dict[str, Any] = asked.model_dump(exclude={"timeout"})
    request = ua_pb2.StartSessionRequest(**fields, idempotency_key=key)
    if asked.timeout is not None:
        request.timeout.FromMilliseconds(round(asked.timeout * 1_000))
    return request


def labels_of(texts: Sequence[str]) -> dict[str, str]:
    """Return labels that a query gives as ``name:value``; InvalidRequestError."""
    found = {}
    for each in texts:
        name, colon, value = each.partition(":")
        if not colon:
            raise InvalidRequestError("label: has the form name:value")
        found[name] = value
    return found
