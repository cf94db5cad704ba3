"""A process that publishes to, or consumes from, a bus until it is killed; what it did is in a file.

``python -m tests.support.bus_process publish|consume KIND LOCATION TOPIC FILE``
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import TextIO

from tests.support.buses import Adapter
from wigwag.bus import Bus, Message, Record, Topic

GROUP = "victims"
IN_FLIGHT = 32
PUBLISHERS = 100
VALUE_OCTETS = 2_000
"""Large batches take longer to commit, so that more kills hit them."""


async def publish(bus: Bus, topic: str, file: TextIO) -> None:
    """Publish without end; each value is written down once it is acknowledged."""

    async def one(name: int) -> None:
        number = 0
        while True:
            batch = [Message(f"{name} {number + step}".ljust(VALUE_OCTETS).encode(), str(name)) for step in range(3)]
            for position, message in zip(await bus.publish_many(topic, batch), batch, strict=True):
                _write(file, {"value": message.value.decode().rstrip(), "offset": position.offset})
            number += 3

    await asyncio.gather(*(one(name) for name in range(PUBLISHERS)))


async def consume(bus: Bus, topic: str, file: TextIO) -> None:
    """Consume without end; each record is written down once it is handled."""

    async def handle(record: Record) -> None:
        await asyncio.sleep(0.001)
        _write(file, {"value": record.value.decode(), "key": record.key})

    async with bus.consume(GROUP, [topic], handle, in_flight=IN_FLIGHT):
        await asyncio.Event().wait()


def _write(file: TextIO, row: Mapping[str, object]) -> None:
    file.write(json.dumps(row) + "\n")
    file.flush()


async def main() -> None:
    """Do what the arguments say."""
    what, kind, location, topic, path = sys.argv[1:]
    adapter = Adapter(kind, location, is_shared=True)
    with open(path, "a", encoding="utf-8") as file:  # noqa: ASYNC230 - nothing else happens in this process
        async with adapter.opened(Topic(topic)) as bus:
            await (publish if what == "publish" else consume)(bus, topic, file)


if __name__ == "__main__":
    asyncio.run(main())
