"""A session that an application wants, and what it wants of MSRP."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from wigwag.protocols.sdp import Direction, FileTransfer
from wigwag.ua.config import ApplicationSettings, BuiltInApplication, UaSettings
from wigwag.ua.endpoint.model import MediaWish, OutgoingCall

from .owned import wish_text
from .record import SessionRecord

DEFAULT_RINGING: Final = 60.0
LONGEST_RINGING: Final = 180.0
"""Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A session that an application wants."""

    application: ApplicationSettings
    session_id: str
    from_uri: str
    to_uri: str
    display_name: str = ""
    request_uri: str = ""
    subject: str = ""
    timeout: float = DEFAULT_RINGING
    labels: Mapping[str, str] = field(default_factory=dict)
    media: MediaWish = field(default_factory=MediaWish)
    file: str = ""
    """Id of the file transfer that it is for; empty: a chat."""
    file_direction: str = ""
    """``outbound`` or ``inbound``: which way the file goes."""
    resumes: str = ""
    """Session whose part of the file is gone on with."""


def started_record(wanted: Start, now: float) -> SessionRecord:
    """Return the record of a session that is about to begin.

    Args:
        wanted: As it is wanted.
        now: Seconds since 1970.
    """
    return SessionRecord(
        id=wanted.session_id,
        application=wanted.application.name,
        direction="outbound",
        state="starting",
        local_uri=wanted.from_uri,
        remote_uri=wanted.to_uri,
        created=now,
        last_activity=now,
        subject=wanted.subject,
        labels=dict(wanted.labels),
        file=wanted.file,
        file_direction=wanted.file_direction,
        resumes=wanted.resumes,
        wish=wish_text(wanted.media),
    )


def file_wish(
    application: ApplicationSettings, transfer: FileTransfer, direction: Direction = Direction.RECVONLY
) -> MediaWish:
    """Return what is wanted of MSRP to receive, or send, a file that was offered, or asked for (RFC 5547 section 8.3).

    An answer repeats selector, identifier and range; what else was said of the file must not be in it.
    """
    return MediaWish(
        accept_types=("*",),
        accept_wrapped_types=(),
        streams=True,
        way=application.way,
        file=FileTransfer(selector=transfer.selector, transfer_id=transfer.transfer_id, range=transfer.range),
        direction=direction,
    )


def call_of(wanted: Start) -> OutgoingCall:
    """Return what the endpoint has to do."""
    return OutgoingCall(
        session_id=wanted.session_id,
        from_uri=wanted.from_uri,
        to_uri=wanted.to_uri,
        display_name=wanted.display_name,
        request_uri=wanted.request_uri,
        media=wanted.media,
        subject=wanted.subject,
        timeout=min(wanted.timeout, LONGEST_RINGING),
    )


def _max_size(application: ApplicationSettings, settings: UaSettings) -> int:
    largest = settings.limits.message_bytes
    if isinstance(application, BuiltInApplication) and application.message_bytes is not None:
        return min(largest, application.message_bytes)
    return largest


def wish_for(application: ApplicationSettings, settings: UaSettings, accept_types: tuple[str, ...] = ()) -> MediaWish:
    """Return what an application wants of MSRP.

    Args:
        application: It.
        settings: Of the user agent.
        accept_types: Instead of the application's.
    """
    return MediaWish(
        accept_types=accept_types or application.accept_types,
        accept_wrapped_types=application.accept_wrapped_types,
        max_size=_max_size(application, settings),
        way=application.way,
        automatic_reports=application.reports == "acceptance",
    )
