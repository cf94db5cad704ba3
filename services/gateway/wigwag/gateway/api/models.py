"""Responses of the REST interface; names and meanings are those of the contract (``wigwag/api/gateway/v1``)."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Told(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Conversation(_Told):
    """What a page-mode user and a session-mode user say to each other."""

    key: str
    page: str
    """Canonical address of the page-mode side."""
    session: str
    """Canonical address of the session-mode side."""
    state: str
    """``starting``, ``open`` or ``closed``."""
    session_id: str
    """Session of the user agent that it has, or had last; empty: none."""
    started_by: str
    """``page`` or ``session``."""
    generation: int
    """Higher with each session."""
    created_at: datetime | None
    closed_at: datetime | None
    reason: str
    """Why it was closed."""
    failures: int
    """Sessions in a row that could not be set up."""


class ConversationPage(_Told):
    """Conversations that are not closed, in the order of their keys."""

    conversations: list[Conversation]
    next_page_token: str
    """Empty on the last page."""


class ConversationNow(_Told):
    """A conversation, closed or not."""

    conversation: Conversation
    waiting: int
    """Messages of the page-mode side that have no outcome; 1,000 may be more."""


class Message(_Told):
    """A message that came to the gateway, without what it says."""

    message_id: str
    conversation: str
    origin: str
    """Who sent it: ``page`` or ``session``."""
    way: str
    """How it was sent on, or is being; empty: not at all yet."""
    sender: str
    recipient: str
    accepted_at: datetime
    settled_at: datetime | None
    state: str
    """``accepted``, ``delivered``, ``displayed``, ``failed``, ``unconfirmed`` or ``expired``."""
    status: int
    """SIP status of a page-mode user's message, MSRP status of a session-mode user's; 0: none."""
    reason: str
    content_type: str
    size: int
    """Octets of its body."""
    has_body: bool
    """Whether the archive has its body."""


class MessagePage(_Told):
    """Messages in the order of their acceptance; a page with fewer than asked for need not be the last."""

    messages: list[Message]
    next_page_token: str
    """Empty on the last page."""


class Hop(_Told):
    """One way on which a message is or was: a row of the ledger."""

    ledger_id: str
    direction: str
    """``pager-inbound``, ``inbound``: as it came; ``outbound``, ``pager-outbound``: as it was sent on."""
    service: str
    state: str
    attempt: int
    owner: str
    """``page``, a session's id, or a pod; empty: nobody."""
    status: int
    reason: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime


class MessageNow(_Told):
    """A message and where it is."""

    message: Message
    hops: list[Hop]
    """The first one first; empty: only the archive knows it."""
    pod: str
    """Owner of the session which it goes through; empty: none."""
    base64: str | None
    """What the archive has kept of it."""


class PurgeUser(BaseModel):
    """Whose bodies are to be removed."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    address: Annotated[str, Field(max_length=1_024)]
    """SIP or tel URI."""


class Purged(_Told):
    """What was removed."""

    removed: int
    """Bodies."""
    ended: int
    """Messages that waited, and have failed now."""
    left: int
    """Messages that are being delivered and keep their bodies; purge again when they have their outcome."""


State = Literal["", "starting", "open"]
EventFormat = Literal["", "opensips"]
