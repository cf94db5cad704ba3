"""What is known of a call that came, as a record: a chat, a file that is offered, or one that is asked for."""

from typing import cast

from wigwag.ua.config import ApplicationSettings
from wigwag.ua.endpoint.model import CallReceived
from wigwag.ua.endpoint.session import ChatSession
from wigwag.ua.messages.checking import message_id_of

from .owned import wish_text
from .record import SessionRecord
from .starting import file_wish


def is_asked_for(call: CallReceived) -> bool:
    """Tell whether a caller wants a file (RFC 5547 section 8.2.2)."""
    return call.file is not None and call.pulled


def offered_record(call: CallReceived, application: ApplicationSettings, now: float) -> SessionRecord:
    """Return the record of a call that came.

    Args:
        call: It.
        application: Whose it is.
        now: Seconds since 1970.
    """
    chat, file = cast(ChatSession, call.session), call.file
    asks = application.answer == "ask" or is_asked_for(call)
    return SessionRecord(
        id=chat.id,
        application=application.name,
        direction="inbound",
        state="offered",
        local_uri=call.to_uri,
        remote_uri=call.from_uri,
        display_name=call.display_name,
        subject=call.subject,
        created=now,
        last_activity=now,
        answer_by=now + application.answer_timeout if asks else 0.0,
        accept_types=call.accept_types,
        call_id=chat.call_id,
        file=message_id_of(chat.id, "file") if file is not None else "",
        file_direction=("outbound" if call.pulled else "inbound") if file is not None else "",
        # What was said of the file: other pods tell of it too.
        wish=wish_text(file_wish(application, file)) if file is not None else "",
    )
