"""Lines of pipes, and what a terminal must not obey."""

import os
from pathlib import Path

import pytest

from wigwag.node.chat.screen import PipeScreen, read_lines


def lines_of(*pieces: bytes) -> list[str]:
    reading, writing = os.pipe()
    for piece in pieces:
        os.write(writing, piece)
    os.close(writing)
    try:
        return list(read_lines(reading))
    finally:
        os.close(reading)


def test_lines_are_told_apart_whatever_their_ends() -> None:
    assert lines_of(b"one\r\ntw", b"o\n\nlast") == ["one", "two", "", "last"]
    assert lines_of() == []
    assert lines_of(b"\xff\n") == ["\ufffd"]


def test_a_line_without_end_is_taken_in_pieces(tmp_path: Path) -> None:
    file = tmp_path / "endless"
    file.write_bytes(b"x" * 300_000)
    with file.open("rb") as opened:
        pieces = [len(line) for line in read_lines(opened.fileno())]
    assert sum(pieces) == 300_000
    assert max(pieces) <= 2 * 65_536


async def test_nothing_that_a_peer_wrote_reaches_the_terminal_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    PipeScreen().show("bob: \x1b]0;title\x07" + "x" * 5_000)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert shown.count("x") == 5_000 + 2
