"""What applications are told of a file transfer, and how it is described to peers (RFC 5547)."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wigwag.api.ua.v1 import message_pb2
from wigwag.database.ledger import LedgerRow
from wigwag.protocols.sdp import FileRange, FileSelector, FileTransfer
from wigwag.ua.sessions.record import SessionRecord

ANY_TYPE: Final = "application/octet-stream"
NAME: Final = "file-name"
"""Row header: the file's name."""
SHA256: Final = "file-sha256"
"""Row header: lower-case hexadecimal."""
SHA1: Final = "file-sha1"
"""Row header: lower-case hexadecimal."""
_DIRECTIONS: Final = {
    "outbound": message_pb2.MESSAGE_DIRECTION_OUTBOUND,
    "inbound": message_pb2.MESSAGE_DIRECTION_INBOUND,
}


def file_of(record: SessionRecord, transfer: FileTransfer | None, direction: str, **values: Any) -> message_pb2.File:
    """Return a file as an application sees it.

    Args:
        record: The session of the transfer.
        transfer: As it was described; None: not known.
        direction: ``outbound`` or ``inbound``: which way the file goes.
        values: Further fields.
    """
    selector = transfer.selector if transfer is not None else FileSelector()
    known = {
        "session_id": record.id,
        "name": selector.name or "",
        "content_type": selector.media_type or "",
        "size": selector.size or 0,
        "sha256": dict(selector.hashes).get("sha-256", b"").hex(),
        "sha1": dict(selector.hashes).get("sha-1", b"").hex(),
        "direction": _DIRECTIONS[direction],
    }
    return message_pb2.File(**{**known, **values})


def file_of_row(row: LedgerRow, session_id: str, **values: Any) -> message_pb2.File:
    """Return a file as its row has it."""
    headers: Mapping[str, str] = dict(row.headers)
    known = {
        "session_id": session_id,
        "name": headers.get(NAME, ""),
        "content_type": row.content_type,
        "size": int(headers.get("size", "0")) or len(row.body or b""),
        "sha256": headers.get(SHA256, ""),
        "sha1": headers.get(SHA1, ""),
        "direction": _DIRECTIONS[row.direction],
        "reason": row.reason,
    }
    return message_pb2.File(**{**known, **values})


def transfer_of(
    name: str,
    content_type: str,
    size: int,
    hashes: Sequence[tuple[str, bytes]],
    disposition: str | None = None,
    *,
    start: int = 1,
) -> FileTransfer:
    """Return the description of a new transfer; what is empty, or 0, is not said.

    Args:
        name: Of the file.
        content_type: Its media type.
        size: Octets.
        hashes: Functions and digests.
        disposition: ``attachment``, or another.
        start: The first octet that is to be transferred, from 1: above it the transfer goes on with another, under an
            identifier of its own (RFC 5547 section 8.1).
    """
    selector = FileSelector(name or None, size or None, content_type or None, tuple(hashes))
    return FileTransfer(
        selector=selector,
        transfer_id=secrets.token_hex(16),
        disposition=disposition,
        range=FileRange(start) if start > 1 else None,
    )
