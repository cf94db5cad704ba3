"""A SIP user who takes, sends, asks for and hands out files, some of which break off."""

import asyncio
import hashlib
import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from tests.support.ua_cluster import HELPDESK
from tests.support.ua_plan import UaPlan
from tests.support.ua_users import endpoint_of
from wigwag.protocols.sdp import Direction, FileRange, FileSelector, FileTransfer
from wigwag.ua.endpoint.media import RelayWay
from wigwag.ua.endpoint.model import (
    CallReceived,
    Ended,
    EndpointEvent,
    EndpointSession,
    MediaWish,
    Opened,
    OutgoingCall,
    OutgoingMessage,
    Settled,
    StreamEnded,
    StreamPiece,
)

MIB = 1 << 20
TYPE = "application/octet-stream"
PATIENCE = 90.0
_PATTERN = random.Random(5547).randbytes(MIB + 7)


def octets(first: int, end: int) -> bytes:
    """Return octets of the file that all share: from one offset up to another."""
    found = bytearray()
    while first < end:
        at = first % len(_PATTERN)
        piece = _PATTERN[at : at + end - first]
        found += piece
        first += len(piece)
    return bytes(found)


class Octets:
    """A body: some octets of the file.

    Args:
        first: Octets of the file that are left out.
        end: Up to which.
        break_at: Octets of the file after which ``on_break`` is called, and nothing more comes for now; None: never.
    """

    def __init__(
        self, first: int, end: int, break_at: int | None = None, on_break: Callable[[], object] = lambda: None
    ) -> None:
        self.position, self._end = first, end
        self._break_at, self._on_break = break_at, on_break

    def read(self, count: int, /) -> bytes:
        """Return the next octets."""
        piece = octets(self.position, min(self.position + count, self._end))
        before = self.position
        self.position += len(piece)
        if self._break_at is not None and before < self._break_at <= self.position:
            self._on_break()
        return piece


def hashes(size: int, *functions: str) -> tuple[tuple[str, bytes], ...]:
    """Return hashes of the file's first octets, as a selector has them."""
    made = [(name, hashlib.new(name.replace("-", ""), usedforsecurity=False)) for name in functions or ("sha-1",)]
    for first in range(0, size, MIB):
        piece = octets(first, min(first + MIB, size))
        for _, found in made:
            found.update(piece)
    return tuple((name, found.digest()) for name, found in made)


def sha256(size: int) -> str:
    """Return the SHA-256 of the file's first octets, hexadecimal."""
    return dict(hashes(size, "sha-256"))["sha-256"].hex()


@dataclass(frozen=True)
class Came:
    """What came in one session."""

    first: int
    """Octets of the file that were left out, as was agreed on."""
    octets: int
    is_right: bool
    complete: bool


