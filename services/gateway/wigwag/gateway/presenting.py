"""Conversations and messages as the contract for operators has them (``wigwag.api.gateway.v1``)."""

from typing import Final

from wigwag.api.gateway.v1 import conversation_pb2, message_pb2
from wigwag.database import ArchivedMessage
from wigwag.database.ledger import LedgerRow, State
from wigwag.runtime.events import moment
from wigwag.store.conversations import Conversation

CONVERSATION_STATES: Final = {
    "starting": conversation_pb2.CONVERSATION_STATE_STARTING,
    "open": conversation_pb2.CONVERSATION_STATE_OPEN,
    "closed": conversation_pb2.CONVERSATION_STATE_CLOSED,
}
_MODES: Final = {"page": conversation_pb2.MODE_PAGE, "session": conversation_pb2.MODE_SESSION}
_NO_MODE: Final = conversation_pb2.MODE_UNSPECIFIED
_STATES: Final = {
    State.ACCEPTED: message_pb2.MESSAGE_STATE_ACCEPTED,
    State.DELIVERED: message_pb2.MESSAGE_STATE_DELIVERED,
    State.DISPLAYED: message_pb2.MESSAGE_STATE_DISPLAYED,
    State.FAILED: message_pb2.MESSAGE_STATE_FAILED,
    State.UNCONFIRMED: message_pb2.MESSAGE_STATE_UNCONFIRMED,
    State.EXPIRED: message_pb2.MESSAGE_STATE_EXPIRED,
}


def conversation_message(conversation: Conversation) -> conversation_pb2.Conversation:
    """Return a conversation."""
    found = conversation_pb2.Conversation(
        key=conversation.key,
        page=conversation.page,
        session=conversation.session,
        state=CONVERSATION_STATES[conversation.state],
        session_id=conversation.session_id,
        started_by=_MODES.get(conversation.started_by, _NO_MODE),
        generation=conversation.generation,
        reason=conversation.reason,
        failures=conversation.failures,
    )
    if conversation.created_at:
        found.created_at.CopyFrom(moment(conversation.created_at))
    if conversation.closed_at:
        found.closed_at.CopyFrom(moment(conversation.closed_at))
    return found


def message_message(message: ArchivedMessage) -> message_pb2.Message:
    """Return a message, without what it says."""
    found = message_pb2.Message(
        message_id=message.id,
        conversation=text(message.conversation),
        origin=_MODES.get(message.origin, _NO_MODE),
        way=_MODES.get(message.way, _NO_MODE),
        sender=text(message.sender),
        recipient=text(message.recipient),
        accepted_at=moment(message.created),
        state=_STATES[message.state],
        status=message.status or 0,
        reason=text(message.reason),
        content_type=text(message.content_type),
        size=message.size,
        has_body=message.body is not None,
    )
    if message.settled is not None:
        found.settled_at.CopyFrom(moment(message.settled))
    return found


def hop_message(row: LedgerRow) -> message_pb2.Hop:
    """Return a row of the ledger as one way of a message."""
    return message_pb2.Hop(
        ledger_id=row.id,
        direction=row.direction,
        service=row.service,
        state=_STATES[row.state],
        attempt=row.attempt,
        owner=text(row.owner),
        status=row.status or 0,
        reason=text(row.reason),
        created_at=moment(row.created),
        updated_at=moment(row.updated),
        expires_at=moment(row.expires),
    )


def text(value: str) -> str:
    """Return text as protobuf takes it: octets that are no UTF-8 are marked."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
