"""A process that writes into a ledger and says what was acknowledged: ``python -m tests.support.ledger_process``.

It writes one line to standard output for each acknowledged message, after its future was resolved, and nothing before.
"""

import asyncio
import contextlib
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.ledger import LIFETIME, new_message
from wigwag.database import Database
from wigwag.database.ledger import Change, Ledger, State
from wigwag.errors import DatabaseError

WRITERS = 50


def say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


async def write_for_ever(url: str) -> None:
    """Accept messages, and deliver every second one, until killed."""

    async def writer(ledger: Ledger, number: int) -> None:
        for turn in range(1_000_000):
            message_id = f"{number}-{turn}"
            verdict = await ledger.accept_one(new_message(message_id, expires=time.time() + LIFETIME))
            assert verdict.done
            say(f"accepted {message_id}")
            if turn % 2:
                await ledger.apply_one(Change(id=message_id, version=1, state=State.DELIVERED))
                say(f"delivered {message_id}")

    async with Database(url) as database, Ledger(database, clock=time.time) as ledger:
        await asyncio.gather(*(writer(ledger, number) for number in range(WRITERS)))


@contextlib.contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Let no file grow above so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def fill_the_disk(url: str) -> None:
    """Accept messages until the disk is full, then have a larger one and go on with the same ledger."""
    path = Path(url.removeprefix("sqlite:///"))

    async def accept(ledger: Ledger, message_id: str) -> None:
        message = new_message(message_id, expires=time.time() + LIFETIME, body=b"x" * 20_000)
        try:
            await ledger.accept_one(message)
        except DatabaseError:
            say(f"refused {message_id}")
        else:
            say(f"accepted {message_id}")

    async with Database(url) as database, Ledger(database, clock=time.time) as ledger:
        await accept(ledger, "before")
        with disk_of(path.with_name(path.name + "-wal").stat().st_size + 300_000):
            for number in range(5):
                await asyncio.gather(*(accept(ledger, f"full-{number}-{index}") for index in range(10)))
        await accept(ledger, "after")


if __name__ == "__main__":
    asyncio.run({"write": write_for_ever, "fill": fill_the_disk}[sys.argv[1]](sys.argv[2]))
