"""``python -m tests.support.ledger_publisher DATABASE BROKERS ACKNOWLEDGED``: accepts messages and publishes.

It writes into the ledger and sweeps it to Kafka until it is killed. Each line of the file ``ACKNOWLEDGED`` is a
message's id and a version of it that the ledger has acknowledged, appended in one write once it was.
"""

import asyncio
import logging
import os
import secrets
import sys
import time
from itertools import count

from tests.support.ledger import LIFETIME, new_message
from wigwag.bus.kafka import KafkaBus
from wigwag.bus.kafka_options import KafkaOptions
from wigwag.database import Database
from wigwag.database.ledger import Change, Ledger, State
from wigwag.runtime.ledger_events import LedgerEvents
from wigwag.runtime.ledger_sweeper import LedgerSweeper, SweepTimes

WRITERS = 4
CONVERSATIONS = 5
PAUSE = 0.04
"""Seconds between two messages of a writer."""
LEASE = 2.0
"""Seconds after the death of this process until the next one sweeps."""


async def write(ledger: Ledger, prefix: str, acknowledged: int) -> None:
    """Accept messages without end, and deliver every second one."""
    for number in count():
        message_id = f"{prefix}-{number}"
        conversation = f"conversation {number % CONVERSATIONS}"
        message = new_message(message_id, expires=time.time() + LIFETIME, conversation=conversation)
        assert (await ledger.accept_one(message)).done
        os.write(acknowledged, f"{message_id} 1\n".encode())
        if number % 2:
            change = Change(id=message_id, version=1, state=State.DELIVERED)
            assert (await ledger.apply_one(change)).done
            os.write(acknowledged, f"{message_id} 2\n".encode())
        await asyncio.sleep(PAUSE)


async def main(url: str, brokers: str, file: str) -> None:
    """Write and sweep until killed."""
    acknowledged = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it says each failure several times a second
    run = secrets.token_hex(4)
    bus = KafkaBus(KafkaOptions(bootstrap_servers=brokers, partitions=4))
    async with bus, Database(url) as database, Ledger(database, clock=time.time) as ledger:
        times = SweepTimes(publish_timeout=5.0, longest_pause=1.0, lease=LEASE)
        sweeper = LedgerSweeper(ledger, LedgerEvents(bus, run), holder=run, times=times)
        async with asyncio.TaskGroup() as group:
            group.create_task(sweeper.run())
            for number in range(WRITERS):
                group.create_task(write(ledger, f"{run}-{number}", acknowledged))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
