"""Messages of the gateway: what the ledger and the archive say of them, as one list in the order of acceptance."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from wigwag.database import ArchivedMessage, BlobStore, MessageArchive, MessageFilter
from wigwag.database.ledger import Ledger, LedgerRow, State
from wigwag.protocols.sip import SipError

from .agents import GATEWAY
from .conversations import LONGEST, AddressTooLongError, canonical_address, conversation_key
from .pager_events import INBOUND as PAGER_INBOUND
from .ua_messages import INBOUND as SESSION_INBOUND
from .ua_messages import SERVICE as UA
from .ua_messages import fields_of

PAGE: Final = "page"
"""By SIP MESSAGE; also the owner of a row that is being sent so."""
SESSION: Final = "session"
"""In an MSRP session."""
BEHIND: Final = 600.0
"""Seconds that the archive may be behind the ledger, so that nothing is missing meanwhile."""
_OK: Final = 200
"""MSRP status of the REPORT of success, of which the user agent makes no note."""
_GOOD: Final = frozenset((State.DELIVERED, State.DISPLAYED))
_LOOK: Final = 1_000
"""Rows of sessions that one page looks at: whose they are stands in their headers only."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Messages in the order of their acceptance."""

    messages: Sequence[ArchivedMessage]
    next: int | None
    """Where the next page begins; None: there is none."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What became of a user's bodies."""

    removed: int
    left: int
    """Of messages without an outcome: they keep theirs."""


class History:
    """The list.

    Args:
        ledger: Has what is under way, and what has ended lately.
        archive: Has what ended.
        blobs: Bodies that are stored elsewhere.
        archives: Whether the archive is written; else the ledger has all that there is.
        wall: Seconds since 1970.
    """

    def __init__(
        self,
        ledger: Ledger,
        archive: MessageArchive,
        blobs: BlobStore,
        *,
        archives: bool,
        wall: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._archive = archive
        self._blobs = blobs
        self._archives = archives
        self._wall = wall

    async def search(self, wanted: MessageFilter, *, after: int = 0, limit: int = 100) -> HistoryPage:
        """Return a page of messages; it may hold fewer than the limit, or none, and not be the last.

        Raises:
            DatabaseError: The database can't be reached.
        """
        since = self._wall() - BEHIND if self._archives else 0.0
        any_party = replace(wanted, address="", conversation="")
        archived, by_page, in_sessions = await asyncio.gather(
            self._archive.search(wanted, after=after, limit=limit),
            self._ledger.recent(GATEWAY, PAGER_INBOUND, wanted, settled_since=since, after=after, limit=limit),
            self._ledger.recent(UA, SESSION_INBOUND, any_party, settled_since=since, after=after, limit=_LOOK),
        )
        # What is cut off knows nothing of what comes behind its last one.
        cut = [rows[-1].position for rows, most in ((archived, limit), (by_page, limit)) if len(rows) >= most]
        cut += [in_sessions[-1].position] if len(in_sessions) >= _LOOK else []
        known = {message.position: message for message in archived}
        for message in map(message_of_row, filter(is_of_gateway, [*by_page, *in_sessions])):
            before = known.get(message.position)
            if _concerns(message, wanted) and (before is None or before.version < message.version):
                known[message.position] = message
        return _page(known.values(), min(cut, default=None), limit)

    async def find(self, message_id: str) -> tuple[ArchivedMessage | None, LedgerRow | None]:
        """Return a message, with the body that the archive has of it, and its row if the ledger still has it.

        Raises:
            DatabaseError: As ``search``.
        """
        row, archived = await asyncio.gather(self._ledger.find(message_id), self._archive.find(message_id))
        if row is None or not is_of_gateway(row):
            return archived, None
        return replace(message_of_row(row), body=archived.body if archived is not None else None), row

    async def forget(self, address: str) -> Forgotten:
        """Remove the bodies of all that a user has sent and received, wherever they are.

        Args:
            address: His canonical address.

        Raises:
            DatabaseError: Some may be gone; the same once more removes the rest.
        """
        removed, left = await self._ledger.forget_bodies(lambda uri: same_address(uri) == address, self._blobs.delete)
        return Forgotten(removed + await self._archive.forget_bodies(address), left)


def is_of_gateway(row: LedgerRow) -> bool:
    """Tell whether a row is a message that came to the gateway, and not a hop or an attempt of one."""
    if row.service == UA:
        return row.direction == SESSION_INBOUND and fields_of(row.headers).application == GATEWAY
    return row.service == GATEWAY and row.direction == PAGER_INBOUND


def message_of_row(row: LedgerRow) -> ArchivedMessage:
    """Return a row for which ``is_of_gateway`` holds as a message, without its body and its time in the archive."""
    by_page = row.service != UA
    sender, recipient = same_address(row.sender), same_address(row.recipient)
    way = "" if not row.owner else PAGE if row.owner == PAGE or not by_page else SESSION
    size = None if by_page else fields_of(row.headers).size
    return ArchivedMessage(
        position=row.position,
        id=row.id,
        conversation=row.conversation if by_page else conversation_key(sender, recipient, GATEWAY),
        origin=PAGE if by_page else SESSION,
        way=way,
        sender=sender,
        recipient=recipient,
        created=row.created,
        settled=row.settled,
        state=row.state,
        version=row.version,
        status=_OK if row.status is None and not by_page and row.state in _GOOD else row.status,
        reason=row.reason,
        content_type=row.content_type,
        size=len(row.body or b"") if size is None else size,
    )


@lru_cache(maxsize=4_096)
def same_address(uri: str) -> str:
    """Return the canonical form of an address; what is none stays as it is."""
    try:
        return canonical_address(uri)
    except (SipError, AddressTooLongError):
        return uri[:LONGEST]


def _concerns(message: ArchivedMessage, wanted: MessageFilter) -> bool:
    return (not wanted.conversation or message.conversation == wanted.conversation) and (
        not wanted.address or wanted.address in (message.sender, message.recipient)
    )


def _page(messages: Iterable[ArchivedMessage], end: int | None, limit: int) -> HistoryPage:
    known = sorted(
        (each for each in messages if end is None or each.position <= end), key=lambda message: message.position
    )
    if len(known) > limit:
        return HistoryPage(known[:limit], known[limit - 1].position)
    return HistoryPage(known, end)
