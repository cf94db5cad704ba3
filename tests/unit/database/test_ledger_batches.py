"""Batches: no waiting, nothing lost, nobody hurt by a neighbour."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.support.waiting import until
from wigwag.database.ledger import Limits, batches
from wigwag.database.ledger.batches import Batches
from wigwag.errors import DatabaseError, OverloadedError, WigwagError


class Written:
    """A writer that waits at a gate and answers twice the number; odd ones fail when told so."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.odd_fails = False

    async def __call__(self, jobs: Sequence[int]) -> Sequence[int | WigwagError]:
        self.batches.append(list(jobs))
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return [DatabaseError("odd") if job % 2 and self.odd_fails else 2 * job for job in jobs]


def numbers(*values: int) -> list[tuple[int, int]]:
    return [(value, 1) for value in values]


async def test_first_job_does_not_wait_and_the_next_batch_is_what_came_meanwhile() -> None:
    written = Written()
    written.gate.clear()
    async with Batches[int, int](written, Limits()) as queue:
        first = queue.submit(numbers(1))
        await until(lambda: written.batches == [[1]])
        rest = [future for value in range(2, 6) for future in queue.submit(numbers(value))]
        written.gate.set()
        assert await asyncio.gather(*first, *rest) == [2, 4, 6, 8, 10]
    assert written.batches == [[1], [2, 3, 4, 5]]


async def test_with_a_slow_pace_the_first_job_does_not_wait_and_those_after_it_go_together() -> None:
    written = Written()
    async with Batches[int, int](written, Limits(pace=0.5)) as queue:
        assert await queue.submit(numbers(1))[0] == 2
        rest = []
        for value in range(2, 6):
            rest += queue.submit(numbers(value))
            for _ in range(20):
                await asyncio.sleep(0)
        assert await asyncio.gather(*rest) == [4, 6, 8, 10]
    assert written.batches == [[1], [2, 3, 4, 5]]


async def test_batch_is_bounded_in_jobs_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_BYTES", 10)
    written = Written()
    async with Batches[int, int](written, Limits(batch=3)) as queue:
        await asyncio.gather(*queue.submit([*numbers(1, 2, 3, 4), (5, 9), (6, 9)]))
    assert written.batches == [[1, 2, 3], [4, 5], [6]]


async def test_one_job_that_fails_does_not_fail_its_neighbours() -> None:
    written = Written()
    written.odd_fails = True
    async with Batches[int, int](written, Limits()) as queue:
        results = await asyncio.gather(*queue.submit(numbers(2, 3, 4)), return_exceptions=True)
    assert results[0] == 4
    assert isinstance(results[1], DatabaseError)
    assert results[2] == 8


async def test_batch_that_fails_does_not_fail_the_next() -> None:
    written = Written()
    written.error = DatabaseError("away")
    async with Batches[int, int](written, Limits()) as queue:
        with pytest.raises(DatabaseError, match="away"):
            await queue.submit(numbers(1))[0]
        written.error = None
        assert await queue.submit(numbers(2))[0] == 4


async def test_bug_in_the_writer_costs_its_batch_and_is_loud() -> None:
    written, heard = Written(), []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: heard.append(context["exception"]))
    written.error = ZeroDivisionError()
    async with Batches[int, int](written, Limits()) as queue:
        with pytest.raises(DatabaseError):
            await queue.submit(numbers(1))[0]
        assert heard == [written.error]
        written.error = None
        assert await queue.submit(numbers(2))[0] == 4


async def test_job_of_a_caller_who_has_gone_is_not_written() -> None:
    written = Written()
    written.gate.clear()
    async with Batches[int, int](written, Limits()) as queue:
        first = queue.submit(numbers(1))
        await until(lambda: written.batches)
        gone, stays = queue.submit(numbers(2, 3))
        gone.cancel()
        written.gate.set()
        assert await asyncio.gather(*first, stays) == [2, 6]
    assert written.batches == [[1], [3]]


async def test_too_many_jobs_are_refused_all_or_none() -> None:
    written = Written()
    written.gate.clear()
    async with Batches[int, int](written, Limits(jobs=3)) as queue:
        futures = queue.submit(numbers(1, 2))
        with pytest.raises(OverloadedError):
            queue.submit(numbers(3, 4))
        futures += queue.submit(numbers(5))
        written.gate.set()
        assert await asyncio.gather(*futures) == [2, 4, 10]


async def test_writer_that_hangs_does_not_hold_up_the_end_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "CLOSING_TIMEOUT", 0.05)
    written = Written()
    written.gate.clear()
    async with Batches[int, int](written, Limits(batch=1)) as queue:
        futures = queue.submit(numbers(1, 2))
    assert [type(error) for error in await asyncio.gather(*futures, return_exceptions=True)] == [DatabaseError] * 2