class FileUser:
    """The user: takes what is offered, and hands out what is asked for.

    Attributes:
        size: Octets of the file that he has, and hands out.
        hang_up_at: Octets that come, after which he hangs up; None: he does not.
        calls: What he was called for.
    """

    def __init__(self, plan: UaPlan, name: str = "user0") -> None:
        self.endpoint = endpoint_of(name, plan, self._told, lambda up: None)
        self.address = f"sip:{name}@{plan.domain}"
        self.size = 0
        self.hang_up_at: int | None = None
        self.calls: list[CallReceived] = []
        self._domain = plan.domain
        self._came: dict[str, tuple[int, int, bool]] = {}
        self._events: asyncio.Queue[EndpointEvent] = asyncio.Queue()

    def _told(self, event: EndpointEvent) -> None:
        match event:
            case CallReceived():
                self.calls.append(event)
                self._answer(event)
            case StreamPiece():
                self._piece(event)
                return
            case StreamEnded():
                event.accept()
            case Opened(session=session) if session.file is not None and self._hands_out(session):
                self._send(session, session.file, self.size)
            case _:
                pass
        self._events.put_nowait(event)

    def _answer(self, call: CallReceived) -> None:
        assert call.file is not None
        offered = replace(call.file, disposition=None)
        if call.pulled:
            selector = replace(offered.selector, hashes=hashes(self.size))
            offered = replace(offered, selector=selector)
        direction = Direction.SENDONLY if call.pulled else Direction.RECVONLY
        call.session.accept(MediaWish(accept_types=("*",), streams=True, file=offered, direction=direction))

    def _hands_out(self, session: EndpointSession) -> bool:
        return any(call.session is session and call.pulled for call in self.calls)

    def _piece(self, event: StreamPiece) -> None:
        file = event.session.file
        first = file.range.start - 1 if file is not None and file.range is not None else 0
        _, count, is_right = self._came.get(event.session.id, (first, 0, True))
        at = first + event.offset
        is_right = is_right and event.data == octets(at, at + len(event.data)) and event.offset == count
        self._came[event.session.id] = (first, count + len(event.data), is_right)
        if self.hang_up_at is not None and count + len(event.data) >= self.hang_up_at:
            self.hang_up_at = None
            event.session.end()

    def _send(
        self,
        session: EndpointSession,
        file: FileTransfer,
        size: int,
        break_at: int | None = None,
        on_break: Callable[[], object] | None = None,
    ) -> None:
        first = file.range.start - 1 if file.range is not None else 0
        loop = asyncio.get_running_loop()

        def body() -> Octets:
            return Octets(first, size, break_at, lambda: loop.call_soon(on_break or session.end))

        session.send(OutgoingMessage(message_id=secrets.token_hex(8), content_type=TYPE, body=body, total=size - first))

    async def heard(self, kind: type[Any] | tuple[type[Any], ...], session: EndpointSession | None = None) -> Any:
        """Wait for an event, of a session if one is given."""
        async with asyncio.timeout(PATIENCE):
            while True:
                event: Any = await self._events.get()
                if isinstance(event, kind) and (session is None or event.session is session):
                    return event

    async def came(self) -> Came:
        """Wait until what comes has come, or broke off."""
        ended: StreamEnded = await self.heard(StreamEnded)
        first, count, is_right = self._came[ended.session.id]
        return Came(first, count, is_right, ended.complete)

    async def call(self, transfer: FileTransfer, direction: Direction) -> EndpointSession | Ended:
        """Call the application about a file; returns the session when it is open, or why it is not."""
        wish = MediaWish(accept_types=("*",), streams=True, file=transfer, direction=direction)
        call = OutgoingCall(session_id=secrets.token_hex(8), from_uri=self.address, to_uri=HELPDESK, media=wish)
        session = self.endpoint.start(call)
        event = await self.heard((Opened, Ended), session)
        return event if isinstance(event, Ended) else session

    async def send(
        self,
        size: int,
        *,
        start: int = 1,
        break_at: int | None = None,
        on_break: Callable[[], object] | None = None,
        hangs_up: bool = True,
    ) -> Settled | Ended:
        """Send the file, or the rest of it, and in the middle hang up, or do something else."""
        selector = FileSelector(name="in.bin", size=size, media_type=TYPE, hashes=hashes(size))
        wanted = FileRange(start) if start > 1 else None
        transfer = FileTransfer(selector=selector, transfer_id=secrets.token_hex(16), range=wanted)
        session = await self.call(transfer, Direction.SENDONLY)
        if isinstance(session, Ended):
            return session
        self._send(session, transfer, size, break_at, on_break)
        settled: Settled = await self.heard(Settled, session)
        if hangs_up:
            session.end()
        return settled

    async def pull(self, selector: FileSelector, start: int = 1) -> EndpointSession | Ended:
        """Ask the application for a file."""
        wanted = FileRange(start) if start > 1 else None
        transfer = FileTransfer(selector=selector, transfer_id=secrets.token_hex(16), range=wanted)
        return await self.call(transfer, Direction.RECVONLY)


@asynccontextmanager
async def file_user(plan: UaPlan) -> AsyncIterator[FileUser]:
    """Let a user be registered until the block ends."""
    user = FileUser(plan)
    await user.endpoint.sip.start()
    try:
        yield user
    finally:
        await user.endpoint.close()
        await user.endpoint.sip.close()
        way = user.endpoint.media.way("relay")
        assert isinstance(way, RelayWay)
        await way.connector.close()
