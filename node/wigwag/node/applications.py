"""Applications and keys that were changed in the database are read again at once, by all pods.

Theory of operation. Every pod looks at the table every few seconds anyway. Who is asked to reload reads it there and
then, and tells the others over the bus; a pod that does not hear of it finds out by itself.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import structlog
from fastapi import APIRouter
from pydantic import BaseModel

from wigwag.api.events.v1.application_pb2 import ApplicationsChanged
from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.bus import Bus, FromOffsets
from wigwag.errors import BusError, ConflictError, DatabaseError, OverloadedError
from wigwag.runtime.events import APPLICATIONS, envelope
from wigwag.runtime.management import Arguments, Command

_RETRY: Final = 5.0
"""Seconds between two tries to follow the bus; meanwhile the table is looked at as often."""

logger = structlog.get_logger(__name__)


class Reloaded(BaseModel):
    """What became of it."""

    applications: int
    """How many this pod knows now."""
    problem: str | None
    """Why other pods find out a few seconds later; null: they were told."""


class Known(Protocol):
    """What the edge knows of applications."""

    async def reload(self) -> int:
        """Read the database again; returns how many there are.

        Raises:
            DatabaseError: It can't be read.
            ValueError: What it says of an application can't be used.
        """


class Reloading:
    """Reads applications again here, and has the other pods do it.

    Args:
        known: What the edge knows.
        bus: Where the others hear of it; its topic is declared here.
        pod: This one.
        now: Seconds since 1970.

    Attributes:
        followers: What else reads them in this process: the user agent.
    """

    def __init__(self, known: Known, bus: Bus, *, pod: str, now: Callable[[], float]) -> None:
        bus.declare(APPLICATIONS)
        self.followers: list[Callable[[], Awaitable[int]]] = []
        self._known = known
        self._bus = bus
        self._pod = pod
        self._now = now

    async def reload(self) -> Reloaded:
        """Read them, and tell the others.

        Raises:
            DatabaseError: They can't be read; the others are not told.
            ConflictError: What the database says of an application can't be used; what was known stays.
        """
        count = await self._read()
        value = envelope(ApplicationsChanged(), event_id=secrets.token_hex(16), at=self._now(), pod=self._pod)
        try:
            await self._bus.publish(APPLICATIONS.name, value, key=self._pod)
        except (BusError, OverloadedError) as error:
            return Reloaded(applications=count, problem=f"other pods will find out by themselves: {error}")
        return Reloaded(applications=count, problem=None)

    async def run(self) -> None:
        """Read them whenever another pod says so, until cancelled."""
        while True:
            try:
                await self._follow()
            except BusError as error:
                logger.warning("it is not heard when applications change", reason=str(error))
            await asyncio.sleep(_RETRY)

    def command(self) -> Command:
        """Return the command of the management interface."""

        async def run(arguments: Arguments) -> dict[str, Any]:
            return (await self.reload()).model_dump(exclude_none=True)

        return Command(
            name="wigwag:reload_applications", run=run, summary="Read applications and keys again, in all pods."
        )

    async def _follow(self) -> None:
        ends = {number: held.stop for number, held in (await self._bus.extent(APPLICATIONS.name)).items()}
        async for record in self._bus.replay(APPLICATIONS.name, FromOffsets(ends), follow=True):
            if Envelope.FromString(record.value).pod == self._pod:
                continue
            try:
                await self._read()
            except (DatabaseError, ConflictError) as error:
                logger.warning("applications are not read", reason=str(error))

    async def _read(self) -> int:
        try:
            count = await self._known.reload()
            for follow in self.followers:
                count = await follow()
        except ValueError as error:
            raise ConflictError(f"applications are not read, what was known stays: {error}") from error
        return count


def applications_router(reloading: Reloading) -> APIRouter:
    """Return the route that reloads."""
    router = APIRouter(prefix="/v1/applications", tags=["applications"])

    @router.post("/reload")
    async def reload() -> Reloaded:
        """Read applications and keys of the database again, in all pods."""
        return await reloading.reload()

    return router
