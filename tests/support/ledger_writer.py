"""``python -m tests.support.ledger_writer FILE ACKNOWLEDGED``: accepts messages without end, notes what it was told.

Each line of the file ``ACKNOWLEDGED`` is a message's id and ``accepted``, or the name of the error. It is appended in
one write, so that it can be trusted after the process was killed.
"""

import asyncio
import os
import sys
import time

from wigwag.database import Database
from wigwag.database.ledger import Ledger, NewMessage
from wigwag.errors import WigwagError

LIFETIME = 86_400.0
PAUSE = 0.002
"""Seconds between two messages."""


async def main(file: str, acknowledged: str) -> None:
    """Write until killed."""
    out = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    async with Database(f"sqlite:///{file}") as database, Ledger(database, clock=time.time) as ledger:
        number = 0
        while True:
            number += 1
            try:
                await ledger.accept_one(message(f"m{number}"))
                outcome = "accepted"
            except WigwagError as error:
                outcome = type(error).__name__
            os.write(out, f"m{number} {outcome}\n".encode())
            await asyncio.sleep(PAUSE)


def message(name: str) -> NewMessage:
    """Return a message with a body that fills pages."""
    return NewMessage(
        id=name, conversation="c", service="gateway", direction="outbound", sender="sip:a@wigwag.example",
        recipient="sip:b@wigwag.example", expires=time.time() + LIFETIME, body=b"x" * 500,
    )  # fmt: skip


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
