"""Requests and responses of the REST interface; names and meanings are those of the contract (``ua.proto``)."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

_SESSION_EXAMPLE: dict[str, Any] = {
    "session_id": "5f2b1c0d9e8a7b6c5d4e3f2a1b0c9d8e",
    "application": "helpdesk",
    "direction": "outbound",
    "state": "open",
    "local_uri": "sip:helpdesk@example.com",
    "remote_uri": "sip:bob@example.com",
    "remote_display_name": "Bob",
    "accept_types": ["message/cpim", "text/plain"],
    "accept_wrapped_types": ["*"],
    "max_size": 0,
    "created_at": "2026-11-26T03:00:00Z",
    "opened_at": "2026-11-26T03:00:01.250Z",
    "ended_at": None,
    "answer_by": None,
    "end_cause": "",
    "sip_status": 0,
    "sip_reason": "",
    "held": False,
    "pod": "ua-0.ua",
    "call_id": "Zk3Q9x",
    "labels": {"ticket": "4711"},
    "subject": "Your order",
}


def _checked(text: str) -> str:
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("holds half a surrogate pair, which is no character")
    return text


Text = Annotated[str, AfterValidator(_checked)]
"""JSON can say what no encoding of characters can."""


class Told(BaseModel):
    """What a client is told."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Asked(BaseModel):
    """What a client sends: a name that is unknown is an error."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Session(Told):
    """A session between an application and a SIP user."""

    model_config = ConfigDict(json_schema_extra={"example": _SESSION_EXAMPLE})

    session_id: str
    """Unique for ever."""
    application: str
    direction: str
    """``outbound``: the application started it; ``inbound``: the SIP user."""
    state: str
    """``starting``, ``offered`` (answer or reject it), ``open``, ``ended``."""
    local_uri: str
    remote_uri: str
    remote_display_name: str
    accept_types: list[str]
    """Media types that the peer takes."""
    accept_wrapped_types: list[str]
    """Types that it takes within message/cpim only."""
    max_size: int
    """Octets of the largest message that the peer takes; 0: it does not say."""
    created_at: datetime | None
    opened_at: datetime | None
    ended_at: datetime | None
    answer_by: datetime | None
    """Until then an offered session has to be answered."""
    end_cause: str
    """Such as ``ended_by_peer``, ``busy``, ``not_found``, ``timeout``; empty: it has not ended."""
    sip_status: int
    """Of the response that ended it; 0: none did."""
    sip_reason: str
    held: bool
    """Whether the peer has put us on hold: what is sent waits."""
    pod: str
    """Its owner; empty: none at this moment."""
    call_id: str
    labels: dict[str, str]
    subject: str


class SessionPage(Told):
    """Sessions in the order of their ids."""

    sessions: list[Session]
    next_page_token: str
    """Empty on the last page."""


class Notifications(Asked):
    """What the receiver is asked for beyond MSRP's own reports (RFC 5438)."""

    positive_delivery: bool = False
    negative_delivery: bool = False
    display: bool = False
    processing: bool = False


class CpimHeader(Asked):
    """A header of message/cpim."""

    name: Text
    value: Text


class Reports(Asked):
    """Which reports on a message are told as `report` events; its states are told in any case."""

    success: bool = False
    """Success reports, those on the whole message too."""
    failure: Literal["", "yes", "no", "partial"] = "yes"
    """``partial``: refusals, but not that nobody answered in time."""


class Message(Told):
    """A message of a session."""

    message_id: str
    session_id: str
    direction: str
    """``outbound``: from the application."""
    content_type: str
    text: str | None
    """The body, when it is text."""
    base64: str | None
    """The body, when it is not."""
    blob_id: str
    """A body above 64 KiB; read it at ``/v1/messages/{message_id}/body``."""
    size: int
    state: str
    """``accepted``, then ``delivered``, ``failed``, ``unconfirmed`` or ``expired``; ``displayed`` may follow
    ``delivered``."""
    version: int
    """Grows with each state."""
    status: int
    """MSRP's status of the outcome, such as 413; 0: none."""
    reason: str
    accepted_at: datetime | None
    settled_at: datetime | None
    cpim_headers: list[CpimHeader]
    imdn_message_id: str
    requested: Notifications
    reports: Reports | None
    """As the application sent it; null: it did not say."""
    reference: str
    """What the application gave with a message of its own."""


