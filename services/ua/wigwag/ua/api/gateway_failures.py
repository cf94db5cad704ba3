"""E_MSRP_GW_SETUP_FAILED for operators who watch in OpenSIPS's form: what the gateway tells on the bus, from now on.

Each watcher reads the log on his own: these events are few, and so are operators.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final, cast

from google.protobuf.message import DecodeError

from wigwag.api.events.v1.envelope_pb2 import Envelope
from wigwag.bus import Bus, FromOffsets
from wigwag.errors import OverloadedError
from wigwag.runtime.events import GATEWAY_EVENTS
from wigwag.runtime.opensips_gateway import setup_failed

MOST_WATCHERS: Final = 100


class GatewayFailures:
    """Reads them.

    Args:
        bus: Where they are.
        most: Who may watch at a time.
    """

    def __init__(self, bus: Bus, *, most: int = MOST_WATCHERS) -> None:
        self._bus = bus
        self._most = most
        self._watchers = 0
        bus.declare(GATEWAY_EVENTS)

    async def frames(self) -> AsyncIterator[dict[str, Any]]:
        """Yield a notification for each session that could not be set up.

        Raises:
            OverloadedError: Too many watch.
            BusError: The log can't be read.
        """
        if self._watchers >= self._most:
            raise OverloadedError("too many watch the gateway already")
        self._watchers += 1
        try:
            ends = {number: held.stop for number, held in (await self._bus.extent(GATEWAY_EVENTS.name)).items()}
            records = self._bus.replay(GATEWAY_EVENTS.name, FromOffsets(ends), follow=True)
            async with aclosing(cast(Any, records)):
                async for record in records:
                    found = _envelope(record.value)
                    if found.WhichOneof("payload") == "gateway_setup_failed":
                        yield setup_failed(found.gateway_setup_failed)
        finally:
            self._watchers -= 1


def _envelope(value: bytes) -> Envelope:
    try:
        return Envelope.FromString(value)
    except DecodeError:
        return Envelope()
