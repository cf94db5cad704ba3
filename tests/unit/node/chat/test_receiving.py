"""Files that come: checked before they are kept, and nothing is left of what is not."""

import asyncio
import hashlib
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

from wigwag.node.chat.receiving import ReceivedFile
from wigwag.protocols.sdp import FileSelector, FileTransfer
from wigwag.ua.endpoint.model import (
    Cause,
    Ended,
    EndpointSession,
    Received,
    StreamBegan,
    StreamEnded,
    StreamPiece,
)

CONTENT = bytes(range(256)) * 40
SESSION = cast(EndpointSession, None)


class Arrival:
    """One file that is sent to us."""

    def __init__(self, directory: Path, size: int | None, digest: bytes) -> None:
        self.shown: list[str] = []
        self.answers: list[object] = []
        self.tasks: list[asyncio.Task[None]] = []
        selector = FileSelector("../a.bin", size, "text/x", (("sha-256", digest), ("md4", b"?")))
        self.file = ReceivedFile(
            SESSION,
            FileTransfer(selector=selector),
            directory,
            show=self.shown.append,
            spawn=self._spawn,
            token=lambda: "0123456789",
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.create_task(work))

    async def begin(self) -> None:
        self.file.happened(
            StreamBegan(
                session=SESSION,
                message_id="m",
                content_type="text/x",
                total=None,
                fields=(),
                refuse=lambda status, comment: self.answers.append(status),
                pause=lambda on: None,
            )
        )

    def piece(self, offset: int, data: bytes) -> None:
        self.file.happened(StreamPiece(session=SESSION, message_id="m", offset=offset, data=data))

    async def end(self, total: int, *, complete: bool = True) -> None:
        self.file.happened(
            StreamEnded(
                session=SESSION,
                message_id="m",
                total=total,
                complete=complete,
                reason="",
                accept=lambda: self.answers.append("accepted"),
                refuse=lambda status, comment: self.answers.append(status),
            )
        )
        await asyncio.gather(*self.tasks)

    def lose(self) -> None:
        self.file.happened(Ended(session=SESSION, cause=Cause.PEER_LOST, reason="gone"))


def arrival(directory: Path, size: int | None = len(CONTENT), content: bytes = CONTENT) -> Arrival:
    return Arrival(directory, size, hashlib.sha256(content).digest())


async def test_pieces_in_any_order_make_the_file(tmp_path: Path) -> None:
    coming = arrival(tmp_path / "new")
    await coming.begin()
    coming.piece(5_000, CONTENT[5_000:])
    coming.piece(0, CONTENT[:5_000])
    await coming.end(len(CONTENT))
    assert coming.answers == ["accepted"]
    assert (tmp_path / "new" / "a.bin").read_bytes() == CONTENT
    assert os.listdir(tmp_path / "new") == ["a.bin"]


async def test_a_lost_connection_begins_anew(tmp_path: Path) -> None:
    coming = arrival(tmp_path)
    await coming.begin()
    coming.piece(0, b"rubbish" * 100)
    await coming.end(700, complete=False)
    await coming.begin()
    coming.piece(0, CONTENT)
    await coming.end(len(CONTENT))
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(("size", "content"), [(len(CONTENT), b"else"), (len(CONTENT) + 1, CONTENT)])
async def test_what_was_not_announced_is_not_kept(tmp_path: Path, size: int, content: bytes) -> None:
    coming = arrival(tmp_path, size, content)
    await coming.begin()
    coming.piece(0, CONTENT)
    await coming.end(len(CONTENT))
    assert coming.answers == [413]
    assert coming.file.arrived is False
    assert os.listdir(tmp_path) == []


async def test_more_than_was_announced_is_stopped_at_once(tmp_path: Path) -> None:
    coming = arrival(tmp_path, size=100)
    await coming.begin()
    coming.piece(0, CONTENT)
    assert coming.answers == [413]
    coming.piece(0, b"x")
    await coming.end(len(CONTENT))
    assert (coming.answers, os.listdir(tmp_path)) == ([413], [])


async def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    coming = arrival(tmp_path / "file")
    await coming.begin()
    coming.piece(0, CONTENT)
    assert coming.answers == [413]
    assert "can't be written" in coming.shown[-1]


async def test_an_end_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    coming = arrival(tmp_path)
    await coming.begin()
    coming.piece(0, CONTENT[:10])
    coming.lose()
    assert os.listdir(tmp_path) == []
    assert coming.shown == ["  a.bin is not saved: gone"]


async def test_a_small_file_in_one_message_is_kept_too(tmp_path: Path) -> None:
    coming = arrival(tmp_path, size=None)
    coming.file.happened(
        Received(
            session=SESSION,
            message_id="m",
            content_type="text/x",
            body=CONTENT,
            fields=(),
            accept=lambda: coming.answers.append("accepted"),
            refuse=lambda status, comment: coming.answers.append(status),
        )
    )
    await asyncio.gather(*coming.tasks)
    assert (coming.answers, (tmp_path / "a.bin").read_bytes()) == (["accepted"], CONTENT)
