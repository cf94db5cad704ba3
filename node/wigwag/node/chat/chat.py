"""The chat as a program: who calls whom, what is typed, when it is over."""

import asyncio
import contextlib
import secrets
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

from wigwag.node.account_endpoint import EndpointAccount
from wigwag.protocols.sip.user_agent import MessageReceived
from wigwag.ua.endpoint.endpoint import Endpoint
from wigwag.ua.endpoint.model import CallReceived, Ended, EndpointEvent

from .addresses import canonical, readable
from .attempts import REFUSED, UNANSWERED
from .contents import Text, read_content
from .conversation import Conversation, Mode
from .lines import LineState
from .questions import Questions
from .screen import Screen
from .transfers import Transfers

ACCEPTED: Final = 3
"""Exit status: somebody keeps a line for the peer."""
_FAREWELL: Final = 3.0
"""Seconds for the peer to answer our BYE."""
_PATIENCE: Final = 40.0
"""Seconds that lines without an outcome are waited for at the end."""
_MOST_OPEN: Final = 1_000
"""Lines without an outcome above which no more are read."""
_HELP: Final = (
    "/file PATH  send a file",
    "/who        who is here, and by which way",
    "/call       call again, when lines go as single messages",
    "/quit       leave",
    "//...       a line that begins with /",
)


