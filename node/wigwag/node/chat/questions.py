"""Questions that the next line typed answers."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

_ANSWERS: Final = {"y": True, "yes": True, "n": False, "no": False}


class Questions:
    """Asks one thing after the other.

    Args:
        show: Shows a line of text.
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._waiting: deque[tuple[str, asyncio.Future[bool]]] = deque()

    def __bool__(self) -> bool:
        """Tell whether the next line is an answer."""
        return bool(self._waiting)

    def ask(self, question: str) -> "asyncio.Future[bool]":
        """Ask; cancelling what is returned takes the question back."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        answer.add_done_callback(self._done)
        if len(self._waiting) == 1:
            self._ask()
        return answer

    def answer(self, line: str) -> None:
        """Take a line for the answer to the question that was asked first."""
        said = _ANSWERS.get(line.strip().lower())
        if said is None:
            self._ask()
            return
        _answer(self._waiting.popleft()[1], said=said)
        if self._waiting:
            self._ask()

    def refuse_all(self) -> None:
        """Answer every question with no: nobody will."""
        while self._waiting:
            _answer(self._waiting.popleft()[1], said=False)

    def _ask(self) -> None:
        self._show(f"{self._waiting[0][0]} [y/n]")

    def _done(self, answer: "asyncio.Future[bool]") -> None:
        if not answer.cancelled() or not self._waiting:
            return
        was_asked = self._waiting[0][1] is answer
        self._waiting = deque(entry for entry in self._waiting if entry[1] is not answer)
        if was_asked and self._waiting:
            self._ask()


def _answer(answer: "asyncio.Future[bool]", *, said: bool) -> None:
    if not answer.done():  # It may have been taken back a moment ago.
        answer.set_result(said)
