"""What the clients of one endpoint process share: the recording, signalling, the pace of connecting."""

import asyncio
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.endpoint_plan import Plan
from tests.support.endpoint_wire import WholeFrame, Wire
from tests.support.signalling import Signalling
from wigwag.protocols.msrp import MsrpUri
from wigwag.runtime.recording import Record, Recorder
from wigwag.transport.tls import client_context


class Pace:
    """Lets at most so many through per second."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1.0 / per_second
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for a turn."""
        now = asyncio.get_running_loop().time()
        self._next = max(self._next + self._interval, now)
        await asyncio.sleep(self._next - now)


class World:
    """See the module's text.

    Args:
        plan: What the process does.
    """

    def __init__(self, plan: Plan) -> None:
        self._loop = asyncio.get_running_loop()
        self._tls: ssl.SSLContext | None = None
        self._host = MsrpUri.parse(plan.relay.uri).host
        if plan.relay.ca_file is not None:
            self._tls = client_context(ca_file=plan.relay.ca_file)
        self._recorder = Recorder(plan.recording)
        self.signalling = Signalling(Path(plan.directory), plan.name)
        self.pace = Pace(plan.pace)
        self.now = self._loop.time

    def record(self, kind: type[Record], **fields: Any) -> None:
        """Write a record, with its number and the time."""
        self._recorder.write(kind(number=self._recorder.next_number(), time=time.time(), **fields))

    def note(self, text: str) -> None:
        """Write a line for people who look for the reason of a failure."""
        print(f"{time.time():.3f} {text}", file=sys.stderr, flush=True)

    async def open(self, address: tuple[str, int], on_frame: Callable[[WholeFrame], None]) -> Wire:
        """Connect.

        Raises:
            OSError: No connection.
        """
        host, port = address
        name = self._host if self._tls is not None else None
        _, wire = await self._loop.create_connection(
            lambda: Wire(on_frame), host, port, ssl=self._tls, server_hostname=name
        )
        return wire

    def close(self) -> None:
        """Close the files."""
        self.signalling.close()
        self._recorder.close()