class Chat:
    """One run of ``wigwag chat``.

    Args:
        account: Who we are.
        screen: Where it is shown and typed.
        target: Whom to call; None: wait for a call.
        downloads: Where files go.
    """

    def __init__(self, account: EndpointAccount, screen: Screen, *, target: str | None, downloads: Path) -> None:
        self._account = account
        self._screen = screen
        self._target = target
        self._downloads = downloads
        identity = account.account.identity
        self._own = str(identity.aor)
        self._domain = identity.aor.host
        self._questions = Questions(screen.show)
        self._talk: Conversation | None = None
        self._calling: asyncio.Future[bool] | None = None
        """Whether somebody's call is wanted."""
        self._offered: CallReceived | None = None
        self._status = 0
        self._over = asyncio.Event()
        self._moved = asyncio.Event()
        self._hurry = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._endpoint: Endpoint
        self._files: Transfers
        self._closing = False

    async def run(self) -> int:
        """Chat; return the exit status.

        Raises:
            RegistrationError: The server refuses.
            TransportError: There is no way to the server.
        """
        with _signals(self._interrupted):
            async with self._account.endpoint(self._happened, self._message, self._reached) as endpoint:
                self._endpoint = endpoint
                self._files = self._transfers(endpoint)
                self._begin()
                try:
                    await self._until_over()
                finally:
                    self._closing = True
                await self._leave()
        return self._exit_status()

    def _transfers(self, endpoint: Endpoint) -> Transfers:
        return Transfers(
            endpoint,
            self._own,
            way=self._account.way,
            directory=self._downloads,
            questions=self._questions,
            show=self._show,
            spawn=self._spawn,
            on_end=self._moved.set,
            token=_token,
        )

    def _begin(self) -> None:
        if self._target is None:
            self._show(f"{self._own} waits to be called; /help tells what can be done")
        else:
            self._talk = self._conversation(self._target)
            self._show(f"{self._own} calls {self._target}; /help tells what can be done")
            self._talk.call()

    async def _until_over(self) -> None:
        """Take what is typed until nothing is any more, or the conversation is over."""
        typing = asyncio.create_task(self._read())
        over = asyncio.create_task(self._over.wait())
        lost = asyncio.create_task(self._endpoint.sip.wait_lost())
        try:
            done, _ = await asyncio.wait((typing, over, lost), return_when=asyncio.FIRST_COMPLETED)
            if typing in done and not self._over.is_set():
                self._questions.refuse_all()
                await self._settle(over)
            if lost in done:
                lost.result()
        finally:
            for task in (typing, over, lost):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task if not task.done() else None

    async def _settle(self, over: "asyncio.Task[bool]") -> None:
        """Wait for the outcome of what was said, as long as that makes sense."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        hurry = asyncio.create_task(self._hurry.wait())
        try:
            while self._is_pending() and not over.done() and not hurry.done():
                self._moved.clear()
                moved = asyncio.create_task(self._moved.wait())
                left = None if len(self._files) else deadline - asyncio.get_running_loop().time()
                done, _ = await asyncio.wait((moved, over, hurry), timeout=left, return_when=asyncio.FIRST_COMPLETED)
                moved.cancel()
                if not done:
                    return
        finally:
            hurry.cancel()

    def _is_pending(self) -> bool:
        return bool(len(self._files) or (self._talk is not None and len(self._talk.lines)))

    async def _leave(self) -> None:
        self._files.close()
        if self._talk is not None and self._talk.mode is not Mode.OVER:
            self._talk.end()
        if self._offered is not None and self._calling is not None and not self._calling.done():
            self._calling.set_result(False)
        deadline = asyncio.get_running_loop().time() + _FAREWELL
        while self._endpoint.sessions and asyncio.get_running_loop().time() < deadline:
            self._moved.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), deadline - asyncio.get_running_loop().time())
        for task in self._tasks:
            task.cancel()

    def _exit_status(self) -> int:
        lines = self._talk.lines if self._talk is not None else None
        if lines is None or self._status:
            return self._status
        if lines.ended_as(LineState.FAILED) or self._files.failed:
            return REFUSED
        if lines.ended_as(LineState.UNCONFIRMED) or len(lines):
            return UNANSWERED
        return ACCEPTED if lines.ended_as(LineState.ACCEPTED) else 0

    # What is typed

    async def _read(self) -> None:
        self._screen.on_typing = self._typed
        while (line := await self._screen.line()) is not None:
            if self._questions:
                self._questions.answer(line)
            elif line.startswith("/") and not line.startswith("//"):
                if self._command(*line[1:].strip().partition(" ")[::2]):
                    return
            elif line.strip():
                await self._say(line.removeprefix("/") if line.startswith("//") else line)

    async def _say(self, line: str) -> None:
        if self._talk is None:
            self._show("nobody is here yet")
            return
        self._talk.say(line)
        while len(self._talk.lines) > _MOST_OPEN and not self._over.is_set():
            self._moved.clear()
            await self._moved.wait()

    def _typed(self, text: str) -> None:
        if self._talk is not None and not self._questions:
            self._talk.typed(text)

    def _command(self, name: str, argument: str) -> bool:
        """Do what a line that begins with / says; tell whether to leave."""
        match name:
            case "quit":
                return True
            case "file":
                self._send_file(argument.strip())
            case "who":
                self._who()
            case "call":
                self._call_again()
            case "help":
                for line in _HELP:
                    self._show(line)
            case _:
                self._show(f"there is no /{name}; /help tells what there is")
        return False

    def _send_file(self, path: str) -> None:
        if self._talk is None:
            self._show("nobody is here yet")
        elif not path:
            self._show("/file PATH")
        else:
            self._spawn(self._files.send(Path(path).expanduser(), self._talk.peer))

    def _call_again(self) -> None:
        if self._talk is not None and self._talk.mode is Mode.PAGER:
            self._talk.call()
        else:
            self._show("there is nobody to call, or no need to")

    def _who(self) -> None:
        state = "registered" if self._endpoint.sip.is_up else "not registered at the moment"
        self._show(f"you are {self._own}, {state}; MSRP: {self._account.relay or 'without a relay'}")
        talk = self._talk
        if talk is None:
            self._show("nobody is here")
            return
        self._show(f"{talk.peer}: {talk.mode.value}, {len(talk.lines)} lines without an outcome")
        if talk.session is not None and talk.session.accept_types:
            self._show(f"  takes {' '.join(talk.session.accept_types)}")

    # What happens

    def _happened(self, event: EndpointEvent) -> None:
        if isinstance(event, CallReceived):
            self._called(event)
        elif self._offered is not None and event.session is self._offered.session and self._calling is not None:
            if isinstance(event, Ended):
                self._calling.cancel()
        elif not self._files.happened(event) and self._talk is not None:
            self._talk.happened(event)
        self._moved.set()

    def _called(self, event: CallReceived) -> None:
        talk, name = self._talk, self._name(event.from_uri)
        is_peer = talk is not None and talk.mode is not Mode.OVER and canonical(talk.peer) == canonical(event.from_uri)
        if self._closing or (talk is not None and not is_peer) or (self._offered is not None and event.file is None):
            self._show(f"{name} calls, and is told that you are busy")
            event.session.reject(486, "Busy Here")
        elif event.file is not None:
            self._files.offered(event, name)
        elif talk is not None:
            talk.called(event)
        else:
            self._ask(event, name)

    def _ask(self, event: CallReceived, name: str) -> None:
        event.session.ring()
        subject = f" about {event.subject}" if event.subject else ""
        self._offered = event
        self._calling = self._questions.ask(f"{name} calls{subject}. Take it?")
        self._calling.add_done_callback(lambda answer: self._answered(event, answer))

    def _answered(self, event: CallReceived, answer: "asyncio.Future[bool]") -> None:
        self._offered = None
        if answer.cancelled():
            self._show(f"{self._name(event.from_uri)} calls no more")
        elif answer.result() and not self._closing:
            self._talk = self._conversation(event.from_uri)
            self._talk.take(event)
        else:
            event.session.reject(603, "Decline")

    def _message(self, message: MessageReceived) -> None:
        sender = canonical(message.from_uri)
        if self._talk is None and self._offered is None and not message.expired:
            if not isinstance(read_content(message.content_type, message.body), Text):
                return
            self._talk = self._conversation(message.from_uri)
            self._show(f"{self._name(message.from_uri)} writes single messages, and gets yours the same way")
        if self._talk is not None and canonical(self._talk.peer) == sender:
            self._talk.message_received(message)
        elif not message.expired:
            content = read_content(message.content_type, message.body)
            if isinstance(content, Text):
                self._show(f"[{self._name(message.from_uri)}] {content.text}")
        self._moved.set()

    def _reached(self, reached: bool) -> None:
        if not self._closing and hasattr(self, "_endpoint"):
            server = self._account.account.server
            self._show(f"{server} is back" if reached else f"{server} is lost, and tried again")

    def _conversation(self, peer: str) -> Conversation:
        return Conversation(
            self._endpoint,
            self._own,
            peer,
            self._name(peer),
            way=self._account.way,
            show=self._show,
            show_typing=self._screen.show_typing,
            spawn=self._spawn,
            on_over=self._end,
            token=_token,
        )

    def _end(self, status: int) -> None:
        self._status = status
        self._over.set()

    def _interrupted(self) -> None:
        self._hurry.set()
        self._over.set()

    def _name(self, uri: str) -> str:
        return readable(uri, self._domain)

    def _show(self, text: str) -> None:
        self._screen.show(text)
        self._moved.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _token() -> str:
    return secrets.token_hex(12)


@contextlib.contextmanager
def _signals(interrupted: Any) -> Any:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupted)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)
