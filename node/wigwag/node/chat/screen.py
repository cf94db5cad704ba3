"""Where a chat is shown and typed: a terminal, or pipes, line by line."""

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from wigwag.runtime.logging import LONGEST_TEXT, escaped

_LONGEST_LINE = 65_536
"""Octets of a line that is typed; a longer one is taken in pieces."""
_MOST_LINES = 100
"""Lines read ahead of the chat."""


class Screen(Protocol):
    """What a chat is shown on."""

    on_typing: Callable[[str], None]
    """Told what is being typed, whenever that changes."""

    def show(self, text: str) -> None:
        """Show a line; what of it a peer chose may hold anything."""

    def show_typing(self, text: str) -> None:
        """Show that somebody is writing; an empty text: nobody is."""

    async def line(self) -> str | None:
        """Return the next line that was typed; None: there will be no more."""


class PipeScreen:
    """Standard input and output as they are, for programs and tests."""

    def __init__(self) -> None:
        self.on_typing: Callable[[str], None] = lambda _: None
        self._lines: asyncio.Queue[str | None] = asyncio.Queue(_MOST_LINES)
        self._reader: threading.Thread | None = None
        self._ended = False

    def show(self, text: str) -> None:
        """Print a line; when nobody reads any more the chat ends, as it does when nothing is typed any more."""
        try:
            print(_printable(text), flush=True)
        except BrokenPipeError:
            self._ended = True
            # The interpreter would complain when it flushes at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def show_typing(self, text: str) -> None:
        """Print that somebody is writing, not that he has stopped."""
        if text:
            self.show(text)

    async def line(self) -> str | None:
        """Return the next line; None: the other end of the pipe is closed."""
        if self._reader is None:
            # A thread, because a file or /dev/null can't be waited for; it may be left behind in its read.
            work = read_lines(sys.stdin.fileno())
            self._reader = threading.Thread(
                target=self._pump, args=(work, asyncio.get_running_loop()), name="standard input", daemon=True
            )
            self._reader.start()
        return None if self._ended else await self._lines.get()

    def _pump(self, lines: Iterator[str], loop: asyncio.AbstractEventLoop) -> None:
        for line in lines:
            if not self._put(line, loop):
                return
        self._put(None, loop)

    def _put(self, line: str | None, loop: asyncio.AbstractEventLoop) -> bool:
        with contextlib.suppress(RuntimeError):  # The loop is closed.
            asyncio.run_coroutine_threadsafe(self._lines.put(line), loop).result()
            return True
        return False


def read_lines(descriptor: int) -> Iterator[str]:
    """Yield lines without their ends. ``sys.stdin`` is not used: its lock would be held when the program ends."""
    rest = b""
    while True:
        try:
            data = os.read(descriptor, 65_536)
        except OSError:
            data = b""
        *whole, rest = (rest + data).split(b"\n")
        if not data or len(rest) > _LONGEST_LINE:
            whole, rest = [*whole, rest] if rest else whole, b""
        for line in whole:
            yield line.rstrip(b"\r").decode(errors="replace")
        if not data:
            return


def _printable(text: str) -> str:
    """Return all of a text, with escapes for what a terminal could obey."""
    return "".join(escaped(text[at : at + LONGEST_TEXT]) for at in range(0, len(text), LONGEST_TEXT))


class TerminalScreen:
    """A terminal with a prompt that stays below what is shown, and a history."""

    def __init__(self) -> None:
        from prompt_toolkit import PromptSession

        self.on_typing: Callable[[str], None] = lambda _: None
        self._typing = ""
        self._session: PromptSession[str] = PromptSession(rprompt=lambda: self._typing)
        self._session.default_buffer.on_text_changed += lambda buffer: self.on_typing(buffer.text)

    def show(self, text: str) -> None:
        """Print a line above the prompt."""
        print(_printable(text), flush=True)

    def show_typing(self, text: str) -> None:
        """Show beside the prompt that somebody is writing."""
        self._typing = escaped(text)
        self._session.app.invalidate()

    async def line(self) -> str | None:
        """Return the next line; None: Ctrl-C or Ctrl-D."""
        try:
            return await self._session.prompt_async("> ")
        except (EOFError, KeyboardInterrupt):
            return None


@contextlib.contextmanager
def screen() -> Iterator[Screen]:
    """Return the screen of this process."""
    if sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from prompt_toolkit.patch_stdout import patch_stdout

        with patch_stdout():
            yield TerminalScreen()
    else:
        yield PipeScreen()
