"""The admin API's ``/v1/messages``: accepted messages and what became of them; never what they say."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel

from wigwag.database.ledger import Ledger, LedgerRow
from wigwag.errors import DatabaseError

LARGEST_PAGE = 1_000
LAST_POSITION = 2**63 - 1
"""That a database can count to."""


class MessageView(BaseModel):
    """A message of the ledger, without its body; times are wall clock seconds."""

    position: int
    """Order of acceptance; ``after`` for the next page."""
    id: str
    state: str
    """accepted, delivered, displayed, failed, unconfirmed or expired."""
    version: int
    direction: str
    service: str
    """Who answers for it."""
    sender: str
    recipient: str
    conversation: str
    content_type: str
    octets: int
    """Of the body, as far as the row holds it."""
    attempt: int
    """Attempts to deliver it so far."""
    owner: str
    """Who claimed it last."""
    in_doubt: bool
    """Whether an attempt may have delivered it."""
    created: float
    updated: float
    settled: float | None
    """When its outcome was known."""
    expires: float
    status: int | None
    """Protocol status of the outcome."""
    reason: str


class MessagePage(BaseModel):
    """Messages in the order of their acceptance."""

    messages: list[MessageView]
    next: int | None
    """Value of ``after`` for the next page; null on the last."""


def messages_router(ledger: Ledger) -> APIRouter:
    """Return the routes.

    Args:
        ledger: The accepted messages.
    """
    router = APIRouter(prefix="/v1/messages", tags=["messages"])

    @router.get("")
    async def messages(
        recipient: str | None = None,
        conversation: str | None = None,
        after: Annotated[int, Query(ge=0, le=LAST_POSITION)] = 0,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 100,
    ) -> MessagePage:
        """Messages without an outcome, of one recipient or all; of a conversation those with an outcome too."""
        try:
            if conversation is not None and recipient is None:
                rows = await ledger.conversation(conversation, after=after, limit=limit)
            else:
                rows = await ledger.undelivered(
                    recipient=recipient, conversation=conversation, after=after, limit=limit
                )
        except DatabaseError as error:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
        full = len(rows) == limit
        return MessagePage(messages=[_view(row) for row in rows], next=rows[-1].position if full else None)

    # An attempt's id has a slash.
    @router.get("/{message_id:path}")
    async def message(message_id: str) -> MessageView:
        """One message."""
        try:
            row = await ledger.find(message_id)
        except DatabaseError as error:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
        if row is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no message {message_id}")
        return _view(row)

    return router


def _view(row: LedgerRow) -> MessageView:
    return MessageView(
        position=row.position,
        id=row.id,
        state=row.state.value,
        version=row.version,
        direction=row.direction,
        service=row.service,
        sender=row.sender,
        recipient=row.recipient,
        conversation=row.conversation,
        content_type=row.content_type,
        octets=len(row.body or b""),
        attempt=row.attempt,
        owner=row.owner,
        in_doubt=row.doubts > 0,
        created=row.created,
        updated=row.updated,
        settled=row.settled,
        expires=row.expires,
        status=row.status,
        reason=row.reason,
    )
