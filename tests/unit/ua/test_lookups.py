"""What is asked for while a look-up is under way waits for the next one, and shares it."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from wigwag.errors import StoreError
from wigwag.ua.lookups import Lookups


class Place:
    """Something to look things up in, that answers when it is told to."""

    def __init__(self, *, most: int = 100) -> None:
        self.contents: dict[str, int] = {}
        self.asked: list[Sequence[str]] = []
        self.gate = asyncio.Event()
        self.is_away = False
        self.lookups = Lookups(self._look, most=most)

    async def _look(self, keys: Sequence[str]) -> Mapping[str, int]:
        self.asked.append(keys)
        found = {key: self.contents[key] for key in keys if key in self.contents}
        await self.gate.wait()
        if self.is_away:
            raise StoreError("away")
        return found

    async def ask(self, *keys: str) -> "list[asyncio.Task[int | None]]":
        """Ask for keys, each on its own, and let the questions be put."""
        tasks = [asyncio.create_task(self.lookups.find(key)) for key in keys]
        for _ in range(3):
            await asyncio.sleep(0)
        return tasks


async def test_all_that_is_asked_for_meanwhile_is_one_look_up() -> None:
    place = Place()
    place.contents = {"a": 1, "b": 2}
    first = await place.ask("a")
    others = await place.ask("b", "c", "b", "a")
    place.gate.set()
    assert await asyncio.gather(*first, *others) == [1, 2, None, 2, 1]
    assert place.asked == [["a"], ["b", "c", "a"]]


async def test_no_answer_is_older_than_its_question() -> None:
    place = Place()
    place.contents["a"] = 1
    before = await place.ask("a")
    place.contents["a"] = 2
    after = await place.ask("a")
    place.gate.set()
    assert await asyncio.gather(*before, *after) == [1, 2]


async def test_one_look_up_takes_no_more_keys_than_may_be() -> None:
    place = Place(most=2)
    place.gate.set()
    await asyncio.gather(*await place.ask("a", "b", "c", "d", "e"))
    assert [len(keys) for keys in place.asked] == [2, 2, 1]


async def test_who_goes_takes_no_answer_from_others_who_asked_for_the_same() -> None:
    place = Place()
    place.contents["a"] = 1
    gone, stays = await place.ask("a", "a")
    gone.cancel()
    place.gate.set()
    assert await stays == 1


async def test_error_is_told_to_all_who_asked_and_to_nobody_later() -> None:
    place = Place()
    place.is_away = True
    asked = await place.ask("a", "b")
    place.gate.set()
    for task in asked:
        with pytest.raises(StoreError):
            await task
    place.is_away, place.contents["a"] = False, 1
    assert await place.lookups.find("a") == 1
