"""A session that this pod owns, and how it is written down."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from wigwag.errors import StoreError, WigwagError
from wigwag.protocols.sdp import Direction, FileRange, FileSelector, FileTransfer, SdpError
from wigwag.store import AgentSession, FencedError, MissingError, Store
from wigwag.ua.config import ApplicationSettings
from wigwag.ua.endpoint.model import MediaWish
from wigwag.ua.endpoint.session import ChatSession

from .record import SessionRecord

_RETRY = 1.0
"""Seconds until what could not be written is written again."""

logger = structlog.get_logger("wigwag.ua")


class Owned:
    """A session of this pod (``OwnedSession``).

    Theory of operation. What changes is written soon, the newest state only; while the store is away it is tried again.
    A write that is refused because of a higher token tells that another pod owns the session.

    Args:
        record: What is known.
        token: Fencing token of our claim.
        chat: The session at the endpoint.
        application: Whose it is.
        store: Where it is written.
        keep: Seconds for which it is kept in the store beyond its last change.
        wall: Seconds since 1970, by the store's clock.
        on_lost: Told when another pod owns it.
    """

    def __init__(
        self,
        record: SessionRecord,
        token: int,
        chat: ChatSession,
        application: ApplicationSettings,
        *,
        store: Store,
        keep: float,
        wall: Callable[[], float],
        on_lost: Callable[["Owned"], None],
    ) -> None:
        self.record = record
        self.token = token
        self.chat = chat
        self.application = application
        self.transfer: FileTransfer | None = None
        """What was said of the file that it is for; None: nothing, or another pod was told."""
        self.lost = False
        """Whether it is another pod's by now."""
        self.timer: asyncio.TimerHandle | None = None
        """Of the answer that an application owes."""
        self._store = store
        self.keep = keep
        self._wall = wall
        self._on_lost = on_lost
        self._dirty = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def change(self, **changes: Any) -> None:
        """Change what is known, and write it soon."""
        self.record = self.record.changed(**changes)
        self._dirty.set()
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())

    async def end(self, **changes: Any) -> None:
        """Write down that it is over; the store may be away for long, so this may take long."""
        self.record = self.record.changed(state="ended", stored="", answering="", **changes)
        await self.stop_writing()
        while True:
            try:
                await self._write_end()
            except StoreError as error:
                logger.info("the end of a session is not written yet", session=self.record.id, reason=str(error))
                await asyncio.sleep(_RETRY)
            except FencedError:
                return
            else:
                return

    async def _write_end(self) -> None:
        content = self.record.to_bytes()
        try:
            await self._store.end_agent_session(self.record.id, self.token, content, keep=self.keep)
        except MissingError:
            # The store came back empty.
            ended = AgentSession(
                session_id=self.record.id,
                application=self.record.application,
                content=content,
                token=self.token,
                ended=True,
                expires_at=self._wall() + self.keep,
            )
            await self._store.put_agent_sessions([ended], lease=1.0)

    async def written(self) -> None:
        """Write what has changed now.

        Raises:
            StoreError: The store is away.
            FencedError: Another pod owns it.
        """
        await self.stop_writing()
        await self._save()

    async def stop_writing(self) -> None:
        """Stop the writer; what it has not written is not."""
        writer, self._writer = self._writer, None
        if self._dirty.is_set() or writer is not None:
            self._dirty.clear()
        if writer is not None:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        if self.timer is not None:
            self.timer.cancel()

    async def _save(self) -> None:
        await self._store.save_agent_session(
            self.record.id, self.token, self.record.to_bytes(), expires_at=self._wall() + self.keep
        )

    async def _write(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                await self._save()
            except MissingError:
                # The store came back empty, and ownership is about to fill it: nobody else has it.
                await asyncio.sleep(_RETRY)
                self._dirty.set()
            except FencedError:
                self._writer = None
                self._on_lost(self)
                return
            except StoreError:
                await asyncio.sleep(_RETRY)
                self._dirty.set()
            except WigwagError as error:
                logger.error("a session can't be stored", session=self.record.id, reason=str(error))


def wish_text(wish: MediaWish) -> str:
    """Return what has to be known of a wish to go on elsewhere."""
    return json.dumps(
        {
            "accept_types": wish.accept_types,
            "accept_wrapped_types": wish.accept_wrapped_types,
            "max_size": wish.max_size,
            "streams": wish.streams,
            "way": wish.way,
            "automatic_reports": wish.automatic_reports,
            "direction": wish.direction.value,
            "file": _transfer_fields(wish.file) if wish.file is not None else None,
        }
    )


def _transfer_fields(transfer: FileTransfer) -> dict[str, str | None]:
    return {
        "selector": str(transfer.selector),
        "id": transfer.transfer_id,
        "disposition": transfer.disposition,
        "range": str(transfer.range) if transfer.range is not None else None,
    }


def _transfer(fields: Mapping[str, str | None]) -> FileTransfer:
    return FileTransfer(
        selector=FileSelector.parse(fields["selector"] or ""),
        transfer_id=fields["id"],
        disposition=fields["disposition"],
        range=FileRange.parse(fields["range"]) if fields["range"] is not None else None,
    )


def wish_of(text: str) -> MediaWish:
    """Read it.

    Raises:
        ValueError: It can't be read.
    """
    read = json.loads(text)
    try:
        return MediaWish(
            accept_types=tuple(read["accept_types"]),
            accept_wrapped_types=tuple(read["accept_wrapped_types"]),
            max_size=int(read["max_size"]),
            streams=bool(read["streams"]),
            way=str(read["way"]),
            automatic_reports=bool(read.get("automatic_reports", True)),
            direction=Direction(read.get("direction", Direction.SENDRECV.value)),
            file=_transfer(read["file"]) if read.get("file") else None,
        )
    except (KeyError, TypeError, SdpError) as error:
        raise ValueError(f"a stored wish is malformed: {error}") from error
