"""Health of each service (grpc.health.v1), asked for at the moment of each check.

The reference servicer is told states and holds a lock while it writes to a watcher, so a watcher that reads nothing
would keep everybody from the truth.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping

import grpc
from grpc_health.v1 import health_pb2

from .types import Context

SERVING: int = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING: int = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN: int = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class HealthServicer:
    """Answers for all services of a server.

    Args:
        ready: By full name of the service, whether it can serve. The empty name stands for the server: ready while
            any service is.
        interval: Seconds between two looks for those who watch.
    """

    def __init__(self, ready: Mapping[str, Callable[[], bool]], *, interval: float = 1.0) -> None:
        self._ready = ready
        self._interval = interval
        self._ending = False
        self._looked = asyncio.Event()

    def look(self) -> None:
        """Let those who watch look at once."""
        self._looked.set()
        self._looked = asyncio.Event()

    def end(self) -> None:
        """Nothing serves from now on."""
        self._ending = True
        self.look()

    def status(self, service: str) -> int | None:
        """Return a service's status; None when there is no such service."""
        if service and service not in self._ready:
            return None
        asked = [self._ready[service]] if service else self._ready.values()
        serving = not self._ending and any(ready() for ready in asked)
        return SERVING if serving else NOT_SERVING

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> health_pb2.HealthCheckResponse:
        """Return the status now; NOT_FOUND for an unknown service."""
        status = self.status(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no service {request.service!r}")
        return health_pb2.HealthCheckResponse(status=status)

    async def List(self, request: health_pb2.HealthListRequest, context: Context) -> health_pb2.HealthListResponse:
        """Return the status of every service, and of the server under the empty name."""
        statuses = {name: health_pb2.HealthCheckResponse(status=self.status(name)) for name in ("", *self._ready)}
        return health_pb2.HealthListResponse(statuses=statuses)

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Yield the status, and again when it changes; SERVICE_UNKNOWN for an unknown service."""
        last = None
        while True:
            looked, status = self._looked, self.status(request.service)
            if status is None:
                status = SERVICE_UNKNOWN
            if status != last:
                last = status
                yield health_pb2.HealthCheckResponse(status=status)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(looked.wait(), self._interval)
