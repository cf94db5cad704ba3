"""``python -m tests.support.bus_writer FILE ACKNOWLEDGED``: publishes without end, notes what it was told.

Each line of the file ``ACKNOWLEDGED`` is a record's name and ``accepted``, or the name of the error, appended in one
write, so that it can be trusted after the process was killed.
"""

import asyncio
import os
import sys
from pathlib import Path

from wigwag.bus import Topic
from wigwag.bus.sqlite import SqliteBus
from wigwag.errors import WigwagError

TOPIC = Topic("wigwag.test.full")
PAUSE = 0.002
"""Seconds between two records."""


async def main(file: str, acknowledged: str) -> None:
    """Publish until killed."""
    out = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    async with SqliteBus(Path(file)) as bus:
        bus.declare(TOPIC)
        number = 0
        while True:
            number += 1
            name = f"m{number}"
            try:
                await bus.publish(TOPIC.name, value(name), key=name)
                outcome = "accepted"
            except WigwagError as error:
                outcome = type(error).__name__
            os.write(out, f"{name} {outcome}\n".encode())
            await asyncio.sleep(PAUSE)


def value(name: str) -> bytes:
    """Return a value that fills pages."""
    return name.encode().ljust(500)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
