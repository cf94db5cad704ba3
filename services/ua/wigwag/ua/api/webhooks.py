"""Webhooks: every event of an application is posted to its URL, in the order of its session.

Theory of operation. Each application with a webhook is a consumer group of its own on the log of events, so that one
that is away delays nobody else's, and exactly one pod calls. Events of a session go one after the other. What is not
taken is posted again, after 1 s, 2 s ... 5 min, until a day has passed since it happened; one that is refused (4xx), or
fails while others of the application are taken, is given up sooner. Then it is a dead letter, with the reason.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol, Self

import structlog

from wigwag.bus import Bus, Record, UnprocessableError
from wigwag.ua.config import ApplicationSettings

from .feed import TOPIC, entry_of
from .presenting import event_json
from .webhook_post import Poster, PostError

IN_FLIGHT: Final = 64
"""Events of an application that are posted at once."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 300.0
LONGEST: Final = 86_400.0
"""Seconds after which an event is given up."""
REFUSALS: Final = 5
"""Tries of an event that is refused."""
TRIES: Final = 20
"""Tries of an event that fails while others are taken."""
LOOK: Final = 5.0
"""Seconds between two looks at which applications have webhooks."""

logger = structlog.get_logger(__name__)


class KnownApplications(Protocol):
    """Where the applications are."""

    @property
    def names(self) -> Sequence[str]:
        """Of all."""

    def find(self, name: str) -> ApplicationSettings | None:
        """Return one; None: there is none."""


Pause = Callable[[float], Awaitable[object]]
"""Waits so many seconds."""
Tell = Callable[[str, bool, str], None]
"""Told of an application when its webhook takes events again, or does not, and why."""


class Webhook:
    """The webhook of one application.

    Args:
        name: The application's.
        applications: Where its settings are.
        poster: Posts.
        wall: Seconds since 1970.
        tell: Told at each change.
        pause: Waits so many seconds.
    """

    def __init__(
        self,
        name: str,
        applications: KnownApplications,
        poster: Poster,
        *,
        wall: Callable[[], float],
        tell: Tell,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._name = name
        self._applications = applications
        self._poster = poster
        self._wall = wall
        self._tell = tell
        self._pause = pause
        self._works: bool | None = None
        self._taken = 0
        """Events that were taken so far."""

    async def handle(self, record: Record) -> None:
        """Post an event until it is taken.

        Raises:
            UnprocessableError: It is given up.
        """
        entry = entry_of(record)
        if entry is None or entry.event.application != self._name:
            return
        if self._wall() - record.time > LONGEST:
            return  # The webhook is new, and this was before it.
        body = json.dumps(event_json(entry.event), ensure_ascii=False).encode()
        tries, taken, pause = 0, self._taken, FIRST_PAUSE
        while True:
            tries += 1
            try:
                await self._try(entry.event.event_id, body)
                return
            except PostError as error:
                self._failed(error)
                self._check_given_up(error, record, tries, self._taken > taken)
            await self._pause(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _try(self, event_id: str, body: bytes) -> None:
        settings = self._applications.find(self._name)
        if settings is None or settings.webhook_url is None:
            return  # It was taken away meanwhile.
        if settings.webhook_secret is None:
            raise PostError("webhook_secret: missing, so that nobody could tell who calls")
        await self._poster.post(settings.webhook_url, settings.webhook_secret, event_id, body)
        self._taken += 1
        if self._works is not True:
            self._works = True
            self._tell(self._name, True, "takes events")

    def _failed(self, error: PostError) -> None:
        if self._works is not False:
            self._works = False
            logger.warning("a webhook does not take an event", application=self._name, reason=str(error))
            self._tell(self._name, False, str(error))

    def _check_given_up(self, error: PostError, record: Record, tries: int, others_taken: bool) -> None:
        is_over = self._wall() - record.time > LONGEST
        if is_over or (error.refused and tries >= REFUSALS) or (others_taken and tries >= TRIES):
            raise UnprocessableError(f"the webhook of {self._name} did not take it in {tries} tries: {error}")


class Webhooks:
    """Calls the webhooks of all applications; ``async with`` runs it.

    Args:
        bus: Where events are.
        applications: Who has webhooks; looked at every few seconds.
        private: Whether they may be on loopback or private networks.
        wall: Seconds since 1970.
        tell: Told of changes.
        pause: Waits so many seconds.
    """

    def __init__(
        self,
        bus: Bus,
        applications: KnownApplications,
        *,
        private: bool,
        wall: Callable[[], float],
        tell: Tell,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._bus = bus
        self._applications = applications
        self._private = private
        self._wall = wall
        self._tell = tell
        self._pause = pause
        self._running: dict[str, asyncio.Task[None]] = {}
        self._asked = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Begin."""
        self._keeping_up = asyncio.create_task(self._keep_up())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop; events that were not taken are posted by another pod, or later."""
        self._keeping_up.cancel()
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(self._keeping_up, *self._running.values(), return_exceptions=True)

    def look(self) -> None:
        """Look at once which applications have webhooks."""
        self._asked.set()

    async def _keep_up(self) -> None:
        while True:
            wanted = {name for name in self._applications.names if self._has_webhook(name)}
            for name in wanted - self._running.keys():
                self._running[name] = asyncio.create_task(self._run(name))
            for name in self._running.keys() - wanted:
                task = self._running.pop(name)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([task])
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), LOOK)
            self._asked.clear()

    def _has_webhook(self, name: str) -> bool:
        settings = self._applications.find(name)
        return settings is not None and settings.webhook_url is not None

    async def _run(self, name: str) -> None:
        poster = Poster(private=self._private, wall=self._wall)
        webhook = Webhook(name, self._applications, poster, wall=self._wall, tell=self._tell, pause=self._pause)
        try:
            async with self._bus.consume(f"ua-webhook-{name}", [TOPIC], webhook.handle, in_flight=IN_FLIGHT):
                await asyncio.Event().wait()
        finally:
            await poster.close()
