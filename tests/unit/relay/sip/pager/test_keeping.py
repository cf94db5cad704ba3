"""How many messages are kept, and how often the ledger is asked for it."""

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

import pytest

from wigwag.database.ledger import Backlog, Ledger, LedgerRow, NewMessage
from wigwag.protocols.sip import SipError
from wigwag.relay.sip.config import PagerSettings
from wigwag.relay.sip.pager.keeping import Keeping

BOB = "sip:bob@wigwag.example"


class CountingLedger:
    """Counts what waits, and how often it is asked."""

    def __init__(self) -> None:
        self.waiting: list[NewMessage] = []
        self.looks = 0
        self.answers: list[asyncio.Event] = []
        """What each look waits for, if that is not to be answered at once."""

    async def backlog(self, *, recipient: str | None, conversation: str | None, most: int) -> Backlog:
        self.looks += 1
        if self.looks <= len(self.answers):
            await self.answers[self.looks - 1].wait()
        found: Sequence[NewMessage] = self.waiting[:most]
        return Backlog(len(found), sum(len(one.body or b"") for one in found))

    async def find(self, message_id: str) -> LedgerRow | None:
        return None

    async def accept_one(self, message: NewMessage) -> None:
        self.waiting.append(message)


class Under:
    """Test support: what is tested, with a clock."""

    def __init__(self, **settings: int) -> None:
        self.now = 0.0
        self._numbers = itertools.count()
        self.ledger = CountingLedger()
        self.keeping = self.another(**settings)

    def another(self, **settings: int) -> Keeping:
        """Return one of another pod."""
        return Keeping(cast(Ledger, self.ledger), PagerSettings.model_validate(settings), now=lambda: self.now)

    async def keep(self, count: int, body: bytes = b"hello", keeping: Keeping | None = None) -> None:
        """Keep messages for Bob."""
        for _ in range(count):
            message = NewMessage(
                id=f"m{next(self._numbers)}", conversation="c", service="gateway", direction="pager-inbound",
                sender="sip:alice@wigwag.example", recipient=BOB, expires=9e9, content_type="text/plain", body=body,
            )  # fmt: skip
            await (keeping or self.keeping).keep(message, recipient=BOB)


async def test_messages_that_come_together_are_written_in_their_order() -> None:
    under = Under(per_user=40)
    under.ledger.answers = [asyncio.Event() for _ in range(3)]
    writing = [asyncio.create_task(under.keep(1, body=b"%d" % number)) for number in range(10)]
    for answer in reversed(under.ledger.answers):
        await asyncio.sleep(0)
        answer.set()
    await asyncio.gather(*writing)
    assert [message.body for message in under.ledger.waiting] == [b"%d" % number for number in range(10)]


async def test_of_a_burst_as_many_are_kept_as_the_limit_says() -> None:
    under = Under(per_user=50)
    done = await asyncio.gather(*(under.keep(1) for _ in range(60)), return_exceptions=True)
    assert len([each for each in done if each is None]) == len(under.ledger.waiting) == 50


async def test_ledger_is_rarely_asked_while_there_is_much_room() -> None:
    under = Under(per_user=1_000)
    await under.keep(200)
    assert under.ledger.looks <= 3


async def test_no_message_above_the_limit_is_kept() -> None:
    under = Under(per_user=100)
    await under.keep(100)
    with pytest.raises(SipError, match="too many"):
        await under.keep(1)
    assert len(under.ledger.waiting) == 100


async def test_no_octet_above_the_limit_is_kept() -> None:
    under = Under(per_user_bytes=1_000)
    await under.keep(10, b"x" * 100)
    with pytest.raises(SipError, match="too many"):
        await under.keep(1, b"x")


async def test_eight_pods_together_stay_within_the_limit() -> None:
    under = Under(per_user=100)
    pods = [under.another(per_user=100) for _ in range(8)]
    for turn in range(200):
        with suppress(SipError):
            await under.keep(1, keeping=pods[turn % 8])
    assert len(under.ledger.waiting) == 100


async def test_what_was_found_free_is_looked_at_again_after_a_while() -> None:
    under = Under(per_user=1_000)
    await under.keep(2)
    under.now = 6.0
    await under.keep(1)
    assert under.ledger.looks == 2