class MessageWhere(Told):
    """A message, and where it is now."""

    message: Message
    pod: str
    """The session's owner, where it is or was on its way; empty: none."""
    attempts: int
    """To send it."""


class MessagePage(Told):
    """Messages in the order in which they were accepted."""

    messages: list[Message]
    next_page_token: str


class File(Told):
    """A file transfer in a session of its own (RFC 5547)."""

    session_id: str
    name: str
    content_type: str
    size: int
    sha256: str
    state: str
    """``offered``, ``running``, ``completed``, ``failed``, ``declined``; ``requested``: the SIP user asks for it;
    ``uploading``: a part is here, and the rest awaited."""
    transferred: int
    """Octets that are through; of a transfer that is over: that the receiver has for sure."""
    blob_id: str
    """Where it can be read: ``/v1/blobs/{blob_id}``; empty: nowhere (yet)."""
    direction: str
    reason: str
    sha1: str


class StartSession(Asked):
    """Whom to call, and as whom."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"to_uri": "sip:bob@example.com", "labels": {"ticket": "4711"}}},
    )

    to_uri: Text
    """sip, sips or tel URI of the SIP user."""
    from_uri: Text = ""
    """One of the application's own; empty: its first."""
    from_display_name: Text = ""
    accept_types: list[Text] = []
    """Media types that are taken; empty: the application's."""
    subject: Text = ""
    timeout: Annotated[float, Field(gt=0, le=180)] | None = None
    """Seconds for which it may ring; null: 60."""
    labels: dict[Text, Text] = {}
    request_uri: Text = ""
    application: Text = ""
    """Only for operators."""


class AnswerSession(Asked):
    """How to take a session that was offered."""

    accept_types: list[Text] = []
    labels: dict[Text, Text] = {}


class RejectSession(Asked):
    """How to turn it away."""

    sip_status: Annotated[int, Field(ge=300, le=699)] = 603
    sip_reason: Text = ""


class HoldSession(Asked):
    """Whether what the SIP user sends is to stop."""

    hold: bool


class SendMessage(Asked):
    """A message; ``text`` or ``base64``, and one only."""

    model_config = ConfigDict(json_schema_extra={"example": {"text": "Hello Bob", "notifications": {"display": True}}})

    content_type: Text = "text/plain;charset=utf-8"
    text: Text | None = None
    base64: Text | None = None
    notifications: Notifications = Notifications()
    expires_at: AwareDatetime | None = None
    """Until when it may wait to be sent; null: as the application's settings say."""
    cpim_headers: list[CpimHeader] = []
    reports: Reports | None = None
    """Null: failures, and successes of parts."""
    reference: Text = ""
    """Told again with every event about the message: at most 128 characters, printable ASCII without blanks."""


class SettleMessage(Asked):
    """What became of a message that came."""

    state: Literal["delivered", "failed", "unconfirmed", "expired"]
    status: Annotated[int, Field(ge=0, le=999)] = 0
    """MSRP's, of the REPORT: 400 to 999; 0: 403 for ``failed``, 408 for ``unconfirmed`` and ``expired``."""
    reason: Text = ""


class Accepted(Told):
    """The message is durable."""

    message_id: str
    duplicate: bool
    """Whether it had been accepted before under the same key."""
    state: str


class Composing(Asked):
    """Whether the application's user types."""

    active: bool
    content_type: Text = ""


class FetchFile(Asked):
    """A file to ask the SIP user for: by name, content_type, size, sha256 or sha1, or the rest of one."""

    to_uri: Text = ""
    from_uri: Text = ""
    name: Text = ""
    content_type: Text = ""
    size: Annotated[int, Field(ge=0, lt=2**63)] = 0
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    sha1: Annotated[str, Field(pattern="^([0-9a-f]{40})?$")] = ""
    resume_session_id: Text = ""
    """A transfer to the application that broke: only the rest is asked for, of the same user; kept for a day."""
    application: Text = ""


class FieldError(Told):
    """What is wrong with a field."""

    field: str
    detail: str


class ProblemDetails(Told):
    """An error (RFC 9457), as application/problem+json."""

    type: str
    """Stable: ``/v1/problems/<name>``, where it says what it means."""
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []
    """By field."""
