"""All files of a chat, each in a session of its own."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from wigwag.errors import NotFoundError
from wigwag.runtime.logging import escaped
from wigwag.ua.endpoint.endpoint import Endpoint
from wigwag.ua.endpoint.model import CallReceived, Ended, EndpointEvent, OutgoingCall

from .names import readable_size
from .questions import Questions
from .receiving import ReceivedFile, wish_to_receive
from .sending import SentFile, selector_of, wish_to_send

Transfer = SentFile | ReceivedFile


class Transfers:
    """Sends files and takes those that are offered.

    Args:
        endpoint: Has the sessions.
        own: Our URI.
        way: Name of the way of MSRP.
        directory: Where files go.
        questions: Asks whether a file is wanted.
        show: Shows a line of text.
        spawn: Runs something beside.
        on_end: Told when a transfer is over.
        token: Returns a text that nobody can guess.

    Attributes:
        failed: Whether a file of ours did not arrive, or one that was wanted was not saved.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        own: str,
        *,
        way: str,
        directory: Path,
        questions: Questions,
        show: Callable[[str], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        on_end: Callable[[], None],
        token: Callable[[], str],
    ) -> None:
        self.failed = False
        self._endpoint = endpoint
        self._own = own
        self._way = way
        self._directory = directory
        self._questions = questions
        self._show = show
        self._spawn = spawn
        self._on_end = on_end
        self._token = token
        self._transfers: dict[str, Transfer] = {}
        self._offers: dict[str, asyncio.Future[bool]] = {}
        self._preparing = 0

    def __len__(self) -> int:
        """How many are not over."""
        return len(self._transfers) + len(self._offers) + self._preparing

    async def send(self, path: Path, peer: str) -> None:
        """Offer a file to the peer."""
        self._preparing += 1
        try:
            selector = await asyncio.to_thread(selector_of, path)
        except NotFoundError as error:
            self._show(f"  {error}")
            self._ended(failed=True)
            return
        finally:
            self._preparing -= 1
        call = OutgoingCall(
            session_id=self._token(),
            from_uri=self._own,
            to_uri=peer,
            media=wish_to_send(selector, self._token(), self._way),
            timeout=180.0,
        )
        session = self._endpoint.start(call)
        self._transfers[session.id] = SentFile(session, path, selector, self._show, self._token)
        self._show(f"  {path.name} offered ({readable_size(selector.size or 0)})")

    def offered(self, event: CallReceived, name: str) -> None:
        """Ask whether a file of the peer is wanted."""
        assert event.file is not None
        event.session.ring()
        file = ReceivedFile(
            event.session,
            event.file,
            self._directory,
            show=self._show,
            spawn=self._spawn,
            token=self._token,
        )
        selector = event.file.selector
        size = readable_size(selector.size) if selector.size is not None else "size unknown"
        kind = escaped(selector.media_type or "type unknown")
        answer = self._questions.ask(f"{name} sends {file.name} ({size}, {kind}). Save it in {self._directory}?")
        self._offers[event.session.id] = answer
        answer.add_done_callback(lambda answer: self._answered(event, file, answer))

    def happened(self, event: EndpointEvent) -> bool:
        """Take what happens to a session; False: it is not one of a file."""
        session_id = event.session.id
        answer = self._offers.get(session_id)
        if answer is not None:
            if isinstance(event, Ended):
                answer.cancel()
            return True
        transfer = self._transfers.get(session_id)
        if transfer is None:
            return False
        transfer.happened(event)
        if isinstance(event, Ended):
            del self._transfers[session_id]
            self._ended(failed=transfer.arrived is False)
        return True

    def close(self) -> None:
        """End what is under way."""
        for session_id in list(self._transfers):
            session = self._endpoint.sessions.get(session_id)
            if session is not None:
                session.end()

    def _answered(self, event: CallReceived, file: ReceivedFile, answer: "asyncio.Future[bool]") -> None:
        del self._offers[event.session.id]
        if answer.cancelled():
            self._show(f"  {file.name} is not offered any more")
            self._ended()
        elif answer.result():
            assert event.file is not None
            self._transfers[event.session.id] = file
            event.session.accept(wish_to_receive(event.file, self._way))
        else:
            event.session.reject(603, "Decline")
            self._ended()

    def _ended(self, *, failed: bool = False) -> None:
        self.failed = self.failed or failed
        self._on_end()
